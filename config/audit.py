"""The audit log: who may ask later what was erased, exported, saved, restored and signed in to, finds it here; never a value.

`audit.jsonl` in the data root, one JSON object per line, 0600, appended to and never rewritten by us; `erase --all` leaves it, and
nothing else, behind. A line holds a moment, what was done, and counts, names of sources, dates and hashes.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from typing import Any

NAME = "audit.jsonl"


def record(data_dir: str, what: str, **facts: Any) -> None:
    """Add a line, on disk when this returns. A disk that refuses it stops nobody from doing what the line is about."""
    line = json.dumps({"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "what": what, **facts}) + "\n"
    with contextlib.suppress(OSError):
        os.makedirs(data_dir, mode=0o700, exist_ok=True)
        handle = os.open(os.path.join(data_dir, NAME), os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.write(handle, _completed(handle) + line.encode())  # one write: lines of two processes do not mix
            os.fsync(handle)
        finally:
            os.close(handle)


def lines(data_dir: str) -> Iterator[dict[str, Any]]:
    """Every line, oldest first; one that a power cut has left torn is passed over."""
    try:
        with open(os.path.join(data_dir, NAME), encoding="utf-8", errors="replace") as file:
            for text in file:
                with contextlib.suppress(ValueError):
                    found = json.loads(text)
                    if isinstance(found, dict) and {"at", "what"} <= found.keys():
                        yield found
    except FileNotFoundError:
        return


def _completed(handle: int) -> bytes:
    """An end for a line that a power cut has left without one."""
    size = os.fstat(handle).st_size
    return b"" if size == 0 or os.pread(handle, 1, size - 1) == b"\n" else b"\n"
