"""Brings a database to the shape the loader needs: numbered migrations for what is shared and for each source, months."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from functools import cache

from psycopg import errors, sql

from config.errors import WarehouseError
from warehouse.bronze.access import roles
from warehouse.bronze.connection import Connection

_HERE = os.path.dirname(os.path.abspath(__file__))
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

    A member of bronze_owner acts as that role from here on. WarehouseError when the database is newer than this code: it stays
    untouched; or when this session may not change it.
    """
    files = migrations()
    roles.act_as_owner(session)
    done = applied(session)
    if files.keys() <= done and not _unknown(done):
        return
    with _owners_work("The bronze database lacks migrations of this program"), session.transaction():
        session.execute("SELECT pg_advisory_xact_lock(hashtextextended('bronze_migrations', 0))")
        done = applied(session)
        if _unknown(done):
            raise WarehouseError(
                "The bronze database was migrated by a newer version of this program.",
                "Upgrade the program; nothing was changed.",
            )
        if not done:
            session.execute(
                "CREATE TABLE IF NOT EXISTS bronze_migrations (name TEXT PRIMARY KEY, sha256 TEXT NOT NULL,"
                " applied_at TIMESTAMP NOT NULL DEFAULT timezone('UTC', now()))"
            )
        for name, text in files.items():
            if name not in done:
                session.execute(sql.SQL(text))
                _record(session, name, text)
        roles.apply(session)


def applied(session: Connection) -> set[str]:
    """What was applied to this database: the shared migrations by name, a source's as `bronze_<source>/<name>`."""
    # a query, not to_regclass: whoever has waited for another's migration still has its catalog cache of before
    if not session.execute("SELECT FROM pg_class WHERE relname = 'bronze_migrations' AND pg_table_is_visible(oid)").fetchall():
        return set()
    return {row[0] for row in session.execute("SELECT name FROM bronze_migrations").fetchall()}


@cache
def migrations() -> dict[str, str]:
    """Name → SQL of what all sources share, in the order of application."""
    return _folder("migrations")


@cache
def source_migrations() -> dict[str, str]:
    """Name → SQL of what each source has, in the order of application; words in braces are identifiers."""
    return _folder("source_migrations")


def create_source(session: Connection, source: str) -> bool:
    """The source's table with default partition, indexes, triggers and view, each brought to today's shape. True when it was made.

    A table that has to be made holds nothing: loads the ledger remembers of one removed by hand are forgotten with it.
    WarehouseError when this session may not change tables.
    """
    table = f"bronze_{source}"
    if _is_current(session, table):
        return False
    roles.act_as_owner(session)
    with _owners_work(f"The table of {source} is not there, or not as this program needs it"), session.transaction():
        session.execute("SELECT pg_advisory_xact_lock(hashtextextended('bronze_ddl:' || %s, 0))", (table,))
        if _is_current(session, table):
            return False
        made = table not in tables(session)
        if made:
            drop_source(session, source)
        done = applied(session)
        for number, (file, text) in enumerate(source_migrations().items()):
            name = _name(table, file)
            if name in done:
                continue
            if made or number:  # a table older than these records has the first one
                session.execute(sql.SQL(text).format(source=sql.Literal(source), **_identifiers(table)))
            _record(session, name, text)
        roles.apply(session)
    return made


def create_months(session: Connection, source: str, months: Iterable[date]) -> None:
    """A partition for each month, unless it is there."""
    session.execute("SELECT create_partition_if_not_exists(%s, m) FROM unnest(%s::date[]) AS m", (source, sorted(months)))


def drop_source(session: Connection, source: str) -> None:
    """Forget all there is of a source: table, ledger, dead letters. Inside the caller's transaction."""
    table = f"bronze_{source}"
    names = {name: sql.Identifier(text) for name, text in (("table", table), ("known", f"{table}_known"))}
    session.execute(sql.SQL("DROP TABLE IF EXISTS {table} CASCADE").format(**names))
    session.execute(sql.SQL("DROP TABLE IF EXISTS {known}").format(**names))
    session.execute("DELETE FROM bronze_migrations WHERE starts_with(name, %s)", (f"{table}/",))
    for shared in _PER_SOURCE:
        session.execute(sql.SQL("DELETE FROM {} WHERE source = %s").format(sql.Identifier(shared)), (source,))


_PER_SOURCE = (
    "bronze_loads",
    "bronze_dead_letters",
    "bronze_loaded_months",
    "bronze_revisions",
    "bronze_quality",
    "bronze_retired",
)
"""Shared tables with rows of a source."""


def tables(session: Connection) -> list[str]:
    """The sources' tables in this database."""
    rows = session.execute(
        "SELECT relname FROM pg_class WHERE relkind = 'p' AND relname LIKE 'bronze\\_%%' AND NOT relname LIKE 'bronze\\_tmp\\_%%'"
        " AND pg_table_is_visible(oid) ORDER BY 1",
        (),
    ).fetchall()
    return [row[0] for row in rows]


def months(session: Connection, table: str) -> set[date]:
    """The months that have a partition."""
    rows = session.execute(
        "SELECT to_date(substring(c.relname FROM 'y([0-9]+m[0-9]{2})$'), 'YYYY\"m\"MM') FROM pg_inherits i"
        " JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass(quote_ident(%s)) AND c.relname ~ 'y[0-9]+m[0-9]{2}$'",
        (table,),
    ).fetchall()
    return {row[0] for row in rows}


@contextmanager
def _owners_work(lacking: str) -> Iterator[None]:
    try:
        yield
    except errors.InsufficientPrivilege:
        raise WarehouseError(
            f"{lacking}, and this login may not change that.", "Run `python main.py bronze init` as the owner, then run again."
        ) from None


def _is_current(session: Connection, table: str) -> bool:
    return table in tables(session) and {_name(table, file) for file in source_migrations()} <= applied(session)


def _identifiers(table: str) -> dict[str, sql.Identifier]:
    names = {
        "table": table,
        "undated": f"{table}_default",
        "known": f"{table}_known",
        "known_id_hash": _fitting(f"{table}_known_id_hash"),
        "current": f"{table}_current",
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


def _unknown(done: set[str]) -> bool:
    """Were migrations applied that this program does not have?"""
    return any(name.partition("/")[2] not in source_migrations() if "/" in name else name not in migrations() for name in done)


def _record(session: Connection, name: str, text: str) -> None:
    digest = hashlib.sha256(text.encode()).hexdigest()
    session.execute("INSERT INTO bronze_migrations (name, sha256) VALUES (%s, %s)", (name, digest))


def _name(table: str, file: str) -> str:
    """How a source's migration is recorded."""
    return f"{table}/{file}"


def _folder(name: str) -> dict[str, str]:
    folder = os.path.join(_HERE, name)
    found = {}
    for file in sorted(os.listdir(folder)):
        if file.endswith(".sql"):
            with open(os.path.join(folder, file), encoding="utf-8") as text:
                found[file] = text.read()
    return found
