"""What a bronze database holds, so that a disturbed load can be held against an undisturbed one."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any, NamedTuple

import psycopg

_ROWS = "SELECT raw_id, encode(content_hash, 'hex'), version, partition_key::text FROM {table} ORDER BY 1, 2, 3, 4"
_LEDGER = """
SELECT target_table, source, file_hash, environment, rows_read, rows_inserted, rows_duplicate, rows_dead, dead_inserted,
       hash_sum::text, partitions::text FROM bronze_loads ORDER BY 1, 2, 3
"""
_LETTERS = """
SELECT source, target_table, stage, environment, file_path, file_hash, record_index, position, encode(sha256(raw_bytes), 'hex'),
       raw_size, error_class, status, attempts FROM bronze_dead_letters ORDER BY 1, 6, 7, 11, 8
"""
_RELATIONS = """
SELECT c.relname, c.relkind::text, c.relpersistence::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%' ORDER BY 1, 2, 3
"""
_OTHERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
_PATIENCE = 30.0


class State(NamedTuple):
    """Everything that must not depend on what happened on the way."""

    rows: list[tuple[Any, ...]]
    ledger: list[tuple[Any, ...]]
    letters: list[tuple[Any, ...]]
    relations: list[tuple[Any, ...]]
    """Tables, partitions, indexes, sequences; temporary ones too."""


def state(dsn: str, table: str) -> State:
    """Waits until nobody else is in the database, then reads it."""
    with psycopg.connect(dsn, autocommit=True) as session:
        deadline = time.monotonic() + _PATIENCE
        while session.execute(_OTHERS).fetchone() != (0,) and time.monotonic() < deadline:
            time.sleep(0.02)
        return State(
            *(session.execute(q.encode()).fetchall() for q in (_ROWS.format(table=table), _LEDGER, _LETTERS, _RELATIONS))
        )


def differences(found: State, wanted: State) -> list[str]:
    """Which parts differ, by how many lines; no values."""
    return [
        f"{name}: {(Counter(have) - Counter(want)).total()} too many, {(Counter(want) - Counter(have)).total()} missing"
        for name, have, want in zip(State._fields, found, wanted, strict=True)
        if have != want
    ]
