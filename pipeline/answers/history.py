"""How it went before: a node's attempts, the runs, and what is out of the ordinary in one of them. Reads only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from statistics import median
from typing import Any, NamedTuple

from config.errors import UsageError
from pipeline.answers.explain import acceptances
from pipeline.answers.interrupted import dead_runs
from pipeline.registry import Registry

OF_THE_PIPELINE = "json_type(run.selection, '$.start_stage') IS NOT NULL"
"""SQL: the row of `run` was a run of the pipeline; accept, gc, clean and forget only looked after it."""
_LOOK_BACK = 10
_ENOUGH = 3
_ROWS = 0.5
_SLOWER = 3.0
_SLOW_SECONDS = 1.0
_REFUSED_TIMES = 2.0
_REFUSED_POINTS = 0.01


class Past(NamedTuple):
    """The middle of a node's up to 10 committed attempts before this one; None where fewer than 3 are known.

    Only those count that came after the last time anything was cleaned or forgotten: what ran before may have been other data.
    """

    attempts: int
    seconds: float | None
    rows: float | None
    refused: float | None
    """Refused share of what came in."""


class Anomaly(NamedTuple):
    """One thing out of the ordinary. `value` and `usual` are rows, seconds, or shares of what came in."""

    node: str
    kind: str
    """rows | duration | refused"""
    value: float
    usual: float


def product_rows(report: Mapping[str, Any], total: int | None) -> int | None:
    """Rows of a node's first output, its product; `total` when the report does not say. A collection's members count together."""
    counts: Mapping[str, int] = report.get("rows", {})
    role = next(iter(counts), "").partition("/")[0]
    return sum(n for name, n in counts.items() if name.partition("/")[0] == role) if counts else total


def refused(report: Mapping[str, Any]) -> dict[str, int]:
    """Reason → how many were refused, whole or in part; the most frequent first."""
    found: dict[str, int] = dict(report.get("refused", {}))
    for fate, count in report.get("balance", {}).get("fates", {}).items():
        if fate.startswith("rejected:"):
            reason = fate.removeprefix("rejected:")
            found[reason] = found.get(reason, 0) + count
    return dict(sorted(((k, n) for k, n in found.items() if n), key=lambda p: (-p[1], p[0])))


def refused_share(report: Mapping[str, Any]) -> float | None:
    """Refused share of what came in; None when nothing was counted."""
    came = report.get("balance", {}).get("came", 0)
    return sum(refused(report).values()) / came if came else None


def history(registry: Registry | None, node: str) -> list[dict[str, Any]]:
    """A node's attempts and restores, newest first: `{at, run_id, attempt, state, in_force, seconds, rows, reasons, made, error, note}`.

    `note` is the reason given when outputs were accepted, not computed.
    """
    if registry is None:
        return []
    in_force = registry.db.execute("SELECT attempt_id FROM node_state WHERE node = ?", (node,)).fetchone()
    found: list[tuple[tuple[int, int, int], dict[str, Any]]] = []  # (number of its run, restored?, its own number): clocks jump
    notes, dead = acceptances(registry), dead_runs(registry)
    for number, row, at, run, ident, state, seconds, rows, report, reasons, error in registry.db.execute(_ATTEMPTS, (node,)):
        told = {
            "at": at,
            "run_id": run,
            "attempt": ident,
            "state": "aborted" if state == "started" and run in dead else state,
            "in_force": in_force == (ident,),
            "seconds": seconds,
            "rows": product_rows(json.loads(report) if report else {}, rows),
            "reasons": json.loads(reasons),
            "made": [{"name": n, "version": v, "new": first == ident} for n, v, first in _made(registry, ident)],
            "error": error,
            "note": notes.get(ident, ""),
        }
        found.append(((number, 0, row), told))
    for number, row, at, run, ident, reasons in registry.db.execute(_RESTORED, (node,)):
        told = {"at": at, "run_id": run, "attempt": ident, "state": "restored", "in_force": False, "seconds": None, "rows": None}
        made = [{"name": n, "version": v, "new": False} for n, v, _ in _made(registry, ident)]
        found.append(((number, 1, row), {**told, "reasons": json.loads(reasons), "made": made, "error": None, "note": ""}))
    return [told for _, told in sorted(found, key=lambda f: f[0], reverse=True)]


def runs(registry: Registry | None, last: int) -> list[dict[str, Any]]:
    """The `last` runs, newest first: `{run_id, started_at, seconds, status, asked, ran, failed, restored}`."""
    if registry is None:
        return []
    found = registry.db.execute(_RUNS + "ORDER BY r.rowid DESC LIMIT ?", (last,)).fetchall()
    dead = dead_runs(registry)
    return [_run(row, dead) for row in found]


def run(registry: Registry | None, text: str = "") -> dict[str, Any]:
    """The run whose id begins with `text`, the last one without, as in `runs`. Raises UsageError for none or for several."""
    if registry is None:
        raise UsageError("Nothing has run yet.", "Start with: python main.py")
    if not text:
        found = registry.db.execute(_RUNS + "ORDER BY r.rowid DESC LIMIT 1").fetchall()
    else:
        span = (text, text + "\x7f")  # ids are hexadecimal
        found = registry.db.execute(_RUNS + "WHERE r.id >= ? AND r.id < ? LIMIT 2", span).fetchall()
    if not found:
        raise UsageError(
            f"There is no run {text!r}.", "`python main.py runs` lists them. A run with nothing to do leaves no trace."
        )
    if len(found) > 1:
        raise UsageError(f"More than one run begins with {text!r}.", "Give more of its id.")
    return _run(found[0], dead_runs(registry))


def attempts_of(registry: Registry, run_id: str) -> list[dict[str, Any]]:
    """A run's attempts, slowest first, each with the node's past and what is out of the ordinary."""
    found, since, dead = [], registry.db.execute(_STARTED_ANEW).fetchone()[0], run_id in dead_runs(registry)
    for node, stage, state, ident, at, seconds, total, report, peak, reasons, error in registry.db.execute(_OF_RUN, (run_id,)):
        told = json.loads(report) if report else {}
        rows, past = product_rows(told, total), _past(registry, node, ident, since)
        committed = state == "committed"
        found.append(
            {
                "node": node,
                "stage": stage,
                "state": "aborted" if state == "started" and dead else state,
                "attempt": ident,
                "started_at": at,
                "seconds": seconds,
                "rows": rows,
                "peak_bytes": peak,
                "reasons": json.loads(reasons),
                "refused": refused(told),
                "findings": told.get("findings", []),
                "error": error,
                "past": past._asdict(),
                "anomalies": [a._asdict() for a in _anomalies(node, past, rows, seconds, told)] if committed else [],
            }
        )
    return found


def anomalies(registry: Registry | None, run_id: str) -> list[Anomaly]:
    """What is out of the ordinary in a run, in the order its nodes began."""
    found = sorted(attempts_of(registry, run_id), key=lambda a: a["started_at"]) if registry else []
    return [Anomaly(**a) for attempt in found for a in attempt["anomalies"]]


_ATTEMPTS = """
SELECT r.rowid, a.rowid, a.started_at, a.run_id, a.id, a.state, a.seconds, a.rows, a.report, a.reasons, a.error
FROM attempt a JOIN run r ON r.id = a.run_id WHERE a.node = ?
"""
_RESTORED = """
SELECT r.rowid, e.id, e.at, e.run_id, e.attempt_id, e.data
FROM attempt a CROSS JOIN event e ON e.attempt_id = a.id AND e.kind = 'restored' JOIN run r ON r.id = e.run_id WHERE a.node = ?
"""
_MADE = """
SELECT f.name, f.version, f.attempt_id FROM attempt_output o JOIN artifact f ON f.id = o.artifact_id WHERE o.attempt_id = ?
ORDER BY f.id
"""
_RUNS = """
SELECT r.id, r.started_at, r.ended_at, r.status, r.selection,
    (SELECT count(*) FROM attempt a WHERE a.run_id = r.id AND a.state = 'committed'),
    (SELECT count(*) FROM attempt a WHERE a.run_id = r.id AND a.state = 'failed'),
    (SELECT count(*) FROM event e WHERE e.run_id = r.id AND e.kind = 'restored')
FROM run r
"""
_OF_RUN = """
SELECT node, stage, state, id, started_at, seconds, rows, report, peak_rss, reasons, error FROM attempt WHERE run_id = ?
ORDER BY coalesce(seconds, 0) DESC, rowid
"""
_BEFORE = """
SELECT a.seconds, a.rows, a.report FROM attempt a JOIN run r ON r.id = a.run_id
WHERE a.node = :node AND a.rowid < (SELECT rowid FROM attempt WHERE id = :attempt) AND a.state = 'committed' AND r.rowid > :since
ORDER BY a.rowid DESC LIMIT :most
"""
_STARTED_ANEW = """
SELECT coalesce(max(rowid), 0) FROM run WHERE selection LIKE '{"forget"%' OR selection LIKE '{"clean"%'
"""


def _made(registry: Registry, attempt: str) -> list[tuple[str, int, str]]:
    """(artifact, version, the attempt that made it first) of an attempt's outputs."""
    return registry.db.execute(_MADE, (attempt,)).fetchall()


def _run(row: tuple[Any, ...], dead: AbstractSet[str]) -> dict[str, Any]:
    ident, started, ended, status, selection, ran, failed, restored = row
    return {
        "run_id": ident,
        "started_at": started,
        "seconds": None if ended is None else max(ended - started, 0.0),
        "status": "interrupted" if ident in dead else status,
        "asked": asked(json.loads(selection)),
        "ran": ran,
        "failed": failed,
        "restored": restored,
    }


def asked(selection: Mapping[str, Any]) -> str:
    """What a run was asked for, in the words of the command line; "everything" for all that has to run."""
    words = [
        f"--{key.replace('_', '-')} {selection[key]}"
        for key in ("start_stage", "until_stage", "only_stage")
        if selection.get(key)
    ]
    if selection.get("hold_stages"):
        words.append(f"without looking at {', '.join(selection['hold_stages'])}")
    if selection.get("force") is not None:
        words.append(f"--force {' '.join(selection['force'])}".rstrip())
    if selection.get("hold_nodes"):
        words.append(f"{len(selection['hold_nodes'])} nodes held")
    for key, text in (
        ("clean", "clean: {} versions"),
        ("forget", "forget: {} nodes"),
        ("gc", "gc --keep {}"),
        ("accept", "accept {}"),
    ):
        if key in selection:
            words.append(text.format(selection[key]))
    return ", ".join(words) or "everything"


def _past(registry: Registry, node: str, attempt: str, since: int) -> Past:
    asked = {"node": node, "attempt": attempt, "since": since, "most": _LOOK_BACK}
    rows = registry.db.execute(_BEFORE, asked).fetchall()
    if len(rows) < _ENOUGH:
        return Past(len(rows), None, None, None)
    reports = [json.loads(report) if report else {} for _, _, report in rows]
    return Past(
        len(rows),
        _middle([seconds for seconds, _, _ in rows]),
        _middle([product_rows(report, total) for (_, total, _), report in zip(rows, reports, strict=True)]),
        _middle([refused_share(report) for report in reports]),
    )


def _middle(values: list[Any]) -> float | None:
    known = [v for v in values if v is not None]
    return float(median(known)) if known else None


def _anomalies(node: str, past: Past, rows: int | None, seconds: float | None, report: Mapping[str, Any]) -> list[Anomaly]:
    """Rows ±50 %, three times as slow (and over a second), refused share doubled (and over a point higher)."""
    found = []
    if past.attempts < _ENOUGH:
        return []
    if rows is not None and past.rows is not None and abs(rows - past.rows) > _ROWS * past.rows:
        found.append(Anomaly(node, "rows", rows, past.rows))
    if seconds is not None and past.seconds is not None and seconds > max(_SLOWER * past.seconds, _SLOW_SECONDS):
        found.append(Anomaly(node, "duration", seconds, past.seconds))
    share, usual = refused_share(report), past.refused
    if share is not None and usual is not None and share >= _REFUSED_TIMES * usual and share - usual > _REFUSED_POINTS:
        found.append(Anomaly(node, "refused", share, usual))
    return found
