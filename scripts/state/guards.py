"""What is refused before anything is moved: another state's head, a head that went back, a remote that vanished, somebody's lease."""

from __future__ import annotations

import time

from config.errors import BusyError, StateError
from scripts.state.local import Base
from scripts.state.manifest import Lease, Manifest


def refuse_vanished(head: Manifest | None, base: Base | None) -> None:
    """Raise StateError for an empty remote where this machine has met a state."""
    if head is None and base is not None:
        raise StateError(
            "The remote holds no state any more, though this machine has pulled or pushed one.",
            "Is STATE_URL right? To begin anew there from what is here: python main.py state push --anew",
        )


def refuse_other(head: Manifest, base: Base | None) -> None:
    """Raise StateError for a head that is of another state than the one this machine knows."""
    if base is not None and head.state != base.manifest.state:
        raise StateError(
            "The remote holds another state than the one this machine has pulled or pushed.",
            "Is STATE_URL right? If it is, move the folder state/ of the data directory away, then: python main.py state pull",
        )


def went_back(head: Manifest, base: Base | None) -> bool:
    """Whether the head is older than what this machine has seen, or has gone another way from before it."""
    if base is None or head.generation > base.manifest.generation:
        seen = {g.generation: g.registry for g in head.history}
        return base is not None and seen.get(base.manifest.generation, base.manifest.registry) != base.manifest.registry
    return head.generation < base.manifest.generation or head.registry != base.manifest.registry


def refuse_rollback(head: Manifest, base: Base | None) -> None:
    """Raise StateError when the head went back."""
    if base is not None and went_back(head, base):
        raise StateError(
            f"The remote state went back: it is at generation {head.generation}, this machine has seen another "
            f"{base.manifest.generation}.",
            "Was it restored from a backup on purpose? Then: python main.py state pull --accept-rollback (nothing here is lost)",
        )


def refuse_leased(head: Manifest, ours: str) -> None:
    """Raise BusyError while another job has taken the lease."""
    lease = head.lease
    if lease is not None and lease.kind == "job" and lease.token != ours and lease.expires > time.time():
        raise BusyError(
            f"A job on {lease.owner} is at work on the remote state, for {minutes(lease)} more minutes at most.",
            "Try again then; if it is dead: python main.py state unlock",
        )


def is_swept(head: Manifest, ours: str = "") -> bool:
    """Whether objects are being removed just now: nothing may be pushed meanwhile. `ours` is the token of a sweep that died here."""
    lease = head.lease
    return lease is not None and lease.kind == "sweep" and lease.token != ours and lease.expires > time.time()


def minutes(lease: Lease) -> int:
    """How long a lease still holds, rounded up."""
    return max(0, int((lease.expires - time.time()) // 60) + 1)
