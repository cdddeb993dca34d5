"""What is kept and what goes: `accept` outputs as they are, `gc` of superseded versions."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from scripts.answer import Answer
from scripts.project import Project


def accept(project: Project, options: Namespace) -> Answer:
    """Take a node's outputs over as they are, on the record: accepted, not computed."""
    from scripts.changes import change_data, change_lines

    found = project.pipeline.accept(options.node, options.reason, project.selection())
    data: dict[str, Any] = {
        "node": options.node,
        "accepted": found is not None,
        "attempt": None,
        "of": None,
        "covers": [],
        "outputs": [],
    }
    if found is None:
        return Answer(data, f"Nothing to accept: {options.node} is up to date.")
    data |= {
        "attempt": found.attempt,
        "of": found.of,
        "covers": [change_data(c) for c in found.covers],
        "outputs": [{"name": a.name, "version": a.version, "sha256": a.sha256, "path": a.path} for _, a in found.outputs],
    }
    lines = [f"{found.node} is accepted, not computed: its outputs stand for what it rests on now, in spite of"]
    return Answer(data, "\n".join([*lines, *change_lines(found.covers, "  ", diffs=False)]))


def gc(project: Project, options: Namespace) -> Answer:
    """Remove the bytes of superseded versions, or say with `--dry-run` what would go. Rows, and raw artifacts
    unless `--raw` is given, stay."""
    from scripts.words import counted, sized

    gone = project.pipeline.gc(options.keep, options.dry_run, "" if options.raw else "raw/")
    data = {
        "keep": options.keep,
        "dry_run": options.dry_run,
        "versions": gone.versions,
        "bytes": gone.size,
        "artifacts": [{"name": name, "versions": count, "bytes": size} for name, count, size in gone.artifacts],
    }
    if not gone.versions:
        return Answer(data, f"Nothing to remove: no artifact has superseded versions beyond the {options.keep} newest.")
    lines = [
        f"  {name:<52}{count:>6,} version{'s' if count != 1 else ' '}{sized(size):>10}" for name, count, size in gone.artifacts
    ]
    raw = "" if options.raw else ", and everything raw"
    verb = "would go" if options.dry_run else "are gone"
    lines.append(f"{counted(gone.versions, 'superseded version')} {verb}, {sized(gone.size)}.")
    lines.append(f"Kept: the {options.keep} newest of each artifact, all that is in force, what that was made from{raw}.")
    return Answer(data, "\n".join(lines))
