"""`state with -- COMMAND…`: one command over a fresh pull, which is gone when the command ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from config.errors import UsageError
from config.sources import SOURCES
from pipeline.signals import interruptible
from scripts.options import COMMANDS
from scripts.project import ROOT, Project, open_project
from scripts.stateless.around import fresh_data, synced


def with_state(project: Project, options: Namespace) -> int:
    """Run `options.words` over the remote state; gives its exit code. With `--push` what it changes is pushed.

    A command, source or option of ours is one; anything else is a program, which finds the data in DATA_DIR.
    """
    words = list(options.words)
    if not words:
        raise UsageError("There is no command after --.", "Example: python main.py state with -- trace 2025-03-01 systolic")
    ours = words[0] in COMMANDS or words[0] in SOURCES or words[0].startswith("-")
    command = [sys.executable, os.path.join(ROOT, "main.py"), *words] if ours else words
    with interruptible(), fresh_data(project):
        if options.push:
            return synced(open_project(), lambda _: _run(command))
        from scripts.state.sync import pull

        pull(open_project())
        return _run(command)


def _run(command: Sequence[str]) -> int:
    """In our own session, since it may be a shell: a terminal's Ctrl-C reaches it by itself, TERM through us."""
    with _outliving() as children:
        try:
            child = subprocess.Popen(command)
        except OSError as error:
            raise UsageError(
                f"{command[0]!r} cannot be started: {error.strerror}.", "Give a command of ours, or a program."
            ) from None
        with child:
            children(child)
            code = child.wait()
    return 128 - code if code < 0 else code


@contextmanager
def _outliving() -> Iterator[Callable[[subprocess.Popen[bytes]], None]]:
    """Inside the block no signal ends us before the child, which is told once there is one; also of a TERM that came before it."""
    children: list[subprocess.Popen[bytes]] = []
    told: list[int] = []

    def pass_on(number: int, _frame: object) -> None:
        told.append(number)
        for child in children:
            child.terminate()

    def born(child: subprocess.Popen[bytes]) -> None:
        children.append(child)
        if told:
            child.terminate()

    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),
        signal.SIGTERM: signal.signal(signal.SIGTERM, pass_on),
    }
    try:
        yield born
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
