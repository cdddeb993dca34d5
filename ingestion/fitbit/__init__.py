"""Fitbit: Google Takeout or the account archive, JSON and CSV."""
