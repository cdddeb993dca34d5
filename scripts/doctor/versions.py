"""Is what is installed what the lock says, and free of faults that matter here?"""

from __future__ import annotations

import importlib.metadata
import os
import re
import sqlite3
import sys
from importlib.util import find_spec

from config import VERSION
from scripts.doctor.finding import Findings, Patient, note, ok, problem, warning
from scripts.words import listed

_OLDEST_PYTHON = (3, 11)
_WAL_FAULT = ((3, 7, 0), (3, 51, 3))
"""From, and fixed in: two connections that write and checkpoint at once can damage the file (sqlite.org/wal.html, "the WAL-reset bug")."""
_LOCK = "requirements.lock"


def examine(patient: Patient) -> Findings:
    """Python, SQLite, the packages of the lock, and those a setting needs."""
    python = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < _OLDEST_PYTHON:
        yield problem(f"Python {python} is too old.", "Install Python 3.11 or newer.")
    else:
        yield ok(f"PDP {VERSION}, Python {python}, SQLite {sqlite3.sqlite_version}")
    if _WAL_FAULT[0] <= sqlite3.sqlite_version_info < _WAL_FAULT[1]:
        yield note(
            f"SQLite {sqlite3.sqlite_version} has a fault that strikes where several connections write at once (fixed in 3.51.3).",
            "The registry has one writer under a lock and is not touched by it; write to it with no other tool.",
        )
    yield from _packages(patient.root)
    yield from _needed(patient)


def _packages(root: str) -> Findings:
    try:
        with open(os.path.join(root, _LOCK), encoding="utf-8") as lock:
            pins = [found.groups() for line in lock if (found := re.match(r"([\w.-]+)==([^\s;\\]+)\s*(;)?", line))]
    except OSError:
        yield note("the lock is not here: versions of packages are not compared")
        return
    wanted: dict[str, set[str]] = {}
    conditional = {name for name, _, marker in pins if marker}
    for name, version, _ in pins:
        wanted.setdefault(name, set()).add(version)
    there = {name: _installed(name) for name in wanted}
    missing = [name for name, version in there.items() if not version and name not in conditional]
    other = [name for name, version in there.items() if version and version not in wanted[name]]
    mend = f"Install what is locked: pip install --require-hashes -r {_LOCK}"
    if missing:
        yield warning(f"Packages of the lock are not installed: {listed(missing, 5)}.", mend)
    if other:
        yield warning(f"Packages have another version than the lock names: {listed(other, 5)}.", mend)
    if not missing and not other:
        yield ok("packages are those of the lock")


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _needed(patient: Patient) -> Findings:
    settings = patient.settings
    if settings is None:
        return
    remote = (settings.state_url or "").split(":")[0]
    needs = {
        "cryptography": settings.state_key is not None,
        "obstore": remote in {"s3", "gs", "az"},
        "googleapiclient": remote == "drive" or bool(settings.google_drive_state_folder_id or settings.mi_band_drive_folder_id),
        "argon2": settings.dashboard_password_hash is not None,
    }
    for package, needed in needs.items():
        if needed and find_spec(package) is None:
            yield problem(f"A setting needs the package {package}.", "Install with: pip install -r requirements-serve.lock")
