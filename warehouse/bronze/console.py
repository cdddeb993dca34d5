"""Opens psql on the database that holds bronze; no password ever stands on a command line."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from warehouse.bronze import connection
from warehouse.bronze.embedded import server
from warehouse.bronze.saving import programs


def psql(settings: Mapping[str, Any], argv: Sequence[str]) -> int:
    """Run psql with `argv` against the database of `settings`; gives its exit code. The embedded server stays up meanwhile."""
    configured = connection.normal_dsn(settings["database"])
    program = programs.find("psql", embedded=not configured)
    if configured:
        return _run(program, argv, programs.environment(configured, "psql", embedded=False))
    with connection.connect(settings, role="psql"):  # makes the database if need be
        return _run(program, argv, programs.environment(server.lease(settings["data_dir"]), "psql", embedded=True))


def _run(program: str, argv: Sequence[str], variables: Mapping[str, str]) -> int:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C cancels a query in psql; it must not end us beneath it
    try:
        return subprocess.run([program, *argv], env=variables, check=False).returncode
    finally:
        signal.signal(signal.SIGINT, before)
