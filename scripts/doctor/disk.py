"""Is there room to work in, on a disk that keeps what SQLite and Postgres are promised?"""

from __future__ import annotations

import os
import shutil

from scripts.doctor.finding import Findings, Patient, note, ok, problem, warning
from scripts.words import sized

_TOO_LITTLE, _LITTLE = 200_000_000, 1_000_000_000
"""Bytes free."""
_FAR = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "fuse.rclone", "fuse.s3fs", "afs", "ceph", "davfs")
_SYNCED = ("dropbox", "onedrive", "google drive", "googledrive", "icloud", "nextcloud", "mobile documents", "syncthing")


def examine(patient: Patient) -> Findings:
    """Room, write access, the kind of file system, folders that another program copies about."""
    place = patient.data_dir
    while not os.path.isdir(place) and os.path.dirname(place) != place:
        place = os.path.dirname(place)
    if not os.access(place, os.W_OK):
        yield problem("The data directory cannot be written.", "Mend its permissions, or choose another DATA_DIR.")
    yield from _room(place)
    kind = _kind(place)
    if kind in _FAR:
        yield warning(
            f"The data directory is on a network file system ({kind}): locks and SQLite's log are not safe there.",
            "Keep DATA_DIR on a local disk, and take the state elsewhere with STATE_URL.",
        )
    elif kind in {"tmpfs", "ramfs"}:
        yield note("the data directory is in memory: it is gone when the machine stops")
    if any(word in place.lower() for word in _SYNCED):
        yield warning(
            "The data directory lies in a folder that another program synchronises: it copies databases while they change.",
            "Move it out, and take the state elsewhere with STATE_URL.",
        )


def _room(place: str) -> Findings:
    free = shutil.disk_usage(place).free
    if free < _TOO_LITTLE:
        yield problem(
            f"Only {sized(free)} are free.", "Make room; python main.py gc --keep 1 --dry-run tells what old versions take."
        )
    elif free < _LITTLE:
        yield warning(f"Only {sized(free)} are free.", "python main.py gc --keep 1 --dry-run tells what old versions take.")
    else:
        yield ok(f"{sized(free)} are free")
    nodes = os.statvfs(place)
    if nodes.f_files and nodes.f_favail < 1000:
        yield problem("The disk has hardly any room for further files (inodes).", "Remove small files there.")


def _kind(place: str) -> str:
    try:
        with open("/proc/mounts", encoding="utf-8", errors="replace") as mounts:
            found = [line.split()[1:3] for line in mounts]
    except OSError:
        return ""
    path = os.path.realpath(place)
    holding = [(len(at), kind) for at, kind in found if path == at or path.startswith(at.rstrip("/") + "/")]
    return max(holding, default=(0, ""))[1]
