"""The servers the bronze benchmarks run on: the embedded one, or the system's PostgreSQL 15 with the same settings."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from warehouse.bronze.embedded import binaries, cluster, lifecycle, server

_SYSTEM = ("/usr/lib/postgresql/15/bin",)
_SYSTEM_MAJOR = 15
_SHOWN = [
    *("shared_buffers", "work_mem", "maintenance_work_mem", "wal_level", "max_wal_size", "wal_compression", "fsync"),
    *("synchronous_commit", "jit", "io_method"),
]


class MissingError(Exception):
    """The server asked for is not on this machine."""


class Server(NamedTuple):
    """A running server nobody else uses."""

    dsn: str
    """Of its maintenance database."""
    programs: Path
    """Folder with its psql."""

    def database(self, name: str) -> str:
        """Connection string of a database on it."""
        return make_conninfo(self.dsn, dbname=name)

    @contextmanager
    def fresh(self, name: str) -> Iterator[str]:
        """An empty database for the block, everything before it checkpointed; gives its connection string."""
        with psycopg.connect(self.dsn, autocommit=True) as session:
            session.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield self.database(name)
        finally:
            with psycopg.connect(self.dsn, autocommit=True) as session:
                session.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def settle(self) -> None:
        """Write out what earlier work left, so that it is not charged to the next."""
        with psycopg.connect(self.dsn, autocommit=True) as session:
            session.execute("CHECKPOINT")

    def describe(self) -> str:
        """Version and the settings that matter here, for people."""
        with psycopg.connect(self.dsn) as session:
            version = session.execute("SHOW server_version").fetchone()
            rows = session.execute(
                "SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY(%s) ORDER BY 1", (_SHOWN,)
            ).fetchall()
        return f"PostgreSQL {version[0] if version else '?'}: " + ", ".join(f"{name} {value}" for name, value in rows)


@contextmanager
def running(kind: str, folder: Path) -> Iterator[Server]:
    """A server of this kind ("embedded" or "system") with its data in `folder`, gone with the block. MissingError."""
    with _embedded(folder) if kind == "embedded" else _system(folder) as found:
        yield found


@contextmanager
def _embedded(folder: Path) -> Iterator[Server]:
    with server.embedded(str(folder)) as dsn:
        yield Server(make_conninfo(dsn, dbname="postgres"), Path(binaries.find()))


@contextmanager
def _system(folder: Path) -> Iterator[Server]:
    programs = _system_programs()
    home = folder / "postgres"
    home.mkdir(mode=0o711)
    folder.chmod(0o711)  # as root: 15's initdb must be able to walk to its data
    path = str(home / f"pg{_SYSTEM_MAJOR}")
    made = cluster.Cluster(str(home), path, programs, _SYSTEM_MAJOR, binaries.server_user(path))
    with tempfile.TemporaryFile() as lock:
        lifecycle.initialise(made, lock.fileno(), _nobody)
    try:
        lifecycle.start(made, _nobody)
        yield Server(lifecycle.conninfo(made, "postgres"), Path(programs))
    finally:
        lifecycle.stop(made)


def _system_programs() -> str:
    on_path = shutil.which("postgres")
    for folder in (*_SYSTEM, *([os.path.dirname(os.path.realpath(on_path))] if on_path else [])):
        program = os.path.join(folder, "postgres")
        if os.path.isfile(program):
            said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
            if f" {_SYSTEM_MAJOR}." in said:
                return folder
    raise MissingError(f"PostgreSQL {_SYSTEM_MAJOR} is not installed on this machine: nothing was measured on it.")


def _nobody(_: str) -> None:
    """A benchmark tells its own progress."""
