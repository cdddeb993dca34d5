"""Where faults are done to the loader: one embedded server, artifacts to load, loaders as processes, undisturbed loads to compare."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bench.bronze_relay import Relay
from bench.bronze_state import State, differences, state
from bench.harness import REPO
from tests.postgres_bench import Artifacts, letter, record, settings
from tests.stage_bench import StageBench
from warehouse.bronze.embedded import server
from warehouse.bronze.load import load

TABLE = "bronze_demo"
EMPTY, A, B = "empty", "a", "b"
_WAIT = 300.0


class Loader:
    """Our loader in a process of its own, ready to begin."""

    def __init__(self, given: Path, inputs: Path) -> None:
        self.reason = ""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.bronze_ours", str(given), str(inputs), "wait"],
            cwd=REPO,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._line()

    def begin(self) -> None:
        """Let it load."""
        assert self._process.stdin
        with suppress(BrokenPipeError):
            self._process.stdin.write("\n")
            self._process.stdin.flush()

    def running(self) -> bool:
        """Whether it is still at it."""
        return self._process.poll() is None

    def kill(self) -> bool:
        """SIGKILL; whether it was still at it."""
        was = self.running()
        if was:
            self._process.kill()
            self._process.communicate()
        return was

    def done(self) -> float | None:
        """Wait for it; the seconds of its load, None when it gave up: `reason` is the last thing it said."""
        out, err = self._process.communicate(timeout=_WAIT)
        self.reason = (err.splitlines() or [""])[-1]
        return float(json.loads(out.splitlines()[-1])["seconds"]) if self._process.returncode == 0 else None

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline()


@dataclass
class Lab:
    """The database is dropped between rounds; the server stays, or is started again after a fault killed it."""

    folder: Path
    artifacts: dict[str, dict[str, Any]]
    references: dict[tuple[str, ...], State] = field(default_factory=dict)
    loaders: list[Loader] = field(default_factory=list)

    @property
    def data_dir(self) -> str:
        """The embedded server's data root."""
        return str(self.folder / "data")

    def dsn(self) -> str:
        """Of the database bronze is in; starts the server if a fault ended it."""
        with server.embedded(self.data_dir) as dsn:
            return dsn

    def administer(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run these outside of the database bronze is in; gives the rows of the last."""
        with psycopg.connect(make_conninfo(self.dsn(), dbname="postgres"), autocommit=True) as session:
            cursors = [session.execute(text.encode()) for text in statements]
            return cursors[-1].fetchall() if cursors[-1].description else []

    def clear(self, *loaded: str, create: bool = False) -> None:
        """No database, or an empty one, or one in which these artifacts are loaded."""
        self.administer("DROP DATABASE IF EXISTS pdp WITH (FORCE)", *(["CREATE DATABASE pdp"] if create else []))
        for name in loaded:
            self.load(name)

    def load(self, name: str) -> None:
        """Load in this process, undisturbed."""
        with tempfile.TemporaryDirectory() as folder:
            StageBench(Path(folder)).run(load, self.artifacts[name], settings(self.data_dir))

    def loader(self, name: str, database: str = "") -> Loader:
        """A loader of this artifact; `database`: not the embedded way but by this connection string."""
        given, inputs = self.folder / f"settings{len(self.loaders)}.json", self.folder / f"{name}.json"
        given.write_text(json.dumps(settings(self.data_dir, database)))
        inputs.write_text(json.dumps(self.artifacts[name]))
        self.loaders.append(Loader(given, inputs))
        return self.loaders[-1]

    @contextmanager
    def relay(self, **how: Any) -> Iterator[tuple[Relay, str]]:
        """A relay in front of the server, and the connection string that goes through it."""
        dsn = self.dsn()
        with tempfile.TemporaryDirectory() as folder:
            relay = Relay(Path(folder), os.path.join(str(conninfo_to_dict(dsn)["host"]), ".s.PGSQL.5432"), **how)
            try:
                yield relay, make_conninfo(dsn, host=folder)
            finally:
                self.end_loaders()
                relay.close()

    def postmaster(self) -> int:
        """Pid of the server."""
        (path,) = Path(self.data_dir, "postgres").glob("pg*/postmaster.pid")
        return int(path.read_text().split()[0])

    def reference(self, *names: str) -> State:
        """What these loads, one after the other and undisturbed, leave."""
        if names not in self.references:
            self.clear(*names)
            self.references[names] = state(self.dsn(), TABLE)
        return self.references[names]

    def wrong(self, *orders: Sequence[str]) -> list[str]:
        """Load to the end what these orders name, then: how the database differs from each of them. Empty: it equals one."""
        self.end_loaders()
        for name in orders[0]:
            self.load(name)
        found = state(self.dsn(), TABLE)
        recovering = self.administer("SELECT pg_is_in_recovery()") != [(False,)]
        told = [differences(found, self.reference(*order)) for order in orders]
        return ["the server does not work"] if recovering else [] if [] in told else told[0]

    def end_loaders(self) -> None:
        """Kill those that are left."""
        for loader in self.loaders:
            loader.kill()
        self.loaders.clear()


@contextmanager
def lab(folder: Path, records: int) -> Iterator[Lab]:
    """A lab with three artifacts: none, `records` records over months with some the database refuses, and one that overlaps it

    by half, a part of which is changed.
    """
    made = Artifacts(folder / "artifacts")
    first = [record(n, '{"n": "\\u0000"}' if n % 1000 == 7 else None) for n in range(records)]
    later = [
        record(n, {"n": n, "changed": True} if n % 50 == 0 else None, revision=1) for n in range(records // 2, records * 3 // 2)
    ]
    artifacts = {
        EMPTY: made.inputs([]),
        A: made.inputs(first, [letter(records + n) for n in range(20)]),
        B: made.inputs(later, [letter(records + n) for n in range(10, 30)]),
    }
    with ExitStack() as stack:
        built = Lab(folder, artifacts)
        stack.enter_context(server.embedded(built.data_dir))
        stack.callback(server.release, built.data_dir)
        stack.callback(built.end_loaders)
        for order in ((EMPTY, A), (A,), (A, B), (B, A)):
            built.reference(*order)
        yield built
