"""The `bronze` commands: what is in the warehouse, its roles, its backups, and whether it agrees with the artifacts."""
