"""What is measured of an export: its steps one by one, beside a peer, beside DuckDB, and once more with a day added, by the engine."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bench.environments import program
from bench.harness import REPO, Measured, measured
from bench.sources_data import ZONE, apple_health, fitbit, fitbit_name
from bench.sources_phones import gadgetbridge, health_connect
from bench.sources_step import FailedError, Ran, run_steps
from config.metrics import KINDS

PEER = "healthkit-to-sqlite"
_DUCKDB = str(Path(__file__).with_name("sources_duckdb.py"))
_DAILY = "processed/merged/merged_daily_metrics.parquet"
_PATIENCE = 7_200.0


class Export(NamedTuple):
    """One vendor's."""

    source: str
    days: int
    """In full size."""
    write: Callable[[Path, int], int]
    """(path, days) → how many samples it holds."""
    name: Callable[[int], str]
    """What the vendor calls an export of so many days."""

    def of(self, size: float) -> int:
        """Days of an export of this share of the full size."""
        return max(2, round(self.days * size))


EXPORTS = {
    export.source: export
    for export in (
        Export("apple_health", 2_192, apple_health, lambda _: "export.xml"),
        Export("fitbit", 1_160, fitbit, fitbit_name),
        Export("gadgetbridge", 1_826, gadgetbridge, lambda _: "Gadgetbridge.db"),
        Export("health_connect", 1_096, health_connect, lambda _: "Health Connect.zip"),
    )
}
"""2.2 GB and 8.1 million records; 10 million heart-rate samples; 2.6 million minutes; 1.6 million samples in 0.36 million records."""


class Place:
    """A folder with an export of so many days, and what our steps made of it."""

    def __init__(self, export: Export, folder: Path, days: int) -> None:
        self.export, self.folder, self.days = export, folder, days
        folder.mkdir(parents=True)
        self.path = folder / "export"
        self.samples = export.write(self.path, days)
        self.bytes = self.path.stat().st_size

    def records(self) -> Ran:
        """The `records` step, in a process of its own."""
        source = self.export.source
        return run_steps(source, [f"ingestion.{source}.records"], self.folder, self.path, self.export.name(self.days))

    def readings(self) -> Ran:
        """The normalization."""
        return run_steps(self.export.source, [f"normalization.{self.export.source}"], self.folder)

    def valid(self) -> Ran:
        """The validation of every kind, one after the other."""
        return run_steps(self.export.source, [f"validation.{kind}" for kind in KINDS], self.folder)

    def daily(self) -> Ran:
        """The merge into the daily table."""
        return run_steps(self.export.source, ["merge.daily_metrics"], self.folder)

    def peer(self) -> Measured | None:
        """healthkit-to-sqlite over the same file; None when it took more than two hours."""
        into = self.folder / "peer.db"
        into.unlink(missing_ok=True)
        found = measured([program(PEER, PEER), str(self.path), str(into), "--xml"], self.folder, limit=_PATIENCE)
        into.unlink(missing_ok=True)
        return found

    def duckdb(self, which: str) -> Measured:
        """DuckDB alone from the records to the days; `which`: see `bench.sources_duckdb`."""
        command = [
            sys.executable,
            _DUCKDB,
            which,
            str(self.folder / f"records/{self.export.source}.parquet"),
            self._theirs(which),
        ]
        return _ended(measured(command, REPO, limit=_PATIENCE))

    def compared(self, which: str) -> tuple[int, int]:
        """Days, and how many of them differ between our daily table and DuckDB's."""
        done = _ended(measured([sys.executable, _DUCKDB, "compare", str(self.folder / _DAILY), self._theirs(which)], REPO))
        days, differ = done.stdout.split()
        return int(days), int(differ)

    def remove(self) -> None:
        """Everything below the folder."""
        shutil.rmtree(self.folder)

    def _theirs(self, which: str) -> str:
        return str(self.folder / f"{which}.parquet")


class Job(NamedTuple):
    """A whole run of the pipeline up to the merge."""

    seconds: float
    peak: float
    """MB, the whole run's."""
    nodes: dict[str, float]
    """Seconds of each."""

    def of(self, *stages: str) -> float:
        """Seconds of these stages; the records step is one, `extract`, which copies, is none."""
        return sum(seconds for node, seconds in self.nodes.items() if _stage(node) in stages)


def _stage(node: str) -> str:
    first, *_, last = node.split(".")
    return last if first == "ingestion" else first


def again(export: Export, folder: Path, days: int) -> tuple[Job, Job]:
    """A first run over an export, and one after it was replaced by an export of a day more."""
    inbox = folder / "inbox" / export.source
    inbox.mkdir(parents=True)
    jobs = []
    for number in (days, days + 1):
        for old in inbox.iterdir():
            old.unlink()
        export.write(inbox / export.name(number), number)
        jobs.append(_job(export.source, folder))
    return jobs[0], jobs[1]


def _job(source: str, folder: Path) -> Job:
    command = [sys.executable, "main.py", "--json", "--no-strict", "--until-stage", "merge", source]
    done = measured(command, REPO, {**os.environ, "DATA_DIR": str(folder), "TIMEZONE": ZONE}, limit=_PATIENCE)
    if done is None or not done.stdout.strip():
        done = _ended(done)
    told = json.loads(done.stdout.splitlines()[-1])
    if told["status"] != "succeeded":
        raise FailedError(next(f"{node['node']}: {node['error']}" for node in told["nodes"] if node["error"]))
    return Job(done.seconds, done.peak, {node["node"]: float(node["seconds"]) for node in told["nodes"]})


def _ended(done: Measured | None) -> Measured:
    if done is None or done.code:
        raise FailedError(done.last_line if done else "It did not end in two hours.")
    return done
