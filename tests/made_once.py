"""What many test files start from, made once for all processes of a test run; each gets a copy of its own.

Making a database cluster or running the shipped year takes seconds and disk flushes; copying takes a tenth of one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

_PLACE = "PDP_TESTS_MADE_ONCE"


def begin() -> None:
    """The first process of a test run makes the place; those it starts find it in their environment."""
    os.environ[_PLACE] = tempfile.mkdtemp(prefix="pdp-tests-")


def end() -> None:
    """Everything goes."""
    shutil.rmtree(os.environ.pop(_PLACE), ignore_errors=True)


def example_year(data: Path) -> Path:
    """The shipped year as `python main.py` leaves it on a fresh machine, database included and stopped, as the data root `data`."""
    return _copied(_made("year", _run_the_examples), data)


def own_season(data: Path) -> Path:
    """Three months up to the end of October 2025 that a person has dropped and run, and a cuff's file of the winter before; in Warsaw."""
    return _copied(_made("own", _run_what_was_dropped), data)


def cluster(data: Path) -> Path:
    """An empty embedded database, stopped, in the data root `data` if it has none; without a test run the server makes its own."""
    if _PLACE in os.environ and not (data / "postgres").exists():
        data.mkdir(parents=True, exist_ok=True)
        _copied(_made("cluster", _make_a_cluster) / "postgres", data / "postgres")
    return data


def answers(data: Path) -> None:
    """A registry in which nothing has run yet, but which knows what the code's closures are; for a data root in which nothing has."""
    if _PLACE in os.environ and not any((data / name).exists() for name in ("registry.db", "store")):
        made = _made("answers", _ask_the_code)
        data.mkdir(parents=True, exist_ok=True)
        shutil.copy(made / "registry.db", data)


def _ask_the_code(data: Path) -> None:
    """A run of little, of which the registry keeps only what is true of any data root with the same code."""
    from tests.cli_bench import CSV, SHEET, run

    for name, text in {"google_sheets/log.csv": SHEET, "bp_csv/bp.csv": CSV}.items():
        path = cluster(data) / "inbox" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    done = run(data, "bp_csv", "google_sheets")
    assert done.returncode == 0, done.stdout + done.stderr
    with contextlib.closing(sqlite3.connect(data / "registry.db")) as registry:
        tables = [name for (name,) in registry.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        for table in set(tables) - {"cache_file", "cache_value", "identity", "source_text"}:
            registry.execute(f"DELETE FROM {table}")
        registry.execute("DELETE FROM cache_file WHERE path NOT LIKE '/%'")
        registry.execute("DELETE FROM identity WHERE kind <> 'code'")
        registry.commit()
        registry.execute("VACUUM")
        registry.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _run_the_examples(data: Path) -> None:
    from tests.cli_bench import run

    done = run(data)
    assert done.returncode == 0, done.stdout + done.stderr


def _run_what_was_dropped(data: Path) -> None:
    from scripts.generate_mock_data import generate
    from tests.cli_bench import run

    generate(cluster(data) / "inbox", days=90, end=date(2025, 10, 31))
    generate(data / "winter", days=60, end=date(2025, 3, 10), seed=8)
    next((data / "winter/bp_csv").iterdir()).rename(data / "inbox/bp_csv/winter.csv")
    shutil.rmtree(data / "winter")
    subprocess.run(["chmod", "-R", "go=", str(data / "inbox")], check=True)
    done = run(data, TIMEZONE="Europe/Warsaw")
    assert done.returncode == 0, done.stdout + done.stderr


def _make_a_cluster(data: Path) -> None:
    from warehouse.bronze.embedded import server

    with server.embedded(str(data)):
        server.release(str(data))


def _made(name: str, make: Callable[[Path], None]) -> Path:
    """The folder of this name; whoever comes first makes it, the others wait."""
    place = Path(os.environ[_PLACE])
    with (place / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / name / "whole").exists():
            shutil.rmtree(place / name, ignore_errors=True)
            make(place / name / "data")
            (place / name / "whole").touch()
    return place / name / "data"


def _copied(made: Path, to: Path) -> Path:
    subprocess.run(["cp", "-a", str(made), str(to)], check=True)
    return to
