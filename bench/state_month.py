"""A scheduled job, day after day, each on an empty machine: only the remote state and one Postgres are kept. And what it moves.

Every third job is killed at a random moment and nobody repeats it: the next day's makes good. In the end the daily table is that of one
run that was never disturbed, and bronze holds every record once.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from bench.bronze_servers import Server
from bench.harness import REPO
from bench.state_days import END, ZONE, write_evening, write_life
from bench.state_lab import scratch
from bench.state_server import Place

_TABLE = "processed/merged/merged_daily_metrics.csv"
_KEY = "5a" * 32
_JOB = (("state", "pull"), (), ("state", "push"))
"""What the entrypoint does."""
_SOURCES = ("bronze_google_sheets", "bronze_bp_csv", "bronze_mi_fitness")
_PATIENCE = 900.0


class Month(NamedTuple):
    """What came of it."""

    days: int
    killed: int
    equal: bool
    """The daily table is byte for byte that of a single run."""
    rows: int
    """In bronze."""
    doubles: int
    """Records in bronze more than once, and those a single run does not leave there."""
    problems: list[str]
    seconds: float
    """Median of a job that was not killed."""


class Moved(NamedTuple):
    """Bytes of one job, both ways, as they went over the wire."""

    what: str
    up: int
    down: int


def month(place: Place, postgres: Server, folder: Path, days: int) -> Month:
    """So many days; every third job is killed, never the last."""
    rng = random.Random(7)
    killed = 0
    took: list[float] = []
    problems: list[str] = []
    life = folder / "life"
    write_life(life, max(days, 10))
    with postgres.fresh("month") as dsn:
        for number in range(days):
            victim = number % 3 == 2 and number < days - 1
            with scratch(folder) as data:
                write_evening(life, data / "inbox", END - timedelta(days=days - 1 - number))
                usual = sorted(took)[len(took) // 2] if took else 10.0
                began = time.monotonic()
                ended = _job(place, dsn, data, rng.uniform(0.05, 1.0) * usual if victim else None)
                if ended is None:
                    killed += 1
                    continue
                took.append(time.monotonic() - began)
                problems += [f"day {number + 1}: {problem}" for problem in ended]
                if number == days - 1:
                    _main(("state", "pull", _TABLE), _environment(data, dsn) | place.environment)
                    found = _digest(data)
                    problems += _verified(place, dsn, data)
        rows, doubles = _bronze(dsn)
    with postgres.fresh("single") as dsn, scratch(folder) as data:
        write_evening(life, data / "inbox", END)
        _main((), _environment(data, dsn))
        alone, alone_rows = _digest(data), _bronze(dsn)[0]
    return Month(days, killed, found == alone, rows, doubles + abs(rows - alone_rows), problems, sorted(took)[len(took) // 2])


def moved(place: Place, postgres: Server, folder: Path, days: int) -> list[Moved]:
    """Of the first job, of one with nothing to do and of one with a new day, each on an empty machine."""
    life = folder / "life moved"
    write_life(life, days + 1)
    told = []
    with postgres.fresh("moved") as dsn:
        for what, day in (("first job", 1), ("nothing to do", 1), ("one new day", 0)):
            with scratch(folder) as data:
                write_evening(life, data / "inbox", END - timedelta(days=day))
                before = place.told()
                problems = _job(place, dsn, data, None)
                if problems:
                    raise RuntimeError("; ".join(problems))
                after = place.told()
                told.append(Moved(what, after["received"] - before["received"], after["sent"] - before["sent"]))
    return told


def _job(place: Place, dsn: str, data: Path, kill_after: float | None) -> list[str] | None:
    """Pull, run, push, as the entrypoint does; what went wrong, or None when it was killed."""
    until = time.monotonic() + (kill_after if kill_after is not None else _PATIENCE)
    wrong = []
    for command in _JOB:
        code = _main(command, _environment(data, dsn) | place.environment, until)
        if code is None:
            return None
        if code:
            wrong.append(f"{' '.join(command) or 'run'} ended with {code}")
    return wrong


def _main(command: Sequence[str], env: dict[str, str], until: float | None = None) -> int | None:
    """Exit code of a command; None when it had to be killed, with all it had started, because its time was over."""
    process = subprocess.Popen(
        [sys.executable, "main.py", *command],
        cwd=REPO,
        env=os.environ | env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return process.wait(None if until is None else max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return None


def _environment(data: Path, dsn: str) -> dict[str, str]:
    return {"DATA_DIR": str(data), "DATABASE_URL": dsn, "STATE_KEY": _KEY, "TIMEZONE": ZONE, "LOG_LEVEL": "ERROR"}


def _digest(data: Path) -> str:
    table = data / _TABLE
    return hashlib.sha256(table.read_bytes()).hexdigest() if table.exists() else "none"


def _verified(place: Place, dsn: str, data: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "main.py", "verify", "--json"],
        cwd=REPO,
        env=os.environ | _environment(data, dsn) | place.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    problems: list[Any] = json.loads(done.stdout.splitlines()[-1])["problems"]
    return [str(problem) for problem in problems]


def _bronze(dsn: str) -> tuple[int, int]:
    """(records in force, how many of them are there more than once)."""
    rows = doubles = 0
    with psycopg.connect(dsn) as session:
        for table in _SOURCES:
            answer = session.execute(
                psycopg.sql.SQL("SELECT count(*), count(*) - count(DISTINCT (raw_id, content_hash)) FROM {}").format(
                    psycopg.sql.Identifier(table)
                )
            ).fetchone()
            assert answer is not None
            rows, doubles = rows + answer[0], doubles + answer[1]
    return rows, doubles
