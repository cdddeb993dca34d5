"""What is in bronze, and does it agree with its own ledger? Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import IsolationLevel, sql

from config.errors import WarehouseError
from warehouse.bronze import schema
from warehouse.bronze.checking.reconcile_statements import CHECKSUM, LEDGER
from warehouse.bronze.connection import Connection, connect, is_embedded, refused
from warehouse.bronze.ledger import DEAD_LETTERS, LOADER_VERSION

_INIT = "Bring it up to date: python main.py bronze init"
_ROWS = f"""
SELECT date_trunc('month', partition_key::timestamp)::date, count(*), sum({CHECKSUM}),
       count(*) FILTER (WHERE content_hash <> sha256(convert_to(raw_data::text, 'UTF8')))
FROM {{table}} GROUP BY 1
"""
_LOADS = """
SELECT COALESCE(sum(rows_inserted), 0) - (SELECT COALESCE(sum(rows), 0) FROM bronze_retired WHERE source = %(source)s),
       COALESCE(sum(hash_sum), 0) - (SELECT COALESCE(sum(hash_sum), 0) FROM bronze_retired WHERE source = %(source)s),
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
       (SELECT EXISTS (SELECT FROM {table} WHERE environment = 'example')),
       (SELECT EXTRACT(epoch FROM timezone('UTC', now()) - max(source_timestamp)) / 3600 FROM {table})::float8
"""
_CATALOG = """
SELECT COALESCE(sum(table_bytes) FILTER (WHERE state = 'attached'), 0)::bigint,
       COALESCE(sum(index_bytes) FILTER (WHERE state = 'attached'), 0)::bigint,
       COALESCE(sum(table_bytes + index_bytes) FILTER (WHERE state = 'detached'), 0)::bigint,
       COALESCE(array_agg(to_char(month, 'YYYY-MM') ORDER BY month) FILTER (WHERE state IN ('detached', 'dropped')), '{}'),
       sum(retired_rows)::bigint
FROM bronze_catalog WHERE source = %s
"""
_GROWTH = """
SELECT to_char(month, 'YYYY-MM') AS month, loads, rows, artifact_bytes FROM bronze_growth WHERE source = %s ORDER BY month DESC LIMIT 12
"""
_QUALITY = """
SELECT measured_at, completeness, validity, score, missed FROM bronze_quality WHERE source = %s ORDER BY measured_at DESC LIMIT 1
"""


def status(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What every table holds: rows, partitions (the default one counted), dead letters, loads, bytes; `example`: synthetic rows.

    `fresh_hours`: hours since its newest source time; `growth`: the last twelve months in which something was loaded, newest first;
    `quality`: the last load's verdict, None before the first; `retired`: months taken out. WarehouseError when the database
    cannot be reached or was made by an older program.

    Settings: database, data_dir.
    """
    with connect(settings, create=False, role="status") as session:
        try:
            with _snapshot(session):
                found = [_table(session, table) for table in schema.tables(session)] if has_ledger(session) else []
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

    `expected`: source → sha256 of the records artifact that should be loaded. One snapshot, so a load beside it does no harm; every
    table is read once. `reconcile` looks closer.
    """
    try:
        with connect(settings, create=False, role="verify") as session, _snapshot(session):
            if not has_ledger(session):
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
    if not is_current(session, table):
        return [f"{table}: it was made by an older version of this program. {_INIT}"]
    terms = {"table": table, "source": source, "version": LOADER_VERSION}
    months = session.execute(sql.SQL(_ROWS).format(table=sql.Identifier(table))).fetchall()
    held = {month: (rows, hashes) for month, rows, hashes, _ in months}
    rows, hashes, altered = (sum(month[n] for month in months) for n in (1, 2, 3))
    said = {month: (count, hashes) for month, count, hashes in session.execute(LEDGER, terms).fetchall() if count or hashes}
    inserted, hash_sum, files = session.execute(_LOADS, terms).fetchall()[0]
    letters, added = session.execute(_LETTERS, terms).fetchall()[0]
    problems = []
    if rows != inserted:
        problems.append(f"{table}: the ledger says {inserted} rows, the table has {rows}.")
    elif hashes != hash_sum:
        problems.append(f"{table}: the rows are not those that were loaded; their checksum differs from the ledger's.")
    elif held != said:
        wrong = sum(held.get(month) != said.get(month) for month in held.keys() | said.keys())
        problems.append(f"{table}: {wrong} months do not hold the rows the ledger says: python main.py bronze reconcile {source}")
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
    rows, partitions, size, letters, loads, example, hours = session.execute(query).fetchall()[0]
    table_bytes, index_bytes, kept_bytes, retired, retired_rows = session.execute(_CATALOG, (source,)).fetchall()[0]
    growth = session.execute(_GROWTH, (source,)).fetchall()
    return {
        "source": source,
        "table": table,
        "example": example,
        "rows": rows,
        "partitions": partitions,
        "dead_letters": letters,
        "loads": loads,
        "bytes": size,
        "table_bytes": table_bytes,
        "index_bytes": index_bytes,
        "fresh_hours": None if hours is None else round(hours, 1),
        "growth": [dict(zip(("month", "loads", "rows", "artifact_bytes"), month, strict=True)) for month in growth],
        "quality": _quality(session, source),
        "retired": {"months": retired, "rows": retired_rows, "bytes": kept_bytes},
    }


def _quality(session: Connection, source: str) -> dict[str, Any] | None:
    found = session.execute(_QUALITY, (source,)).fetchall()
    if not found:
        return None
    measured_at, completeness, validity, score, missed = found[0]
    return {
        "measured_at": f"{measured_at:%Y-%m-%dT%H:%M:%S}+00:00",
        "completeness": completeness,
        "validity": validity,
        "score": score,
        "missed": missed,
    }


def _snapshot(session: Connection) -> Any:
    session.isolation_level = IsolationLevel.REPEATABLE_READ
    session.read_only = True
    return session.transaction()


def has_ledger(session: Connection) -> bool:
    """False for an empty database. WarehouseError for one an older program has made: it lacks what is asked here."""
    ledger, catalog = session.execute(
        "SELECT to_regclass('bronze_loads') IS NOT NULL, to_regclass('bronze_catalog') IS NOT NULL"
    ).fetchall()[0]
    if ledger and not catalog:
        raise WarehouseError("The bronze database was made by an older version of this program.", _INIT)
    return bool(ledger)


def is_current(session: Connection, table: str) -> bool:
    """Does the source's table have the shape this program gives it?"""
    return {f"{table}/{file}" for file in schema.source_migrations()} <= schema.applied(session)


def _ledger_sources(session: Connection) -> set[str]:
    rows = session.execute("SELECT DISTINCT source FROM bronze_loads WHERE target_table <> %s", (DEAD_LETTERS,)).fetchall()
    return {row[0] for row in rows}
