"""A DuckDB file beside an output, for what has to be sorted or compared as a whole: little memory, the rest on disk, gone afterwards."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

MEMORY = "200MB"
"""What DuckDB may hold before it writes to disk; gold's own limit."""


@contextmanager
def scratch(beside: str) -> Iterator[tuple[str, duckdb.DuckDBPyConnection]]:
    """(a private folder beside the path, a database in it)."""
    import duckdb

    folder = f"{beside}.scratch"
    os.mkdir(folder, 0o700)
    limits: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": MEMORY,
        "threads": 2,
        "temp_directory": os.path.join(folder, "spilled"),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    try:
        with duckdb.connect(os.path.join(folder, "scratch.duckdb"), config=limits) as database:
            database.execute("SET TimeZone = 'UTC'")
            yield folder, database
    finally:
        shutil.rmtree(folder, ignore_errors=True)
