"""No process that a stage has started outlives its run: what a run starts carries the run's mark, and recovery ends what still does.

The mark is an environment variable, so children of children carry it too. Where there is no /proc nothing is found; what an orphan
writes there goes to a temporary name that nobody registers.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Container, Iterator

MARK = "PDP_RUN"
_PATIENCE_MS = 2_000


@contextlib.contextmanager
def marked(run_id: str) -> Iterator[None]:
    """Whatever is started meanwhile carries the run's mark."""
    before = os.environ.get(MARK)
    os.environ[MARK] = run_id
    try:
        yield
    finally:
        os.environ.pop(MARK, None)
        if before is not None:
            os.environ[MARK] = before


def end(run_ids: Container[str]) -> int:
    """Kill what still carries the mark of one of these runs, and wait for its death. Gives how many processes. Never raises."""
    handles = [handle for pid in _pids() if (handle := _handle(pid, run_ids)) is not None]
    for handle in handles:
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    for handle in handles:
        waiting = select.poll()
        waiting.register(handle, select.POLLIN)
        waiting.poll(_PATIENCE_MS)
        os.close(handle)
    return len(handles)


def _pids() -> list[int]:
    if not hasattr(os, "pidfd_open"):
        return []
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdecimal() and int(name) != os.getpid()]
    except OSError:
        return []


def _handle(pid: int, run_ids: Container[str]) -> int | None:
    """A handle of the process if it carries a mark; taken before its environment is read, so that it means this very process."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return None
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            pairs = file.read().split(b"\0")
    except OSError:  # another user's, or gone
        pairs = []
    prefix = MARK.encode() + b"="
    if any(pair.startswith(prefix) and pair[len(prefix) :].decode("ascii", "replace") in run_ids for pair in pairs):
        return handle
    os.close(handle)
    return None
