"""Garmin: the account export, what Garmin Connect answers, and FIT files."""
