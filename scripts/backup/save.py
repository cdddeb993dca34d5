"""Writes a backup: registry, every kept version, inbox, reports, bronze and settings, as one stream that is encrypted as it is written.

Under the run lock, so that registry, files and database are of one moment. The registry goes as a copy SQLite makes, never as its
file; caches stay behind, and so do secrets (`.env`): who restores brings his own.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import IO, NamedTuple

from config import VERSION
from config.errors import UsageError
from pipeline import lock as run_lock
from pipeline.recovery import recover
from pipeline.registry import Artifact, Registry
from pipeline.store import Store
from scripts.backup import parts
from scripts.backup.locked import Lock, lock
from scripts.project import ROOT, Project

_CACHES = ("cache_file", "cache_value", "standing_file", "standing_name", "standing_outcome", "standing")
_LIVE = "SELECT id, name, version, sha256, size, rows, path, created_at FROM artifact WHERE removed_at IS NULL ORDER BY path"


class Saved(NamedTuple):
    """What a backup holds."""

    size: int
    """Bytes of the file."""
    versions: int
    files: int
    """Of the inbox, and reports."""
    bronze_rows: int | None
    """None: bronze is not in it."""


def save(project: Project, path: str, key: Lock, *, replace: bool) -> Saved:
    """Write it to `path`, whole or not at all. BusyError beside a run, UsageError when the file cannot be written or there is nothing."""
    from warehouse.bronze.saving.archive import new_file

    if not os.path.exists(os.path.join(project.data_dir, "registry.db")):
        raise UsageError("There is nothing to back up yet.", "Run the pipeline once: python main.py")
    held: list[Saved] = []
    with (
        run_lock.exclusive(project.data_dir),
        _workshop(project.data_dir) as work,
        new_file(path, replace=replace) as (_, target),
    ):

        def write(plain: IO[bytes]) -> None:
            held.append(_write(project, work, plain))

        lock(write, target, key)
    return held[0]._replace(size=os.stat(path).st_size)


def _write(project: Project, work: str, plain: IO[bytes]) -> Saved:
    live = _snapshot(project.data_dir, os.path.join(work, parts.REGISTRY))
    rows = _bronze(project, os.path.join(work, parts.BRONZE))
    with tarfile.open(fileobj=plain, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        head = {
            "format": parts.FORMAT,
            "made_at": int(time.time()),
            "version": VERSION,
            "versions": len(live),
            "bronze_rows": rows,
        }
        _text(tar, parts.HEAD, json.dumps(head).encode())
        for name in (parts.REGISTRY, parts.BRONZE):
            if os.path.exists(os.path.join(work, name)):
                _file(tar, name, os.path.join(work, name))
        for artifact in live:
            _file(tar, artifact.path, project.pipeline.local(artifact))
        files = 0
        for name, file in _beside(project.data_dir):
            _file(tar, name, file)
            files += 1
        settings = os.environ.get("PDP_SETTINGS") or os.path.join(ROOT, "config", "settings.yaml")
        if os.path.isfile(settings):
            _file(tar, parts.SETTINGS, settings)
    return Saved(0, len(live), files, rows)


def _snapshot(data_dir: str, to: str) -> list[Artifact]:
    """The registry as of now, without what can be made again; gives the versions it keeps."""
    with closing(Registry.open(data_dir)) as registry, closing(sqlite3.connect(to, isolation_level=None)) as copy:
        recover(registry, Store(data_dir))
        registry.refuse_damaged()
        registry.db.backup(copy)
        for table in _CACHES:
            copy.execute(f"DELETE FROM {table}")
        copy.execute("PRAGMA journal_mode = DELETE")
        copy.execute("VACUUM")
        return [Artifact(*row) for row in copy.execute(_LIVE)]


def _bronze(project: Project, to: str) -> int | None:
    """The embedded database; a configured server has backups of its own."""
    from warehouse.bronze.embedded import server
    from warehouse.bronze.saving.backup import backup

    if project.settings["database"] or not server.exists(project.data_dir):
        return None
    return backup({name: project.settings[name] for name in ("database", "data_dir")}, to).rows


def _beside(data_dir: str) -> Iterator[tuple[str, str]]:
    """What lies beside store and registry and cannot be made again: (name, path)."""
    for top in parts.BESIDE:
        path = os.path.join(data_dir, top)
        if os.path.isfile(path):
            yield top, path
        for folder, _, names in sorted(os.walk(path)):
            for name in sorted(names):
                file = os.path.join(folder, name)
                if os.path.isfile(file) and not os.path.islink(file):
                    yield os.path.relpath(file, data_dir), file


def _file(tar: tarfile.TarFile, name: str, path: str) -> None:
    with open(path, "rb") as file:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode, entry.mtime = os.fstat(file.fileno()).st_size, 0o600, int(os.fstat(file.fileno()).st_mtime)
        tar.addfile(entry, file)


def _text(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o600
    tar.addfile(entry, io.BytesIO(content))


@contextmanager
def _workshop(data_dir: str) -> Iterator[str]:
    """A private folder in the data root; what a killed backup has left there goes first."""
    folder = os.path.join(data_dir, parts.WORKSHOP)
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder, 0o700)
    try:
        yield tempfile.mkdtemp(dir=folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
