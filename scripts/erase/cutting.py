"""How a source is cut at a day: which raw artifacts go, what is kept of them, which dropped files go with them.

A raw artifact is never edited. One that holds anything older goes whole; what is younger of it is kept as records in a file of the
inbox (`ingestion.kept`), which the next run takes in like any other. Everything is written before anything is removed.
"""

from __future__ import annotations

import itertools
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import BinaryIO, NamedTuple

from config.errors import UsageError
from pipeline.registry import Artifact, sync_folder
from scripts.erase import alone, holdings
from scripts.erase.holdings import Dropped
from scripts.project import Project


class Cutting(NamedTuple):
    """What becomes of one source."""

    source: str
    day: date | None
    """The first day that stays; None: nothing stays."""
    begins: datetime | None
    """The moment that day begins, UTC."""
    going: list[Artifact]
    """Raw artifacts in force that go."""
    staying: list[Artifact]
    """Raw artifacts in force that hold nothing older."""
    records: int
    """Records in force that go."""
    kept: int
    """Records in force of raw artifacts that go, which are kept."""
    inbox: list[Dropped]
    """Dropped files that go."""
    live: bool
    """Its remote is looked at with every run."""


def whole(project: Project, source: str, live: bool) -> Cutting:
    """Nothing of the source stays."""
    records = sum(batch.num_rows for batch in holdings.batches(project, source, ["status"]))
    return Cutting(source, None, None, holdings.raw(project, source), [], records, 0, holdings.dropped(project, source), live)


def at(project: Project, source: str, day: date, begins: datetime, live: bool) -> Cutting:
    """What is older than `begins` goes; raw artifacts are looked into when the records in force say that there is something.
    UsageError while the inbox holds files nobody has looked into."""
    if waiting := holdings.unseen(project, source):
        raise UsageError(
            f"The inbox of {source} holds {waiting} files that no run has taken in yet, so nobody knows how old they are.",
            "Run python main.py first, or take them out.",
        )
    found, again = holdings.ages(project, source, begins), holdings.left_out(project, source)
    raw, several, dropped = holdings.raw(project, source), holdings.several(project, source), holdings.dropped(project, source)
    pending = [page for page in holdings.pages(project, source) if page not in raw]
    raw += pending
    lying = {file.name for file in dropped}
    older = sum(age.older for age in found.values())
    again = {name: count for name, count in again.items() if not live or _dropped_as(name) in lying}  # a remote is fetched again
    going: list[Artifact] = []
    if older or again or pending:
        going = [a for a in raw if a.name in several or a.name in again or (a.name in found and found[a.name].older)]
        going += [a for a in raw if a not in going and alone.older(project, source, a, begins)]
    names = {_dropped_as(artifact.name) for artifact in going}
    kept = sum(found[artifact.name].younger for artifact in going if artifact.name in found)
    staying = [artifact for artifact in raw if artifact not in going]
    inbox = [file for file in dropped if file.name in names]
    return Cutting(source, day, begins, going, staying, older + sum(again.values()), kept, inbox, live)


def _dropped_as(raw: str) -> str:
    """The name in the inbox of what a raw artifact was made from."""
    return raw.replace("raw/", "inbox/", 1)


def prepare(project: Project, cutting: Cutting) -> list[str]:
    """Put what stays into the inbox, then remove what goes from it. Gives the files to take out again after the run, because the
    inbox held nothing of the source before; a source that has or had a remote is looked at whatever lies there, so there they stay.
    Done twice it does no harm."""
    before, made = holdings.dropped(project, cutting.source), list[str]()
    pages = {page.name for page in holdings.pages(project, cutting.source)}  # they stay by themselves
    if cutting.day is not None and cutting.begins is not None:
        made = [_back(project, a) for a in cutting.staying if not cutting.live and a.name not in pages]
        if cutting.going or not _holds_already(project, cutting, cutting.begins):
            made.append(_keep(project, cutting, cutting.begins))
    for gone in cutting.inbox:
        if gone.name not in made:
            os.unlink(gone.path)
    _tidy(os.path.join(project.data_dir, "inbox", cutting.source))
    return [] if before or cutting.live or pages else made


def clear(project: Project, names: list[str]) -> None:
    """Take out of the inbox what was put there for one run."""
    for name in names:
        os.unlink(os.path.join(project.data_dir, name))
    for folder in {os.path.join(*name.split("/")[:2]) for name in names}:
        _tidy(os.path.join(project.data_dir, folder))


def _keep(project: Project, cutting: Cutting, begins: datetime) -> str:
    """The younger records of what goes, in a new file of the inbox; gives its name."""
    from ingestion import kept

    taken = {artifact.name for artifact in cutting.staying}
    for number in itertools.count(1):
        member = f"{cutting.source}/{cutting.day}{f'-{number}' if number > 1 else ''}{kept.SUFFIX}"
        path = os.path.join(project.data_dir, "inbox", member)
        if f"raw/{member}" not in taken and not os.path.lexists(path):
            break
    with _new(path) as file:
        kept.write(file, holdings.younger(project, cutting.source, begins, {a.name for a in cutting.going}), begins)
    return f"inbox/{member}"


def _holds_already(project: Project, cutting: Cutting, begins: datetime) -> bool:
    """Whether a file that stays says already that nothing older is taken in."""
    from config.stage import File
    from ingestion import kept

    files = [File(a.name, project.pipeline.local(a), a.sha256, a.size) for a in cutting.staying if kept.is_kept(a.name)]
    return any(kept.begins(file) >= begins for file in files)


def _back(project: Project, artifact: Artifact) -> str:
    """A raw artifact into the inbox it came from, unless it lies there."""
    name = _dropped_as(artifact.name)
    path = os.path.join(project.data_dir, name)
    if not (os.path.isfile(path) and holdings.digest(path) == artifact.sha256):
        with open(project.pipeline.local(artifact), "rb") as stored, _new(path) as file:
            shutil.copyfileobj(stored, file, 1 << 20)
    return name


@contextmanager
def _new(path: str) -> Iterator[BinaryIO]:
    """A file of the inbox, there when it is complete; hidden from runs until then."""
    folder = os.path.dirname(path)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    building = os.path.join(folder, f".{uuid.uuid4().hex}.tmp")
    try:
        with open(os.open(building, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(building, path)
    except BaseException:
        if os.path.exists(building):
            os.unlink(building)
        raise
    sync_folder(folder)


def _tidy(folder: str) -> None:
    """Remove the folders that are empty, this one, too."""
    for found, _, _ in os.walk(folder, topdown=False):
        if not os.listdir(found):
            os.rmdir(found)
