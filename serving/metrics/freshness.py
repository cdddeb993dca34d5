"""How fresh each source is, out of gold: when its newest reading begins, how many readings it has given."""

from __future__ import annotations

import os
from typing import NamedTuple

from pipeline.registry import Registry
from scripts.in_force import GOLD, in_force

_FRESHNESS = "SELECT source, kind, epoch(last_start), accepted, unused, rejected FROM freshness ORDER BY source, kind"


class Readings(NamedTuple):
    """The readings of one kind from one source."""

    source: str
    kind: str
    last_at: float | None
    """When the newest begins."""
    fates: dict[str, int]
    """accepted | unused | rejected → how many"""


def read_freshness(registry: Registry, data_dir: str) -> list[Readings] | None:
    """Every source's readings; None where there is no gold, or nothing to read it with."""
    found = in_force(registry, GOLD)
    if found is None:
        return None
    try:
        import duckdb
    except ImportError:
        return None
    try:
        with duckdb.connect(os.path.join(data_dir, found.path), read_only=True) as gold:
            rows = gold.execute(_FRESHNESS).fetchall()
    except duckdb.Error:  # made by another version of the program, or removed just now
        return None
    return [
        Readings(source, kind, last, {"accepted": accepted, "unused": unused, "rejected": rejected})
        for source, kind, last, accepted, unused, rejected in rows
    ]
