"""Rate limits that hold over all programs of a data directory: every request is noted in one small SQLite file, under a lock.

Several limits hold at once (`20/s,1000/h`). Nobody waits here: the answer is how long to wait.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from pyrate_limiter import InMemoryBucket, Rate, RateItem, SQLiteBucket
from pyrate_limiter.abstracts import AbstractBucket


class _FileLock:
    """Held by one program at a time; let go of when it dies."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._depth = 0

    def __enter__(self) -> None:
        if not self._depth:
            fcntl.flock(self._file, fcntl.LOCK_EX)
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if not self._depth:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._file)


class Limits:
    """How many requests a source may make. `folder`: where that is noted for all programs; empty: by this one alone."""

    def __init__(self, rates: Sequence[tuple[int, int]], folder: str = "") -> None:
        self._lock: _FileLock | None = None
        self._bucket: AbstractBucket | None = None
        limits = [Rate(count, seconds * 1000) for count, seconds in rates]
        if limits and not folder:
            self._bucket = InMemoryBucket(limits)
        elif limits:
            path = os.path.join(folder, "requests.sqlite")
            self._lock = _FileLock(f"{path}.lock")
            with self._lock:
                self._bucket = SQLiteBucket(limits, _noted(path), "requests", lock=self._lock)
                self._bucket.leak(_now())

    def take(self) -> float:
        """0 when a request may be made now, and it is noted; else the seconds until one may."""
        if self._bucket is None:
            return 0.0
        item = RateItem("request", _now())
        if self._bucket.put(item):
            return 0.0
        wait = self._bucket.waiting(item)
        assert isinstance(wait, int)
        return max(wait, 1) / 1000

    def close(self) -> None:
        """Let go of the file."""
        if self._bucket is not None:
            self._bucket.close()
        if self._lock is not None:
            self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _now() -> int:
    return time.time_ns() // 1_000_000  # impure: when to ask, not what comes of it


def _noted(path: str) -> sqlite3.Connection:
    """The file, made anew when it is damaged: all that is lost is how many requests the last minutes saw."""
    try:
        return _opened(path)
    except sqlite3.DatabaseError:
        os.unlink(path)
        return _opened(path)


def _opened(path: str) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    noted = sqlite3.connect(path, check_same_thread=False)
    try:
        noted.execute("PRAGMA journal_mode = MEMORY")
        noted.execute("PRAGMA synchronous = OFF")
        noted.execute("CREATE TABLE IF NOT EXISTS requests (name VARCHAR, item_timestamp INTEGER)")
        noted.execute("CREATE INDEX IF NOT EXISTS by_time ON requests (item_timestamp)")
        noted.commit()
    except sqlite3.DatabaseError:
        noted.close()
        raise
    return noted
