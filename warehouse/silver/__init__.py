"""Silver: the records of every source that names their fields, as one table, and their nested parts as typed tables."""
