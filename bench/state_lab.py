"""Machines that share one remote, each command of them in a process that may be killed at any of its steps."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bench.state_server import Place
from tests.crash_bench import Trap, arm
from tests.state_bench import Machine, Troubled

KILLED = -signal.SIGKILL


class Done(NamedTuple):
    """How a process ended."""

    status: int
    """Its exit code; negative: the signal that ended it. 75 and 1 as `main.py` would."""
    value: Any
    """What its work gave."""
    steps: int
    """Calls that change a file, the registry or the remote."""


class _Kill(Trap):
    """Ends the process at one of its steps, by SIGKILL."""

    def __init__(self, at: int) -> None:
        super().__init__("kill", at)

    def spring(self, call: Callable[..., Any]) -> None:  # noqa: ARG002 - as the trap it is
        os.kill(os.getpid(), signal.SIGKILL)


class _Counted(Troubled):
    """A remote of which each call is two steps: before, and when it is done."""

    trap: Trap

    def before(self, call: str) -> None:  # noqa: ARG002
        self.trap.step(lambda: None, (), {})

    def after(self, call: str) -> None:  # noqa: ARG002
        self.trap.step(lambda: None, (), {})


def machine(place: Place, data: Path) -> Machine:
    """A machine with its data root there, and the settings that lead to the place."""
    return Machine(data, place.url, **place.settings)


def runs(here: Machine) -> list[str]:
    """The runs it knows that have done something; what is being taken over is marked by one that has not."""
    with here.project.pipeline.reading() as registry:
        return sorted(str(run) for (run,) in registry.db.execute("SELECT DISTINCT run_id FROM attempt")) if registry else []


def forked(work: Callable[[], Any], kill_at: int = 0) -> Done:
    """Do it in a child of this process, which stays free of threads; killed at that step of its, if it has so many."""
    return _ended(*_begun(work, kill_at))


def together(works: Sequence[Callable[[], Any]]) -> list[Done]:
    """Do them all at the same time, each in a child of its own."""
    begun = [_begun(work, 0) for work in works]
    return [_ended(*child) for child in begun]


def _begun(work: Callable[[], Any], kill_at: int) -> tuple[int, int]:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, reader
    os.close(reader)
    status = 99
    try:
        status = _child(work, kill_at, writer)
    except BaseException:  # noqa: BLE001 - told, then the child ends without its parent's clearing up
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _ended(pid: int, reader: int) -> Done:
    with open(reader, encoding="utf-8") as said:
        text = said.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    value, steps = json.loads(text) if text else (None, 0)
    return Done(status, value, steps)


def _child(work: Callable[[], Any], kill_at: int, writer: int) -> int:
    import stamina

    from config.errors import PDPError
    from scripts.state import open as opening

    logging.getLogger("stamina").setLevel(logging.ERROR)  # each retry would be told
    trap = _Kill(kill_at)
    opened = opening.open_remote

    def counted(settings: Any) -> Any:
        remote = _Counted(opened(settings))  # type: ignore[arg-type]
        remote.trap = trap
        return remote

    opening.open_remote = counted
    say = os.write
    arm(trap)
    value, status = None, 0
    try:
        with stamina.set_testing(True, attempts=8, cap=True):  # a server that comes back at once needs no patience
            value = work()
    except PDPError as error:
        value, status = str(error), error.exit_code
    say(writer, json.dumps([value, trap.count]).encode())
    return status


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """A new folder in this one, gone after the block."""
    made = folder / os.urandom(6).hex()
    made.mkdir()
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def job(place: Place, data: Path, name: str, text: str = "") -> Callable[[], Any]:
    """What a scheduled job does: pull, run on a new file, push; once more when the push merged. Gives the runs it has made."""

    def work() -> list[str]:
        here = machine(place, data)
        here.pull()
        before = set(runs(here))
        here.run(**{name: text or f"{name}\n"})
        if here.push().merged:
            here.run()
            here.push()
        return sorted(set(runs(here)) - before)

    return work


def looked(place: Place, data: Path) -> Callable[[], Any]:
    """What a machine that has never been here sees: {"runs", "kept", "problems"}; all history and every object is brought and checked."""

    def work() -> dict[str, Any]:
        from scripts.state.complete import complete
        from scripts.state.verify import verify

        here = machine(place, data)
        here.pull()
        complete(here.project)
        session = here.session()
        with session.local.locked():
            found = verify(session, str(data), quick=False, repair=False)
        return {
            "runs": runs(here),
            "kept": sorted(map(list, here.kept())),
            "problems": [*map(str, found.problems), *here.verify()],
        }

    return work
