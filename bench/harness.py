"""What every benchmark shares: timing whole processes in turn, and the one shape of its answer."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

REPO = Path(__file__).resolve().parent.parent


class Result(NamedTuple):
    what: str
    who: str
    value: float
    unit: str


class Goal(NamedTuple):
    goal: str
    want: str
    got: str
    met: bool


def options(description: str) -> argparse.Namespace:
    """`--json` and `--quick`, as in every benchmark."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--quick", action="store_true", help="prove that it works; the figures count for nothing")
    return parser.parse_args()


def seconds(command: Sequence[str], env: Mapping[str, str] | None = None) -> float:
    """Wall time of one whole process."""
    began = time.perf_counter()
    subprocess.run(
        command, cwd=REPO, env={**os.environ, **(env or {})}, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return time.perf_counter() - began


class Measured(NamedTuple):
    """A whole process that ended by itself."""

    seconds: float
    """Wall time."""
    peak: float
    """Its largest resident set, MB."""
    code: int
    stdout: str
    last_line: str
    """The last thing it said, for a failure's reason."""


def measured(command: Sequence[str], cwd: Path, env: Mapping[str, str] | None = None, limit: float = 600.0) -> Measured | None:
    """Time one whole process; None when it was still going on after `limit` seconds and was killed with all it had started."""
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as out:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=cwd, env={**os.environ, **(env or {})}, stdout=out, stderr=said, start_new_session=True
        )
        timer = threading.Timer(limit, _kill_group, (process.pid,))
        timer.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:  # a session of its own hears nothing of our Ctrl-C
            _kill_group(process.pid)
            process.wait()
            raise
        finally:
            timer.cancel()
        took = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if took >= limit and process.returncode < 0:
            return None
        texts = [_text(file) for file in (out, said)]
    lines = [line.strip() for text in texts for line in text.splitlines() if line.strip()]
    return Measured(took, usage.ru_maxrss / 1024, process.returncode, texts[0], lines[-1] if lines else "")


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def interleaved(
    commands: Mapping[str, Sequence[str]], rounds: int, env: Mapping[str, str] | None = None
) -> dict[str, list[float]]:
    """Each command in turn, `rounds` times after one warm-up: a drift of the machine meets all alike."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            took = seconds(command, env)
            if number:
                times[name].append(took)
    return times


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def peak_rss_of_children() -> float:
    """Largest child so far, MB."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def tell(bench: str, results: Sequence[Result], goals: Sequence[Goal], as_json: bool, shown: int = 0) -> None:
    """Print the table; with `--json` the object too. The first `shown` results were shown in a table of the benchmark's own."""
    for r in results[shown:]:
        print(f"  {r.what:<44}{r.who:<24}{r.value:>14,.3f} {r.unit}")
    for g in goals:
        print(f"  {'met ' if g.met else 'MISS'} {g.goal}: wanted {g.want}, got {g.got}")
    if as_json:
        data: dict[str, Any] = {
            "bench": bench,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        }
        data["results"] = [r._asdict() for r in results]
        data["goals"] = [g._asdict() for g in goals]
        print(json.dumps(data))
    sys.stdout.flush()
