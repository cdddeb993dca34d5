"""`--schedule`: a resident worker runs one job whenever it is due, in a process of its own; what was missed is caught up once.

A process per run gives memory back, survives a crash of its job, and takes new code and settings in. The wait looks at the wall clock
in short slices, so a laptop that slept or a clock that was set finds its way; moments missed meanwhile come to one run.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo

from config.timezones import zone
from scripts.cron import Cron
from scripts.diary import tell
from scripts.project import ROOT, Project

_SLICE = 20.0
"""Seconds between two looks at the clock."""
_SHOWN = 5
"""Moments that `--dry-run` lists."""


def schedule(project: Project, options: Namespace, arguments: Sequence[str]) -> int:
    """Run `python main.py ARGUMENTS` whenever `options.schedule` is due, until a signal ends it; gives the exit code.

    Idle when stopped: 0. While a job runs the signal is handed on to it, once; its exit code is this program's.
    """
    there = zone(str(project.settings["timezone"]))
    cron = Cron(options.schedule, there)
    if options.dry_run:
        return _listed(cron, there, options.json)
    job = [sys.executable, os.path.join(ROOT, "main.py"), *arguments]
    signals = Signals()
    with signals.noted():
        due = datetime.now(UTC) if _missed(project, cron) else cron.after(datetime.now(UTC))
        while True:
            tell("job_due", at=due.astimezone(there).isoformat(timespec="minutes"))
            if not signals.wait_until(due):
                return 0
            code = _timed(signals, job)
            if signals.came:
                return code
            due = following(cron, due, datetime.now(UTC))


def following(cron: Cron, due: datetime, now: datetime) -> datetime:
    """When the run after that of `due` is due: what was missed meanwhile comes to one run at once; a clock set back is believed."""
    return max(cron.after(min(due, now)), now)


def _timed(signals: Signals, job: Sequence[str]) -> int:
    tell("job_started")
    began = time.monotonic()
    code = signals.run(job)
    tell("job_finished", exit_code=code, seconds=round(time.monotonic() - began, 1))
    return code


def without_schedule(argv: Sequence[str]) -> list[str]:
    """A worker's command line as the one of each of its jobs."""
    kept, skip = [], False
    for word in argv:
        if not skip and word != "--schedule" and not word.startswith("--schedule="):
            kept.append(word)
        skip = word == "--schedule" and not skip
    return kept


def _missed(project: Project, cron: Cron) -> bool:
    """Whether a moment has gone by since the last run that is known here began; also when none is known."""
    from pipeline.answers.history import OF_THE_PIPELINE

    with project.pipeline.reading() as registry:
        row = (
            registry.db.execute(f"SELECT started_at FROM run WHERE {OF_THE_PIPELINE} ORDER BY rowid DESC LIMIT 1").fetchone()
            if registry
            else None
        )
    return row is None or cron.after(datetime.fromtimestamp(row[0], UTC)) <= datetime.now(UTC)


class Signals:
    """TERM and INT while the worker lives: they wake who waits and are handed on to a job; a second one kills it."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._came: list[int] = []
        self._handed = 0
        self._job: subprocess.Popen[bytes] | None = None

    @property
    def came(self) -> bool:
        """Whether the worker is to end."""
        return bool(self._came)

    def wait_until(self, due: datetime) -> bool:
        """Wait until it is due by the wall clock; False when a signal came first."""
        while not self.came and (left := (due - datetime.now(UTC)).total_seconds()) > 0:
            select.select([self._read], [], [], min(left, _SLICE))
        return not self.came

    def run(self, command: Sequence[str]) -> int:
        """Run it in a session of its own, so that a terminal's Ctrl-C reaches it through us, once; gives its exit code."""
        with subprocess.Popen(command, start_new_session=True) as self._job:
            self._hand_on()  # what came while it was being started
            code = self._job.wait()
        self._job = None
        return 128 - code if code < 0 else code

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Inside the block signals are ours."""
        before = {number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(self._read)
            os.close(self._write)

    def _note(self, number: int, _frame: object) -> None:
        self._came.append(number)
        with contextlib.suppress(BlockingIOError):
            os.write(self._write, b".")
        self._hand_on()

    def _hand_on(self) -> None:
        """Each signal once: the first as it is, any other as the end."""
        while self._job is not None and self._handed < len(self._came):
            number = self._came[self._handed]
            self._handed += 1
            self._job.send_signal(number if self._handed == 1 else signal.SIGKILL)


def _listed(cron: Cron, there: tzinfo, as_json: bool) -> int:
    due, moment = [], datetime.now(UTC)
    for _ in range(_SHOWN):
        moment = cron.after(moment)
        due.append(moment.astimezone(there).isoformat(timespec="minutes"))
    print(json.dumps({"due": due}) if as_json else "\n".join(["It would run at:", *(f"  {text}" for text in due)]))
    return 0
