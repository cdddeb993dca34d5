"""Property-based tests draw the same examples on every machine and every day; a new seed is a deliberate act."""

from hypothesis import settings

settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")
