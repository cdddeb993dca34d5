"""Opens psql on the database that holds bronze; no password ever stands on a command line."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import pq

from config.errors import WarehouseError
from warehouse.bronze import connection
from warehouse.bronze.embedded import binaries, server


def psql(settings: Mapping[str, Any], argv: Sequence[str]) -> int:
    """Run psql with `argv` against the database of `settings`; gives its exit code. The embedded server stays up meanwhile."""
    program = _program()
    configured = connection.normal_dsn(settings["database"])
    if configured:
        return _run(program, argv, configured)
    with connection.connect(settings):  # makes the database if need be
        return _run(program, argv, server.lease(settings["data_dir"]))


def _program() -> str:
    try:
        return os.path.join(binaries.find(), "psql")
    except WarehouseError:
        found = shutil.which("psql")
        if found is None:
            raise
        return found


def _run(program: str, argv: Sequence[str], dsn: str) -> int:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG") or name == "PGSSLROOTCERT"}
    environment = {**kept, "PGTZ": "UTC", "PGAPPNAME": "pdp psql", **_variables(dsn)}
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C cancels a query in psql; it must not end us beneath it
    try:
        return subprocess.run([program, *argv], env=environment, check=False).returncode
    finally:
        signal.signal(signal.SIGINT, before)


def _variables(dsn: str) -> dict[str, str]:
    """The connection string as libpq's environment variables."""
    options = pq.Conninfo.parse(dsn.encode())
    return {o.envvar.decode(): o.val.decode() for o in options if o.envvar and o.val}
