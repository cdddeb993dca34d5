"""What is in bronze, and does it agree with its own ledger? Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import IsolationLevel, sql

from config.errors import WarehouseError
from warehouse.bronze import schema
from warehouse.bronze.connection import Connection, connect, is_embedded, refused
from warehouse.bronze.ledger import DEAD_LETTERS, LOADER_VERSION

_SUM = "('x' || encode(substring(content_hash FROM 1 FOR 7), 'hex'))::bit(56)::bigint"

_ROWS = """
SELECT count(*), COALESCE(sum({sum}), 0), count(*) FILTER (WHERE content_hash <> sha256(convert_to(raw_data::text, 'UTF8')))
FROM {table}
"""
_LEDGER = """
SELECT COALESCE(sum(rows_inserted), 0), COALESCE(sum(hash_sum), 0),
       COALESCE(array_agg(file_hash) FILTER (WHERE loader_version = %(version)s), '{}')
FROM bronze_loads WHERE target_table = %(table)s
"""
_LETTERS = """
SELECT (SELECT count(*) FROM bronze_dead_letters WHERE source = %(source)s),
       (SELECT COALESCE(sum(dead_inserted), 0) FROM bronze_loads WHERE source = %(source)s)
"""
_TABLE = """
SELECT (SELECT count(*) FROM {table}),
       (SELECT count(*) FROM pg_inherits WHERE inhparent = {name}::regclass),
       (SELECT COALESCE(sum(pg_total_relation_size(inhrelid)), 0)::bigint FROM pg_inherits WHERE inhparent = {name}::regclass),
       (SELECT count(*) FROM bronze_dead_letters WHERE source = {source}),
       (SELECT count(*) FROM bronze_loads WHERE target_table = {plain}),
       (SELECT EXISTS (SELECT FROM {table} WHERE environment = 'example'))
"""


def status(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Tables with rows, partitions (the default one counted), dead letters, loads, bytes; `example`: it holds synthetic rows.

    WarehouseError when the database cannot be reached.

    Settings: database, data_dir.
    """
    with connect(settings, create=False) as session:
        try:
            with _snapshot(session):
                found = [_table(session, table) for table in schema.tables(session)] if _has_ledger(session) else []
        except psycopg.Error as error:
            raise refused(error) from None
        return {
            "database": "embedded" if is_embedded(settings) else "configured",
            "server_version": session.info.parameter_status("server_version"),
            "tables": found,
            **{key: sum(table[key] for table in found) for key in ("rows", "dead_letters", "loads", "bytes")},
        }


def verify(settings: Mapping[str, Any], expected: Mapping[str, str]) -> list[str]:
    """Sentences on what does not agree: ledger against rows, rows against their own hashes, `expected` against the ledger.

    `expected`: source → sha256 of the records artifact that should be loaded. One snapshot, so a load beside it does no harm.
    """
    try:
        with connect(settings, create=False) as session, _snapshot(session):
            if not _has_ledger(session):
                return [f"bronze_{source}: nothing was ever loaded." for source in sorted(expected)]
            tables = schema.tables(session)
            sources = sorted({table.removeprefix("bronze_") for table in tables} | set(expected) | _ledger_sources(session))
            return [problem for source in sources for problem in _problems(session, source, tables, expected.get(source))]
    except WarehouseError as error:
        return [f"bronze: {error}"] if expected else []
    except psycopg.Error as error:
        return [f"bronze: {refused(error)}"]


def _problems(session: Connection, source: str, tables: list[str], expected: str | None) -> list[str]:
    table = f"bronze_{source}"
    if table not in tables:
        return [f"{table}: the table is missing."]
    query = sql.SQL(_ROWS.replace("{sum}", _SUM)).format(table=sql.Identifier(table))
    rows, hashes, altered = session.execute(query).fetchall()[0]
    terms = {"table": table, "source": source, "version": LOADER_VERSION}
    inserted, hash_sum, files = session.execute(_LEDGER, terms).fetchall()[0]
    letters, added = session.execute(_LETTERS, terms).fetchall()[0]
    problems = []
    if rows != inserted:
        problems.append(f"{table}: the ledger says {inserted} rows, the table has {rows}.")
    elif hashes != hash_sum:
        problems.append(f"{table}: the rows are not those that were loaded; their checksum differs from the ledger's.")
    if altered:
        problems.append(f"{table}: the content of {altered} rows does not match its hash.")
    if letters != added:
        problems.append(f"{table}: the ledger says {added} dead letters, there are {letters}.")
    if expected is not None and expected not in files:
        problems.append(f"{table}: the current records are not loaded.")
    return problems


def _table(session: Connection, table: str) -> dict[str, Any]:
    source = table.removeprefix("bronze_")
    query = sql.SQL(_TABLE).format(
        table=sql.Identifier(table), name=sql.Literal(f'"{table}"'), plain=sql.Literal(table), source=sql.Literal(source)
    )
    rows, partitions, size, letters, loads, example = session.execute(query).fetchall()[0]
    return {
        "source": source,
        "table": table,
        "example": example,
        "rows": rows,
        "partitions": partitions,
        "dead_letters": letters,
        "loads": loads,
        "bytes": size,
    }


def _snapshot(session: Connection) -> Any:
    session.isolation_level = IsolationLevel.REPEATABLE_READ
    session.read_only = True
    return session.transaction()


def _has_ledger(session: Connection) -> bool:
    return bool(session.execute("SELECT to_regclass('bronze_loads') IS NOT NULL").fetchall()[0][0])


def _ledger_sources(session: Connection) -> set[str]:
    rows = session.execute("SELECT DISTINCT source FROM bronze_loads WHERE target_table <> %s", (DEAD_LETTERS,)).fetchall()
    return {row[0] for row in rows}
