"""A private folder to work in for a while: in memory where there is room, gone afterwards, and swept up after one that was killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from config.errors import StoreError

_MEMORY = "/dev/shm"  # noqa: S108 - Linux's folder in memory; what is made there is ours alone
_ROOM = 1 << 30
"""Bytes that have to be free for a folder in memory to be chosen; STATELESS_DIR chooses without asking."""
_MAKING, _MADE = "pdp-making-", "pdp-stateless-"


@contextmanager
def private_folder(chosen: str = "") -> Iterator[str]:
    """A new folder (0700), removed with all it holds when the block ends. `chosen`: where; else memory, else the temporary folder.

    What a killed program has left is removed first: each folder is held by a kernel lock, which the dead do not keep.
    Raises StoreError when no folder can be made there.
    """
    base = chosen or _base()
    try:
        _sweep(base)
        folder, held = _made(base)
    except OSError as error:
        raise StoreError(
            f"No folder for a stateless run can be made: {error.strerror}.", "Set STATELESS_DIR to a folder that can be written."
        ) from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def in_memory(folder: str) -> bool:
    """Whether what is written there stays off the disks (swap aside)."""
    try:
        with open("/proc/mounts", encoding="utf-8", errors="replace") as mounts:
            found = [line.split()[1:3] for line in mounts]
    except OSError:
        return False
    path = os.path.realpath(folder)
    holding = [(len(at), kind) for at, kind in found if path == at or path.startswith(at.rstrip("/") + "/")]
    return max(holding, default=(0, ""))[1] in {"tmpfs", "ramfs"}


def _base() -> str:
    if os.access(_MEMORY, os.W_OK) and in_memory(_MEMORY) and shutil.disk_usage(_MEMORY).free >= _ROOM:
        return _MEMORY
    base = tempfile.gettempdir()
    if not in_memory(base):
        print(
            "  ! There is too little memory to work in: this run writes to the disk and removes it afterwards.", file=sys.stderr
        )
    return base


def _made(base: str) -> tuple[str, int]:
    """The folder and its lock. It gets its name once it is locked, so nobody sweeps it up before."""
    making = tempfile.mkdtemp(prefix=_MAKING, dir=base)
    held = os.open(making, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(held, fcntl.LOCK_EX)
    folder = os.path.join(base, _MADE + os.path.basename(making).removeprefix(_MAKING))
    os.rename(making, folder)
    return folder, held


def _sweep(base: str) -> None:
    for entry in os.scandir(base):
        if not entry.name.startswith(_MADE) or not entry.is_dir(follow_symlinks=False):
            continue
        with contextlib.suppress(OSError):  # another's, or gone meanwhile
            if entry.stat(follow_symlinks=False).st_uid != os.geteuid():
                continue
            held = os.open(entry.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)  # refused while its owner lives
                shutil.rmtree(entry.path, ignore_errors=True)
            finally:
                os.close(held)
