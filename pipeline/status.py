"""What is in force: per node its last attempt, its outputs and how it went."""

from __future__ import annotations

import json
from typing import Any

from pipeline.registry import Registry


def status(registry: Registry | None) -> dict[str, Any]:
    """`{"nodes": [{node, stage, state, attempt, started_at, seconds, rows, report, outputs, error}], "last_run": {…} | None}`."""
    if registry is None:
        return {"nodes": [], "last_run": None}
    outputs = {name: [a for _, a in attempt.outputs] for name, attempt in registry.state().items()}
    latest = registry.db.execute(
        "SELECT node, stage, state, id, started_at, seconds, rows, report, error FROM attempt WHERE rowid IN "
        "(SELECT max(rowid) FROM attempt GROUP BY node) ORDER BY rowid"
    )
    nodes = [
        {
            "node": node,
            "stage": stage,
            "state": state,
            "attempt": attempt,
            "started_at": started_at,
            "seconds": seconds,
            "rows": rows,
            "report": json.loads(report) if report else {},
            "outputs": [
                {"name": a.name, "version": a.version, "sha256": a.sha256, "rows": a.rows, "path": a.path}
                for a in outputs.get(node, [])
            ],
            "error": error,
        }
        for node, stage, state, attempt, started_at, seconds, rows, report, error in latest
        if node in outputs or state != "committed"
    ]
    run = registry.db.execute(
        "SELECT id, started_at, ended_at, status, selection FROM run ORDER BY started_at DESC LIMIT 1"
    ).fetchone()
    names = ("run_id", "started_at", "ended_at", "status", "selection")
    return {"nodes": nodes, "last_run": dict(zip(names, run, strict=True)) if run else None}


def reports(registry: Registry | None, attempts: list[str]) -> dict[str, dict[str, Any]]:
    """Attempt → its report, as stored."""
    found: dict[str, dict[str, Any]] = {}
    for attempt in attempts if registry else []:
        assert registry is not None
        row = registry.db.execute("SELECT report FROM attempt WHERE id = ?", (attempt,)).fetchone()
        found[attempt] = json.loads(row[0]) if row and row[0] else {}
    return found
