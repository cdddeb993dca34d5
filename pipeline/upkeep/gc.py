"""Removing the bytes of versions nobody needs any more. Rows stay; what is in force, and what that was made from, stays whole.

A batch is one transaction that says the bytes are gone, then the deletions. Killed in between, recovery deletes the rest: what no
row owns is litter. Memory is bounded: the candidates wait in a temporary table, on disk when there are many.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
import uuid
from typing import NamedTuple

from config.errors import StoreError
from pipeline.commit import begin_run
from pipeline.pages import knows_pages
from pipeline.registry import Registry
from pipeline.store import Store

_BATCH = 5_000
_LISTED = 100
_SUPERSEDED = """
SELECT id, name, size FROM (
    SELECT id, name, size, row_number() OVER (PARTITION BY name ORDER BY version DESC) AS place
    FROM artifact WHERE removed_at IS NULL
) WHERE (place > :keep{replaced}) AND (:spared = '' OR instr(name, :spared) <> 1)
AND id NOT IN (SELECT o.artifact_id FROM node_state s JOIN attempt_output o ON o.attempt_id = s.attempt_id)
AND id NOT IN (
    SELECT i.artifact_id FROM node_state s JOIN attempt_input i ON i.attempt_id = s.attempt_id WHERE i.artifact_id IS NOT NULL
)
"""


_REPLACED = " OR id IN (SELECT artifact_id FROM page WHERE fate = 2)"
_UNLESS_HELD = "AND id NOT IN (SELECT artifact_id FROM page WHERE fate < 2)"
"""Of a page there is one version only: what counts is whether it is held. One that is in no outputs yet waits for the next attempt."""


class Gone(NamedTuple):
    """What was removed, or would be."""

    versions: int
    size: int
    """Bytes: what the registry says of versions that would go; what the disk gave back of those that went."""
    artifacts: list[tuple[str, int, int]]
    """(artifact, its versions, their bytes as registered), the biggest first; at most 100."""


def superseded(registry: Registry | None, keep: int, spared: str = "") -> Gone:
    """What `collect` would remove: versions beyond the `keep` newest of each artifact that no node in force made or
    read, and whose name does not begin with `spared`."""
    if registry is None:
        return Gone(0, 0, [])
    _choose(registry, keep, spared)
    return _chosen(registry)


def collect(registry: Registry, store: Store, keep: int, spared: str = "") -> Gone:
    """Remove them, to be called under the run lock after recovery. Gives what went. Raises RegistryError for a
    registry that is damaged, OSError when the store refuses."""
    _choose(registry, keep, spared)
    gone = _chosen(registry)
    if not gone.versions:
        return gone
    registry.refuse_damaged()  # what it says is about to be believed
    run_id = uuid.uuid4().hex
    begin_run(registry, run_id, json.dumps({"gc": keep}))
    freed = 0
    while batch := registry.db.execute(
        "SELECT f.id, f.path FROM doomed d JOIN artifact f ON f.id = d.id LIMIT ?", (_BATCH,)
    ).fetchall():
        with registry.atomic() as db:
            ids = [(ident,) for ident, _ in batch]
            db.executemany("UPDATE artifact SET removed_at = ? WHERE id = ?", [(time.time(), *i) for i in ids])
            db.executemany("DELETE FROM cache_file WHERE path = ?", [(path,) for _, path in batch])
            db.executemany("DELETE FROM doomed WHERE id = ?", ids)
        freed += sum(_unlink(store, path) for _, path in batch)
    os.sync()  # a power cut must not bring files back after the run that removed them is closed
    with registry.atomic() as db:
        db.execute("UPDATE run SET status = 'succeeded', ended_at = ? WHERE id = ?", (time.time(), run_id))
    return gone._replace(size=freed)


def _choose(registry: Registry, keep: int, spared: str) -> None:
    try:
        registry.db.execute("CREATE TEMP TABLE doomed (id INTEGER PRIMARY KEY, name TEXT, size INTEGER)")
        known = knows_pages(registry)
        query = _SUPERSEDED.format(replaced=_REPLACED * known) + _UNLESS_HELD * known
        registry.db.execute("INSERT INTO doomed " + query, {"keep": keep, "spared": spared})
    except sqlite3.OperationalError as error:
        raise StoreError(f"The list of versions could not be written: {error}.", "Free space for temporary files.") from None


def _chosen(registry: Registry) -> Gone:
    versions, size = registry.db.execute("SELECT count(*), coalesce(sum(size), 0) FROM doomed").fetchone()
    query = "SELECT name, count(*), sum(size) AS bytes FROM doomed GROUP BY name ORDER BY bytes DESC, name LIMIT ?"
    return Gone(versions, size, registry.db.execute(query, (_LISTED,)).fetchall())


def _unlink(store: Store, relative: str) -> int:
    """Delete one stored version; gives the bytes that frees, 0 when it was not there."""
    try:
        size = os.lstat(store.path(relative)).st_size
    except FileNotFoundError:
        size = 0
    store.remove(relative)
    return size
