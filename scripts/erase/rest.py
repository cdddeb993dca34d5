"""What lies in a data root beside store and registry. Only what is known to be ours is ever removed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from typing import NamedTuple

from config.audit import NAME as AUDIT
from scripts.backup import parts
from scripts.project import Project

_MARK = ".erasing"
_FOLDERS = ("inbox", "raw", "records", "processed", "gold", "reports", "store", "postgres", "state", "cache", parts.WORKSHOP)
_FILES = (
    ".lock",
    ".alerts.lock",
    "alerts.json",
    parts.RESTORED_SETTINGS,
    "registry.db-wal",
    "registry.db-shm",
    "registry.db",
)
_MADE = ("reports", os.path.join("gold", "from_bronze.duckdb"))
"""Made from the data and registered nowhere."""
_LAST = ("registry.db-wal", "registry.db-shm", "registry.db", ".lock")
"""Killed before them, the same command finds its way again."""


class File(NamedTuple):
    """A file or folder of the data root."""

    name: str
    files: int
    size: int
    """Bytes."""


def everything(project: Project) -> list[File]:
    """All that is ours but the audit log and the mark of an erase, in the order in which it goes."""
    found = [name for name in _entries(project) if _ours(project, name)]
    return [_measured(project, name) for name in sorted(found, key=lambda name: (name in _LAST and _LAST.index(name) + 1, name))]


def strangers(project: Project) -> list[str]:
    """What somebody else has put there."""
    return sorted(name for name in _entries(project) if name not in {AUDIT, _MARK} and not _ours(project, name))


def begin(project: Project) -> None:
    """Leave the mark of an erase: one that is killed is finished by the next, whatever is left to see of it."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    os.close(os.open(os.path.join(project.data_dir, _MARK), flags, 0o600))


def end(project: Project) -> None:
    """Take the mark away."""
    os.unlink(os.path.join(project.data_dir, _MARK))


def unfinished(project: Project) -> bool:
    """Whether an erase was begun and not ended."""
    return os.path.lexists(os.path.join(project.data_dir, _MARK))


def made_from_data(project: Project) -> list[File]:
    """Pages and tables a command has made on the side; they can be made again."""
    return [_measured(project, name) for name in _MADE if os.path.lexists(os.path.join(project.data_dir, name))]


def remove(project: Project, files: Iterable[File]) -> None:
    """Remove them. Links are removed, never followed. Raises OSError."""
    for file in files:
        path = os.path.join(project.data_dir, file.name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.unlink(path)


def _entries(project: Project) -> list[str]:
    try:
        return os.listdir(project.data_dir)
    except FileNotFoundError:
        return []


def _ours(project: Project, name: str) -> bool:
    named = {str(project.settings[setting] or "") for setting in ("openlineage_file", "metrics_textfile")}
    made = (name.startswith(".settings-") and name.endswith(".json")) or name.startswith(parts.REPLACED)
    return name in _FOLDERS or name in _FILES or name in named or made


def _measured(project: Project, name: str) -> File:
    path = os.path.join(project.data_dir, name)
    if not os.path.isdir(path) or os.path.islink(path):
        return File(name, 1, os.lstat(path).st_size)
    sizes = [os.lstat(os.path.join(folder, file)).st_size for folder, _, files in os.walk(path) for file in files]
    return File(name, len(sizes), sum(sizes))
