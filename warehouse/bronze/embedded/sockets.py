"""The private folder of a server's unix socket: a short path, nobody else's."""

from __future__ import annotations

import hashlib
import os
import socket
import stat
import tempfile
from contextlib import suppress

from config.errors import WarehouseError
from warehouse.bronze.embedded.binaries import may
from warehouse.bronze.embedded.cluster import Cluster

PORT = 5432
_LONGEST_SOCKET = 103  # sun_path: 104 bytes on macOS and BSD, 108 on Linux, with the closing NUL


def socket_folder(cluster: Cluster) -> str:
    """A private folder with a short name: beside the cluster if that fits, else below the temporary folder, one per cluster."""
    beside = os.path.join(cluster.folder, "run")
    if len(os.fsencode(beside)) + 16 <= _LONGEST_SOCKET and may(cluster.user, "-x", cluster.folder):
        return _private(cluster, beside)
    key = hashlib.sha256(f"{cluster.token}|{cluster.path}".encode()).hexdigest()[:16]
    for parent in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 - a private folder in it, checked for its owner
        folder = os.path.join(parent, f"pdp-{key}")
        if len(os.fsencode(folder)) + 16 <= _LONGEST_SOCKET and may(cluster.user, "-x", parent):
            return _private(cluster, folder)
    raise WarehouseError("There is no short enough folder for the database's socket.", "Set TMPDIR to a short path.")


def _private(cluster: Cluster, folder: str) -> str:
    owner = cluster.user.uid if cluster.user else os.geteuid()
    with suppress(FileExistsError):
        os.mkdir(folder, 0o700)
        if cluster.user:
            os.chown(folder, cluster.user.uid, cluster.user.gid)
    found = os.lstat(folder)
    if cluster.user and stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid():
        os.chown(folder, cluster.user.uid, cluster.user.gid, follow_symlinks=False)  # we died between mkdir and chown
        found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o077:
        raise WarehouseError("The folder for the database's socket belongs to somebody else.", f"Remove {folder} or set TMPDIR.")
    return folder


def forget_socket(cluster: Cluster) -> None:
    """Remove the folder when it is empty."""
    with suppress(OSError, WarehouseError):
        os.rmdir(socket_folder(cluster))


def answers(folder: str) -> bool:
    """Does a server listen there?"""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(os.path.join(folder, f".s.PGSQL.{PORT}"))
        except OSError:
            return False
    return True
