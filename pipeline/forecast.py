"""What a run would do, and why, without doing it."""

from __future__ import annotations

from typing import NamedTuple

from pipeline.dag import Dag
from pipeline.planner import Planner, Reason
from pipeline.selection import Modes, Selection
from pipeline.worker import sentence


class Forecast(NamedTuple):
    """A node's expected action."""

    node: str
    stage: str
    action: str
    """run | restore | skip | blocked"""
    reasons: list[Reason]
    held: bool = False
    """Not looked at: its committed outputs are taken as they are."""


def forecast(dag: Dag, planner: Planner, selection: Selection) -> list[Forecast]:
    """Decide for each node in order. A node whose upstream would run is told to run for that reason; early cutoff may still spare it."""
    modes = Modes.of(dag, selection)
    found: dict[str, Forecast] = {}
    for name in dag.order:
        if name in modes.looked | modes.held:
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
    try:
        decision = planner.decide(node, selection.forces(name))
    except Exception as error:  # noqa: BLE001 - one node that cannot be judged is told as such
        return Forecast(name, node.stage, "blocked", [Reason("data", name, sentence(error))])
    if decision.attempt is not None:
        planner.settle(node, decision.attempt.outputs)
    return Forecast(name, node.stage, decision.action, decision.reasons)
