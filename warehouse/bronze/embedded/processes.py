"""Tells whether a pid is a living process and what it is, from /proc or, where there is none, from ps."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator


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
