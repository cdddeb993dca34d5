"""`erase`: lists what would go; with `--yes` it does."""

from __future__ import annotations

from argparse import Namespace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from pipeline.signals import interruptible
from scripts.answer import Answer
from scripts.erase.plan import Plan, plan
from scripts.erase.scope import scope
from scripts.project import Project
from scripts.words import counted, listed, sized


def erase(project: Project, options: Namespace) -> Answer:
    """Show the plan, or carry it out. UsageError for a scope that means nothing, BusyError beside a run."""
    today = datetime.now(ZoneInfo(project.settings["timezone"])).date()
    wanted = scope(options, project.settings, today)
    with interruptible():
        found = plan(project, wanted)
        data = as_json(found)
        if found.empty:
            return Answer(data | {"applied": False}, "Nothing to erase: nothing is held of that.")
        if not options.yes:
            return Answer(data | {"applied": False}, text(found))
        from scripts.erase.carry_out import carry_out

        done = carry_out(project, found)
    failed = done["run"] not in {None, "succeeded"}
    return Answer(data | {"applied": True, **done}, _done(found, done), 1 if failed else 0)


def as_json(found: Plan) -> dict[str, Any]:
    """The plan as `--json` shows it: names, counts and bytes, never a value."""
    engine = found.engine
    return {
        "of": found.scope.words,
        "sources": [
            {
                "source": c.source,
                "from": c.day and c.day.isoformat(),
                "records": c.records,
                "kept": c.kept,
                "raw_artifacts": len(c.going),
                "inbox_files": len(c.inbox),
            }
            for c in found.cuttings
        ],
        "artifacts": {"names": engine.names, "versions": engine.versions, "bytes": engine.size} if engine else None,
        "registry": dict(engine.rows) if engine else None,
        "made_again": _made_again(found),
        "bronze": [share._asdict() for share in found.bronze],
        "silver": [share._asdict() for share in found.silver],
        "files": [file._asdict() for file in found.files],
        "remote": found.remote,
        "notes": found.notes,
    }


def text(found: Plan) -> str:
    """The plan as a person reads it."""
    lines = [f"erase {found.scope.words} would remove, for good:", ""]
    lines += [_line("inbox" if c is found.cuttings[0] else "", _dropped(c)) for c in found.cuttings if c.inbox]
    lines += [_line(c.source, f"{counted(c.records, 'record')} of {_raws(c)}") for c in found.cuttings if c.records or c.going]
    if found.engine and found.engine.versions:
        lines.append(
            _line(
                "artifacts",
                f"{counted(found.engine.versions, 'version')}, {sized(found.engine.size)}: {listed(found.engine.names, 3)}",
            )
        )
        rows = {table: n for table, n in found.engine.rows.items() if n}
        lines.append(_line("registry", f"{counted(sum(rows.values()), 'row')} of {listed(sorted(rows), 8)}"))
        if again := _made_again(found):
            lines.append(_line("made again", listed(again, 4)))
    for share in found.bronze:
        parts = [counted(share.rows, "row"), counted(share.months, "partition"), counted(share.dead_letters, "dead letter")]
        lines.append(_line("bronze", f"bronze_{share.source}: {', '.join(parts)}, {sized(share.size)}"))
    lines += [_line("silver", f"silver.records: {counted(share.rows, 'row')} of {share.source}") for share in found.silver]
    lines += [
        _line("data root" if f is found.files[0] else "", f"{f.name}: {counted(f.files, 'file')}, {sized(f.size)}")
        for f in found.files
    ]
    if found.remote:
        r = found.remote
        held = f"{counted(r['generations'], 'generation')}, {counted(r['blobs'], 'blob')}, {sized(r['bytes'])}"
        how = held if found.scope.everything else f"what is not needed any more of {held}; no earlier generation is kept"
        lines.append(_line("remote state", f"{found.remote['place']}: {how}"))
    lines += ["", *found.notes] if found.notes else []
    return "\n".join([*lines, "", f"Nothing is changed yet. To do it: python main.py erase {found.scope.words} --yes"])


def _made_again(found: Plan) -> list[str]:
    """Nodes whose outputs go and that other data, or younger, makes again."""
    if found.scope.everything:
        return []
    whole = {c.source for c in found.cuttings if c.day is None}
    return [node for node in (found.engine.nodes if found.engine else []) if not whole.intersection(node.split("."))]


def _done(found: Plan, done: dict[str, Any]) -> str:
    if found.scope.everything:
        lines = ["Erased: everything. What remains is the audit log, with a line that says when."]
    else:
        records = sum(c.records for c in found.cuttings)
        lines = [
            f"Erased: {counted(records, 'record')} of {listed([c.source for c in found.cuttings], 5)}, and all that was made of them."
        ]
    if done["run"] == "succeeded":
        lines.append("What the other data gives was made again without them.")
    elif done["run"] is not None:
        lines.append(
            "What the other data gives could not all be made again: python main.py status says why; python main.py goes on."
        )
    if done["remote"] is not None:
        lines.append(f"The remote state keeps nothing of it: {done['remote']['place']}.")
    return "\n".join([*lines, *(note for note in found.notes if "would" not in note)])


def _line(title: str, rest: str) -> str:
    return f"  {title:<14}{rest}"


def _dropped(c: Any) -> str:
    return f"{c.source}: {counted(len(c.inbox), 'dropped file')}, {sized(sum(f.size for f in c.inbox))}"


def _raws(c: Any) -> str:
    return counted(len(c.going), "raw artifact")
