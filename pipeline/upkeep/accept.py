"""Taking a node's outputs over as they are: a change is judged harmless by a person, on the record, and nothing is computed.

Node, key, lineage and the reason given become true in one transaction. Only whole outputs of whole inputs can be accepted.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from typing import NamedTuple

from config.errors import InputMoved, StageError, UsageError
from pipeline.answers.changes import Change
from pipeline.answers.explain import needed
from pipeline.answers.forecast import Forecast, forecast
from pipeline.commit import put_in_force, reasons_json
from pipeline.dag import Dag
from pipeline.identity import store_identity
from pipeline.node import Node, is_collection
from pipeline.planner import SINK, Decision, Planner
from pipeline.registry import Artifact, Committed, Registry
from pipeline.selection import Selection


class Accepted(NamedTuple):
    """What was accepted."""

    node: str
    attempt: str
    """The new attempt: accepted, not computed."""
    of: str
    """The attempt whose outputs it takes over."""
    covers: list[Change]
    """The differences it declares harmless."""
    outputs: list[tuple[str, Artifact]]


def accept(registry: Registry, dag: Dag, planner: Planner, selection: Selection, name: str, reason: str) -> Accepted | None:
    """Give the outputs in force the key the node has now; None when they have it already. To be called under the run lock.

    Raises UsageError for what cannot be accepted at all, StageError for what cannot be accepted as things are.
    """
    node, reason = dag.node(name), " ".join(reason.split())
    if not reason:
        raise UsageError(
            "Accepting needs a reason.", 'Say why the outputs are still right: --reason "only a message was reworded".'
        )
    if node.each:
        raise UsageError(f"{name} is mapped over {node.each}: each part is decided by itself.", "Run it; only changed parts run.")
    before = planner.state.get(name)
    if before is None:
        raise UsageError(f"{name} has never run: there is nothing to accept.", "Run it.")
    *upstream, own = forecast(dag, planner, selection, needed(dag, name))
    _refuse_unsettled(name, upstream)
    if own.action == "skip":
        return None
    if own.decision is None:
        raise StageError(f"{name} cannot be judged: {own.reasons[0].detail}", "Mend that first.")
    _refuse_unsound(planner, node, before, own.decision)
    _refuse_failed(registry, name, own.decision)
    attempt = _write(registry, node, own.decision, before, reason)
    return Accepted(name, attempt, before.id, list(own.changes), before.outputs)


def _refuse_unsettled(name: str, upstream: list[Forecast]) -> None:
    moving = [f for f in upstream if f.action != "skip"]
    if moving:
        what = {"run": "would itself run", "restore": "would itself change", "blocked": "is blocked"}[moving[0].action]
        raise StageError(f"{name} needs {moving[0].node}, which {what}.", f"Accept {moving[0].node} first, or run.")


def _refuse_unsound(planner: Planner, node: Node, before: Committed, decision: Decision) -> None:
    name, roles = node.name, {read.role for read in decision.reads}
    if decision.action == "restore":
        raise UsageError(
            f"{name} has run with exactly this before: the outputs of then come back without running.",
            "Run; or explain shows them.",
        )
    if node.remote is not None and "remote" not in roles:
        raise UsageError(f"The source of {name} cannot say whether it has changed, so it runs each time.", "Run it.")
    if missing := [n for r, n in (*node.inputs.items(), *node.files.items()) if not is_collection(n) and r not in roles]:
        raise StageError(f"{name} lacks its input {missing[0]}.", "Restore it, then accept.")
    if not _makes(node, before):
        raise UsageError(f"{name} declares other outputs than it has made.", "Run it.")
    if planner.unfinished(node, before):
        raise StageError(f"{name} was not brought to its end: there is more to fetch or to take in.", "Run it.")
    if lost := planner.lost(node, before, decision.reads):
        where = "does not hold this load" if lost == SINK else "is not as it was committed"
        raise StageError(f"{name} cannot be accepted: {lost} {where}.", "Run it.")
    if any(read.moved() for read in decision.reads):
        raise InputMoved("An input changed while it was being read.", "Accept again when nothing writes to it.")


def _refuse_failed(registry: Registry, name: str, decision: Decision) -> None:
    """Nobody may call harmless what has just been seen to fail."""
    query = "SELECT state, code_id FROM attempt WHERE rowid = (SELECT max(rowid) FROM attempt WHERE node = ?)"
    if registry.db.execute(query, (name,)).fetchone() == ("failed", decision.identity.code.id):
        raise StageError(f"{name} failed the last time it ran, with the very code it has now.", "Mend it, then run it.")


def _makes(node: Node, attempt: Committed) -> bool:
    """Whether an attempt's outputs are what the node declares, in the same roles."""
    made = {(role, artifact.name) for role, artifact in attempt.outputs}
    fixed = {(role, name) for role, name in node.outputs.items() if not is_collection(name)}
    members = {role: name[:-2] for role, name in node.outputs.items() if is_collection(name)}
    return fixed <= made and all(role in members and name.startswith(members[role]) for role, name in made - fixed)


def _write(registry: Registry, node: Node, decision: Decision, before: Committed, reason: str) -> str:
    """One transaction: killed anywhere, all of it is there or nothing."""
    import platform

    run, attempt, now = uuid.uuid4().hex, uuid.uuid4().hex, time.time()
    identity = decision.identity
    with registry.atomic() as db:
        db.execute(
            "INSERT INTO run (id, started_at, ended_at, selection, host, pid, status) VALUES (?, ?, ?, ?, ?, ?, 'succeeded')",
            (run, now, now, json.dumps({"accept": node.name}), platform.node(), os.getpid()),
        )
        for part in (identity.code, identity.settings, identity.environment):
            if part.leaves:
                store_identity(db, part)
        db.execute(
            "INSERT INTO attempt (id, run_id, node, stage, input_hash, state, code_id, settings_id, environment_id, started_at, reasons, "
            "rows, report) SELECT ?, ?, ?, ?, ?, 'accepted', ?, ?, ?, ?, ?, rows, report FROM attempt WHERE id = ?",
            (
                *(attempt, run, node.name, node.stage, decision.key),
                *(identity.code.id, identity.settings.id, identity.environment.id),
                *(now, reasons_json(decision.reasons), before.id),
            ),
        )
        db.executemany(
            "INSERT INTO attempt_input VALUES (?, ?, ?, ?, ?, ?)",
            [(attempt, r.role, r.name, r.artifact.id if r.artifact else None, r.sha256, r.size) for r in decision.reads],
        )
        db.execute(
            "INSERT INTO attempt_output SELECT ?, artifact_id, role FROM attempt_output WHERE attempt_id = ?",
            (attempt, before.id),
        )
        put_in_force(db, node.name, attempt)
        data = {"reason": reason, "of": before.id, "covers": [r._asdict() for r in decision.reasons]}
        db.execute(
            "INSERT INTO event (at, run_id, attempt_id, kind, data) VALUES (?, ?, ?, 'accepted', ?)",
            (now, run, attempt, json.dumps(data)),
        )
    return attempt
