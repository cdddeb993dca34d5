"""Starts a server program on a cluster's folder: as the right user, in a session of its own, with nothing of ours."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from typing import IO

from config.errors import WarehouseError
from warehouse.bronze.embedded.binaries import identity, may
from warehouse.bronze.embedded.cluster import Cluster

_OPEN_FOLDERS = "/proc/self/fd"


class _Child(subprocess.Popen[bytes]):
    """A child that may outlive us: it belongs to all clients, so nobody is warned about it."""

    def __del__(self) -> None:
        """Nothing to clean up."""


def launch(
    cluster: Cluster, path: str, program: str, options: Sequence[str], log: IO[bytes], kept: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """Start `program` with `-D path`; the descriptors `kept` stay open in it, and its words go to `log`.

    As root below a private folder (/root is 0700) the server's user cannot walk the path, and no parent is opened for it. The
    program gets the folder itself, open, and names it by that: no walk. WarehouseError where that is not possible.
    """
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        where, who = path, identity(cluster.user)
        if not may(cluster.user, "-x", path):
            where, kept = f"{_OPEN_FOLDERS}/{folder}", [*kept, folder]
            if not os.path.isdir(_OPEN_FOLDERS):
                raise WarehouseError(
                    f"The embedded database runs as {cluster.user.name if cluster.user else 'you'}, who may not enter the data folder.",
                    "Set DATA_DIR to a folder everybody may enter, run as an ordinary user, or set DATABASE_URL.",
                )
        return _Child(
            [os.path.join(cluster.programs, program), "-D", where, *options],
            start_new_session=True,
            cwd="/",  # where we stand may be closed to its user
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=tuple(kept),
            user=who.user,
            group=who.group,
            extra_groups=who.groups,
        )
    finally:
        os.close(folder)


def _environment() -> dict[str, str]:
    """Nothing of ours: no secrets, no PG* variables, no locale."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ}
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", **kept}
