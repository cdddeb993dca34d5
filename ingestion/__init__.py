"""Connectors: how bytes and pages come in. One folder per source: extract, records, schema.json."""
