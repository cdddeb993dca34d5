"""Where an artifact comes from and what was made of it: the registry's edges, walked."""

from __future__ import annotations

from typing import Any, NamedTuple

from config.errors import UsageError
from pipeline.registry import Registry


class Step(NamedTuple):
    """One artifact (or outside file) on the way."""

    depth: int
    name: str
    version: int | None
    """None for a file nobody makes and for a remote's fingerprint."""
    sha256: str
    role: str
    node: str
    """The node on whose edge it was met."""
    attempt: str


_UP = """
WITH RECURSIVE up(depth, name, version, sha256, role, node, attempt, artifact_id) AS (
    SELECT 0, f.name, f.version, f.sha256, '', a.node, a.id, f.id FROM artifact f JOIN attempt a ON a.id = f.attempt_id WHERE f.id = ?
    UNION
    SELECT up.depth + 1, i.name, f.version, i.sha256, i.role, made.node, made.id, f.id
    FROM up
    JOIN artifact own ON own.id = up.artifact_id
    JOIN attempt made ON made.id = own.attempt_id
    JOIN attempt_input i ON i.attempt_id = made.id
    LEFT JOIN artifact f ON f.id = i.artifact_id
)
SELECT min(depth), name, version, sha256, role, node, attempt FROM up GROUP BY name, version, sha256, role, node, attempt
ORDER BY 1, node, name
"""
_DOWN = """
WITH RECURSIVE down(depth, name, version, sha256, role, node, attempt, artifact_id) AS (
    SELECT 0, f.name, f.version, f.sha256, '', a.node, a.id, f.id FROM artifact f JOIN attempt a ON a.id = f.attempt_id WHERE f.id = ?
    UNION
    SELECT down.depth + 1, coalesce(f.name, a.node), f.version, coalesce(f.sha256, a.input_hash), coalesce(o.role, ''), a.node, a.id, f.id
    FROM down
    JOIN attempt_input i ON i.artifact_id = down.artifact_id
    JOIN attempt a ON a.id = i.attempt_id AND a.state IN ('committed', 'accepted')
    LEFT JOIN attempt_output o ON o.attempt_id = a.id
    LEFT JOIN artifact f ON f.id = o.artifact_id
)
SELECT min(depth), name, version, sha256, role, node, attempt FROM down GROUP BY name, version, sha256, role, node, attempt
ORDER BY 1, node, name
"""


def find(registry: Registry | None, text: str) -> tuple[Any, ...]:
    """(id, name, version, sha256, size, rows, path, created_at, node, run) of `NAME` (current version) or `NAME@vN`; else UsageError."""
    name, _, version = text.partition("@v")
    if registry is None or (version and not version.isdigit()):
        raise UsageError(f"There is no artifact {text!r}.", "Run the pipeline first, or write NAME@v2.")
    query = (
        "SELECT f.id, f.name, f.version, f.sha256, f.size, f.rows, f.path, f.created_at, a.node, a.run_id "
        "FROM artifact f JOIN attempt a ON a.id = f.attempt_id WHERE f.name = ? "
    )
    if version:
        row = registry.db.execute(query + "AND f.version = ?", (name, int(version))).fetchone()
    else:
        current = "AND f.id IN (SELECT o.artifact_id FROM node_state s JOIN attempt_output o ON o.attempt_id = s.attempt_id)"
        row = registry.db.execute(query + current, (name,)).fetchone()
        row = row or registry.db.execute(query + "ORDER BY f.version DESC", (name,)).fetchone()
    if row is None:
        raise UsageError(f"There is no artifact {text!r}.", _near(registry, name))
    return tuple(row)


def upstream(registry: Registry, artifact_id: int) -> list[Step]:
    """Everything an artifact was made from, nearest first."""
    return [Step(*row) for row in registry.db.execute(_UP, (artifact_id,))][1:]


def downstream(registry: Registry, artifact_id: int) -> list[Step]:
    """Everything that was made from an artifact, nearest first."""
    return [Step(*row) for row in registry.db.execute(_DOWN, (artifact_id,))][1:]


def _near(registry: Registry, name: str) -> str:
    import difflib

    names = [row[0] for row in registry.db.execute("SELECT DISTINCT name FROM artifact")]
    close = difflib.get_close_matches(name, names, 3, 0.4)
    return f"Did you mean {' or '.join(close)}?" if close else "`python main.py status` lists the artifacts."
