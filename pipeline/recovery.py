"""What a killed run left behind: garbage, nothing else. Collecting it is idempotent and may itself be killed."""

from __future__ import annotations

import contextlib
import time

from pipeline.registry import Committed, Registry
from pipeline.store import Store


def recover(registry: Registry, store: Store) -> int:
    """Clean up after runs that never ended; to be called under the run lock. Gives the number of files removed.

    The rows that say `running` are closed last: killed before that, the next start does all of it again.
    """
    if registry.db.execute("SELECT 1 FROM run WHERE status = 'running' LIMIT 1").fetchone() is None:
        return 0
    removed = tidy(registry, store)
    with registry.atomic() as db:
        db.execute("UPDATE attempt SET state = 'aborted', error = 'interrupted' WHERE state = 'started'")
        db.execute("UPDATE run SET status = 'interrupted', ended_at = ? WHERE status = 'running'", (time.time(),))
    return removed


def tidy(registry: Registry, store: Store) -> int:
    """Delete every file in the store that no registered version owns and set the views right. Gives the files. Raises OSError."""
    removed = store.sweep(path for (path,) in registry.db.execute("SELECT path FROM artifact WHERE removed_at IS NULL"))
    state = registry.state()
    repair_views(store, state)
    _hide_stale_views(registry, store, state)
    return removed


def repair_views(store: Store, state: dict[str, Committed]) -> None:
    """Make every plain name mean what the registry says. One that cannot be set (a folder is in its place) is `verify`'s to tell."""
    for attempt in state.values():
        for _, artifact in attempt.outputs:
            with contextlib.suppress(OSError):
                store.show(artifact)
                store.drop_half_made(artifact)


def _hide_stale_views(registry: Registry, store: Store, state: dict[str, Committed]) -> None:
    """Remove views of artifacts no attempt in force makes, and half-made links."""
    meant = {a.name for attempt in state.values() for _, a in attempt.outputs}
    tops = {name.partition("/")[0] for (name,) in registry.db.execute("SELECT DISTINCT name FROM artifact")}
    for top in sorted(tops):
        for view in list(store.views_below(top)):
            if view not in meant:
                store.hide(view)
