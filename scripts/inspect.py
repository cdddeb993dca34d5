"""The reading commands: plan and verify. Each gives a JSON object and the text a person reads."""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from typing import Any

from pipeline.answers.changes import Change
from pipeline.answers.forecast import Forecast
from scripts.answer import Answer
from scripts.changes import change_lines
from scripts.project import Project
from scripts.words import counted


def plan(project: Project, options: Namespace) -> Answer:
    """What a run would do, and why. A node that is not looked at has `held` in JSON; its action is `skip`."""
    from scripts.commands import asked_for

    found = project.pipeline.plan(asked_for(project, options))
    lines = []
    for f in found:
        lines.append(f"  held     {f.node}  not looked at" if f.held else f"  {f.action:<8} {f.node}")
        lines += change_lines(f.changes or [Change(*reason) for reason in f.reasons], "           ", shown=6, diffs=False)
    return Answer({"nodes": [_node(f) for f in found]}, "\n".join([*lines, _counts(found)]))


def _node(f: Forecast) -> dict[str, Any]:
    told = {"node": f.node, "stage": f.stage, "action": f.action, "reasons": [r._asdict() for r in f.reasons]}
    return told | {"held": True} if f.held else told


def _counts(found: list[Forecast]) -> str:
    """How many of what is shown would do what."""
    counts = Counter("held" if f.held else f.action for f in found)
    if set(counts) <= {"skip", "held"}:
        unseen = f"; {counts['held']:,} not looked at" if counts["held"] else ""
        return f"Nothing to do: {counted(counts['skip'], 'node')} up to date{unseen}."
    words = {
        "run": "would run",
        "restore": "would come back",
        "blocked": "blocked",
        "skip": "up to date",
        "held": "not looked at",
    }
    return ", ".join(f"{counts[action]:,} {said}" for action, said in words.items() if counts[action]) + "."


def verify(project: Project, options: Namespace) -> Answer:
    """Every artifact, the registry, the views and the bronze ledger."""
    from scripts.bronze.status import problems as bronze_problems

    problems = [*project.pipeline.verify(), *bronze_problems(project)]
    afar = project.pipeline.elsewhere()
    data: dict[str, Any] = {"ok": not problems, "problems": problems} | ({"elsewhere": afar} if afar else {})
    text = "\n".join(problems) if problems else "All is well: every artifact has the bytes that were committed."
    if afar:
        text += f"\n{counted(afar, 'version')} lie in the remote state only: `python main.py state verify` looks at those."
    return Answer(data, text, 1 if problems else 0)
