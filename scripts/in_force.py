"""Which file of an artifact is in force: what its node made last and stands by, as the registry knows it."""

from __future__ import annotations

from typing import NamedTuple

from pipeline.registry import Registry

GOLD, SEALED = "gold/gold.duckdb", "gold/gold.sealed"
"""The artifacts that hold the gold tables, open and sealed."""

_IN_FORCE = """
SELECT f.path, f.version, f.sha256 FROM node_state s JOIN attempt_output o ON o.attempt_id = s.attempt_id
JOIN artifact f ON f.id = o.artifact_id WHERE f.name = ? AND f.removed_at IS NULL
"""


class InForce(NamedTuple):
    """A version of an artifact."""

    path: str
    """Below the data root."""
    version: int
    sha256: str


def in_force(registry: Registry | None, name: str) -> InForce | None:
    """The version in force of the artifact; None before the first run, and where it was never made or is removed."""
    row = registry.db.execute(_IN_FORCE, (name,)).fetchone() if registry else None
    return InForce(*row) if row else None
