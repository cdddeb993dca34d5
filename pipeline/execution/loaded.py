"""The code that runs is the code that was hashed: a process whose modules are older than their sources must not commit.

Python keeps the first import of a module for the life of a process, and believes a bytecode file whose source kept its size and its
second. So a module edited since the program started, or loaded from bytecode that is not its source's, stops the node.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import sys
import time

from config.errors import StageError

_U32 = 0xFFFFFFFF
STARTED_NS = time.time_ns()
"""When this process began to load code."""


def refuse_changed(code_root: str, since_ns: int) -> None:
    """Raise StageError when a loaded first-party module is not what its file holds. `since_ns`: when the deciding process started."""
    prefix = os.path.join(code_root, "")
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if path and path.startswith(prefix) and path.endswith(".py") and "site-packages" not in path:
            _check(path, getattr(module, "__cached__", None), since_ns)


def _check(path: str, cached: str | None, since_ns: int) -> None:
    try:
        source = os.stat(path)
    except OSError:
        return
    if since_ns < source.st_ctime_ns <= time.time_ns():  # one in the future is of a time when the clock went wrong
        raise StageError("The program's code was changed while it was running.", "Run again: the new code needs a new process.")
    if cached and _is_stale(path, cached, source):
        with contextlib.suppress(OSError):
            os.unlink(cached)
        raise StageError("Python had kept bytecode of an earlier edit of the same size and second; it is removed.", "Run again.")


def _is_stale(path: str, cached: str, source: os.stat_result) -> bool:
    """Whether the bytecode Python believed is that of other source. Only a file older than the last change of its source is opened."""
    try:
        if os.stat(cached).st_mtime_ns > source.st_ctime_ns:
            return False
        with open(cached, "rb") as file:
            header, body = file.read(16), file.read()
        stamp = (int(source.st_mtime) & _U32).to_bytes(4, "little") + (source.st_size & _U32).to_bytes(4, "little")
        believed = header[4:] == b"\0\0\0\0" + stamp
        if not believed:
            return False
        with open(path, "rb") as file:
            fresh = compile(file.read(), path, "exec", dont_inherit=True)
        return bool(marshal.loads(body) != fresh)  # noqa: S302 - compared, never run
    except (OSError, ValueError, EOFError, TypeError, SyntaxError):
        return False
