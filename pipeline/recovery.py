"""What a killed run left behind: garbage, nothing else. Collecting it is idempotent and may itself be killed."""

from __future__ import annotations

import contextlib
import time

from pipeline.execution import orphans
from pipeline.partitions import in_view
from pipeline.registry import Committed, Registry
from pipeline.store import Store

ADOPTING = "adopt"
"""What the selection of a run's row says while another registry's rows are taken over: it is there only as long as that may be killed."""


def recover(registry: Registry, store: Store) -> int:
    """Clean up after runs that never ended, or that lost a worker (`litter`); to be called under the run lock. Gives the files removed.

    The rows that say `running` are closed last: killed before that, the next start does all of it again. One that ran on a cluster keeps
    its `litter` until the start after: what it had sent there may have written a moment longer.
    """
    open_runs = registry.db.execute(
        "SELECT id FROM run WHERE status = 'running' UNION SELECT id FROM run WHERE litter = 1"
    ).fetchall()
    if not open_runs:
        return 0
    orphans.end({run_id for (run_id,) in open_runs})
    removed = tidy(registry, store)
    with registry.atomic() as db:
        db.execute("DELETE FROM run WHERE status = 'running' AND instr(selection, ?) = 1", (f'{{"{ADOPTING}"',))  # no run of ours
        db.execute("UPDATE attempt SET state = 'aborted', error = 'interrupted' WHERE state = 'started'")
        db.execute("UPDATE run SET litter = 0 WHERE litter = 1 AND status <> 'running'")
        db.execute("UPDATE run SET status = 'interrupted', ended_at = ? WHERE status = 'running'", (time.time(),))
    return removed


def tidy(registry: Registry, store: Store) -> int:
    """Delete every file in the store that no registered version owns and set the views right. Gives the files. Raises OSError."""
    registry.refuse_damaged()
    removed = store.sweep(path for (path,) in registry.db.execute("SELECT path FROM artifact WHERE removed_at IS NULL"))
    state = registry.state()
    repair_views(store, state)
    _hide_stale_views(registry, store, state)
    return removed


def repair_views(store: Store, state: dict[str, Committed]) -> None:
    """Make every plain name mean what the registry says. One that cannot be set (a folder is in its place) is `verify`'s to tell."""
    for artifact in in_view(state):
        with contextlib.suppress(OSError):
            store.show(artifact)
            store.drop_half_made(artifact)


def _hide_stale_views(registry: Registry, store: Store, state: dict[str, Committed]) -> None:
    """Remove views of artifacts no attempt in force makes, and half-made links."""
    meant = {a.name for a in in_view(state)}
    tops = {name.partition("/")[0] for (name,) in registry.db.execute("SELECT DISTINCT name FROM artifact")}
    for top in sorted(tops):
        for view in list(store.views_below(top)):
            if view not in meant:
                store.hide(view)
