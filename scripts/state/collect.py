"""What no kept generation needs any more, found and removed: first the head says that a sweep goes on, so nobody relies on what goes."""

from __future__ import annotations

import time
import uuid
from typing import NamedTuple

from config.errors import BusyError, HeadMoved, StateConflict, StateError
from scripts.state import guards
from scripts.state.manifest import Content, Generation, Lease, Manifest
from scripts.state.pull import registry_of
from scripts.state.remote import Stored
from scripts.state.session import Session

_LEASE_SECONDS, _WORK_SECONDS = 1800.0, 600.0
"""A sweep is believed dead after the first, and stops by itself after the second: clocks may differ by what lies between."""
_AT_ONCE = 500
_TRIES = 6


class Collected(NamedTuple):
    """What goes or would go."""

    objects: int
    size: int
    """Bytes, as stored."""
    kept: int
    """Objects that stay."""
    generations: list[int]
    """Those that can still be pulled."""


def contents_of(session: Session, manifest: Manifest) -> dict[Content, list[Generation]]:
    """Every content the kept generations need → those that need it."""
    from pipeline.upkeep.snapshot import live

    needed: dict[Content, list[Generation]] = {manifest.core: [manifest.present()]} if manifest.core else {}
    for generation in manifest.history:
        kept = [Content(a.sha256, a.size) for a in live(registry_of(session, generation))]
        for content in dict.fromkeys([generation.registry, *([generation.texts] if generation.texts else []), *kept]):
            needed.setdefault(content, []).append(generation)
    return needed


def collect(session: Session, keep: int, hours: float, *, dry_run: bool) -> Collected:
    """Remove objects that none of the `keep` newest generations needs and that are older by `hours` than the remote's newest object.

    Ages are those the remote tells: no clock of ours decides. The caller holds the local lock. Raises StateError without a state,
    BusyError while another sweep goes on.
    """
    for _ in range(_TRIES):
        found = session.head()
        if found is None:
            raise StateError("The remote holds no state yet.", "First: python main.py state push")
        head, tag = found
        if guards.is_swept(head, session.local.lease("sweep")):
            raise BusyError("Another sweep of the remote state goes on.", "Try again when it has ended.")
        kept = head._replace(history=head.history[:keep])
        if dry_run:
            return _told(*_sorted(session, kept, hours), kept)
        try:
            return _swept(session, kept, tag, hours)
        except HeadMoved:
            continue
    raise StateConflict("Others keep changing the remote state; nothing was removed.", "Try again later.")


def _swept(session: Session, kept: Manifest, tag: str, hours: float) -> Collected:
    began = time.monotonic()
    lease = Lease(session.writer, "sweep", uuid.uuid4().hex, time.time() + _LEASE_SECONDS)
    fenced = kept._replace(lease=lease, sweeps=kept.sweeps + 1, run_id=uuid.uuid4().hex)
    session.local.note_lease(lease.token, "sweep")
    session.commit(fenced, tag)
    try:
        gone, stays = _sorted(session, fenced, hours)
        for start in range(0, len(gone), _AT_ONCE):
            if time.monotonic() - began > _WORK_SECONDS:
                break  # what is left goes with the next sweep
            session.remote.delete([s.name for s in gone[start : start + _AT_ONCE]])
    finally:
        _unfenced(session, lease)
    return _told(gone, stays, fenced)


def _unfenced(session: Session, lease: Lease) -> None:
    """Let others push again, if the fence still is ours."""
    found = session.head()
    if found is not None and found[0].lease == lease:
        session.commit(found[0]._replace(lease=None, run_id=uuid.uuid4().hex), found[1])


def _sorted(session: Session, kept: Manifest, hours: float) -> tuple[list[Stored], list[Stored]]:
    """(what goes, what stays)"""
    needed = {session.sealer.name(content.sha256) for content in contents_of(session, kept)}
    there = list(session.remote.list())
    newest = max((s.modified for s in there), default=0.0)
    gone = [s for s in there if s.name not in needed and newest - s.modified >= hours * 3600]
    names = {s.name for s in gone}
    return gone, [s for s in there if s.name not in names]


def _told(gone: list[Stored], stays: list[Stored], kept: Manifest) -> Collected:
    return Collected(len(gone), sum(s.size for s in gone), len(stays), [g.generation for g in kept.history])
