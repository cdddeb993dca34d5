"""The API over real parts: the shipped year run by the real pipeline, a client inside the process, a server on a port."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scripts.project import Project
from serving.api.app import application
from serving.api.configuration import Configuration, digest
from tests.cli_bench import REPO, environment

with warnings.catch_warnings():  # the client it would rather have is not among our dependencies
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

KEY = "a-key-for-tests-only"
OLD_KEY = "the-key-it-replaces"
WITH_KEY = {"X-API-Key": KEY}


def configured(**changed: Any) -> Configuration:
    """How the API is served when a test does not say otherwise."""
    plain: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": 0,
        "keys": (digest(OLD_KEY), digest(KEY)),
        "origins": (),
        "hosts": frozenset({"localhost", "127.0.0.1"}),
        "rate": 1_000_000,
        "metrics_open": False,
    }
    return Configuration(**plain | changed)


@contextmanager
def client(
    project: Project, log: list[dict[str, Any]] | None = None, seconds: float = 0.0, **changed: Any
) -> Iterator[TestClient]:
    """A caller without a key; what was logged is added to `log`."""
    told = log if log is not None else []
    app = application(project, configured(**changed), lambda event, facts: told.append({"event": event, **facts}), seconds)
    with TestClient(app, base_url="http://localhost", client=("192.0.2.7", 5000)) as asking:
        yield asking


@contextmanager
def served(data: Path, **env: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command `serve api` on a free port: its process, and its address."""
    code = (
        "import sys\n"
        "from scripts.project import open_project\n"
        "from serving.api.run import serve\n"
        "sys.exit(serve(open_project(), port=0))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=REPO,
        env=environment(data, **env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        line = process.stdout.readline()
        found = re.search(r"http://\S+:\d+", line)
        if not found:
            process.kill()
            pytest.fail(line + process.communicate()[1])
        yield process, found[0]
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
