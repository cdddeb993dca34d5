"""Gold: one DuckDB file with the tables that charts, reports and the API read."""
