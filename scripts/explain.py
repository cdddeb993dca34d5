"""`explain NODE`: why it would run or not, down to the symbol, the setting, the library, the file; and how its outputs came to be."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable
from typing import Any

from pipeline.answers.changes import Basis, Change
from pipeline.answers.explain import Explanation, Made
from pipeline.answers.forecast import Forecast
from scripts.answer import Answer
from scripts.changes import change_data, change_lines
from scripts.project import Project
from scripts.words import counted, listed, when


def explain(project: Project, options: Namespace) -> Answer:
    """Explain one node. Settings are told by name and digest, never by value."""
    found = project.pipeline.explain(options.node, project.selection())
    return Answer(_data(found), "\n".join(_text(found)))


# -- text -----------------------------------------------------------------------------------------------------------------


def _text(e: Explanation) -> list[str]:
    lines = [_headline(e)]
    if e.changes:
        lines += ["", *change_lines(e.changes, "  ")]
    elif e.action == "blocked":
        lines += ["", *change_lines([Change(*reason) for reason in e.reasons], "  ")]
    if e.first:
        lines += ["", *_first(e.first, e.in_force is not None)]
    if e.action != "skip":
        lines += _made_by(e.made_by, diffs=True)
    lines += ["", *_in_force(e)]
    if e.action == "skip":
        lines += _made_by(e.made_by, diffs=True)
    if e.failed:
        lines += ["", f"  Its last attempt, {when(e.failed.at)}, was {_FATES[e.failed.state]}. {e.failed.error or ''}".rstrip()]
    return lines + [f"  ! {warning}" for warning in e.warnings]


_FATES = {"failed": "a failure", "aborted": "cut short", "started": "begun and is under way, or was cut short"}


def _headline(e: Explanation) -> str:
    if e.held:
        return f"{e.node} is not looked at: there is nothing to look at now, what it brought earlier stays."
    return {
        "run": f"{e.node} would run.",
        "restore": f"{e.node} would be restored: it has run with exactly this before, and its outputs of then come back.",
        "skip": f"{e.node} would be skipped: everything it rests on is as it was.",
        "blocked": f"{e.node} is blocked.",
    }[e.action]


def _first(moving: Iterable[Forecast], in_force: bool) -> list[str]:
    """The nodes that come first, from the nearest to the root; those that wait for the same ones in one line."""
    spared = " If the same bytes are made again, it is skipped after all." if in_force else ""
    lines = [f"  What it needs is not up to date.{spared}"]
    waiting: dict[tuple[str, ...], list[str]] = {}
    roots = []
    for f in moving:
        if f.decision is None and f.action == "run" and all(r.kind == "upstream" for r in f.reasons):
            waiting.setdefault(tuple(r.name for r in f.reasons), []).append(f.node)
        else:
            roots.append(f)
    for causes, nodes in waiting.items():
        lines.append(f"    {listed(nodes, 3)} would run because {listed(causes, 3)} run{'s' * (len(causes) == 1)} first")
    for f in roots:
        verb = {"run": "would run", "restore": "would be restored", "blocked": "is blocked"}[f.action]
        lines += [f"    {f.node} {verb}", *change_lines(f.changes or [Change(*r) for r in f.reasons], "      ")]
    return lines


def _in_force(e: Explanation) -> list[str]:
    if e.in_force is None:
        return ["  Nothing of it is in force."]
    lines = [f"  In force since {when(e.in_force.at)}: attempt {e.in_force.attempt[:12]}, {_how(e.in_force)}."]
    if e.basis:
        lines.append(f"  It rests on {_counts(e.basis)}.")
    because = {"ran": "It ran because of", "restored": "It was restored because of", "accepted": "What was accepted as harmless:"}
    return [*lines, f"  {because[e.in_force.how]}", *change_lines(e.in_force.changes, "    ", diffs=e.action == "skip")]


def _made_by(made: Iterable[Made], diffs: bool) -> list[str]:
    lines: list[str] = []
    for m in made:
        lines += ["", f"  {m.node} {_how(m)} at {when(m.at)} because of", *change_lines(m.changes, "    ", diffs=diffs)]
    return lines


def _how(made: Made) -> str:
    if made.how == "accepted":
        return f"accepted, not computed ({made.note})"
    if made.how == "restored":
        return f"restored, not run again{f'; accepted, not computed ({made.note})' if made.note else ''}"
    return f"ran in {made.seconds or 0:.2f} s"


def _counts(basis: Basis) -> str:
    counts: list[tuple[Any, ...]] = [
        (len(basis.leaves["code"]), "symbol"),
        (len(basis.leaves["settings"]), "setting"),
        (sum(leaf[0] != "python" for leaf in basis.leaves["environment"]), "library", "libraries"),
        (len(basis.inputs), "input"),
    ]
    return ", ".join(counted(*count) for count in counts)


# -- JSON -----------------------------------------------------------------------------------------------------------------


def _data(e: Explanation) -> dict[str, Any]:
    return {
        "node": e.node,
        "stage": e.stage,
        "action": e.action,
        "held": e.held,
        "reasons": [r._asdict() for r in e.reasons],
        "changes": [change_data(c) for c in e.changes],
        "first": [
            {
                "node": f.node,
                "action": f.action,
                "reasons": [r._asdict() for r in f.reasons],
                "changes": [change_data(c) for c in f.changes],
            }
            for f in e.first
        ],
        "in_force": _made(e.in_force) if e.in_force else None,
        "made_by": [_made(m) for m in e.made_by],
        "rests_on": _basis(e.basis) if e.basis else None,
        "failed": e.failed._asdict() if e.failed else None,
        "warnings": e.warnings,
    }


def _made(made: Made) -> dict[str, Any]:
    return {**made._asdict(), "changes": [change_data(c) for c in made.changes]}


def _basis(basis: Basis) -> dict[str, Any]:
    names = {"code": ("name", "digest", "location"), "settings": ("name", "digest"), "environment": ("name", "version")}
    leaves = {kind: [dict(zip(fields, leaf, strict=False)) for leaf in basis.leaves[kind]] for kind, fields in names.items()}
    inputs = [
        {"role": role, "name": name, "version": i.version, "sha256": None if role == "remote" else i.sha256}
        for (role, name), i in basis.inputs.items()
    ]
    return {**leaves, "inputs": inputs}
