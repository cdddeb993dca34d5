"""What every room may know: settings, errors, the metric catalogue, time zones, table layouts, source definitions."""

VERSION = "0.1.0"
"""The product's version, as in the rows it loads."""
