"""What bronze says of itself, in a moment: is it up, how good were the last loads, which dead letters are open.

A server that was configured is knocked at once, with little patience. The embedded one is asked only while it is awake: it sleeps
between uses, and being watched must not keep it up.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from warehouse.bronze.connection import Connection

_PATIENCE = 3
"""Seconds to connect in, and for a statement."""
_MADE = """
SELECT pg_database_size(current_database()),
       to_regclass('bronze_quality') IS NOT NULL AND to_regclass('bronze_dead_letters') IS NOT NULL
"""
_QUALITY = """
SELECT DISTINCT ON (source) source, completeness, validity, score FROM bronze_quality ORDER BY source, measured_at DESC
"""
_LETTERS = "SELECT source, count(*) FILTER (WHERE status = 'open') FROM bronze_dead_letters GROUP BY source ORDER BY source"


class Bronze(NamedTuple):
    """The database as it answered."""

    kind: str
    """embedded | configured"""
    up: bool
    quality: dict[str, dict[str, float]]
    """Source → measure → 0 to 1, of its last load."""
    letters: dict[str, int]
    """Source → open dead letters."""
    size: int | None
    """Bytes of the whole database; None when it did not tell."""


def read_bronze(settings: Mapping[str, str]) -> Bronze | None:
    """Settings: `database`, `data_dir`. None where there is no database yet, and while the embedded server sleeps."""
    if not settings["database"] and not awake(settings["data_dir"]):
        return None
    import psycopg

    from config.errors import PDPError

    kind = "configured" if settings["database"] else "embedded"
    try:
        with _session(settings) as session:
            return Bronze(kind, True, *_told(session))
    except (psycopg.Error, PDPError):
        return Bronze(kind, False, {}, {}, None)


def awake(data_dir: str) -> bool:
    """Whether the embedded server is up. Costs a look at a file."""
    from warehouse.bronze.ledger import cluster_folder

    folder = cluster_folder(data_dir)
    return bool(folder) and os.path.exists(os.path.join(str(folder), "postmaster.pid"))


@contextmanager
def _session(settings: Mapping[str, str]) -> Iterator[Connection]:
    import psycopg

    from warehouse.bronze import connection
    from warehouse.bronze.embedded import server

    @contextmanager
    def on(dsn: str) -> Iterator[Connection]:
        found = psycopg.connect(connection.complete(dsn, "metrics"), autocommit=True, connect_timeout=_PATIENCE)
        with connection.prepare(found, statement_timeout=f"{_PATIENCE}s", default_transaction_read_only="on") as session:
            yield session

    if configured := connection.normal_dsn(settings["database"]):
        with on(configured) as session:
            yield session
        return
    with server.embedded(settings["data_dir"]) as dsn, on(dsn) as session:
        yield session


def _told(session: Connection) -> tuple[dict[str, dict[str, float]], dict[str, int], int | None]:
    found: list[tuple[Any, ...]] = session.execute(_MADE).fetchall()
    size, made = found[0]
    if not made:
        return {}, {}, size
    measures = ("completeness", "validity", "score")
    quality = {
        source: {name: value for name, value in zip(measures, values, strict=True) if value is not None}
        for source, *values in session.execute(_QUALITY).fetchall()
    }
    letters = dict.fromkeys(quality, 0) | dict(session.execute(_LETTERS).fetchall())
    return quality, letters, size
