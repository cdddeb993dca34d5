"""Runs and steps as the registry knows them. Names of dropped files never leave here: a step's parts are told as the step."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from config.sources import SOURCES
from pipeline.answers.history import OF_THE_PIPELINE, attempts_of, refused
from pipeline.answers.interrupted import dead_runs
from pipeline.partitions import whole
from pipeline.registry import Registry


class LastRun(NamedTuple):
    """The last run that did something and has ended."""

    status: str
    """succeeded | failed | interrupted"""
    ended_at: float | None
    """None for one that was killed."""
    seconds: float | None
    failed: list[str]
    """Steps that failed, in the order they began."""


class Attempts(NamedTuple):
    """How often a step ran. The step may be one that is no longer in the DAG."""

    node: str
    stage: str
    states: dict[str, int]
    seconds: float
    """Of the committed ones, together."""
    failing: bool
    """Its newest attempt failed."""


class History(NamedTuple):
    """The runs that did something, commands that only tidy up left out."""

    runs: dict[str, int]
    """Status → how many."""
    seconds: tuple[int, float]
    """(runs that ended, seconds they took together)"""
    last: LastRun | None
    last_success: float | None
    attempts: list[Attempts]


class Step(NamedTuple):
    """The attempt in force of a step of the DAG."""

    node: str
    stage: str
    source: str
    """The source it belongs to; "" for a step over all of them."""
    committed_at: float
    seconds: float | None
    rows: int | None
    """Of its product."""
    usual_rows: float | None
    """The middle of its up to 10 attempts before; None where fewer than 3 are known."""
    earlier: int
    """How many attempts before are known, at most 10."""
    peak_bytes: int | None
    came: int | None
    """Records, rows or readings that came in; None when nothing was counted."""
    rejected: dict[str, int]
    """Reason → how many."""
    missed: list[str]
    """Measures of `quality_sla` its load fell short of."""


def read_history(registry: Registry) -> History:
    """The runs so far."""
    dead = dead_runs(registry)
    rows = [(ident, "interrupted" if ident in dead else status, at, end) for ident, status, at, end in registry.db.execute(_RUNS)]
    statuses = dict.fromkeys(("succeeded", "failed", "interrupted", "running"), 0)
    for _, status, _, _ in rows:
        statuses[status] += 1
    took = [max(end - at, 0.0) for _, status, at, end in rows if end is not None and status in {"succeeded", "failed"}]
    successes = [end for _, status, _, end in rows if status == "succeeded" and end is not None]
    ended = [row for row in rows if row[1] != "running"]
    last = _last(registry, *ended[-1]) if ended else None
    return History(statuses, (len(took), sum(took)), last, successes[-1] if successes else None, _attempts(registry))


def read_steps(registry: Registry, nodes: Sequence[str]) -> list[Step]:
    """What is in force of these steps."""
    found = {node: row for node, *row in registry.db.execute(_IN_FORCE)}
    told: dict[str, Mapping[str, Any]] = {}
    for run_id in sorted({found[node][1] for node in nodes if node in found}):
        told |= {attempt["attempt"]: attempt for attempt in attempts_of(registry, run_id)}
    return [_step(node, found[node][2], told[found[node][0]]) for node in nodes if node in found and found[node][0] in told]


def owner(node: str) -> str:
    """The source a step belongs to; "" for a step over all of them."""
    return next((part for part in node.split(".") if part in SOURCES), "")


_RUNS = f"SELECT id, status, started_at, ended_at FROM run WHERE {OF_THE_PIPELINE} ORDER BY rowid"
_IN_FORCE = "SELECT s.node, a.id, a.run_id, a.report FROM node_state s JOIN attempt a ON a.id = s.attempt_id"
_COUNTS = "SELECT node, stage, state, count(*), COALESCE(sum(seconds), 0) FROM attempt GROUP BY node, stage, state"
_NEWEST = "SELECT node, state FROM attempt WHERE rowid IN (SELECT max(rowid) FROM attempt GROUP BY node)"
_FAILED = "SELECT node FROM attempt WHERE run_id = ? AND state = 'failed' ORDER BY rowid"
_SLA = "below_sla_"


def _last(registry: Registry, ident: str, status: str, started: float, ended: float | None) -> LastRun:
    nodes = [whole(node) for (node,) in registry.db.execute(_FAILED, (ident,))]
    seconds = None if ended is None else max(ended - started, 0.0)
    return LastRun(status, ended, seconds, list(dict.fromkeys(nodes)))


def _attempts(registry: Registry) -> list[Attempts]:
    found: dict[str, Attempts] = {}
    failing = {whole(node) for node, state in registry.db.execute(_NEWEST) if state == "failed"}
    for part, stage, state, count, seconds in registry.db.execute(_COUNTS):
        node = whole(part)
        mine = found.setdefault(node, Attempts(node, stage, {}, 0.0, node in failing))
        mine.states[state] = mine.states.get(state, 0) + count
        if state == "committed":
            found[node] = mine._replace(seconds=mine.seconds + seconds)
    return list(found.values())


def _step(node: str, text: str | None, told: Mapping[str, Any]) -> Step:
    report: Mapping[str, Any] = json.loads(text) if text else {}
    codes = [str(finding.get("code", "")) for finding in told["findings"]]
    return Step(
        node,
        told["stage"],
        owner(node),
        told["started_at"] + (told["seconds"] or 0.0),
        told["seconds"],
        told["rows"],
        told["past"]["rows"],
        told["past"]["attempts"],
        told["peak_bytes"],
        report.get("balance", {}).get("came"),
        refused(report),
        [code.removeprefix(_SLA) for code in codes if code.startswith(_SLA)],
    )
