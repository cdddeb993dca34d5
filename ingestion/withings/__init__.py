"""Withings (Health Mate): the archive's CSVs and what the API answers."""
