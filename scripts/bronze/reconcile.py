"""`bronze reconcile`: the records in force, which the registry knows, against the ledger and the rows, which the database knows."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from config.sources import SOURCES
from config.stage import File
from pipeline.nodes import nodes
from pipeline.registry import Artifact, Registry
from scripts.answer import Answer
from scripts.project import Project
from scripts.words import counted

if TYPE_CHECKING:
    from warehouse.bronze.checking.reconcile import Outcome

_MADE = """
SELECT o.role, f.id, f.name, f.version, f.sha256, f.size, f.rows, f.path, f.created_at
FROM node_state s JOIN attempt_output o ON o.attempt_id = s.attempt_id JOIN artifact f ON f.id = o.artifact_id
WHERE s.node = ? AND f.removed_at IS NULL ORDER BY f.name
"""


def answer(project: Project, options: Namespace) -> Answer:
    """What differs between records, ledger and rows; with `--repair` what is missing is loaded first. Exit code 1 when anything does."""
    from warehouse.bronze.checking.reconcile import reconcile

    files = in_force(project)
    settings = {name: project.settings[name] for name in ("database", "data_dir")}
    outcomes = reconcile(settings, files, options.sources)
    repaired: list[dict[str, Any]] = []
    if options.repair:
        repaired, outcomes = _repair(project, settings, files, outcomes)
    differences = [difference for outcome in outcomes for difference in outcome.differences]
    data = {
        "ok": not differences,
        "sources": [_told(outcome) for outcome in outcomes],
        "differences": [difference.told() for difference in differences],
        "repaired": repaired,
    }
    lines = [f"{'source':<20}{'rows':>12}{'records in force':>18}{'loads':>8}{'months':>8}{'differences':>13}"]
    for o in outcomes:
        records = "–" if o.records is None else f"{o.records:,}"
        lines.append(f"{o.source:<20}{o.rows:>12,}{records:>18}{o.loads:>8,}{o.months:>8,}{len(o.differences):>13,}")
    lines += [f"{each['source']}: {counted(each['rows'], 'row')} loaded, {_mended(each)}." for each in repaired]
    for d, following in zip(differences, [*differences[1:], None], strict=False):
        lines.append(d.what)
        if following is None or following.mend != d.mend:  # once for all months of a kind
            lines.append(f"    {d.mend}")
    if not differences:
        lines.append("The records in force, the ledger and the rows agree.")
    return Answer(data, "\n".join(lines), 1 if differences else 0)


def in_force(project: Project) -> dict[str, dict[str, list[File]]]:
    """Source → role → the artifacts in force: what its bronze table should hold, and what a load of it reads."""
    with project.pipeline.reading() as registry:
        found = {source: _files(registry, project.pipeline.local, source) for source in SOURCES} if registry else {}
    return {source: files for source, files in found.items() if "records" in files}


def _files(registry: Registry, local: Callable[[Artifact], str], source: str) -> dict[str, list[File]]:
    files: dict[str, list[File]] = {}
    for node in (f"ingestion.{source}.records", f"ingestion.{source}.extract"):
        for role, *facts in registry.db.execute(_MADE, (node,)).fetchall():
            a = Artifact(*facts)
            files.setdefault(role, []).append(File(a.name, local(a), a.sha256, a.size, a.version, a.created_at))
    return files


def _repair(
    project: Project, settings: dict[str, Any], files: dict[str, dict[str, list[File]]], before: list[Outcome]
) -> tuple[list[dict[str, Any]], list[Outcome]]:
    """(what was repaired, how all the sources stand now)."""
    from warehouse.bronze.checking.reconcile import reconcile
    from warehouse.bronze.checking.repair import repair

    worked = [o for o in before if o.differences and repair(_settings(project, o.source), o, files.get(o.source, {}))]
    if not worked:
        return [], before
    after = {o.source: o for o in reconcile(settings, files, [o.source for o in worked])}
    told = []
    for o in worked:
        left = {d.code for d in after[o.source].differences}
        mended = sorted({d.code for d in o.differences} - left)
        told.append({"source": o.source, "rows": after[o.source].rows - o.rows, "mended": mended})
    return told, [after.get(o.source, o) for o in before]


def _settings(project: Project, source: str) -> dict[str, Any]:
    """What the source's bronze node is given."""
    names = ["database", "data_dir", "environment"]
    for node in nodes([source]) if source in SOURCES else []:
        if node.name == f"bronze.{source}":
            names = [*node.settings, *node.secrets]
    return {name: project.settings[name] for name in names}


def _told(outcome: Outcome) -> dict[str, Any]:
    return {
        "source": outcome.source,
        "table": f"bronze_{outcome.source}",
        "rows": outcome.rows,
        "records": outcome.records,
        "loads": outcome.loads,
        "months": outcome.months,
        "differences": len(outcome.differences),
    }


def _mended(repaired: dict[str, Any]) -> str:
    return f"mended: {', '.join(repaired['mended'])}" if repaired["mended"] else "nothing mended"
