"""Brings a backup back: unpacked and proven beside what is there, then moved into place, the registry last.

Killed anywhere, the data root either is as it was or has no registry; then the same command again brings it all.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import tarfile
import time
from collections.abc import Mapping
from contextlib import closing
from typing import IO, Any, NamedTuple

from config.errors import StateError, UsageError
from pipeline import lock as run_lock
from pipeline.recovery import repair_views
from pipeline.registry import Registry, sync_folder
from pipeline.store import Store
from scripts.backup import parts
from scripts.backup.locked import Lock, unlock

_ALLOWED = (parts.HEAD, parts.REGISTRY, parts.BRONZE, parts.SETTINGS, *parts.BESIDE, "store")
_OURS = ("registry.db", "registry.db-wal", "registry.db-shm", "store", "inbox", "reports", "raw", "records", "processed", "gold")
_ASIDE = (*_OURS, "alerts.json", "state")
"""What a restore replaces; the registry first, so that nothing half replaced is ever believed."""


class Brought(NamedTuple):
    """What came back."""

    versions: int
    made_at: int
    """When the backup was made, seconds since 1970."""
    bronze_rows: int | None
    """Rows in bronze now; None when the backup holds none."""
    bronze_kept: bool
    """The configured database holds tables already and was left alone."""
    aside: str
    """Folder of the data root with what was replaced; "" when there was nothing."""
    settings: bool
    """The settings of the backup differ from those here and lie beside the registry."""


def bring(settings: Mapping[str, Any], path: str, key: Lock, root: str, *, replace: bool) -> Brought:
    """Bring the backup at `path` into `data_dir`. `root`: the program's folder. UsageError when something is there already,
    SettingsError for another key, StateError for a damaged file, BusyError beside a run."""
    data_dir = str(settings["data_dir"])
    os.makedirs(data_dir, mode=0o700, exist_ok=True)
    with run_lock.exclusive(data_dir):
        begun = not _holds(data_dir, "registry.db") and _holds(data_dir, "store")  # a restore that was killed, or a lost registry
        if not replace and not begun and any(_holds(data_dir, name) for name in ("registry.db", "inbox")):
            raise UsageError(
                "The data directory is not empty.", "Name another one in DATA_DIR, or add --force: what is there is put aside."
            )
        folder = os.path.join(data_dir, parts.WORKSHOP)
        shutil.rmtree(folder, ignore_errors=True)
        os.mkdir(folder, 0o700)
        try:
            head = _unpacked(path, folder, key)
            versions = _proven(folder)
            rows, left_alone = _bronze(settings, os.path.join(folder, parts.BRONZE))
            differs = _settings(folder, data_dir, root)
            aside = _put_aside(data_dir) if replace or begun else ""
            _move_in(folder, data_dir)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        with closing(Registry.open(data_dir)) as registry:
            repair_views(Store(data_dir), registry.state())
    return Brought(versions, int(head["made_at"]), rows, left_alone, aside, differs)


def _holds(data_dir: str, name: str) -> bool:
    path = os.path.join(data_dir, name)
    return os.path.isfile(path) or any(files for _, _, files in os.walk(path))


def _unpacked(path: str, folder: str, key: Lock) -> dict[str, Any]:
    def read(plain: IO[bytes]) -> None:
        with tarfile.open(fileobj=plain, mode="r|") as tar:
            for entry in tar:
                _take(tar, entry, folder)
        while plain.read(1 << 20):
            """The padding at the end of an archive."""

    try:
        source = open(path, "rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise UsageError(
            f"The backup cannot be read ({error.strerror}).", "Name a file python main.py backup has written."
        ) from None
    with source:
        try:
            unlock(source, read, key)
        except tarfile.TarError:
            raise _damaged() from None
    try:
        with open(os.path.join(folder, parts.HEAD), encoding="utf-8") as text:
            head: dict[str, Any] = json.load(text)
    except (OSError, ValueError):
        raise _damaged() from None
    if head["format"] != parts.FORMAT:
        raise StateError("The backup is of a newer format than this program knows.", "Update the program.")
    return head


def _take(tar: tarfile.TarFile, entry: tarfile.TarInfo, folder: str) -> None:
    """One file, where nobody else looks; a name that leads elsewhere is no name of ours."""
    names = entry.name.split("/")
    if not entry.isreg() or names[0] not in _ALLOWED or any(name in {"", ".", ".."} for name in names):
        raise _damaged()
    target = os.path.join(folder, *names)
    os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
    with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "wb") as file:
        shutil.copyfileobj(tar.extractfile(entry), file, 1 << 20)  # type: ignore[arg-type]  # a regular file has one
    os.utime(target, (entry.mtime, entry.mtime))


def _proven(folder: str) -> int:
    """Every version the registry keeps is there, byte for byte; gives how many."""
    with closing(sqlite3.connect(f"file:{os.path.join(folder, parts.REGISTRY)}?mode=ro", uri=True)) as registry:
        try:
            if registry.execute("PRAGMA quick_check").fetchone() != ("ok",):
                raise _damaged()
            kept = registry.execute("SELECT path, sha256 FROM artifact WHERE removed_at IS NULL").fetchall()
        except sqlite3.DatabaseError:
            raise _damaged() from None
    for path, sha256 in kept:
        try:
            with open(os.path.join(folder, path), "rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            raise _damaged() from None
        if found != sha256:
            raise _damaged()
    return len(kept)


def _bronze(settings: Mapping[str, Any], dump: str) -> tuple[int | None, bool]:
    """(rows of all tables now, whether a configured database was left alone)."""
    from warehouse.bronze.checking.status import status
    from warehouse.bronze.saving.restore import restore

    if not os.path.exists(dump):
        return None, False
    where = {name: settings[name] for name in ("database", "data_dir")}
    try:
        restore(where, dump, replace=not settings["database"])
    except UsageError:
        if not settings["database"]:
            raise
        return status(where)["rows"], True
    return status(where)["rows"], False


def _settings(folder: str, data_dir: str, root: str) -> bool:
    """Lay the backup's settings beside the registry when they are not those of this machine."""
    theirs = os.path.join(folder, parts.SETTINGS)
    ours = os.environ.get("PDP_SETTINGS") or os.path.join(root, "config", "settings.yaml")
    if not os.path.exists(theirs) or _bytes(theirs) == _bytes(ours):
        return False
    os.replace(theirs, os.path.join(data_dir, parts.RESTORED_SETTINGS))
    return True


def _put_aside(data_dir: str) -> str:
    """What is there, into a folder of its own; nothing is thrown away. Gives the folder's name."""
    there = [name for name in _ASIDE if os.path.lexists(os.path.join(data_dir, name))]
    if not there:
        return ""
    aside = f"{parts.REPLACED}{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.urandom(2).hex()}"
    os.mkdir(os.path.join(data_dir, aside), 0o700)
    for name in there:
        os.rename(os.path.join(data_dir, name), os.path.join(data_dir, aside, name))
        sync_folder(data_dir)
    return aside


def _move_in(folder: str, data_dir: str) -> None:
    os.sync()  # every byte is on disk before a name is
    for name in ("store", *parts.BESIDE, parts.REGISTRY):
        here, there = os.path.join(folder, name), os.path.join(data_dir, name)
        if not os.path.lexists(here) or (name == "audit.jsonl" and os.path.exists(there)):
            continue  # the log of this machine goes on
        os.rename(here, there)
        sync_folder(data_dir)


def _bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _damaged() -> StateError:
    return StateError("The backup is damaged or cut off.", "Take another one; nothing was replaced.")
