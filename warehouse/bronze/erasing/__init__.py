"""Erasing a person's rows for good: planned first, then done, with nothing left in free pages, statistics or the server's log."""
