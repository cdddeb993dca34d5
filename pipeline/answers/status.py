"""What is in force: per node its last attempt, its outputs and how it went."""

from __future__ import annotations

import json
from typing import Any

from pipeline.answers.history import product_rows
from pipeline.answers.interrupted import dead_runs
from pipeline.registry import Committed, Registry


def status(registry: Registry | None) -> dict[str, Any]:
    """`{"nodes": [{node, stage, state, attempt, started_at, seconds, rows, report, outputs, error, failed}], "last_run": {…} | None}`.

    A node is told as its attempt in force is, with a later attempt that made nothing as `failed`: {attempt, state, started_at, error}.
    One of which nothing is in force is told as that attempt is.
    """
    if registry is None:
        return {"nodes": [], "last_run": None}
    nodes, dead = {name: _in_force(registry, attempt) for name, attempt in registry.state().items()}, dead_runs(registry)
    for node, stage, run_id, state, attempt, started_at, error in registry.db.execute(_LATEST):
        if state in {"committed", "accepted"}:
            continue
        last = {"attempt": attempt, "state": "aborted" if state == "started" and run_id in dead else state}
        last |= {"started_at": started_at, "error": error}
        known = nodes.get(node)
        if known is None:
            nothing: dict[str, Any] = {"seconds": None, "rows": None, "report": {}, "outputs": [], "failed": None}
            nodes[node] = {"node": node, "stage": stage, **nothing, **last}
        elif not _came_back(registry, known, attempt):
            known["failed"] = last
    run = registry.db.execute(
        "SELECT id, started_at, ended_at, status, selection FROM run ORDER BY rowid DESC LIMIT 1"
    ).fetchone()
    names = ("run_id", "started_at", "ended_at", "status", "selection")
    last_run = dict(zip(names, run, strict=True)) if run else None
    if last_run and last_run["run_id"] in dead:
        last_run["status"] = "interrupted"
    return {
        "nodes": sorted(nodes.values(), key=lambda n: n["started_at"]),
        "last_run": last_run,
    }


# from one node's name to the next by the index: the nodes are few, their attempts are many
_LATEST = """
WITH RECURSIVE names (node) AS (
    SELECT min(node) FROM attempt
    UNION ALL SELECT (SELECT min(node) FROM attempt WHERE node > names.node) FROM names WHERE names.node IS NOT NULL
)
SELECT a.node, a.stage, a.run_id, a.state, a.id, a.started_at, a.error
FROM names CROSS JOIN attempt a ON a.rowid = (SELECT max(b.rowid) FROM attempt b WHERE b.node = names.node)
"""


def _came_back(registry: Registry, known: dict[str, Any], failed: str) -> bool:
    """Whether the attempt in force was restored by a later run than that of the attempt that failed. Clocks jump; row numbers grow."""
    query = (
        "SELECT 1 FROM event e JOIN run r ON r.id = e.run_id WHERE e.attempt_id = ? AND e.kind = 'restored' "
        "AND r.rowid > (SELECT f.rowid FROM run f JOIN attempt a ON a.run_id = f.id WHERE a.id = ?)"
    )
    return registry.db.execute(query, (known["attempt"], failed)).fetchone() is not None


def _in_force(registry: Registry, attempt: Committed) -> dict[str, Any]:
    """A node's attempt in force. Its rows are those of its first output: its product."""
    query = "SELECT stage, state, started_at, seconds, rows, report FROM attempt WHERE id = ?"
    stage, state, started_at, seconds, rows, report = registry.db.execute(query, (attempt.id,)).fetchone()
    reported: dict[str, Any] = json.loads(report) if report else {}
    return {
        "node": attempt.node,
        "stage": stage,
        "state": state,
        "attempt": attempt.id,
        "started_at": started_at,
        "seconds": seconds,
        "rows": product_rows(reported, rows),
        "report": reported,
        "outputs": [
            {"name": a.name, "version": a.version, "sha256": a.sha256, "rows": a.rows, "size": a.size, "path": a.path}
            for _, a in attempt.outputs
        ],
        "error": None,
        "failed": None,
    }
