"""PostgreSQL's own client programs: the right one found, nothing secret on a command line, none left running when we go."""

from __future__ import annotations

import glob
import os
import re
import signal
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO

from psycopg import pq

from config.errors import WarehouseError
from warehouse.bronze import connection
from warehouse.bronze.embedded import binaries
from warehouse.bronze.embedded.processes import undisturbed

INSTALLED = (
    "/usr/lib/postgresql/{}/bin",
    "/usr/pgsql-{}/bin",
    "/opt/homebrew/opt/postgresql@{}/bin",
    "/usr/local/opt/postgresql@{}/bin",
)
"""Where the packages of Debian, Red Hat and Homebrew put one major version."""
_OURS = ("DATABASE_URL", "PG_HOST", "PG_PORT", "PG_DB", "PG_USER", "PG_PASS")
_GLANCE = 0.5  # seconds
_GRACE = 10.0  # seconds a program gets to cancel its query and go
_CAUSES = (
    (
        r"SSL support is not compiled in",
        "is here only in a build that cannot encrypt",
        "Install the client programs of your system (postgresql-client), then run again.",
    ),
    (
        r"permission denied|row-level security|42501",
        "may not see or make everything",
        "Connect as the owner of the bronze tables.",
    ),
    (r"no space left|could not (write|extend)|disk full|53100", "found no room on the disk", "Make room, then run again."),
    (r"out of shared memory|53200", "needs more locks than the server has", "Raise max_locks_per_transaction of the server."),
    (r"already exists|42P0[67]|42723|42710", "brings what is there already", "Make an empty database and restore into that."),
    (
        r"unsupported version|not appear to be a valid archive|input file|unexpected end of file|could not (read|uncompress)",
        "cannot read the archive",
        "Take another backup file; one made by a newer version needs the client programs of that version.",
    ),
    (r"connection|terminat|57P0|lock timeout|55P03", "lost its connection or found a table in use", "Run again."),
)


def find(name: str, *, embedded: bool, server: int = 0) -> str:
    """The program called `name` for a server of major version `server`: an older program cannot do it.

    The embedded server has its own. For a configured one the system's come first: the wheel's are built without TLS.
    WarehouseError when there is none.
    """
    found = _versions(name, _shipped() if embedded else [*_system(), *_shipped()])
    for version, path in found:
        if version >= server:
            return path
    raise _missing(name, max(found)[0] if found else 0, server)


def newest(name: str) -> str:
    """The newest one there is: any version reads the archives of older ones."""
    found = _versions(name, [*_shipped(), *_system()])
    if not found:
        raise _missing(name, 0, 0)
    return max(found, key=lambda one: one[0])[1]


def _versions(name: str, folders: Iterable[str]) -> list[tuple[int, str]]:
    paths = [os.path.join(folder, name) for folder in folders]
    return [(version, path) for path in paths if os.access(path, os.X_OK) and (version := binaries.version(path)) is not None]


def _missing(name: str, found: int, server: int) -> WarehouseError:
    mend = "Install PostgreSQL's client programs{} (postgresql-client), then run again."
    if found:
        return WarehouseError(f"{name} is of PostgreSQL {found}, the server is {server}.", mend.format(f" {server} or newer"))
    return WarehouseError(f"{name} is not installed.", mend.format(""))


def environment(dsn: str, role: str, *, embedded: bool) -> dict[str, str]:
    """What a program needs to reach the database like a session of ours: the connection string as libpq's variables.

    What the person has set himself (PGPASSFILE, PGSSLROOTCERT, …) stays for a configured server and is left out for ours.
    """
    kept = {name: value for name, value in os.environ.items() if name not in _OURS and not (embedded and name.startswith("PG"))}
    options = pq.Conninfo.parse(connection.complete(dsn, role).encode())
    return {**kept, "PGTZ": "UTC", **{o.envvar.decode(): o.val.decode() for o in options if o.envvar and o.val}}


def run(
    command: Sequence[str],
    variables: Mapping[str, str],
    *,
    source: IO[bytes] | int = subprocess.DEVNULL,
    target: IO[bytes] | int = subprocess.DEVNULL,
) -> None:
    """Run it to its end, out of reach of the terminal's Ctrl-C; when we are stopped, it is. WarehouseError when it fails.

    Its own words are not passed on: they name hosts, users and values.
    """
    with started(command, variables, source=source, target=target) as child:
        said = told(child)
    if child.returncode:
        raise failure(command[0], said)


def told(child: subprocess.Popen[bytes]) -> bytes:
    """Wait for a program and give what it said on stderr.

    Awake twice a second: a signal that arrives just before a wait begins does not end that wait, and nobody would answer it.
    """
    while True:
        with suppress(subprocess.TimeoutExpired):
            return child.communicate(timeout=_GLANCE)[1]


@contextmanager
def started(
    command: Sequence[str],
    variables: Mapping[str, str],
    *,
    source: IO[bytes] | int = subprocess.DEVNULL,
    target: IO[bytes] | int = subprocess.DEVNULL,
) -> Iterator[subprocess.Popen[bytes]]:
    """The program runs beside the block; an exception there ends it and what it has started."""
    child = None
    try:
        with undisturbed():
            child = subprocess.Popen(
                command, env=dict(variables), stdin=source, stdout=target, stderr=subprocess.PIPE, start_new_session=True
            )
        yield child
    except BaseException:
        if child:
            _end(child)  # before its stdin is closed: an end it could take for that of a script
        raise
    finally:
        if child:
            with suppress(BrokenPipeError), child:
                """Closes its streams and waits for it."""


def failure(program: str, said: bytes) -> WarehouseError:
    """A sentence for what a program wrote on stderr."""
    name, text = os.path.basename(program), said.decode("utf-8", "replace")
    for pattern, what, mend in _CAUSES:
        if re.search(pattern, text, re.IGNORECASE):
            return WarehouseError(f"{name} {what}.", mend)
    return WarehouseError(f"{name} failed.", "Run again; if it stays, look into the server's log.")


def _end(child: subprocess.Popen[bytes]) -> None:
    for how in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(child.pid, how)
        with suppress(subprocess.TimeoutExpired):
            child.wait(_GRACE)
            return


def _shipped() -> list[str]:
    try:
        return [binaries.find()]
    except WarehouseError:
        return []


def _system() -> list[str]:
    """Folders with installed programs: where packages put each version, newest first, then PATH."""
    installed = [folder for pattern in INSTALLED for folder in glob.glob(pattern.format("*"))]
    installed.sort(key=lambda folder: int((re.findall(r"\d+", folder) or ["0"])[-1]), reverse=True)
    return [*installed, *os.get_exec_path()]
