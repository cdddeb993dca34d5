"""Property-based tests draw the same examples on every machine and every day; a new seed is a deliberate act."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")


@pytest.fixture(autouse=True)
def umask_of_its_own() -> Iterator[None]:
    """The program sets the umask of its whole process; no test leaves its own to the next."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)
