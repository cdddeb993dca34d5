"""`dlq replay`: after a fix, the steps that refused something are run again through the engine; then what became of each letter."""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from config.errors import UsageError
from scripts import summary
from scripts.answer import Answer
from scripts.bronze.status import for_bronze
from scripts.dlq import as_json, has_database, known_source, place
from scripts.project import Project
from scripts.words import counted

if TYPE_CHECKING:
    from pipeline import Selection
    from warehouse.bronze.letter_lookup import Letter

_FATES = ("would be tried", "moved in", "still refused", "newly refused", "obsolete", "not tried")
_FEW = 20


class _Fate(NamedTuple):
    """What became of a letter."""

    letter: Letter
    fate: str
    note: str


def replay(project: Project, options: Namespace) -> Answer:
    """Try the open letters of the sources asked for again; all letters of a source are tried together."""
    before = _open_letters(project, options) if has_database(project) else []
    in_force = _in_force(project)
    tried = [letter for letter in before if (letter.source, letter.file_hash) in in_force]
    left = [_Fate(letter, "not tried", "its file is no longer in force") for letter in before if letter not in tried]
    sources = [source for source in project.sources if any(letter.source == source for letter in tried)]
    nodes = [node for source in sources for node in (f"ingestion.{source}.records", f"bronze.{source}")]
    data: dict[str, Any] = {"dry_run": options.dry_run, "nodes": nodes, "run": None}
    if not tried:
        return _answer(data, left, ["There is nothing to replay: no open dead letter of a file in force."])
    if options.dry_run:
        fates = [_Fate(letter, "would be tried", "") for letter in tried] + left
        return _answer(data, fates, [f"{counted(len(tried), 'dead letter')} would be tried again, by {', '.join(nodes)}."])
    from scripts.commands import through_engine

    run = through_engine(project, _selection(project, sources, nodes), options)
    fates = _fates(project, sources, tried, {letter.id for letter in before}) + left
    data["run"] = summary.as_json(run)
    return _answer(data, fates, [summary.text(run, project), ""], 1 if run.status == "failed" else 0)


def _open_letters(project: Project, options: Namespace) -> list[Letter]:
    from warehouse.bronze.letter_lookup import find

    for name in options.sources:
        known_source(name)
    wanted = set(options.sources)
    if options.id:
        named = find(for_bronze(project), ids=options.id)
        if missing := sorted(set(options.id) - {letter.id for letter in named}):
            raise UsageError(
                f"There is no dead letter {missing[0]}.", "python main.py dlq list --state all tells which there are."
            )
        wanted |= {letter.source for letter in named if letter.state == "open"}
    everything = not options.sources and not options.id
    return [letter for letter in find(for_bronze(project), state="open") if everything or letter.source in wanted]


def _in_force(project: Project) -> set[tuple[str, str]]:
    """(source, sha256) of the raw artifacts a run would read."""
    with project.pipeline.reading() as registry:
        rows = (
            registry.db.execute(
                "SELECT s.node, a.sha256 FROM node_state s JOIN attempt_output o ON o.attempt_id = s.attempt_id "
                "JOIN artifact a ON a.id = o.artifact_id WHERE s.node LIKE 'ingestion.%.extract'"
            ).fetchall()
            if registry
            else []
        )
    return {(node.split(".")[1], sha256) for node, sha256 in rows if node.split(".")[1] in project.sources}


def _selection(project: Project, sources: Sequence[str], nodes: Sequence[str]) -> Selection:
    """These nodes in any case, and what follows from them; inbox and remote are not looked at."""
    asked = project.selection(sources, force=tuple(nodes))
    return asked._replace(hold_nodes=tuple({*asked.hold_nodes, *(f"ingestion.{source}.extract" for source in sources)}))


def _fates(project: Project, sources: Sequence[str], tried: Sequence[Letter], were_open: set[int]) -> list[_Fate]:
    from warehouse.bronze.letter_lookup import find

    settings = for_bronze(project)
    before = {letter.id: letter for letter in tried}
    fates = [_fate(before[letter.id], letter) for letter in find(settings, ids=list(before))]
    new = [letter for letter in find(settings, state="open") if letter.source in sources and letter.id not in were_open]
    return fates + [_Fate(letter, "newly refused", "") for letter in new]


def _fate(before: Letter, after: Letter) -> _Fate:
    if after.state == "open":
        counts = after.attempts > before.attempts
        return _Fate(
            after, *(("still refused", f"attempt {after.attempts}") if counts else ("not tried", "its load did not end"))
        )
    return _Fate(after, "moved in" if after.state == "replayed" else "obsolete", after.resolution or "")


def _answer(data: dict[str, Any], fates: list[_Fate], lines: list[str], exit_code: int = 0) -> Answer:
    reasons = {
        reason: dict(Counter(f.fate for f in fates if f.letter.reason == reason))
        for reason in sorted({f.letter.reason for f in fates})
    }
    told = [{**as_json(f.letter), "fate": f.fate, "note": f.note} for f in fates]
    return Answer(data | {"letters": told, "reasons": reasons}, "\n".join([*lines, *_table(fates, reasons)]), exit_code)


def _table(fates: list[_Fate], reasons: dict[str, dict[str, int]]) -> list[str]:
    """Fates by reason; of few letters each one's."""
    columns = [fate for fate in _FATES if any(f.fate == fate for f in fates)]
    lines = [f"  {'dead letters':<22}{''.join(f'{column:>16}' for column in columns)}"] if fates else []
    lines += [f"  {reason:<22}{''.join(f'{counts.get(c, 0):>16,}' for c in columns)}" for reason, counts in reasons.items()]
    if len(fates) <= _FEW:
        lines += [
            f"{f.letter.id:>6}  {place(f.letter.position, f.letter.file)}: {f.fate}{f', {f.note}' if f.note else ''}"
            for f in fates
        ]
    return lines
