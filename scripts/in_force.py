"""Which file of an artifact is in force: what its node made last and stands by, as the registry knows it."""

from __future__ import annotations

from pipeline.registry import Artifact, Registry

GOLD, SEALED = "gold/gold.duckdb", "gold/gold.sealed"
"""The artifacts that hold the gold tables, open and sealed."""

_IN_FORCE = """
SELECT f.id, f.name, f.version, f.sha256, f.size, f.rows, f.path, f.created_at
FROM node_state s JOIN attempt_output o ON o.attempt_id = s.attempt_id
JOIN artifact f ON f.id = o.artifact_id WHERE f.name = ? AND f.removed_at IS NULL
"""


def in_force(registry: Registry | None, name: str) -> Artifact | None:
    """The version in force of the artifact; None before the first run, and where it was never made or is removed. `Pipeline.local`
    gives the path of its bytes, which may have to be brought."""
    row = registry.db.execute(_IN_FORCE, (name,)).fetchone() if registry else None
    return Artifact(*row) if row else None
