"""What tells that something was installed, removed or upgraded, in a few stats."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LIB = os.path.dirname(os.__file__)
STANDARD_FOLDERS = (
    _LIB,
    os.path.join(_LIB, "lib-dynload"),
    f"{_LIB.rpartition('python')[0]}python{sys.version_info[0]}{sys.version_info[1]}.zip",
)
"""Where the standard library is. Any other folder on sys.path may hold distributions or first-party code, whatever it is called."""


def installed_stamp() -> list[Any]:
    """Interpreter, sys.path, and names, times and sizes of the metadata folders on it. Changes whenever the environment does."""
    seen: list[Any] = [sys.implementation.name, list(sys.version_info[:3]), [os.path.abspath(entry) for entry in sys.path]]
    for folder in sys.path:
        if folder in STANDARD_FOLDERS:
            continue
        try:
            with os.scandir(folder or ".") as entries:
                names = sorted(e.name for e in entries if e.name.endswith((".dist-info", ".egg-info", ".pth")))
        except OSError:
            continue
        seen += [[n, *_times(f"{folder}/{n}")] for n in names]
    return seen


def _times(path: str) -> tuple[int, int]:
    for place in (f"{path}/METADATA", path):
        try:
            seen = os.stat(place)
        except OSError:
            continue
        return seen.st_mtime_ns, seen.st_size
    return 0, 0
