"""All there is to say of one run: what ran and why, rows, time, memory, what was refused, what was made, in which environment."""

from __future__ import annotations

import json
from typing import Any

from pipeline.answers.history import attempts_of, run
from pipeline.registry import Registry


def report(registry: Registry | None, text: str = "") -> dict[str, Any]:
    """The run `text` names (see `history.run`), with `{nodes, restored_nodes, environment}` beside its own keys.

    Nodes that were skipped leave no row in a run. No value, no absolute path.
    """
    found = run(registry, text)
    assert registry is not None
    nodes = sorted(attempts_of(registry, found["run_id"]), key=lambda a: a["started_at"])
    for node in nodes:
        rows = registry.db.execute(_OUTPUTS, (node["attempt"],))
        node["outputs"] = [_output(row, node["attempt"]) for row in rows]
    return {
        **found,
        "nodes": nodes,
        "restored_nodes": [
            {"node": node, "stage": stage, "at": at, "reasons": json.loads(reasons)}
            for node, stage, at, reasons in registry.db.execute(_RESTORED, (found["run_id"],))
        ],
        "environment": _environment(registry, found["run_id"]),
    }


_OUTPUTS = """
SELECT f.name, f.version, f.sha256, f.size, f.rows, f.attempt_id FROM attempt_output o JOIN artifact f ON f.id = o.artifact_id
WHERE o.attempt_id = ? ORDER BY f.id
"""
_RESTORED = """
SELECT a.node, a.stage, e.at, e.data FROM event e JOIN attempt a ON a.id = e.attempt_id
WHERE e.run_id = ? AND e.kind = 'restored' ORDER BY e.at
"""
_ENVIRONMENTS = "SELECT leaves FROM identity WHERE id IN (SELECT environment_id FROM attempt WHERE run_id = ?)"


def _output(row: tuple[Any, ...], attempt: str) -> dict[str, Any]:
    name, version, sha256, size, rows, first = row
    return {"name": name, "version": version, "sha256": sha256, "size": size, "rows": rows, "new": first == attempt}


def _environment(registry: Registry, run_id: str) -> dict[str, str]:
    """Python and the libraries the nodes of a run reached → version."""
    found: dict[str, str] = {}
    for (leaves,) in registry.db.execute(_ENVIRONMENTS, (run_id,)):
        found.update({name: version for name, version, _ in json.loads(leaves)})
    return {"python": found.pop("python", ""), **dict(sorted(found.items()))} if found else {}
