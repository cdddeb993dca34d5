"""What people ask of the registry: what is in force, what would run and why, what came from what. Reads only."""
