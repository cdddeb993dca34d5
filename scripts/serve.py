"""`serve dashboard` and `serve api`: the programs that answer browsers, until they are stopped."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from typing import NoReturn

from scripts.packages import need
from scripts.project import ROOT, Project

_PORT = 8501


def serve(project: Project, options: Namespace) -> int:
    """Start what was asked for; gives its exit code. The dashboard takes this process's place and does not come back."""
    if options.what == "dashboard":
        _dashboard(options.host or "127.0.0.1", options.port or _PORT)
    need("fastapi", "the API")
    from serving.api.run import serve as serve_api

    return serve_api(project, options.host, options.port)


def _dashboard(host: str, port: int) -> NoReturn:
    need("streamlit", "the dashboard")
    os.chdir(ROOT)  # where Streamlit looks for .streamlit/config.toml and secrets.toml
    name = "localhost" if host in {"0.0.0.0", "::"} else host  # noqa: S104 - what is printed, not where it listens
    address = ["--server.address", host, "--server.port", str(port), "--browser.serverAddress", name]
    os.execv(sys.executable, [sys.executable, "-m", "streamlit", "run", os.path.join(ROOT, "dashboard.py"), *address])  # noqa: S606
