"""Faults at every call that changes anything: one process, a fork per point, no tracer. `python tests/crash_bench.py FOLDER MODE STRIDE`.

A point is the N-th call of the run that opens, writes, syncs, renames, links or deletes a file or changes the registry. There the run
is killed (`kill`, `torn`: half of a write arrives), stopped by a signal (`term`, `int`) or refused (`enospc`, `eio`; with `+` from then
on). Afterwards every registered version must be whole and what was acknowledged must be there; the same command again must finish and
leave nothing behind. `nested` kills the recovery too, at every call of its own, twice. Prints JSON: {"points", "failed"}.
"""

from __future__ import annotations

import builtins
import errno
import functools
import hashlib
import io
import json
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline import Pipeline

REPO = Path(__file__).resolve().parent.parent
STAGES = REPO / "tests" / "stages"
NODES: list[dict[str, Any]] = [
    {"name": "gather", "stage": "a", "run": "letters:gather", "files": {"in": "inbox/**"}, "outputs": {"all": "raw/in/**"}},
    {
        "name": "split",
        "stage": "b",
        "run": "letters:split",
        "inputs": {"all": "raw/in/**"},
        "outputs": {"even": "made/even.txt", "odd": "made/odd.txt"},
    },
    {
        "name": "first",
        "stage": "c",
        "run": "letters:first",
        "inputs": {"even": "made/even.txt"},
        "outputs": {"letter": "made/letter.txt"},
    },
    {"name": "tail", "stage": "d", "run": "letters:tail", "inputs": {"letter": "made/letter.txt"}, "outputs": {"end": "end.txt"}},
]
COLD = {"a.txt": "one\ntwo\n", "b.txt": "three\nfour\nfive\n"}
CHANGED = {"a.txt": "uno\ndue\n", "c.txt": "six\n"}
_CALLS = ("open", "replace", "unlink", "rmdir", "mkdir", "symlink", "fsync", "fchmod", "chmod", "ftruncate", "pwrite")
_STATEMENTS = ("BEGIN", "COMMIT", "UPDATE", "DELETE", "PRAGMA journal_mode =", "PRAGMA wal_checkpoint")
_ERRORS = {"enospc": errno.ENOSPC, "eio": errno.EIO}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def made_of(inbox: dict[str, str]) -> dict[str, str]:
    """What the pipeline makes of an inbox, by plain name."""
    lines = "".join(inbox[name].upper() for name in sorted(inbox)).splitlines(keepends=True)
    even = "".join(lines[::2])
    made = {"made/even.txt": even, "made/odd.txt": "".join(lines[1::2]), "made/letter.txt": even[:1], "end.txt": even[:1] * 3}
    return made | {f"raw/in/{name}": text.upper() for name, text in inbox.items()}


class Trap:
    """Counts the calls that change something and springs at one of them."""

    def __init__(self, mode: str, at: int) -> None:
        self.fault, self.sticky = mode.removesuffix("+"), mode.endswith("+")
        self.at, self.count = at, 0

    def step(self, call: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any], write: bool = False) -> Any:
        self.count += 1
        if self.count == self.at or (self.sticky and self.count > self.at):
            if write and self.fault == "torn":
                call(args[0], bytes(args[1])[: len(args[1]) // 2])
            self.spring(call)
        return call(*args, **options)

    def spring(self, call: Callable[..., Any]) -> None:
        if self.fault in {"kill", "torn"}:
            os._exit(9)
        if self.fault in {"term", "int"}:
            signal.raise_signal(signal.SIGTERM if self.fault == "term" else signal.SIGINT)
        elif getattr(call, "__objclass__", None) is sqlite3.Connection:
            refusal = sqlite3.OperationalError("disk I/O error")
            refusal.sqlite_errorcode = 13 if self.fault == "enospc" else 10
            raise refusal
        elif call is not os.close:
            raise OSError(_ERRORS[self.fault], os.strerror(_ERRORS[self.fault]))


def arm(trap: Trap) -> None:
    """Put the trap before every such call of this process, which is thrown away afterwards."""
    for name in _CALLS:
        setattr(os, name, _trapped(trap, getattr(os, name)))
    kept_open, kept_write, kept_connect = builtins.open, io.FileIO.write, sqlite3.connect

    class Writing(io.FileIO):
        def write(self, data: Any) -> int:
            return int(trap.step(kept_write, (self, data), {}, write=True))

    class Connection(sqlite3.Connection):
        def execute(self, *args: Any) -> Any:
            counts = args[0].startswith(_STATEMENTS)
            return trap.step(sqlite3.Connection.execute, (self, *args), {}) if counts else super().execute(*args)

    from pipeline.execution import handles

    handles._HashingFile.__bases__ = (Writing,)
    sqlite3.connect = lambda *args, **options: kept_connect(*args, **options, factory=Connection)  # type: ignore[assignment]
    builtins.open = lambda path, mode="r", *args, **options: (  # type: ignore[assignment]
        trap.step(kept_open, (path, mode, *args), options) if "w" in mode else kept_open(path, mode, *args, **options)
    )


def _trapped(trap: Trap, call: Callable[..., Any]) -> Callable[..., Any]:
    def trapped(*args: Any, **options: Any) -> Any:
        if call.__name__ == "open" and not args[1] & _WRITING:
            return call(*args, **options)
        return trap.step(call, args, options)

    return trapped


def run(data: str, code: str, mode: str = "", at: int = 0) -> tuple[int, int]:
    """(exit status, calls) of one run in a child of its own; what it commits it says in the file `said`."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        with open(reader) as told:
            count = told.read()
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), int(count or 0)
    status = 99
    try:
        status = _child(data, code, Trap(mode, at), writer)
    finally:
        os._exit(status)


def _pipeline(data: str, code: str) -> Pipeline:
    from pipeline import Node, Pipeline

    return Pipeline([Node(**n) for n in NODES], data, code_root=code)


def _child(data: str, code: str, trap: Trap, writer: int) -> int:
    from config.errors import PDPError
    from pipeline.commit import Commit

    said = os.open(f"{data}.said", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    say, succeed = os.write, Commit.succeed

    def told(self: Commit, *args: Any) -> Any:
        done = succeed(self, *args)
        for _, artifact in done.outputs:
            say(said, f"{artifact.name} {artifact.version} {artifact.sha256}\n".encode())
        return done

    Commit.succeed = told  # type: ignore[method-assign]
    arm(trap)
    try:
        done = _pipeline(data, code).run()
        status = 0 if done.status == "succeeded" else 1
    except PDPError as error:
        status = error.exit_code
    except KeyboardInterrupt as stop:
        status = 128 + int(stop.args[0]) if stop.args else 130
    say(writer, str(trap.count).encode())
    return status


def wrong(data: str, code: str, finished: dict[str, str] | None) -> list[str]:
    """What must hold and does not; `finished`: what the plain names must hold now that all is done."""
    from pipeline.registry import Registry

    found = []
    registry = Registry.read(data)
    rows = dict.fromkeys([("", 0)], "")
    if registry:
        for name, version, sha, path in registry.db.execute("SELECT name, version, sha256, path FROM artifact"):
            rows[name, version] = sha
            if not os.path.exists(f"{data}/{path}") or hashlib.sha256(Path(data, path).read_bytes()).hexdigest() != sha:
                found.append(f"{name}@v{version} is not whole")
        open_rows = registry.db.execute("SELECT count(*) FROM attempt WHERE state = 'started'").fetchone()[0]
        open_rows += registry.db.execute("SELECT count(*) FROM run WHERE status = 'running'").fetchone()[0]
        registry.close()
        found += ["open rows"] if finished and open_rows else []
    for line in Path(f"{data}.said").read_text().splitlines():
        name, version, sha = line.rsplit(" ", 2)
        if rows.get((name, int(version))) != sha:
            found.append(f"{name}@v{version} was acknowledged and is lost")
    if finished is not None:
        found += [name for name, text in finished.items() if not _holds(f"{data}/{name}", text)]
        found += _pipeline(data, code).verify()
        found += [str(path) for path in Path(data).rglob("*.tmp")]
    return found


def _holds(path: str, text: str) -> bool:
    return os.path.exists(path) and Path(path).read_text() == text


def lay(template: str, data: str, inbox: dict[str, str]) -> None:
    """A fresh data root with this inbox, on top of what the template had committed."""
    shutil.rmtree(data, ignore_errors=True)
    shutil.copytree(template, data, symlinks=True)
    shutil.rmtree(f"{data}/inbox", ignore_errors=True)
    os.mkdir(f"{data}/inbox")
    for name, text in inbox.items():
        Path(data, "inbox", name).write_text(text)
    Path(f"{data}.said").write_text("")


def point(
    template: str, data: str, code: str, inbox: dict[str, str], mode: str, at: int, nested: int = 0
) -> tuple[bool, list[str]]:
    """(whether there was such a point, what was wrong afterwards)."""
    lay(template, data, inbox)
    status, calls = run(data, code, mode, at)
    reached = status in {9, -15} or calls >= at
    found = [] if status in _MAY_END[mode.removesuffix("+")] else [f"ended with {status}"]
    found += wrong(data, code, made_of(inbox) if status == 0 else None)
    for _ in range(2 if nested else 0):
        reached = run(data, code, "kill", nested)[0] == 9
        found += wrong(data, code, None)
    for _ in range(2 if nested else 1):
        status, _ = run(data, code)
        found += [f"recovery ended with {status}"] if status else wrong(data, code, made_of(inbox))
    return reached, found


_MAY_END = {"kill": {0, 9}, "torn": {0, 9}, "enospc": {0, 1}, "eio": {0, 1}, "term": {0, -15, 143}, "int": {0, 130}}


def main(folder: str, mode: str, stride: int) -> dict[str, Any]:
    from pipeline import identity

    code, data, empty, before = (str(STAGES), *(os.path.join(folder, name) for name in ("data", "empty", "before")))
    sys.path.insert(0, code)
    os.mkdir(empty)
    identity.read_installed = functools.cache(identity.read_installed)  # type: ignore[attr-defined]
    lay(empty, before, COLD)
    assert _pipeline(before, code).run().status == "succeeded"  # here: its modules are loaded once, for all children
    assert wrong(before, code, made_of(COLD)) == []
    failed: list[list[Any]] = []
    points = 0
    if mode == "nested":
        lay(before, data, CHANGED)
        _, calls = run(data, code, "kill", 0)
        for at in range(1 + calls // 2, calls + 1, stride):
            nested, reached = 1, True
            while reached:
                reached, found = point(before, data, code, CHANGED, "kill", at, nested)
                points += reached
                failed += [[at, nested, f] for f in found]
                nested += 1
        return {"points": points, "failed": failed}
    for template, inbox in ((empty, COLD), (before, CHANGED)):
        at, reached = 1, True
        while reached:
            reached, found = point(template, data, code, inbox, mode, at)
            points += reached
            failed += [[at, f] for f in found]
            at += stride
    return {"points": points, "failed": failed}


if __name__ == "__main__":
    sys.path.insert(0, str(REPO))
    print(json.dumps(main(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
