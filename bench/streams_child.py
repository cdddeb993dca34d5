"""One run of the program in a process of its own that is killed behind a page it has committed."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from bench.harness import REPO
from pipeline.execution.pages import StreamPages


def run(arguments: Sequence[str], env: Mapping[str, str], pages: int, log: str) -> None:
    """`python main.py ARGUMENTS` with `env`; SIGKILL right behind the page of that number (0: never). What it says goes to `log`."""
    os.environ.update(env)
    os.chdir(REPO)
    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(said, 1)
    os.dup2(said, 2)
    commit, left = StreamPages.commit, pages

    def counted(self: StreamPages, *given: Any, **named: Any) -> Any:
        nonlocal left
        done = commit(self, *given, **named)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    StreamPages.commit = counted  # type: ignore[method-assign]
    from main import main

    sys.exit(main(list(arguments)))
