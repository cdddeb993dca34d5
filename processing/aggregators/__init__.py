"""Aggregation: validated readings become one row per local day, with the fate of every reading known."""
