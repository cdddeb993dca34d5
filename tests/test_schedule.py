"""The resident worker: when it is due, what it catches up, how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from config.errors import UsageError
from scripts.cron import Cron
from scripts.schedule import following, without_schedule
from tests.cli_bench import CSV, REPO, Cli, environment

WARSAW = ZoneInfo("Europe/Warsaw")
PATIENCE = 120


def due(expression: str, start: str, many: int = 3) -> list[str]:
    """The next moments after a local one in Warsaw, as local ones."""
    cron, moment, found = Cron(expression, WARSAW), datetime.fromisoformat(start).replace(tzinfo=WARSAW), []
    for _ in range(many):
        moment = cron.after(moment)
        found.append(moment.astimezone(WARSAW).strftime("%a %d %H:%M"))
    return found


@pytest.mark.parametrize(
    ("expression", "start", "moments"),
    [
        ("17 */6 * * *", "2026-11-22 00:17", ["Sun 22 06:17", "Sun 22 12:17", "Sun 22 18:17"]),
        ("@daily", "2026-11-22 12:00", ["Mon 23 00:00", "Tue 24 00:00", "Wed 25 00:00"]),
        ("0 9 * * 0", "2026-11-22 12:00", ["Sun 29 09:00", "Sun 06 09:00", "Sun 13 09:00"]),
        ("0 9 * * 7", "2026-11-22 12:00", ["Sun 29 09:00", "Sun 06 09:00", "Sun 13 09:00"]),
        ("0 9 * * 1-5", "2026-11-20 12:00", ["Mon 23 09:00", "Tue 24 09:00", "Wed 25 09:00"]),
        ("0 9 * * FRI-MON", "2026-11-22 12:00", ["Mon 23 09:00", "Fri 27 09:00", "Sat 28 09:00"]),
        ("0 9 * * 6-7", "2026-11-22 12:00", ["Sat 28 09:00", "Sun 29 09:00", "Sat 05 09:00"]),
        ("0 9 * * */3", "2026-11-22 12:00", ["Wed 25 09:00", "Sat 28 09:00", "Sun 29 09:00"]),
        ("0 9 24 * mon", "2026-11-22 12:00", ["Mon 23 09:00", "Tue 24 09:00", "Mon 30 09:00"]),
        ("0 9 29 2 *", "2026-11-22 12:00", ["Tue 29 09:00"]),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_five_fields_mean_what_they_mean_to_cron(expression: str, start: str, moments: list[str]) -> None:
    assert due(expression, start, len(moments)) == moments


def test_no_moment_is_lost_or_repeated_when_the_clocks_change() -> None:
    cron = Cron("*/30 * * * *", WARSAW)
    for start in (datetime(2026, 3, 28, 20, tzinfo=UTC), datetime(2026, 10, 24, 20, tzinfo=UTC)):
        moment = start
        for _ in range(16):
            after = cron.after(moment)
            assert after - moment == timedelta(minutes=30)
            moment = after


def test_a_daily_hour_that_does_not_exist_is_caught_up_that_day() -> None:
    assert due("30 2 * * *", "2026-03-28 12:00", 2) == ["Sun 29 03:30", "Mon 30 02:30"]


@pytest.mark.parametrize(
    "wrong", ["", "* * * *", "* * * * * *", "61 * * * *", "* 25 * * *", "x * * * *", "* * * * 8", "0 0 31 2 *", "* * * * mon/"]
)
def test_what_is_no_schedule_is_refused_with_an_example(wrong: str) -> None:
    with pytest.raises(UsageError, match="such as"):
        Cron(wrong, WARSAW)


def test_what_was_missed_comes_to_one_run_and_then_the_usual_hours() -> None:
    cron = Cron("0 * * * *", ZoneInfo("UTC"))
    ten = datetime(2026, 11, 22, 10, tzinfo=UTC)
    late = ten + timedelta(hours=5, minutes=20)
    assert following(cron, ten, ten + timedelta(minutes=3)) == ten + timedelta(hours=1)
    assert following(cron, ten, late) == late
    assert following(cron, late, late + timedelta(minutes=3)) == ten + timedelta(hours=6)


def test_a_clock_that_was_set_back_is_believed() -> None:
    cron = Cron("0 * * * *", ZoneInfo("UTC"))
    ten = datetime(2026, 11, 22, 10, tzinfo=UTC)
    assert following(cron, ten, ten - timedelta(days=2, minutes=30)) == ten - timedelta(days=2)


def test_a_job_is_the_workers_command_line_without_its_schedule() -> None:
    assert without_schedule(["mi_fitness", "--schedule", "0 * * * *", "--sync"]) == ["mi_fitness", "--sync"]
    assert without_schedule(["--schedule=@daily", "--jobs", "2"]) == ["--jobs", "2"]


def test_a_dry_run_lists_when_and_makes_nothing(tmp_path: Path) -> None:
    done = Cli(tmp_path / "data")("--schedule", "17 */6 * * *", "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    moments = [datetime.fromisoformat(text) for text in json.loads(done.stdout)["due"]]
    assert len(moments) == 5
    assert all(m.minute == 17 and m.hour % 6 == 0 for m in moments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [["--schedule", "nonsense"], ["--schedule", "@daily", "--clean"]])
def test_a_worker_that_cannot_work_ends_at_once(tmp_path: Path, arguments: list[str]) -> None:
    done = Cli(tmp_path / "data")(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""


class Worker:
    """`python main.py --schedule …` and what it says."""

    def __init__(self, data: Path, *arguments: str) -> None:
        command = [sys.executable, "main.py", *arguments, "--until-stage", "merge"]
        self.log = data.parent / f"log-{time.monotonic_ns()}"
        with self.log.open("w") as log:
            env = environment(data, TIMEZONE="UTC")
            self.process = subprocess.Popen(command, cwd=REPO, env=env, stdout=subprocess.DEVNULL, stderr=log)

    def events(self) -> list[dict[str, object]]:
        """What it has said so far."""
        lines = self.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.endswith("}")]

    def until(self, event: str, many: int = 1) -> dict[str, object]:
        """Wait for the event; gives it."""
        limit = time.monotonic() + PATIENCE
        while time.monotonic() < limit:
            found = [e for e in self.events() if e["event"] == event]
            if len(found) >= many:
                return found[many - 1]
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def stop(self) -> int:
        """Tell it to end; gives its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    inbox = tmp_path / "data/inbox/bp_csv"
    inbox.mkdir(parents=True)
    (inbox / "bp.csv").write_text(CSV)
    return tmp_path / "data"


def test_a_worker_catches_up_once_then_waits_and_ends_when_told(data: Path) -> None:
    worker = Worker(data, "--schedule", "@yearly")
    try:
        assert worker.until("job_finished")["exit_code"] == 0
        worker.until("job_due", 2)
    finally:
        code = worker.stop()
    assert code == 0
    assert sum(e["event"] == "job_started" for e in worker.events()) == 1
    assert (data / "processed/merged/merged_daily_metrics.csv").exists()
    again = Worker(data, "--schedule", "@yearly")
    try:
        again.until("job_due")
    finally:
        code = again.stop()
    assert code == 0
    assert [e["event"] for e in again.events()] == ["job_due"]  # the run of before is known: nothing was missed


_HARNESS = """
import sys
from scripts.schedule import Signals
signals = Signals()
with signals.noted():
    code = signals.run(["sh", "-c", sys.argv[1]])
    print(code, signals.came, flush=True)
"""


_WAITING = """
from datetime import UTC, datetime, timedelta
from scripts.schedule import Signals
signals = Signals()
with signals.noted():
    for seconds in (-1, 0.3, 3600):
        due = datetime.now(UTC) + timedelta(seconds=seconds)
        print(signals.wait_until(due), datetime.now(UTC) >= due, flush=True)
"""


def test_a_wait_ends_when_it_is_due_by_the_wall_clock_or_a_signal_comes() -> None:
    env = {**os.environ, "PYTHONPATH": str(REPO)}
    with subprocess.Popen([sys.executable, "-c", _WAITING], cwd=REPO, env=env, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout
        assert [worker.stdout.readline() for _ in range(2)] == ["True True\n"] * 2
        worker.send_signal(signal.SIGINT)
        assert worker.stdout.readline() == "False False\n"


def _interrupted(job: str, signals: list[int]) -> str:
    harness = [sys.executable, "-c", _HARNESS, job]
    env = {**os.environ, "PYTHONPATH": str(REPO)}
    with subprocess.Popen(harness, cwd=REPO, env=env, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout
        assert worker.stdout.readline() == "up\n"
        for number in signals:
            worker.send_signal(number)
        return worker.stdout.readline().strip()


def test_a_signal_is_handed_on_to_the_job_whose_exit_code_counts() -> None:
    assert _interrupted("trap 'exit 7' TERM; echo up; while :; do sleep 0.1; done", [signal.SIGTERM]) == "7 True"


def test_a_second_signal_ends_a_job_that_does_not_listen() -> None:
    assert _interrupted("trap '' TERM INT; echo up; while :; do sleep 0.1; done", [signal.SIGINT, signal.SIGTERM]) == "137 True"
