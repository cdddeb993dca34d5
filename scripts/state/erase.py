"""What erasing a person's data means for the remote state: how much of it holds them, and that none does any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from config.errors import StateConflict
from scripts.state.collect import collect
from scripts.state.push import push
from scripts.state.session import Session, open_session

if TYPE_CHECKING:
    from scripts.project import Project

_TRIES = 3


def plan(project: Project) -> dict[str, Any]:
    """What the remote holds: `place`, `generations`, `blobs`, `bytes`. Changes nothing."""
    return _told(open_session(project))


def apply(project: Project, everything: bool) -> dict[str, Any]:
    """Remove it: all there is, or with `everything` false all but what the present registry still speaks of, as one new generation
    without a past. Gives what went, as `plan` does. To be repeated when it was interrupted. Raises as `push` does."""
    session = open_session(project)
    before = _told(session)
    if everything:
        _emptied(session)
        return before
    if session.head() is None:
        return before
    push(project, alone=True)
    with session.local.locked():
        gone = collect(session, 1, 0, dry_run=False)
    return {**before, "generations": max(0, before["generations"] - 1), "blobs": gone.objects, "bytes": gone.size}


def _told(session: Session) -> dict[str, Any]:
    found = session.head()
    there = list(session.remote.list())
    return {
        "place": session.remote.place,
        "generations": len(found[0].history) if found else 0,
        "blobs": len(there),
        "bytes": sum(s.size for s in there),
    }


def _emptied(session: Session) -> None:
    """Remove every object and the head, and what this machine remembers of them."""
    with session.local.locked():
        for _ in range(_TRIES):
            session.remote.erase()
            if session.remote.read_head() is None and not any(session.remote.list()):
                session.local.forget()
                return
        raise StateConflict("Somebody keeps writing to the remote state.", "Stop the jobs that push to it, then erase again.")
