"""The API over real parts: the shipped year run by the real pipeline, a client inside the process, a server on a port."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scripts.project import Project, open_project
from serving.api.app import application
from serving.api.configuration import Configuration, digest

with warnings.catch_warnings():  # the client it would rather have is not among our dependencies
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

REPO = Path(__file__).resolve().parent.parent
KEY = "a-key-for-tests-only"
OLD_KEY = "the-key-it-replaces"
WITH_KEY = {"X-API-Key": KEY}
_NOT_OURS = {"DATABASE_URL", "PG_HOST", "TIMEZONE", "PDP_SETTINGS", "API_KEY", "API_HOST", "API_PORT", "DATA_DIR"}


def environment(data: Path, **more: str) -> dict[str, str]:
    """What a process of ours is to see."""
    plain = {k: v for k, v in os.environ.items() if k not in _NOT_OURS}
    return {**plain, "DATA_DIR": str(data), "PYTHONDONTWRITEBYTECODE": "1", **more}


def run(data: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """`python main.py …` on this data root."""
    command = [sys.executable, "main.py", *arguments]
    return subprocess.run(command, cwd=REPO, env=environment(data, **env), capture_output=True, text=True, check=False)


def opened(data: Path, **env: str) -> Project:
    """The project as a command on this data root would open it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in _NOT_OURS:
            patch.delenv(name, raising=False)
        for name, value in environment(data, **env).items():
            patch.setenv(name, value)
        return open_project()


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
