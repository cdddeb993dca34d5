"""The rows of tables of any PostgreSQL and what becomes of them, by logical decoding; see `extract`, `records`, `check`."""
