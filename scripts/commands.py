"""What each command does, once the command line is parsed."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from config.errors import UsageError
from config.sources import SOURCES
from pipeline import Selection
from scripts.project import Project, open_project


def dispatch(options: argparse.Namespace) -> int:
    """Run the parsed command; gives the exit code."""
    project = open_project()
    if options.command == "run":
        return _run(project, options)
    if options.command == "bronze" and options.action == "psql":
        from scripts.bronze import psql

        return psql(project, options.arguments)
    return _answer(project, options)


def _answer(project: Project, options: argparse.Namespace) -> int:
    from scripts import inspect

    if options.command == "plan":
        answer = inspect.plan(project, _selection(project, options))
    elif options.command == "status":
        answer = inspect.status(project)
    elif options.command == "lineage":
        answer = inspect.lineage(project, options.artifact, options.up, options.down)
    elif options.command == "verify":
        answer = inspect.verify(project)
    elif options.command == "bronze":
        from scripts.bronze import status

        answer = status(project)
    else:
        from scripts.sources import check, listed

        answer = listed(project) if options.action == "list" else check(project, options.sources)
    print(json.dumps(answer.data) if options.json else answer.text)
    return answer.exit_code


def _run(project: Project, options: argparse.Namespace) -> int:
    if options.raw and not options.clean:
        raise UsageError("--raw goes with --clean.", "Write --clean --raw to remove raw artifacts too.")
    if options.clean:
        return _clean(project, options)
    selection = _selection(project, options)
    if options.dry_run:
        from scripts.inspect import plan

        answer = plan(project, selection)
        print(json.dumps(answer.data) if options.json else answer.text)
        return answer.exit_code
    return _execute(project, selection, options)


def _execute(project: Project, selection: Selection, options: argparse.Namespace) -> int:
    from scripts import summary
    from scripts.events import listener

    _keep_private(project.data_dir)
    tell = listener(str(project.settings["log_level"]))
    try:
        run = project.pipeline.run(selection, options.jobs, tell)
    finally:
        tell.close()
    if any(o.stage == "bronze" and o.action in {"ran", "failed"} for o in run.outcomes):
        from scripts.bronze import leave

        leave(project)
    if options.debug:
        for outcome in run.outcomes:
            print(outcome.details, end="", file=sys.stderr)
    if options.json:
        print(json.dumps(summary.as_json(run)))
    else:
        print(summary.text(run, project))
    return 1 if run.status == "failed" else 0


def _clean(project: Project, options: argparse.Namespace) -> int:
    if options.sources or options.start_stage or options.until_stage or options.only_stage:
        raise UsageError("--clean takes no sources and no stages: it removes all generated artifacts.", "Leave them out.")

    def wanted(name: str) -> bool:
        return options.raw or not name.startswith("raw/")

    gone = project.pipeline.clean(wanted, options.dry_run)
    size = sum(a.size for a in gone)
    if options.json:
        print(json.dumps({"removed": [f"{a.name}@v{a.version}" for a in gone], "bytes": size, "dry_run": options.dry_run}))
        return 0
    for artifact in gone if options.dry_run else []:
        print(f"  {artifact.name}@v{artifact.version}")
    verb = "would go" if options.dry_run else "removed"
    print(f"{len(gone)} stored versions {verb}, {size / 1e6:.1f} MB. Bronze rows stay; the inbox is never touched.")
    return 0


def _selection(project: Project, options: argparse.Namespace) -> Selection:
    if options.only_stage and (options.start_stage or options.until_stage):
        raise UsageError("--only-stage stands alone.", "Use either it, or --start-stage and --until-stage.")
    if options.resume and (earlier := _unfinished(project)):
        return earlier
    force = options.force
    return project.selection(
        list(options.sources),
        start_stage=options.start_stage,
        until_stage=options.until_stage,
        only_stage=options.only_stage,
        hold_stages=("ingestion",) if options.skip_ingestion else (),
        force=None if force is None else tuple(force),
    )


def _unfinished(project: Project) -> Selection | None:
    """What the last run was asked for, if it did not succeed; nodes it had forced and finished are not forced again."""
    with project.pipeline.reading() as registry:
        row = (
            registry.db.execute("SELECT id, status, selection FROM run ORDER BY started_at DESC LIMIT 1").fetchone()
            if registry
            else None
        )
        if registry is None or row is None or row[1] == "succeeded":
            return None
        done = {n for (n,) in registry.db.execute("SELECT node FROM attempt WHERE run_id = ? AND state = 'committed'", (row[0],))}
    asked: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in json.loads(row[2]).items()}
    if set(asked) != set(Selection._fields):
        return None
    if asked["force"] is not None:
        names = asked["force"] or tuple(project.pipeline.dag.nodes)
        asked["force"] = tuple(n for n in names if n not in done) or None
    known = project.pipeline.dag.nodes
    asked["hold_nodes"] = tuple(n for n in asked["hold_nodes"] if n in known)
    return Selection(**asked)


def _keep_private(data_dir: str) -> None:
    """What people make below the data root with their own umask is theirs alone, too."""
    for folder in (os.path.join(data_dir, "inbox"), *(os.path.join(data_dir, "inbox", name) for name in SOURCES)):
        if os.path.isdir(folder) and os.stat(folder).st_mode & 0o077 and os.stat(folder).st_uid == os.geteuid():
            os.chmod(folder, 0o700)
