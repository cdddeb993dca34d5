"""Where the data rests: bronze (PostgreSQL), every record as received."""
