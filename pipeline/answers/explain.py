"""Why a node would run, be restored or be skipped, followed to the root cause; and why its outputs in force came to be."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from config.errors import PDPError, UsageError
from pipeline.answers.changes import Basis, Change, compare, planned, recorded, stated, with_diff
from pipeline.answers.forecast import Forecast, forecast
from pipeline.answers.interrupted import dead_runs
from pipeline.dag import Dag
from pipeline.node import Node
from pipeline.partitions import is_part, whole
from pipeline.planner import Planner, Reason
from pipeline.registry import Registry
from pipeline.selection import Selection


class Made(NamedTuple):
    """An attempt that came into force, and why."""

    node: str
    attempt: str
    run: str
    """The run in which it came into force."""
    number: int
    """Which run of the registry that was."""
    how: str
    """ran | accepted | restored"""
    at: float
    """Seconds since 1970."""
    seconds: float | None
    changes: list[Change]
    note: str = ""
    """The reason given for accepting it."""


class Failed(NamedTuple):
    """A later attempt that made nothing."""

    attempt: str
    state: str
    """started | failed | aborted"""
    at: float
    error: str | None


class Explanation(NamedTuple):
    """One node's answer."""

    node: str
    stage: str
    action: str
    """run | restore | skip | blocked"""
    held: bool
    reasons: list[Reason]
    """As a plan has them."""
    changes: list[Change]
    """The reasons with both their sides; what has changed in the node itself also when others run first. Empty for a skip."""
    first: list[Forecast]
    """Nodes it needs that are not up to date themselves, nearest first."""
    in_force: Made | None
    made_by: list[Made]
    """Whence the artifacts among the changes (of a skipped node: among those of its attempt in force), followed to the root."""
    basis: Basis | None
    """What the attempt in force rests on."""
    failed: Failed | None
    warnings: list[str]


def explain(dag: Dag, planner: Planner, selection: Selection, name: str) -> Explanation:
    """Explain one node, or one part of a mapped node; only it and what it needs are looked at. Raises UsageError for one there is not."""
    node = dag.node(whole(name) if name not in dag.nodes else name)
    found = {f.node: f for f in forecast(dag, planner, selection, needed(dag, node.name))}
    registry, before = planner.registry, planner.state.get(name)
    if name not in found and before is None:
        raise UsageError(
            f"{node.name} has no part {name!r}.", f"`python main.py explain {node.name}` names those that would run."
        )
    own = found.get(name) or Forecast(name, node.stage, "skip", [])
    if registry is None:
        changes = [*own.changes, *_own(planner, node, own)]
        return Explanation(*own[:3], own.held, own.reasons, changes, _moving(dag, name, found), None, [], None, None, [])
    texts = _new_texts(own, *found.values())
    in_force = _since(registry, name, before.id) if before else None
    changes = [with_diff(registry, c, texts) for c in (*own.changes, *_own(planner, node, own))]
    first = [f._replace(changes=[with_diff(registry, c, texts) for c in f.changes]) for f in _moving(dag, name, found)]
    causes = changes if own.action != "skip" else in_force.changes if in_force else []
    return Explanation(
        *own[:3],
        own.held,
        own.reasons,
        changes,
        first,
        in_force,
        _made_by(registry, causes, in_force.number if own.action == "skip" and in_force else _NOW),
        recorded(registry, before.id) if before else None,
        _failed(registry, name),
        list(own.decision.identity.warnings) if own.decision else [],
    )


def needed(dag: Dag, name: str) -> set[str]:
    """The node and everything upstream of it."""
    found, todo = set[str](), [name]
    while todo:
        node = todo.pop()
        if node not in found:
            found.add(node)
            todo += dag.upstream[node]
    return found


def _moving(dag: Dag, name: str, found: Mapping[str, Forecast]) -> list[Forecast]:
    """What is upstream and not to be skipped, as far as the way to it leads over such nodes."""
    reached, todo = set[str](), [name]
    while todo:
        node = todo.pop()
        parts = [r.name for r in found[node].reasons if is_part(r.name)] if node in found else []
        for upstream in (*dag.upstream[whole(node) if node not in dag.nodes else node], *parts):
            if upstream not in reached and found[upstream].action != "skip":
                reached.add(upstream)
                todo.append(upstream)
    return [found[n] for n in reversed(list(found)) if n in reached]


def _own(planner: Planner, node: Node, told: Forecast) -> list[Change]:
    """What has changed in a node itself while others run first: its data is not known yet."""
    before = planner.state.get(node.name)
    if told.action != "run" or told.decision or is_part(told.node):
        return []
    if before is None or planner.registry is None:
        return [Change(*planner.new(node))]
    try:
        new = planned(planner.registry, [], planner.identities.of(node))
    except PDPError:  # the run will say so
        return []
    old = recorded(planner.registry, before.id)
    return compare(old, Basis(old.inputs, new.leaves))


def _new_texts(*found: Forecast) -> dict[str, str]:
    return {d: text for f in found if f.decision for d, text in f.decision.identity.code.texts.items()}


# -- what has been --------------------------------------------------------------------------------------------------------

_NOW = 2**62
_IN_FORCE = """
SELECT how, came.id, at, reasons, run.id, run.rowid FROM (
    SELECT state AS how, id, started_at AS at, reasons, run_id FROM attempt WHERE node = :node AND state IN ('committed', 'accepted')
    UNION ALL
    SELECT e.kind, a.id, e.at, e.data, e.run_id
    FROM event e JOIN attempt a ON a.id = e.attempt_id WHERE e.kind = 'restored' AND a.node = :node
) AS came JOIN run ON run.id = came.run_id
WHERE run.rowid <= :run AND (:attempt IS NULL OR came.id = :attempt) ORDER BY run.rowid DESC LIMIT 1
"""


def _since(registry: Registry, node: str, attempt: str | None, last: int = _NOW) -> Made | None:
    """How `attempt`, or whatever was in force when run number `last` ended, came into force. Runs are counted: clocks jump."""
    row = registry.db.execute(_IN_FORCE, {"node": node, "attempt": attempt, "run": last}).fetchone()
    if row is None:
        return None
    how, ident, at, reasons, run, number = row
    (seconds,) = registry.db.execute("SELECT seconds FROM attempt WHERE id = ?", (ident,)).fetchone()
    earlier = registry.db.execute(_IN_FORCE, {"node": node, "attempt": None, "run": number - 1}).fetchone()
    found = compare(recorded(registry, earlier[1]), recorded(registry, ident)) if earlier else []
    changes = [with_diff(registry, c, {}) for c in stated(reasons, found)]
    if not changes:
        changes = [Change("upstream", part, "ran") for (part,) in registry.db.execute(_PARTS, (run, f"{node}["))]
    note = acceptances(registry).get(ident, "")
    return Made(node, ident, run, number, "ran" if how == "committed" else how, at, seconds, changes, note)


_PARTS = "SELECT node FROM attempt WHERE run_id = ? AND instr(node, ?) = 1 AND state = 'committed' ORDER BY rowid"


def acceptances(registry: Registry) -> dict[str, str]:
    """Attempts that were accepted, not computed → the reason given."""
    rows = registry.db.execute("SELECT attempt_id, data FROM event WHERE kind = 'accepted'")
    return {attempt: str(json.loads(data)["reason"]) for attempt, data in rows}


def _made_by(registry: Registry, causes: Iterable[Change], last: int) -> list[Made]:
    """The attempts that brought the artifacts among the causes, those that brought theirs, and so on."""
    found: dict[tuple[str, int], Made] = {}
    todo = [(c.name, last) for c in causes if c.kind == "upstream" and c.new is not None]
    while todo:
        artifact, run = todo.pop(0)
        producer = registry.db.execute(_PRODUCER, (artifact, run)).fetchone()
        made = _since(registry, producer[0], None, run) if producer else None
        if made is not None and (made.node, made.number) not in found:
            found[made.node, made.number] = made
            todo += [(c.name, made.number) for c in made.changes if c.kind == "upstream" and c.new is not None]
    return list(found.values())


_PRODUCER = """
SELECT a.node FROM artifact f JOIN attempt_output o ON o.artifact_id = f.id JOIN attempt a ON a.id = o.attempt_id
JOIN run ON run.id = a.run_id
WHERE f.name = ? AND run.rowid <= ? AND a.state IN ('committed', 'accepted') ORDER BY run.rowid DESC, a.rowid LIMIT 1
"""


def _failed(registry: Registry, node: str) -> Failed | None:
    """The node's last attempt, if it made nothing."""
    row = registry.db.execute(
        "SELECT run_id, id, state, started_at, error FROM attempt WHERE rowid = (SELECT max(rowid) FROM attempt WHERE node = ?)",
        (node,),
    ).fetchone()
    if row is None or row[2] not in {"started", "failed", "aborted"}:
        return None
    run, ident, state, *rest = row
    return Failed(ident, "aborted" if state == "started" and run in dead_runs(registry) else state, *rest)
