"""Does PostgreSQL hold this file of unified records? The table is what one file says, so the newest row of `silver.runs` answers.

Like bronze's ledger it is answered from a file after a clean stop, without a database driver and without a server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from warehouse.bronze.ledger import Load, are_loaded

LOADER_VERSION = "1"
"""Changes when what a row holds changes; then everything is loaded again."""


def wanted(sha256: str, environment: str) -> Load:
    """The load that must be the newest."""
    return ("silver", "silver.records", sha256, LOADER_VERSION, environment == "example")


def holds(inputs: Mapping[str, Sequence[tuple[str, str, int | None]]], settings: Mapping[str, Any]) -> bool:
    """Is the input of role `records`, (name, sha256, version), what the table holds? False also when the database cannot be reached.

    Reads the settings `database`, `data_dir` and `environment`.
    """
    return are_loaded([wanted(inputs["records"][0][1], settings["environment"])], settings)
