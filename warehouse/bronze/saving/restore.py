"""Brings a saved bronze database back, whole or not at all; what was there before is never at stake."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, Any

import psycopg
from psycopg import conninfo, sql

from config.errors import BusyError, UsageError
from warehouse.bronze import connection
from warehouse.bronze.access.initialise import Made, initialise
from warehouse.bronze.connection import Connection, refused
from warehouse.bronze.embedded import server
from warehouse.bronze.saving import archive, programs

_BESIDE, _BEFORE = "pdp_restoring", "pdp_replaced"
_LOCK = "SELECT pg_try_advisory_lock(hashtextextended('bronze_restore', 0))"
_BRONZE = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND starts_with(relname, 'bronze_')"
_ANYTHING = """
SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname <> 'information_schema' AND NOT starts_with(n.nspname, 'pg_')
"""
_THERE = "SELECT count(*) FROM pg_database WHERE datname = %s"
_USERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'"
_BUSY = BusyError("Another command uses the database.", "Run again when it has ended.")
_EVERYWHERE = re.compile(r"\d+; \d+ \d+ (COMMENT - |ACL - )?SCHEMA (- )?public ")
"""Entries for what every database has."""
_NEW_IN_17 = b"\nSET transaction_timeout = 0;\n"
_HEAD = 1 << 16  # bytes; a script begins with its settings


def restore(settings: Mapping[str, Any], path: str, *, replace: bool = False) -> Made:
    """Fill the bronze database of `settings` (database, data_dir) from a file `backup` has written; gives what `initialise` says.

    A configured database must hold no bronze tables; all comes in one transaction. The embedded one is made beside what is there
    and takes its place when it is complete; `replace` says that something may be there. Statistics, migrations, roles follow.
    UsageError when the target is not empty, WarehouseError when it fails, BusyError when the embedded database is in use.
    """
    held = archive.contents(path)
    configured = connection.normal_dsn(settings["database"])
    if configured and replace:
        raise UsageError("--force replaces the embedded database only.", "Make an empty database on your server for this.")
    try:
        if configured:
            _into_configured(configured, path, held)
        else:
            _into_embedded(settings["data_dir"], path, held, replace)
    except psycopg.Error as error:
        raise refused(error) from None
    return initialise(settings, ())


def _into_configured(dsn: str, path: str, held: archive.Contents) -> None:
    with connection.open_at(dsn, "restore") as session:
        if _count(session, _BRONZE):
            raise UsageError("The database holds bronze tables already.", "Make an empty database and restore into that.")
        version = session.info.server_version // 10000
        variables = programs.environment(dsn, "restore", embedded=False)
        psql = [programs.find("psql", embedded=False), "--no-psqlrc", "--quiet", "--single-transaction", "--no-password"]
        psql += ["--set=ON_ERROR_STOP=1", "--set=VERBOSITY=sqlstate"]
        with (
            _command(held) as (command, wanted),
            programs.started([*command, "--file=-", path], variables, source=wanted, target=subprocess.PIPE) as script,
            programs.started(psql, variables, source=subprocess.PIPE) as loader,
        ):
            with suppress(BrokenPipeError):  # psql has stopped and says why
                _pour(script.stdout, loader.stdin, version)
                said = programs.told(script)
                if script.returncode:  # psql is ended before it could commit a script cut short
                    raise programs.failure(command[0], said)
            said = programs.told(loader)
            if loader.returncode:
                raise programs.failure(psql[0], said)
        session.execute("ANALYZE")


def _into_embedded(data_dir: str, path: str, held: archive.Contents, replace: bool) -> None:
    dsn = server.lease(data_dir)
    with connection.open_at(_at(dsn, "postgres"), "restore") as session:
        if not session.execute(_LOCK).fetchall()[0][0]:
            raise _BUSY
        if _count(session, _THERE, server.DATABASE):
            _refuse_filled(session, dsn, replace)
        _drop(session, _BESIDE)
        _drop(session, _BEFORE)
        try:
            session.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(_BESIDE)))
            beside = _at(dsn, _BESIDE)
            variables = programs.environment(beside, "restore", embedded=True)
            with _command(held) as (command, wanted):
                jobs = f"--jobs={min(4, os.cpu_count() or 1)}"
                command += [jobs, "--exit-on-error", "--no-password", f"--dbname={_BESIDE}", path]
                programs.run(command, variables, source=wanted)
            with connection.open_at(beside, "restore") as restored:
                restored.execute("ANALYZE")
            _swap(session)
        except BaseException:
            with suppress(psycopg.Error):
                _drop(session, _BESIDE)
            raise
        _drop(session, _BEFORE)


def _refuse_filled(session: Connection, dsn: str, replace: bool) -> None:
    if replace:
        if _count(session, _USERS, server.DATABASE):
            raise _BUSY
        return
    with connection.open_at(dsn, "restore") as present:
        if _count(present, _ANYTHING):
            raise UsageError(
                "The embedded database is not empty.",
                "Add --force: the backup is restored beside it and replaces it when it is complete.",
            )


def _swap(session: Connection) -> None:
    """Both names change in one transaction: a reader finds the one database or the other."""
    rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
    try:
        with session.transaction():
            if _count(session, _THERE, server.DATABASE):
                session.execute(rename.format(sql.Identifier(server.DATABASE), sql.Identifier(_BEFORE)))
            session.execute(rename.format(sql.Identifier(_BESIDE), sql.Identifier(server.DATABASE)))
    except psycopg.errors.ObjectInUse:
        raise _BUSY from None


@contextmanager
def _command(held: archive.Contents) -> Iterator[tuple[list[str], IO[bytes]]]:
    """pg_restore, and the list of what it is to restore, for its stdin."""
    with tempfile.TemporaryFile() as wanted:
        wanted.write("\n".join(entry for entry in held.entries if not _EVERYWHERE.match(entry)).encode())
        wanted.seek(0)
        options = ["--no-owner", "--no-privileges", "--no-tablespaces", "--use-list=/dev/stdin"]
        yield [programs.newest("pg_restore"), *options], wanted


def _pour(script: IO[bytes] | None, loader: IO[bytes] | None, version: int) -> None:
    """The script to psql; a setting that servers before 17 do not know is left out."""
    assert script is not None and loader is not None  # noqa: PT018 - both are pipes
    head = script.read(_HEAD)
    loader.write(head if version >= 17 else head.replace(_NEW_IN_17, b"\n", 1))
    while chunk := script.read(1 << 20):
        loader.write(chunk)
    loader.flush()


def _at(dsn: str, database: str) -> str:
    return conninfo.make_conninfo(dsn, dbname=database)


def _count(session: Connection, question: str, *parameters: str) -> int:
    return int(session.execute(question, parameters).fetchall()[0][0])


def _drop(session: Connection, database: str) -> None:
    session.execute(sql.SQL("DROP DATABASE IF EXISTS {} (FORCE)").format(sql.Identifier(database)))
