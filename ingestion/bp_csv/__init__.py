"""Blood pressure CSVs of any tool, read by declarative presets."""
