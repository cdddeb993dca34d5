"""A real Dask cluster of processes on this machine, to be killed piece by piece."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self


class Cluster:
    """A scheduler and `workers` worker processes over loopback sockets. They start in a foreign folder and know nothing of the project."""

    def __init__(self, folder: Path, workers: int = 2, deaths_a_task_survives: int = 3) -> None:
        self._folder = folder
        self._allowed = deaths_a_task_survives
        folder.mkdir(parents=True, exist_ok=True)
        self._contact = folder / "scheduler.json"
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-show")
        self.workers = [self.add_worker() for _ in range(workers)]
        self._wait_for(workers)

    @property
    def where(self) -> str:
        return json.loads(self._contact.read_text())["address"].replace("tcp://", "dask://")

    def add_worker(self) -> subprocess.Popen[bytes]:
        """Starts one; it is there as soon as it has registered."""
        return self._start("worker", "--nthreads", "1", "--no-nanny", "--host", "127.0.0.1")

    def log(self) -> str:
        return "".join(p.read_text() for p in sorted(self._folder.glob("*.log")))

    def stop(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self, what: str, *options: str) -> subprocess.Popen[bytes]:
        number = len(list(self._folder.glob("*.log")))
        with (self._folder / f"{number}.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", what, "--scheduler-file", str(self._contact), "--no-dashboard", *options],
                cwd=self._folder,
                stdout=log,
                stderr=log,
                env={**os.environ, "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(self._allowed)},
            )

    def _wait_for(self, workers: int) -> None:
        deadline = time.monotonic() + 60
        while self.log().count("Registered to:") < workers:
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)


def wait_until(true: Any, seconds: float = 40.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether a process runs: not gone and no zombie."""
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
