"""Bronze databases to save, restore and upgrade: filled by the loader, compared to the last byte."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from tests.postgres_bench import Artifacts, letter, python, record
from tests.stage_bench import StageBench
from warehouse.bronze.embedded import cluster, lifecycle, server
from warehouse.bronze.embedded.processes import command_of
from warehouse.bronze.load import load

OLD = next((n for n in (17, 16, 15) if os.path.exists(f"/usr/lib/postgresql/{n}/bin/postgres")), 0)
"""The major version of another PostgreSQL on this machine; 0 when there is none."""

_COMMAND = """
import sys
from warehouse.bronze.saving import programs
{before}
import main
sys.exit(main.main(sys.argv[1:]))
"""
_STALLED = """
import os
run = programs.run
def stalled(command, variables, **streams):
    if command[0].endswith("/PROGRAM"):
        print("stalled", flush=True)
        run(["sleep", f"987.{os.getpid()}"], variables, **streams)
    run(command, variables, **streams)
programs.run = stalled
"""


def fill(folder: Path, where: dict[str, Any], first: int = 0, count: int = 40) -> dict[str, Any]:
    """Load records (dated, undated, in two versions), dead letters of both stages; gives the inputs of the load."""
    made = Artifacts(folder / f"artifacts{first}")
    rows = [record(n, {"n": n, "text": 'käse\t"\\.\n\\'}) for n in range(first, first + count)]
    rows += [record(first + count, source_timestamp=None), record(first, {"n": -1}, revision=2, record_index=first + count + 1)]
    rows += [record(first + count + 2, '{"a":"\\u0000"}')]
    inputs = made.inputs(rows, [letter(first), letter(first + 1, b"\\.\n\x00\xfe")])
    StageBench(folder / f"out{first}{time.monotonic_ns()}").run(load, inputs, where)
    return inputs


def everything(dsn: str) -> dict[str, list[str]]:
    """Every row of every table, and what the sequences will give next."""
    read = {"S": "SELECT (last_value, is_called)::text FROM {}"}
    found = {}
    with psycopg.connect(dsn, autocommit=True) as session:
        for name, kind in session.execute(
            "SELECT relname, relkind::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'S')"
        ).fetchall():
            query = sql.SQL(read.get(kind, "SELECT t::text FROM {} AS t ORDER BY 1")).format(sql.Identifier(name))
            found[name] = [row for (row,) in session.execute(query).fetchall()]
    return found


def everything_of(data: Path) -> dict[str, list[str]]:
    """The same of an embedded server."""
    with server.embedded(str(data)) as dsn:
        return everything(dsn)


def copied(template: Path, data: Path) -> Path:
    """A data root like another, whose server is stopped first."""
    server.release(str(template))
    assert servers(template) == []
    shutil.copytree(template, data, symlinks=True, copy_function=shutil.copy2)
    if os.geteuid() == 0:
        for parent, folders, files in os.walk(template / "postgres"):
            for name in [*folders, *files]:
                found = os.lstat(os.path.join(parent, name))
                os.chown(data / os.path.relpath(os.path.join(parent, name), template), found.st_uid, found.st_gid)
    return data


def old_cluster(data: Path) -> cluster.Cluster:
    """Where the data of the other PostgreSQL lies."""
    return cluster.at(str(data / "postgres" / f"pg{OLD}"), f"/usr/lib/postgresql/{OLD}/bin", OLD)


@contextmanager
def old_server(data: Path) -> Iterator[str]:
    """A server of the other PostgreSQL on its data, made if need be; its connection string."""
    (data / "postgres").mkdir(parents=True, exist_ok=True, mode=0o700)
    found = old_cluster(data)
    lock = os.open(data / "postgres" / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not os.path.isdir(found.path):
            lifecycle.initialise(found, lock, silent)
        lifecycle.start(found, silent)
        with psycopg.connect(lifecycle.conninfo(found, "postgres"), autocommit=True) as session:
            if not session.execute("SELECT FROM pg_database WHERE datname = 'pdp'").fetchall():
                session.execute("CREATE DATABASE pdp")
        yield lifecycle.conninfo(found, "pdp")
    finally:
        assert lifecycle.stop(found)
        os.close(lock)


def typed(*arguments: str, stalled: str = "", before: str = "") -> subprocess.Popen[str]:
    """`main.py` with these arguments in a process of its own; the program `stalled` never ends, and says so when it begins."""
    return python(_COMMAND.format(before=before + (_STALLED.replace("PROGRAM", stalled) if stalled else "")), *arguments)


def stall(child: subprocess.Popen[str]) -> str:
    """What the program that never ends is called."""
    return f"sleep 987.{child.pid}"


def kill_with_its_program(child: subprocess.Popen[str]) -> None:
    """kill -9 for a command whose program has stalled, then for the program."""
    eventually(lambda: bool(processes(stall(child))))
    child.kill()
    child.communicate()
    for pid in processes(stall(child)):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: processes(stall(child)) == [])


def processes(text: str) -> list[int]:
    """Living processes with `text` in their command line; ours is left out."""
    pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit() and int(entry) != os.getpid()]
    return [pid for pid in pids if text in command_of(pid)]


def servers(data: Path) -> list[int]:
    """Living servers on the clusters of a data root."""
    tokens = [f"pdp-{found.st_dev:x}-{found.st_ino:x}" for found in (path.stat() for path in (data / "postgres").glob("pg*"))]
    return [pid for token in tokens for pid in processes(token)]


def silent(text: str) -> None:
    """Nobody wants to be told."""


def eventually(holds: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for it."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
