"""Property-based tests draw the same examples on every machine and every day; a new seed is a deliberate act."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests import made_once

settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")

LONGEST = (
    "test_dashboard_access_private.py",
    "test_bronze_upgrade.py",
    "test_docs_commands.py",
    "test_browser.py",
    "test_browser_privacy.py",
    "test_dashboard_access_public.py",
    "test_dashboard_access_oidc.py",
    "test_alerts_channels.py",
    "test_standing.py",
    "test_api.py",
    "test_embedded_postgres.py",
    "test_soundness.py",
    "test_faults.py",
)
"""They begin first, so that none of the processes is left alone with one of them at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONGEST)))


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        made_once.begin()


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        made_once.end()


@pytest.fixture(autouse=True)
def umask_of_its_own() -> Iterator[None]:
    """The program sets the umask of its whole process; no test leaves its own to the next."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)
