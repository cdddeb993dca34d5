"""Runs that say they are running although nobody holds the data directory: they were killed, and no later start has told so yet."""

from __future__ import annotations

import os

from pipeline import lock
from pipeline.registry import Registry

_OPEN = "SELECT id FROM run WHERE status = 'running'"


def dead_runs(registry: Registry) -> set[str]:
    """Their ids. A run closes its row before it frees the lock, so only what is open before and after a look at the lock is dead."""
    before = {run for (run,) in registry.db.execute(_OPEN)}
    if not before or lock.is_held(os.path.dirname(registry.db.execute("PRAGMA database_list").fetchone()[2])):
        return set()
    return before & {run for (run,) in registry.db.execute(_OPEN)}
