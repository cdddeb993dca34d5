"""Property-based tests draw the same examples on every machine and every day; a new seed is a deliberate act."""

import os
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests import installed_once, made_once

settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")

LONGEST = (
    "test_terraform.py",
    "test_connectors.py",
    "test_erase.py",
    "test_docs_commands.py",
    "test_gold_from_bronze.py",
    "test_dashboard_access_private.py",
    "test_gold_build.py",
    "test_export.py",
    "test_stateless.py",
    "test_bronze_upgrade.py",
    "test_browser.py",
    "test_soundness.py",
    "test_state_proofs.py",
    "test_mutations.py",
    "test_alerts_channels.py",
    "test_executors.py",
    "test_mutations_more.py",
    "test_backup.py",
    "test_api.py",
    "test_dashboard_access_public.py",
    "test_faults.py",
    "test_dlq.py",
    "test_bronze_keeping.py",
    "test_state_sync.py",
    "test_dashboard_access_oidc.py",
    "test_browser_privacy.py",
    "test_standing.py",
    "test_explain.py",
)
"""They begin first, so that none of the processes is left alone with one of them at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONGEST)))


def pytest_configure(config: pytest.Config) -> None:
    installed_once.remember()
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


@pytest.fixture(autouse=True)
def main_module_of_its_own() -> Iterator[None]:
    """Streamlit's AppTest leaves its script as the main module, which a process started later would run."""
    before = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = before
