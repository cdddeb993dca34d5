"""Bronze: every record of every source in its own PostgreSQL table, loaded exactly once."""
