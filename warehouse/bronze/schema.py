"""Brings a database to the shape the loader needs: numbered migrations for what is shared, one table per source, months."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from datetime import date
from functools import cache

from psycopg import sql

from config.errors import WarehouseError
from warehouse.bronze.connection import Connection

_FOLDER = os.path.dirname(os.path.abspath(__file__))
_INDEXED = (
    "source_timestamp",
    "validation_status",
    "raw_data_gin",
    "lineage_id",
    "pipeline_run_id",
    "environment",
    "quality_score",
)
_LONGEST_IDENTIFIER = 63


def migrate(session: Connection) -> None:
    """Apply the migrations this database does not have, each in a transaction that records it. Two at once are harmless.

    WarehouseError when the database is newer than this code: it stays untouched.
    """
    files = migrations()
    if _applied(session) == set(files):
        return
    with session.transaction():
        session.execute("SELECT pg_advisory_xact_lock(hashtextextended('bronze_migrations', 0))")
        session.execute(
            "CREATE TABLE IF NOT EXISTS bronze_migrations (name TEXT PRIMARY KEY, sha256 TEXT NOT NULL,"
            " applied_at TIMESTAMP NOT NULL DEFAULT timezone('UTC', now()))"
        )
        done = _applied(session)
        if done - set(files):
            raise WarehouseError(
                "The bronze database was migrated by a newer version of this program.",
                "Upgrade the program; nothing was changed.",
            )
        for name, text in files.items():
            if name not in done:
                session.execute(sql.SQL(text))
                digest = hashlib.sha256(text.encode()).hexdigest()
                session.execute("INSERT INTO bronze_migrations (name, sha256) VALUES (%s, %s)", (name, digest))


@cache
def migrations() -> dict[str, str]:
    """Name → SQL, in the order of application."""
    folder = os.path.join(_FOLDER, "migrations")
    return {name: _text(os.path.join("migrations", name)) for name in sorted(os.listdir(folder)) if name.endswith(".sql")}


def create_source(session: Connection, source: str) -> bool:
    """The source's table with default partition, indexes and triggers, unless it is there. True when it was made.

    A table that has to be made holds nothing: loads the ledger remembers of one removed by hand are forgotten with it.
    """
    table = f"bronze_{source}"
    if table in tables(session):
        return False
    with session.transaction():
        session.execute("SELECT pg_advisory_xact_lock(hashtextextended('bronze_ddl:' || %s, 0))", (table,))
        if table in tables(session):
            return False
        session.execute(sql.SQL(_text("source_table.sql")).format(**_identifiers(table)))
        session.execute("DELETE FROM bronze_loads WHERE target_table = %s", (table,))
        session.execute("DELETE FROM bronze_dead_letters WHERE source = %s AND stage = 'bronze'", (source,))
    return True


def create_months(session: Connection, source: str, months: Iterable[date]) -> None:
    """A partition for each month, unless it is there."""
    session.execute("SELECT create_partition_if_not_exists(%s, m) FROM unnest(%s::date[]) AS m", (source, sorted(months)))


def drop_source(session: Connection, source: str) -> None:
    """Forget a source whose rows are all examples: table, ledger and dead letters. Inside the caller's transaction."""
    session.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(f"bronze_{source}")))
    session.execute("DELETE FROM bronze_loads WHERE source = %s", (source,))
    session.execute("DELETE FROM bronze_dead_letters WHERE source = %s", (source,))


def tables(session: Connection) -> list[str]:
    """The sources' tables in this database."""
    rows = session.execute(
        "SELECT relname FROM pg_class WHERE relkind = 'p' AND relname LIKE 'bronze\\_%%' AND pg_table_is_visible(oid) ORDER BY 1",
        (),
    ).fetchall()
    return [row[0] for row in rows]


def _identifiers(table: str) -> dict[str, sql.Identifier]:
    names = {
        "table": table,
        "undated": f"{table}_default",
        "pkey": f"{table}_pkey",
        "content_key": f"{table}_content_key",
        "key_check": f"{table}_partition_key",
        "hash_check": f"{table}_content_hash",
        "immutable": f"{table}_immutable",
        "no_truncate": f"{table}_no_truncate",
        **{f"idx_{what}": _fitting(f"idx_{table}_{what}") for what in _INDEXED},
    }
    return {role: sql.Identifier(name) for role, name in names.items()}


def _fitting(name: str) -> str:
    """PostgreSQL cuts at 63 bytes, which may make two names one; a digest keeps them apart."""
    if len(name) <= _LONGEST_IDENTIFIER:
        return name
    return f"{name[: _LONGEST_IDENTIFIER - 9]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _applied(session: Connection) -> set[str]:
    found = session.execute("SELECT to_regclass('bronze_migrations') IS NOT NULL").fetchone()
    if not found or not found[0]:
        return set()
    return {row[0] for row in session.execute("SELECT name FROM bronze_migrations").fetchall()}


def _text(name: str) -> str:
    with open(os.path.join(_FOLDER, name), encoding="utf-8") as text:
        return text.read()
