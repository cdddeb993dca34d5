"""Whether a pid is a living process and what it is, from /proc or, where there is none, from ps; how none of ours is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager


def command_of(pid: int) -> str:
    """The command line of a living process; empty for one that is gone or a zombie."""
    if os.path.isdir("/proc/self"):
        try:
            with open(f"/proc/{pid}/stat", "rb") as text:
                state = text.read().rpartition(b") ")[2][:1]
            with open(f"/proc/{pid}/cmdline", "rb") as text:
                command = text.read().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            return ""
        return "" if state in (b"Z", b"X") else command
    return next((command for found, command in _listed() if found == pid), "")


def any_named(token: str) -> bool:
    """Is there any living process with `token` in its command line or process title?"""
    if not os.path.isdir("/proc/self"):
        return any(token in command for _, command in _listed())
    return any(token in command_of(int(entry)) for entry in os.listdir("/proc") if entry.isdigit() and int(entry) != os.getpid())


def _listed() -> Iterator[tuple[int, str]]:
    said = subprocess.run(["ps", "-A", "-ww", "-o", "pid=,stat=,command="], capture_output=True, text=True, check=False).stdout
    for line in said.splitlines():
        pid, state, command = [*line.split(None, 2), "", "", ""][:3]
        if pid.isdigit() and not state.startswith("Z") and int(pid) != os.getpid():
            yield int(pid), command


@contextmanager
def undisturbed() -> Iterator[None]:
    """SIGINT and SIGTERM that come inside the block are answered at its end: no child is made that nobody knows of."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread only
        return
    came: list[int] = []
    numbers = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) is not None]  # else not Python's
    before = {number: signal.signal(number, lambda got, _frame: came.append(got)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for got in came:
            signal.raise_signal(got)
