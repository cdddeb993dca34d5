"""Processing: records become readings, readings are validated, validated readings become daily metrics."""
