"""What is in force: per node its last attempt, its outputs and how it went."""

from __future__ import annotations

import json
from typing import Any

from pipeline.registry import Committed, Registry


def status(registry: Registry | None) -> dict[str, Any]:
    """`{"nodes": [{node, stage, state, attempt, started_at, seconds, rows, report, outputs, error}], "last_run": {…} | None}`."""
    if registry is None:
        return {"nodes": [], "last_run": None}
    nodes = {name: _in_force(registry, attempt) for name, attempt in registry.state().items()}
    for node, stage, state, attempt, started_at, error in registry.db.execute(_LATEST):
        known = nodes.get(node)
        if state != "committed" and (known is None or known["started_at"] < started_at):
            kept = known or {"node": node, "stage": stage, "seconds": None, "rows": None, "report": {}, "outputs": []}
            nodes[node] = {**kept, "state": state, "attempt": attempt, "started_at": started_at, "error": error}
    run = registry.db.execute(
        "SELECT id, started_at, ended_at, status, selection FROM run ORDER BY started_at DESC LIMIT 1"
    ).fetchone()
    names = ("run_id", "started_at", "ended_at", "status", "selection")
    return {
        "nodes": sorted(nodes.values(), key=lambda n: n["started_at"]),
        "last_run": dict(zip(names, run, strict=True)) if run else None,
    }


_LATEST = """
SELECT node, stage, state, id, started_at, error FROM attempt WHERE rowid IN (SELECT max(rowid) FROM attempt GROUP BY node)
"""


def _in_force(registry: Registry, attempt: Committed) -> dict[str, Any]:
    """A node's attempt in force. Its rows are those of its first output: its product."""
    query = "SELECT stage, started_at, seconds, rows, report FROM attempt WHERE id = ?"
    stage, started_at, seconds, rows, report = registry.db.execute(query, (attempt.id,)).fetchone()
    reported: dict[str, Any] = json.loads(report) if report else {}
    counts = reported.get("rows", {})
    return {
        "node": attempt.node,
        "stage": stage,
        "state": "committed",
        "attempt": attempt.id,
        "started_at": started_at,
        "seconds": seconds,
        "rows": next(iter(counts.values()), rows),
        "report": reported,
        "outputs": [
            {"name": a.name, "version": a.version, "sha256": a.sha256, "rows": a.rows, "path": a.path} for _, a in attempt.outputs
        ],
        "error": None,
    }
