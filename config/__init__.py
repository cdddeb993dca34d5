"""What every room may know: settings, errors, the metric catalogue, time zones, table layouts, source definitions."""
