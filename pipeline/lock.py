"""One run per data directory. The kernel frees the lock when its holder dies: there is never a stale one to remove."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from config.errors import BusyError

_NAME = ".lock"
_TRIES, _PAUSE = 20, 0.01


@contextmanager
def exclusive(data_dir: str) -> Iterator[None]:
    """Hold the data directory for this process. Raises BusyError at once when another run has it."""
    fd = os.open(os.path.join(data_dir, _NAME), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _taken(fd):
            holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise BusyError(f"Another run holds this data directory (process {holder}).", "Wait for it to end, then try again.")
        os.ftruncate(fd, 0)
        os.pwrite(fd, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(fd)


def _taken(fd: int) -> bool:
    """Take the lock; a moment's patience, because a reader that asks `is_held` has it for that long."""
    for _ in range(_TRIES):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            time.sleep(_PAUSE)
    return False


def is_held(data_dir: str) -> bool:
    """Whether a run is going on just now."""
    try:
        fd = os.open(os.path.join(data_dir, _NAME), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except OSError:
        return True
    finally:
        os.close(fd)
