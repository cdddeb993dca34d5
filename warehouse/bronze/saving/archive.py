"""A backup file: what lies in it, and how one comes to be whole or not at all."""

from __future__ import annotations

import fcntl
import glob
import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, NamedTuple

from config.errors import UsageError
from warehouse.bronze.embedded.cluster import sync_folder
from warehouse.bronze.saving import programs

_LEDGER = "public.bronze_loads"


class Contents(NamedTuple):
    """What the archive's own list says."""

    entries: list[str]
    """One line per object, as `pg_restore --use-list` takes them."""
    tables: set[str]
    """`schema.table` of every table whose rows are in it."""


def contents(path: str) -> Contents:
    """What a backup file holds. UsageError when it cannot be read or holds no bronze, WarehouseError when it is no archive."""
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise UsageError(f"The backup cannot be read ({error.strerror}).", "Name a file bronze backup has written.") from None
    program = programs.newest("pg_restore")
    done = subprocess.run([program, "--list", os.path.abspath(path)], capture_output=True, check=False)
    if done.returncode:
        raise programs.failure(program, done.stderr)
    entries = [line for line in done.stdout.decode("utf-8", "replace").splitlines() if line and not line.startswith(";")]
    tables = {f"{found[1]}.{found[2]}" for line in entries if (found := re.match(r"\d+; \d+ \d+ TABLE DATA (\S+) (\S+)", line))}
    if _LEDGER not in tables:
        raise UsageError("The file is an archive, but none of bronze.", "Name a file bronze backup has written.")
    return Contents(entries, tables)


@contextmanager
def new_file(path: str, *, replace: bool) -> Iterator[tuple[str, IO[bytes]]]:
    """A file to fill, and its name for now; when the block ends well it is synced and becomes `path`, else nothing is left of it.

    Mode 0600. UsageError when `path` is there and not to be replaced, or cannot be written.
    """
    folder, _ = os.path.split(os.path.abspath(path))
    _refuse_existing(path, replace)
    _sweep(path)
    building = f"{path}.{secrets.token_hex(8)}.tmp"
    try:
        handle = os.open(building, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise UsageError(f"The backup cannot be written ({error.strerror}).", "Name a file in a folder of yours.") from None
    try:
        with open(handle, "wb") as target:
            fcntl.flock(target, fcntl.LOCK_EX)  # the program that writes holds it, too, and longer than us if we are killed
            yield building, target
            target.flush()
            os.fsync(target.fileno())
        _refuse_existing(path, replace)
        os.rename(building, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(building)
        raise
    sync_folder(folder)


def _refuse_existing(path: str, replace: bool) -> None:
    if os.path.isdir(path):
        raise UsageError("The backup's name is that of a folder.", "Name a file, such as bronze.dump in it.")
    if os.path.lexists(path) and not replace:
        raise UsageError("There is a file of this name already.", "Choose another name, or add --force to replace it.")


def _sweep(path: str) -> None:
    """Remove what backups to this name that were killed have left; one that is still written is locked."""
    for left in glob.glob(f"{glob.escape(path)}.{'[0-9a-f]' * 16}.tmp"):
        with suppress(OSError), open(left, "rb") as found:
            fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(left)
