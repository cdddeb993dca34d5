"""Records back out of bronze, in the shape they had before they were loaded. Reads only; memory holds one batch.

Of every identity the newest version counts (`bronze_<source>_current`). The record's JSON is what PostgreSQL keeps of it: the same
values, keys in another order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import IsolationLevel, sql

from config.sources import SOURCES
from warehouse.bronze import schema
from warehouse.bronze.connection import Connection, refused

RECORDS = """
SELECT raw_id, (extract(epoch FROM source_timestamp) * 1000000)::bigint AS source_timestamp, raw_data::text AS raw,
       validation_status AS status, COALESCE(quality_checks -> 'reasons', '[]')::text AS errors, file_path AS raw_artifact,
       file_hash AS raw_sha256, metadata ->> 'position' AS position, record_index, (metadata ->> 'revision')::bigint AS revision,
       metadata ->> 'time_text' AS time_text, (metadata ->> 'utc_offset')::integer AS utc_offset, quality_score,
       quality_metrics::text AS quality_metrics, (quality_checks - 'reasons')::text AS quality_checks
FROM {current} ORDER BY raw_id
"""
"""In the order of `config.tables.RECORDS`; the reason codes as JSON, the time as microseconds since 1970."""

_LETTERS = """
SELECT raw_bytes, raw_size, error_class, error_message, file_path, file_hash, position, record_index
FROM bronze_dead_letters WHERE source = %s AND status IN ('open', 'ignored') ORDER BY id
"""
_ARTIFACTS = """
SELECT file_path, file_hash, max(substring(parent_lineage_ids[1] FROM '@v([0-9]+)$')::bigint), max(file_size),
       extract(epoch FROM min(ingested_at))::float8
FROM {current} GROUP BY 1, 2 ORDER BY 1, 2
"""
_NUMBERS = {"source_timestamp": int, "record_index": int, "revision": int, "utc_offset": int, "quality_score": float}
_COLUMNS = (
    "raw_id", "source_timestamp", "raw", "status", "errors", "raw_artifact", "raw_sha256", "position", "record_index", "revision",
    "time_text", "utc_offset", "quality_score", "quality_metrics", "quality_checks",
)  # fmt: skip
_READ = tuple(json.loads if name == "errors" else _NUMBERS.get(name) for name in _COLUMNS)


@contextmanager
def snapshot(session: Connection) -> Iterator[Connection]:
    """All that is read inside is of one moment. WarehouseError for what the database refuses."""
    session.isolation_level = IsolationLevel.REPEATABLE_READ
    session.read_only = True
    try:
        with session.transaction():
            yield session
    except psycopg.Error as error:
        raise refused(error) from None


def sources(session: Connection) -> list[str]:
    """The sources that have a table in this database."""
    there = schema.tables(session)
    return [name for name in SOURCES if f"bronze_{name}" in there]


def records(session: Connection, source: str) -> Iterator[tuple[Any, ...]]:
    """The newest version of every record, in the columns of `config.tables.RECORDS`."""
    statement = sql.SQL("COPY ({}) TO STDOUT").format(sql.SQL(RECORDS).format(current=_current(source)))
    with session.cursor().copy(statement) as copy:
        for row in copy.rows():
            yield tuple(read(cell) if read and cell is not None else cell for read, cell in zip(_READ, row, strict=True))


def letters(session: Connection, source: str) -> Iterator[tuple[Any, ...]]:
    """What could not become a record, or not a row, in the columns of `config.tables.DEAD_LETTERS`."""
    with session.cursor("letters") as cursor:
        yield from cursor.execute(_LETTERS, (source,))


def artifacts(session: Connection, source: str) -> list[tuple[str, str, int | None, int | None, float]]:
    """The raw artifacts behind the records: name, SHA-256, version, bytes, when their first row was loaded (seconds since 1970)."""
    rows = session.execute(sql.SQL(_ARTIFACTS).format(current=_current(source))).fetchall()
    return [(name, sha256, version, size, loaded) for name, sha256, version, size, loaded in rows]


def select_records(session: Connection, source: str) -> str:
    """The statement of `records`, for another client."""
    return sql.SQL(RECORDS).format(current=_current(source)).as_string(session)


def _current(source: str) -> sql.Identifier:
    return sql.Identifier(f"bronze_{source}_current")
