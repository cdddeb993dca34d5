"""Keeping the store: what is removed, and what is taken over as it is. Each on the record, each under the run lock."""
