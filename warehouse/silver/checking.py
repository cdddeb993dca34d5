"""What is in silver, and does it agree with its own ledger? Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from config.errors import WarehouseError
from warehouse.bronze.connection import Connection, connect, refused
from warehouse.silver import statements as do
from warehouse.silver.ledger import LOADER_VERSION
from warehouse.silver.schema import applied

_NEWEST = "SELECT file_hash, loader_version, rows, hash_sum FROM silver.runs ORDER BY id DESC LIMIT 1"
_TWICE = """
SELECT count(*) FROM (SELECT event_id FROM silver.records WHERE event_id IS NOT NULL GROUP BY 1 HAVING count(*) > 1) AS twice
"""
_SOURCES = "SELECT source, records, deleted, newest_occurred_at, newest_updated_at FROM silver.checkpoints ORDER BY 1"
_RUNS = """
SELECT action, run_id, came, inserted, updated, unchanged, deleted, removed, retired, rejected, started_at, seconds
FROM silver.runs ORDER BY id DESC LIMIT 10
"""
_SIZE = "SELECT pg_total_relation_size('silver.records')"


def status(settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """Rows, bytes, `sources` (as of the newest load) and `runs` (the last ten, newest first); None when there is no silver.

    Settings: database, data_dir. WarehouseError when the database cannot be reached.
    """
    with connect(settings, create=False, role="status") as session:
        try:
            if not applied(session):
                return None
            sources = _dicts(session, _SOURCES)
            return {
                "table": "silver.records",
                "rows": sum(source["records"] for source in sources),
                "bytes": session.execute(_SIZE).fetchall()[0][0],
                "sources": sources,
                "runs": _dicts(session, _RUNS),
            }
        except psycopg.Error as error:
            raise refused(error) from None


def verify(settings: Mapping[str, Any], expected: str | None) -> list[str]:
    """Sentences on what does not agree: the newest run against the rows, events told twice, `expected` (SHA-256 of the unified records
    in force, if they were loaded) against the newest run."""
    try:
        with connect(settings, create=False, role="verify") as session:
            if not applied(session):
                return ["silver.records: nothing was ever loaded."] if expected else []
            return _problems(session, expected)
    except WarehouseError as error:
        return [f"silver: {error}"] if expected else []
    except psycopg.Error as error:
        return [f"silver: {refused(error)}"]


def _problems(session: Connection, expected: str | None) -> list[str]:
    newest = session.execute(_NEWEST).fetchall()
    if not newest:
        return ["silver.records: nothing was ever loaded."] if expected else []
    file_hash, version, rows, hash_sum = newest[0]
    held, found = session.execute(do.HELD).fetchall()[0]
    problems = []
    if held != rows:
        problems.append(f"silver.records: the ledger says {rows} rows, the table has {held}.")
    elif found != hash_sum:
        problems.append("silver.records: the rows are not those that were loaded; their checksum differs from the ledger's.")
    if twice := session.execute(_TWICE).fetchall()[0][0]:
        problems.append(f"silver.records: {twice} events are told more than once.")
    if expected is not None and (file_hash, version) != (expected, LOADER_VERSION):
        problems.append("silver.records: the current records are not loaded.")
    return problems


def _dicts(session: Connection, query: str) -> list[dict[str, Any]]:
    """Rows as JSON can hold them."""
    cursor = session.execute(query.encode())
    names = [column.name for column in cursor.description or ()]
    return [
        {name: cell.isoformat() if hasattr(cell, "isoformat") else cell for name, cell in zip(names, row, strict=True)}
        for row in cursor
    ]
