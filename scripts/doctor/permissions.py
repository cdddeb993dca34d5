"""Can anybody else on this machine read or change what is yours? Files 0600, folders 0700; `--fix` takes away what others may."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from scripts.doctor.finding import Findings, Patient, note, ok, problem, warning
from scripts.words import counted, listed

_OPEN_TO_OTHERS = 0o077
_PASSING = 0o011
"""What the embedded server's own user needs on the folders above its own; it reads nothing there."""


class _Seen(NamedTuple):
    path: str
    area: str
    """The folder of the data directory it lies in, or what it is; never a file's own name."""
    excess: int
    """Permission bits nobody else should have."""
    ours: bool
    reachable: bool
    """No folder of the data directory above it keeps others out."""


def examine(patient: Patient) -> Findings:
    """The data directory, `.env`, keys and the dashboard's secrets."""
    seen = list(_all(patient))
    wide = [s for s in seen if s.excess]
    if not seen:
        yield note("there is nothing to protect yet")
    elif not wide:
        yield ok("nothing is open to others")
    mend = "Take that away with: python main.py doctor --fix"
    if within := _counted(s for s in wide if s.ours and s.reachable):
        yield problem(f"Others can read or change {within}.", mend)
    if within := _counted(s for s in wide if s.ours and not s.reachable):
        yield warning(f"Only the folder above keeps others from {within}.", mend)
    if foreign := [s for s in wide if not s.ours]:
        yield problem(
            f"{counted(len(foreign), 'file or folder', 'files and folders')} of another user are open to others.",
            "Run doctor --fix as that user, or give them to yourself (chown).",
        )
    if strange := [s for s in seen if not s.ours and not s.excess]:
        yield warning(
            f"{counted(len(strange), 'file or folder', 'files and folders')} belong to another user.",
            "Give them to yourself: chown -R",
        )
    if os.geteuid() == 0:
        yield note("you are root: the embedded database runs as a user of its own")


def _counted(seen: Iterable[_Seen]) -> str:
    """`3 files and folders: inbox (1), store (2)`; empty for none."""
    areas = Counter(s.area for s in seen)
    where = listed([f"{area} ({count:,})" for area, count in sorted(areas.items())], 6)
    return f"{counted(areas.total(), 'file or folder', 'files and folders')}: {where}" if areas else ""


def mend(patient: Patient) -> int:
    """Take away what others may, on what is ours; gives how many were changed. Links are never followed."""
    changed = 0
    for seen in _all(patient):
        if seen.excess and seen.ours:
            handle = os.open(seen.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                os.fchmod(handle, stat.S_IMODE(os.fstat(handle).st_mode) & ~seen.excess)
                changed += 1
            finally:
                os.close(handle)
    return changed


def _all(patient: Patient) -> Iterator[_Seen]:
    if os.path.isdir(patient.data_dir):
        yield from _seen(patient.data_dir, "the data directory", _PASSING)
        yield from _below(patient.data_dir)
    for path, area in _beside(patient):
        yield from _seen(path, area, 0)


def _beside(patient: Patient) -> Iterator[tuple[str, str]]:
    yield os.path.join(patient.root, ".env"), ".env"
    yield os.path.join(patient.root, ".streamlit", "secrets.toml"), ".streamlit/secrets.toml"
    if patient.settings is None:
        return
    if key := patient.settings.google_application_credentials:
        yield os.path.expanduser(key), "the Google key"
    if key := patient.settings.state_key_file:
        yield os.path.expanduser(key), "STATE_KEY_FILE"


def _below(data_dir: str) -> Iterator[_Seen]:
    closed: set[str] = set()
    for folder, folders, files in os.walk(data_dir):
        if os.path.dirname(folder) in closed or not stat.S_IMODE(os.lstat(folder).st_mode) & _OPEN_TO_OTHERS:
            closed.add(folder)
        area = os.path.relpath(folder, data_dir).split(os.sep)[0]
        if area == "postgres":  # the server sets its own, and refuses to start when they are wrong
            folders.clear()
            yield from _seen(folder, "postgres", _PASSING)
            continue
        for name in (*folders, *files):
            top = area if area != "." else (name if name in folders else "the data directory")
            yield from _seen(os.path.join(folder, name), top, _PASSING if top == "postgres" else 0, folder not in closed)
        folders[:] = [name for name in folders if not (area == "." and name == "postgres")]


def _seen(path: str, area: str, allowed: int, reachable: bool = True) -> Iterator[_Seen]:
    try:
        found = os.lstat(path)
    except OSError:
        return
    if not stat.S_ISLNK(found.st_mode):
        excess = stat.S_IMODE(found.st_mode) & _OPEN_TO_OTHERS & ~allowed
        yield _Seen(path, area, excess, found.st_uid == os.geteuid(), reachable)
