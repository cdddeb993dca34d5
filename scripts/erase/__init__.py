"""`erase`: everything of a source, everything older than a day, or everything; listed first, then gone for good."""
