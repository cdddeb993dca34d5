"""One run per data directory. The kernel frees the lock when its holder dies: there is never a stale one to remove."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from config.errors import BusyError, StoreError

_NAME = ".lock"
_TRIES, _PAUSE = 20, 0.01


@contextmanager
def exclusive(data_dir: str) -> Iterator[None]:
    """Hold the data directory for this process. Raises BusyError at once when another run has it, StoreError when it cannot be written."""
    fd = _open(data_dir)
    try:
        if not _taken(fd):
            raise _busy(fd)
        _sign(fd)
        yield
    finally:
        os.close(fd)


def _open(data_dir: str) -> int:
    try:
        return os.open(os.path.join(data_dir, _NAME), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _refused(error) from error


def _sign(fd: int) -> None:
    """Leave the holder's number for those who find the lock taken."""
    try:
        os.ftruncate(fd, 0)
        os.pwrite(fd, str(os.getpid()).encode(), 0)
    except OSError as error:
        raise _refused(error) from error


def _refused(error: OSError) -> StoreError:
    return StoreError(f"The data directory cannot be written: {error.strerror}.", "Mend that, or choose another DATA_DIR.")


def _busy(fd: int) -> BusyError:
    """Who holds it: the run that signed, or, when that is dead, a process it has forked, which holds the lock for it."""
    signed = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
    holders = [] if os.path.exists(f"/proc/{signed}") else _having_open(os.fstat(fd))
    if not holders:
        return BusyError(
            f"Another run holds this data directory (process {signed or 'unknown'}).", "Wait for it to end, then try again."
        )
    left = ", ".join(holders)
    return BusyError(f"A process that a dead run has left still holds this data directory ({left}).", "End it, then try again.")


def _having_open(lock: os.stat_result) -> list[str]:
    """Processes that have the file open, as far as we may look."""
    import glob

    found = set()
    for path in glob.glob("/proc/[0-9]*/fd/*"):
        try:
            seen = os.stat(path)
        except OSError:
            continue
        if (seen.st_dev, seen.st_ino) == (lock.st_dev, lock.st_ino):
            found.add(path.split("/")[2])
    return sorted(found - {str(os.getpid())}, key=int)


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
