"""`serve dashboard` and `serve api`: the programs that answer browsers, until they are stopped."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from importlib.util import find_spec
from typing import NoReturn

from config.errors import UsageError
from scripts.project import ROOT, Project

_PORT = 8501


def serve(project: Project, options: Namespace) -> int:
    """Start what was asked for; gives its exit code. The dashboard takes this process's place and does not come back."""
    if options.what == "dashboard":
        _dashboard(options.host or "127.0.0.1", options.port or _PORT)
    _need("fastapi", "the API")
    from serving.api.run import serve as serve_api

    return serve_api(project, options.host, options.port)


def _dashboard(host: str, port: int) -> NoReturn:
    _need("streamlit", "the dashboard")
    os.chdir(ROOT)  # where Streamlit looks for .streamlit/config.toml and secrets.toml
    address = ["--server.address", host, "--server.port", str(port)]
    os.execv(sys.executable, [sys.executable, "-m", "streamlit", "run", os.path.join(ROOT, "dashboard.py"), *address])  # noqa: S606


def _need(package: str, what: str) -> None:
    if find_spec(package) is None:
        raise UsageError(
            f"The packages of {what} are not installed.", "Install them with: pip install -r requirements-serve.lock"
        )
