"""Removing what can be made again. Rows stay: the registry goes on knowing what there was."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable

from pipeline.commit import begin_run
from pipeline.recovery import tidy
from pipeline.registry import Artifact, Registry
from pipeline.store import Store


def removable(registry: Registry | None, wanted: Callable[[str], bool]) -> list[Artifact]:
    """Stored versions whose artifact name is wanted gone."""
    if registry is None:
        return []
    query = "SELECT id, name, version, sha256, size, rows, path, created_at FROM artifact WHERE removed_at IS NULL ORDER BY name, version"
    return [Artifact(*row) for row in registry.db.execute(query) if wanted(row[1])]


def remove(registry: Registry, store: Store, artifacts: list[Artifact]) -> None:
    """Say in the registry that the bytes are gone, then remove them; killed in between, recovery removes the rest."""
    run_id = uuid.uuid4().hex
    begin_run(registry, run_id, json.dumps({"clean": len(artifacts)}))
    with registry.atomic() as db:
        db.executemany("UPDATE artifact SET removed_at = ? WHERE id = ?", [(time.time(), a.id) for a in artifacts])
        gone = [(a.id,) for a in artifacts]
        db.executemany(
            "DELETE FROM node_state WHERE attempt_id IN (SELECT attempt_id FROM attempt_output WHERE artifact_id = ?)", gone
        )
    _end(registry, store, run_id)


def forget(registry: Registry, store: Store, wanted: Callable[[str], bool]) -> int:
    """Take nodes out of force, with their plain names; versions and rows stay. Gives how many."""
    nodes = [name for name in registry.state() if wanted(name)]
    if nodes:
        run_id = uuid.uuid4().hex
        begin_run(registry, run_id, json.dumps({"forget": len(nodes)}))
        with registry.atomic() as db:
            db.executemany("DELETE FROM node_state WHERE node = ?", [(n,) for n in nodes])
        _end(registry, store, run_id)
    return len(nodes)


def _end(registry: Registry, store: Store, run_id: str) -> None:
    """Bring disk and views in line with the rows, then close the run: killed before that, recovery does the same."""
    tidy(registry, store)
    with registry.atomic() as db:
        db.execute("UPDATE run SET status = 'succeeded', ended_at = ? WHERE id = ?", (time.time(), run_id))
