"""What the registry tells over HTTP: how runs went, what each step holds, what everything weighs. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from config.sources import SOURCES
from pipeline.answers.history import OF_THE_PIPELINE
from pipeline.answers.interrupted import dead_runs
from pipeline.answers.status import status
from pipeline.registry import Registry

_RUNS = f"FROM run WHERE {OF_THE_PIPELINE}"
_COUNTS = f"SELECT status, count(*) {_RUNS} GROUP BY status"
_LAST = f"SELECT id, started_at, ended_at, status {_RUNS} AND (:status IS NULL OR status = :status) ORDER BY rowid DESC LIMIT 1"
_REASON = "SELECT node, error FROM attempt WHERE run_id = ? AND state = 'failed' ORDER BY rowid LIMIT 1"
_STAGES = """
SELECT stage, count(*), sum(state = 'committed'), sum(state = 'failed'), sum(seconds), avg(seconds), max(seconds), max(started_at)
FROM attempt GROUP BY stage ORDER BY min(rowid)
"""
STORED = "SELECT coalesce(sum(size), 0) FROM artifact WHERE removed_at IS NULL"
_FETCHED = "SELECT a.started_at FROM node_state s JOIN attempt a ON a.id = s.attempt_id WHERE s.node = ?"


def stamp(seconds: float | None) -> str | None:
    """Seconds since 1970 as UTC text."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def runs(registry: Registry | None) -> dict[str, Any]:
    """How many runs there were and how they ended, the last one, the last that succeeded, the last that failed and why."""
    counts = dict.fromkeys(("succeeded", "failed", "interrupted", "running"), 0)
    if registry is None:
        return {"count": 0, **counts, "last": None, "last_success": None, "last_failure": None}
    counts |= dict(registry.db.execute(_COUNTS).fetchall())
    dead = dead_runs(registry)
    counts["running"] -= len(dead)
    counts["interrupted"] += len(dead)
    failure = _last(registry, dead, "failed")
    if failure:
        reason = registry.db.execute(_REASON, (failure["run_id"],)).fetchone() or (None, None)
        failure |= {"node": reason[0], "reason": reason[1]}
    told = {"last": _last(registry, dead), "last_success": _last(registry, dead, "succeeded"), "last_failure": failure}
    return {"count": sum(counts.values()), **counts, **told}


def stages(registry: Registry | None) -> list[dict[str, Any]]:
    """Of each stage: attempts and how they ended, seconds in all, on average and at most, when the last began."""
    names = ("stage", "attempts", "succeeded", "failed", "seconds_total", "seconds_mean", "seconds_longest", "last_at")
    rows = registry.db.execute(_STAGES).fetchall() if registry else []
    return [dict(zip(names, (*row[:-1], stamp(row[-1])), strict=True)) for row in rows]


def totals(registry: Registry | None) -> list[dict[str, Any]]:
    """Of each step: its stage, the source it is for (none: for all), what it holds now and how its last attempt went."""
    return [_total(node) for node in status(registry)["nodes"]]


def fetched(registry: Registry | None, source: str) -> str | None:
    """When the source's bytes in force were fetched."""
    row = registry.db.execute(_FETCHED, (f"ingestion.{source}.extract",)).fetchone() if registry else None
    return stamp(row[0]) if row else None


def _total(node: Mapping[str, Any]) -> dict[str, Any]:
    last = node["failed"] or node
    return {
        "node": node["node"],
        "stage": node["stage"],
        "source": next((part for part in node["node"].split(".") if part in SOURCES), None),
        "state": node["state"],
        "rows": node["rows"],
        "bytes": sum(output["size"] for output in node["outputs"]),
        "seconds": node["seconds"],
        "at": stamp(node["started_at"]),
        "error": last["error"],
    }


def _last(registry: Registry, dead: set[str], wanted: str | None = None) -> dict[str, Any] | None:
    row = registry.db.execute(_LAST, {"status": wanted}).fetchone()
    if row is None:
        return None
    ident, began, ended, state = row
    seconds = None if ended is None else max(ended - began, 0)
    state = "interrupted" if ident in dead else state
    return {"run_id": ident, "started_at": stamp(began), "ended_at": stamp(ended), "seconds": seconds, "status": state}
