"""The PostgreSQL server that comes with the program: made, started, stopped, saved and brought to a newer version."""
