"""The program over a data root of its own, as a person starts it: none of the settings of the surroundings reaches it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from scripts.project import Project, open_project
from tests import made_once

REPO = Path(__file__).resolve().parent.parent
SHEET = "Date,Time,SYS,DIA,Pulse\n2025-03-01,07:30,128,82,61\n2025-03-01,20:15,124,80,64\n2025-03-02,07:40,119/,,60\n"
CSV = "Date,Heart rate,Systolic,Diastolic,Comments\n2025-03-03 06:27:47,56,121,79,\n"
_NOT_OURS = {
    "DATABASE_URL",
    "PG_HOST",
    "TIMEZONE",
    "PDP_SETTINGS",
    "PDP_REST_SOURCES",
    "STATE_KEY",
    "STATE_URL",
    "STATE_KEY_FILE",
    "API_KEY",
    "API_HOST",
    "API_PORT",
    "CSV_URL",
    "DATA_DIR",
    "GARMIN_TOKENS",
    "SERVE_API_KEY",
    "TOGGL_API_TOKEN",
    "WITHINGS_REFRESH_TOKEN",
}


def environment(data: Path, **more: str) -> dict[str, str]:
    """What a process of ours is to see."""
    plain = {k: v for k, v in os.environ.items() if k not in _NOT_OURS}
    return {**plain, "DATA_DIR": str(data), **more}


def run(data: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """`python main.py …` on this data root."""
    return _run(arguments, environment(data, **env))


def opened(data: Path, **env: str) -> Project:
    """The project as a command on this data root would open it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in _NOT_OURS:
            patch.delenv(name, raising=False)
        for name, value in environment(data, **env).items():
            patch.setenv(name, value)
        return open_project()


class Cli:
    """The program over one data root, in Warsaw."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.env = environment(data, TIMEZONE="Europe/Warsaw")

    def __call__(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return _run(arguments, {**self.env, **env})

    def json(self, *arguments: str, **env: str) -> Any:
        """What the command says as JSON."""
        done = self(*arguments, "--json", **env)
        assert done.stdout, done.stderr
        return json.loads(done.stdout.splitlines()[-1])


def _run(arguments: Sequence[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    if not arguments or arguments[0] == "--until-stage":
        made_once.answers(Path(env["DATA_DIR"]))
    command = [sys.executable, "main.py", *arguments]
    return subprocess.run(command, cwd=REPO, env=env, capture_output=True, text=True, check=False)
