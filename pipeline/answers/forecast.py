"""What a run would do, and why, without doing it."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from pipeline.answers.changes import Change, changes_of
from pipeline.dag import Dag
from pipeline.execution.calls import sentence
from pipeline.node import Node
from pipeline.partitions import is_joint, is_part, joint_outputs
from pipeline.planner import Decision, Planner, Reason
from pipeline.selection import Modes, Selection


class Forecast(NamedTuple):
    """A node's expected action."""

    node: str
    stage: str
    action: str
    """run | restore | skip | blocked"""
    reasons: list[Reason]
    held: bool = False
    """Not looked at: its committed outputs are taken as they are."""
    changes: Sequence[Change] = ()
    """The reasons with both their sides: digests, versions."""
    decision: Decision | None = None
    """None for a node that is held or blocked, or whose upstream runs first."""


def forecast(dag: Dag, planner: Planner, selection: Selection, only: AbstractSet[str] | None = None) -> list[Forecast]:
    """Decide for each node in order. A node whose upstream would run is told to run for that reason; early cutoff may still spare it.

    `only` names the nodes to look at; what they need must be among them.
    """
    modes = Modes.of(dag, selection)
    found: dict[str, Forecast] = {}
    for name in dag.order:
        if name in modes.looked | modes.held and (only is None or name in only):
            found[name] = _one(dag, planner, selection, modes, name, found)
    return list(found.values())


def _one(dag: Dag, planner: Planner, selection: Selection, modes: Modes, name: str, found: dict[str, Forecast]) -> Forecast:
    node = dag.nodes[name]
    upstream = [found[u] for u in dag.upstream[name] if u in found]
    if blocked := [u for u in upstream if u.action == "blocked"]:
        return Forecast(name, node.stage, "blocked", [Reason("upstream", u.node) for u in blocked])
    if name in modes.held:
        attempt = planner.hold(node)
        if attempt is None:
            return Forecast(name, node.stage, "blocked", [Reason("output", name, "held, but nothing whole is committed")])
        planner.settle(node, attempt.outputs)
        return Forecast(name, node.stage, "skip", [], held=True)
    if moving := [u for u in upstream if u.action == "run"]:
        return Forecast(name, node.stage, "run", [Reason("upstream", u.node, "runs first") for u in moving])
    return _joint(planner, selection, node, found) if node.each else _decided(planner, selection, node)


def _joint(planner: Planner, selection: Selection, node: Node, found: dict[str, Forecast]) -> Forecast:
    """A mapped node: its parts that would do something are told before it."""
    told = [_decided(planner, selection, p) for p in planner.parts(node)]
    found.update({f.node: f for f in told if f.action != "skip"})
    for action in ("blocked", "run"):
        if same := [f for f in told if f.action == action]:
            return Forecast(node.name, node.stage, action, [Reason("upstream", f.node) for f in same])
    attempts = [f.decision.attempt for f in told if f.decision and f.decision.attempt]
    before = planner.state.get(node.name)
    planner.settle(node, joint_outputs(attempts))
    if before is not None and is_joint(before, node, attempts):
        return Forecast(node.name, node.stage, "skip", [])
    return Forecast(node.name, node.stage, "restore", [Reason("data", node.name, "has other parts")])


def _decided(planner: Planner, selection: Selection, node: Node) -> Forecast:
    name = node.name
    try:
        decision = planner.decide(node, selection.forces(name))
    except Exception as error:  # noqa: BLE001 - one node that cannot be judged is told as such
        return Forecast(name, node.stage, "blocked", [Reason("data", name, sentence(error))])
    if decision.attempt is not None and not is_part(name):
        planner.settle(node, decision.attempt.outputs)
    before = planner.state.get(name)
    skip = decision.action == "skip"
    changes = [] if skip else changes_of(planner.registry, before.id if before else None, decision)
    return Forecast(name, node.stage, decision.action, decision.reasons, False, changes, decision)
