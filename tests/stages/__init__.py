"""Stage functions for tests that run the engine in this process."""
