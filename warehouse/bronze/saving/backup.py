"""Saves the bronze database in one file: a consistent snapshot, compressed, that any PostgreSQL's pg_restore of its version reads."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import psycopg
from psycopg import IsolationLevel, sql

from config.errors import WarehouseError
from warehouse.bronze import connection, schema
from warehouse.bronze.access import roles
from warehouse.bronze.connection import Connection, refused
from warehouse.bronze.embedded import server
from warehouse.bronze.saving import archive, programs

_DUMP = (
    "--format=custom",
    "--compress=1",  # a third faster than the default and a sixth larger
    "--no-password",
    "--no-owner",
    "--no-privileges",
    "--no-publications",
    "--no-subscriptions",
    "--no-security-labels",
    "--lock-wait-timeout=30s",
    "--exclude-table=public.bronze_tmp_*",  # what a load is busy with
)


class Saved(NamedTuple):
    """What a backup holds."""

    size: int
    """Bytes of the file."""
    tables: dict[str, int]
    """`bronze_<source>` → rows."""
    dead_letters: int
    loads: int

    @property
    def rows(self) -> int:
        """Rows of all sources."""
        return sum(self.tables.values())


def backup(settings: Mapping[str, Any], path: str, *, replace: bool = False) -> Saved:
    """Save the bronze database of `settings` (database, data_dir) to `path`, whole or not at all; loads may go on meanwhile.

    Of the embedded server everything in the database is saved; of a configured one the schema `public`, where bronze lives.
    Roles and grants belong to a server, not to the data: they are made anew by a restore. WarehouseError when it cannot be done.
    """
    configured = connection.normal_dsn(settings["database"])
    with connection.connect(settings, create=False, role="backup") as session:
        dsn = configured or server.lease(settings["data_dir"])
        program = programs.find("pg_dump", embedded=not configured, server=session.info.server_version // 10000)
        variables = programs.environment(dsn, "backup", embedded=not configured)
        try:
            whose = _theirs(session) if configured else []
            session.isolation_level, session.read_only = IsolationLevel.REPEATABLE_READ, True
            with session.transaction(), archive.new_file(path, replace=replace) as (building, target):
                counted = _counted(session)
                command = [program, *_DUMP, *whose, f"--snapshot={_snapshot(session)}"]
                programs.run(command, variables, target=target)
                _check(session, building)
        except psycopg.Error as error:
            raise refused(error) from None
    return counted._replace(size=os.stat(path).st_size)


def _theirs(session: Connection) -> list[str]:
    """Options for a configured server: the schema alone, and as the owner where the login may act as he does; so do we then."""
    superuser = session.info.parameter_status("is_superuser") == "on"
    return ["--schema=public", *([] if superuser or not roles.act_as_owner(session) else ["--role=bronze_owner"])]


def _counted(session: Connection) -> Saved:
    if not session.execute("SELECT to_regclass('bronze_loads') IS NOT NULL").fetchall()[0][0]:
        raise WarehouseError("The database holds no bronze tables.", "Run the pipeline once.")
    counts = {table: _count(session, table) for table in [*schema.tables(session), "bronze_dead_letters", "bronze_loads"]}
    letters, loads = counts.pop("bronze_dead_letters"), counts.pop("bronze_loads")
    return Saved(0, counts, letters, loads)


def _count(session: Connection, table: str) -> int:
    return int(session.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchall()[0][0])


def _snapshot(session: Connection) -> str:
    """What pg_dump is to see as well. This session waits for it, however long that takes."""
    session.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    return str(session.execute("SELECT pg_export_snapshot()").fetchall()[0][0])


def _check(session: Connection, path: str) -> None:
    """The finished file lists the rows of every table there was; one cut short has no list."""
    rows = session.execute(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND starts_with(relname, 'bronze_')"
        " AND NOT starts_with(relname, 'bronze_tmp_')"
    ).fetchall()
    if missing := {f"public.{name}" for (name,) in rows} - archive.contents(path).tables:
        raise WarehouseError(f"The backup lacks the rows of {min(missing)}.", "Report this; no file was written.")
