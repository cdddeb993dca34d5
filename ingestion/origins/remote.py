"""A file at an origin, whatever kind of place that is: what it is called, how to tell that it changed, how to get its bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import NamedTuple

from ingestion.calls import Call

MAX_FILE = 16 << 30
"""Larger files are not fetched: no export PDP reads comes near it."""


class Remote(NamedTuple):
    """One file."""

    path: str
    """Below its origin, safe as a path; not necessarily the only one of its name."""
    ident: str
    """What tells it from another of the same path; never shown."""
    state: str | None
    """Changes when its bytes do; None when the place does not say."""
    size: int | None
    fetch: Callable[[str], Call]
    """Writes its bytes to a fresh path. Raises SourceDenied, SourceUnavailable."""


def token(*facts: object) -> str:
    """A digest of what a place says of a file: an ETag may be long and may say more than it should."""
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]
