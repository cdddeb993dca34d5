"""Whether the remote holds, whole, all that its kept generations need; and mending it from what is here."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import NamedTuple

from config.errors import StateError
from pipeline.upkeep.snapshot import live
from scripts.state.manifest import Content, Generation, Manifest
from scripts.state.pull import registry_of
from scripts.state.session import Session


class Verified(NamedTuple):
    """What was found."""

    generations: list[int]
    objects: int
    problems: list[str]
    """One sentence each."""
    repaired: int
    up: int
    down: int


def verify(session: Session, data_dir: str, *, quick: bool, repair: bool) -> Verified:
    """Read every object of every kept generation, or with `quick` ask for it only. The caller holds the local lock.

    `repair` stores again, from the files of `data_dir`, what is missing or damaged. Raises StateError without a state.
    """
    found = session.head()
    if found is None:
        raise StateError("The remote holds no state yet.", "First: python main.py state push")
    here = _here(session, data_dir)
    work = _Verification(session, here, quick=quick, repair=repair)
    work.look_at_core(found[0])
    for generation in found[0].history:
        work.look(generation)
    kept = [g.generation for g in found[0].history]
    return Verified(kept, len(work.seen), work.problems, work.repaired, session.up, session.down)


class _Verification:
    def __init__(self, session: Session, here: Mapping[str, str], *, quick: bool, repair: bool) -> None:
        self.session = session
        self.here = here
        self.quick = quick
        self.repair = repair
        self.seen: dict[Content, bool] = {}
        """Content → whether it is whole by now."""
        self.problems: list[str] = []
        self.repaired = 0

    def look_at_core(self, head: Manifest) -> None:
        """At what an empty machine pulls."""
        if head.core:
            self._is_whole(
                head.core, f"The core of generation {head.generation}", "empty machines pull the whole registry instead"
            )

    def look(self, generation: Generation) -> None:
        """At everything one generation needs."""
        number = generation.generation
        if not self._is_whole(generation.registry, f"The registry of generation {number}", "it cannot be pulled"):
            return
        if generation.texts:
            self._is_whole(generation.texts, f"What explains generation {number}", "runs do not need it")
        try:
            kept = live(registry_of(self.session, generation))
        except StateError:  # only asked for, and not what it should be
            self.problems.append(f"The registry of generation {number} is damaged: it cannot be pulled.")
            return
        for artifact in kept:
            self._is_whole(
                Content(artifact.sha256, artifact.size), f"{artifact.name}@v{artifact.version}", f"generation {number}"
            )

    def _is_whole(self, content: Content, what: str, consequence: str) -> bool:
        if content in self.seen:
            return self.seen[content]
        wrong = _wrong(self.session, content, quick=self.quick)
        if wrong and self.repair and _repaired(self.session, content, self.here.get(content.sha256, "")):
            self.repaired += 1
            wrong = ""
        if wrong:
            self.problems.append(f"{what} is {wrong}: {consequence}.")
        self.seen[content] = not wrong
        return not wrong


def _here(session: Session, data_dir: str) -> dict[str, str]:
    """SHA-256 → file of what this machine may still have."""
    base = session.local.base()
    if base is None:
        return {}
    texts = base.manifest.texts
    found = {a.sha256: os.path.join(data_dir, a.path) for a in live(base.registry)} if base.is_whole() else {}
    found[base.content.sha256] = base.registry
    if texts:
        found[texts.sha256] = session.local.texts(texts.sha256)
    return found


def _wrong(session: Session, content: Content, *, quick: bool) -> str:
    if not session.remote.exists(session.sealer.name(content.sha256)):
        return "missing"
    if quick:
        return ""
    try:
        os.unlink(session.fetched(content))
    except StateError:
        return "damaged"
    return ""


def _repaired(session: Session, content: Content, path: str) -> bool:
    """Store it again, if the file here still is what it should be."""
    try:
        with open(path, "rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != content.sha256:
                return False
    except OSError:
        return False
    session.remote.delete([session.sealer.name(content.sha256)])
    session.send(content, path, tight=path.startswith(session.local.folder))
    return True
