"""`bronze status`, and what `verify` asks the ledger."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from config.errors import WarehouseError
from scripts.answer import Answer
from scripts.project import Project
from scripts.words import counted, sized

_SILVER = "silver.load"


def problems(project: Project) -> list[str]:
    """Where the loaded rows disagree with the ledger, for every source whose load is in force."""
    with project.pipeline.reading() as registry:
        rows = (
            registry.db.execute(
                "SELECT s.node, i.sha256 FROM node_state s JOIN attempt_input i ON i.attempt_id = s.attempt_id AND i.role = 'records' "
                "WHERE s.node LIKE 'bronze.%' OR s.node = ?",
                (_SILVER,),
            ).fetchall()
            if registry
            else []
        )
    if not rows:
        return []
    from warehouse.bronze.checking.status import verify
    from warehouse.silver.checking import verify as verify_silver

    expected = {node.partition(".")[2]: sha for node, sha in rows if node != _SILVER}
    try:
        return verify(for_bronze(project), expected) + verify_silver(for_bronze(project), dict(rows).get(_SILVER))
    except WarehouseError as error:
        return [str(error)]


def answer(project: Project, options: Namespace) -> Answer:
    """`bronze status`: what each table holds, how fresh and how good it is."""
    from warehouse.bronze.checking.status import status as read
    from warehouse.bronze.embedded.server import exists

    if not project.settings["database"] and not exists(project.data_dir):
        nothing: dict[str, Any] = {
            "database": "embedded",
            "server_version": None,
            "tables": [],
            "rows": 0,
            "dead_letters": 0,
            "loads": 0,
            "bytes": 0,
            "silver": None,
        }
        return Answer(nothing, "There is no bronze database yet: python main.py")
    from warehouse.silver.checking import status as read_silver

    silver = read_silver(for_bronze(project))
    data = read(for_bronze(project)) | {"silver": silver}
    lines = [f"{'table':<28}{'rows':>12}{'size':>10}{'partitions':>12}{'dead letters':>14}{'newest':>12}  quality"]
    lines += [
        f"{t['table']:<28}{t['rows']:>12,}{sized(t['bytes']):>10}{t['partitions']:>12}{t['dead_letters']:>14,}{_fresh(t):>12}  {_notes(t)}"
        for t in data["tables"]
    ]
    return Answer(data, "\n".join([*lines, *(_silver(silver) if silver else [])]))


def _silver(silver: dict[str, Any]) -> list[str]:
    """What the unified records are of, and what the last load did."""
    lines = ["", f"{silver['table']:<28}{silver['rows']:>12,}{sized(silver['bytes']):>10}"]
    lines += [f"  {s['source']:<26}{s['records']:>12,}  {counted(s['deleted'], 'deleted one')}" for s in silver["sources"]]
    for run in silver["runs"][:1]:
        told = ("inserted", "updated", "unchanged", "deleted", "removed", "rejected")
        lines.append(f"  last {run['action']}: {', '.join(f'{run[name]:,} {name}' for name in told)}, {run['seconds']:.1f} s")
    return lines


def _fresh(table: dict[str, Any]) -> str:
    """How old the newest record is."""
    hours = table["fresh_hours"]
    return "–" if hours is None else f"{hours:,.0f} h ago" if hours < 72 else f"{hours / 24:,.0f} d ago"


def _notes(table: dict[str, Any]) -> str:
    """The last load's verdict, retired months, examples."""
    quality, retired = table["quality"], table["retired"]["months"]
    missed = quality and quality["missed"]
    notes = [f"missed: {', '.join(missed)}" if missed else "as asked" if quality else "–"]
    if retired:
        notes.append(f"{counted(len(retired), 'month')} retired")
    if table["example"]:
        notes.append("examples")
    return "; ".join(notes)


def leave(project: Project) -> None:
    """Stop an embedded server whose last client was killed and could not."""
    from warehouse.bronze.embedded.server import stop_if_unused

    if not project.settings["database"]:
        stop_if_unused(project.data_dir)


def for_bronze(project: Project) -> dict[str, Any]:
    """The settings every command on bronze needs."""
    return {name: project.settings[name] for name in ("database", "data_dir", "environment")}
