"""Erasing as planned. Killed anywhere, the same command finishes it: what is gone is not looked for, what is left is found again."""

from __future__ import annotations

import os
import sys
from typing import Any

from config import audit
from config.errors import UsageError
from config.sources import SOURCES
from pipeline import lock
from pipeline.store import CACHE
from scripts.erase import cutting, rest
from scripts.erase.plan import Plan, cuts, remote, wanted
from scripts.project import Project, open_project


def carry_out(project: Project, plan: Plan) -> dict[str, Any]:
    """Do it, run what has to be made again, and leave a line in the audit log. Gives what came of it:
    `run` (status of that run, None without one) and `remote` (what went there)."""
    if os.path.isdir(project.data_dir):
        _refuse_open_tap(plan)
        rest.begin(project)
    if plan.scope.everything:
        return _everything(project, plan)
    putback = [name for c in plan.cuttings for name in cutting.prepare(project, c)]
    rest.remove(project, plan.files)
    note = {"of": plan.scope.words, "sources": [c.source for c in plan.cuttings]}
    gone = [c.source for c in plan.cuttings if c.day is None]
    rest.remove(project, [rest.File(os.path.join(CACHE, source), 0, 0) for source in gone])
    project.pipeline.erase(wanted(plan.cuttings), note=note, unread=[f"ingestion.{source}.extract" for source in gone])
    _bronze(project, plan)
    status = _run_again(project)
    if status in {None, "succeeded"}:
        cutting.clear(project, putback)
    sent = _remote(project, everything=False)
    audit.record(project.data_dir, "erase", **note, **_counts(plan), remote=sent is not None)
    rest.end(project)
    return {"run": status, "remote": sent}


def _everything(project: Project, plan: Plan) -> dict[str, Any]:
    gone = _remote(project, everything=True)
    if not os.path.isdir(project.data_dir):
        return {"run": None, "remote": gone}
    with lock.exclusive(project.data_dir):
        _all_of_bronze(project)
        rest.remove(project, rest.everything(project))
        audit.record(
            project.data_dir,
            "erase",
            of="--all",
            sources=[c.source for c in plan.cuttings],
            **_counts(plan),
            remote=gone is not None,
        )
        rest.end(project)
    return {"run": None, "remote": gone}


def _refuse_open_tap(plan: Plan) -> None:
    """A source that is fetched again by the very next run is not erased."""
    for c in plan.cuttings:
        if c.live and c.day is None and not plan.scope.everything:
            raise UsageError(
                f"{c.source} is still connected: the next run would fetch all of it again.",
                f"Write `paused: true` into {c.source}.yaml, then erase."
                if SOURCES[c.source].rest == "yaml"
                else "Take its setting away (python main.py source list says which), then erase.",
            )


def _bronze(project: Project, plan: Plan) -> None:
    from warehouse.bronze.erasing import erase
    from warehouse.silver import erasing as silver

    settings = {name: project.settings[name] for name in ("database", "data_dir")}
    silver.erase(settings, [c.source for c in plan.cuttings])
    erase.erase(settings, cuts(plan.cuttings))  # last: it empties the server's log


def _all_of_bronze(project: Project) -> None:
    """A configured database is emptied of it; the embedded one is stopped, and goes with the data root."""
    from warehouse.bronze.embedded import server
    from warehouse.bronze.erasing import erase
    from warehouse.silver import erasing as silver

    if project.settings["database"]:
        settings = {name: project.settings[name] for name in ("database", "data_dir")}
        silver.erase_everything(settings)
        erase.erase_everything(settings)
    if server.exists(project.data_dir):
        server.release(project.data_dir)
        server.stop_if_unused(project.data_dir)
        with server.alone(project.data_dir, _silent):
            """Nobody uses it."""


def _run_again(project: Project) -> str | None:
    """Make again what the other data gives without what is gone; None when nothing is left to make anything of."""
    from scripts.events import listener

    if project.examples:
        return None
    again = open_project()
    if again.examples:
        return None
    tell = listener(str(again.settings["log_level"]))
    try:
        return again.pipeline.run(again.selection(), listener=tell).status
    finally:
        tell.close()


def _remote(project: Project, *, everything: bool) -> dict[str, Any] | None:
    if remote_is_set := remote(project):
        from scripts.state import erase

        remote_is_set = dict(erase.apply(project, everything))
    elif not everything:
        rest.remove(project, [rest.File("state", 0, 0)])  # of a remote that is no longer configured: it holds the rows
    return remote_is_set


def _counts(plan: Plan) -> dict[str, int]:
    counts = {
        "records": sum(c.records for c in plan.cuttings),
        "dropped_files": sum(len(c.inbox) for c in plan.cuttings),
        "bronze_rows": sum(share.rows for share in plan.bronze),
        "silver_rows": sum(share.rows for share in plan.silver),
    }
    return counts | ({"versions": plan.engine.versions} if plan.engine else {})


def _silent(text: str) -> None:
    print(text, file=sys.stderr)
