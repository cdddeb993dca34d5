"""Machines that share a shelf of bytes: what the engine does with versions that lie elsewhere, without any protocol."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from config.errors import StateError
from pipeline import Node, Pipeline, Selection
from pipeline.registry import Artifact
from pipeline.upkeep.merge import Merge, merge
from pipeline.upkeep.snapshot import live
from tests.crash_bench import NODES, STAGES


class Shelf:
    """`pipeline.afar.Afar` over a folder: content → bytes; notes what it was asked for, and fails when told to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.brought: list[str] = []
        self.explained: dict[str, list[list[str]]] = {}
        self.torn = ""
        self.away = False
        self.partial = False
        folder.mkdir(exist_ok=True)

    def put(self, machine: Pipeline, artifacts: list[Artifact]) -> None:
        """Lay the bytes of versions of a machine on the shelf."""
        for a in artifacts:
            path = os.path.join(machine.data_dir, a.path)
            if os.path.exists(path):
                shutil.copyfile(path, self.folder / a.sha256)

    def holds(self, sha256: str) -> bool:
        return (self.folder / sha256).exists()

    def bring(self, artifact: Artifact, path: str) -> None:
        if self.away:
            Path(path).write_bytes(b"half")
            raise StateError("The remote state cannot be reached.", "Try again.")
        data = (self.folder / artifact.sha256).read_bytes()
        if artifact.name == self.torn:
            data = data[::-1]
        else:
            assert hashlib.sha256(data).hexdigest() == artifact.sha256
        Path(path).write_bytes(data)
        self.brought.append(artifact.name)

    def leaves(self, identity_id: str) -> list[list[str]]:
        return self.explained.get(identity_id, [])


def machine(folder: Path, inbox: dict[str, str] | None = None, afar: Shelf | None = None) -> Pipeline:
    """The four letters' stages over a data root of their own; `inbox` replaces what lies there."""
    put_inbox(folder, inbox)
    return Pipeline([Node(**n) for n in NODES], str(folder), code_root=str(STAGES), afar=afar)


def put_inbox(folder: Path, inbox: dict[str, str] | None) -> None:
    if inbox is not None:
        shutil.rmtree(folder / "inbox", ignore_errors=True)
        (folder / "inbox").mkdir(parents=True)
        for name, text in inbox.items():
            (folder / "inbox" / name).write_text(text)


def actions(pipeline: Pipeline, **selection: object) -> dict[str, str]:
    """Run; node → what became of it."""
    run = pipeline.run(Selection(**selection))  # type: ignore[arg-type]
    return {o.node: o.action for o in run.outcomes}


SKIPPED = dict.fromkeys(("gather", "split", "first", "tail"), "skipped")


def travelled(source: Pipeline, shelf: Shelf, to: Path, inbox: dict[str, str] | None = None) -> Pipeline:
    """An empty machine that has taken over everything of `source` but the bytes."""
    file = snapshot_of(source, to.with_suffix(".db"))
    shelf.put(source, live(file))
    arrived = machine(to, inbox, shelf)
    arrived.adopt(file)
    return arrived


def snapshot_of(pipeline: Pipeline, to: Path) -> str:
    """A snapshot in a new file."""
    to.unlink(missing_ok=True)
    pipeline.snapshot(str(to))
    return str(to)


def met(ours: Pipeline, theirs: str, base: str | None, shelf: Shelf) -> Merge:
    """Merge another machine's snapshot into this one, as a pull does."""
    mine = snapshot_of(ours, Path(ours.data_dir).with_suffix(".mine"))
    into = Path(ours.data_dir).with_suffix(".merged")
    into.unlink(missing_ok=True)
    found = merge(mine, theirs, base, str(into))
    shelf.put(ours, live(mine))
    ours.adopt(str(into), moves=found.moves, ours=mine)
    return found
