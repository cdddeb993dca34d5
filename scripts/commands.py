"""What each command does, once the command line is parsed."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from config.errors import PDPError, UsageError
from config.sources import SOURCES
from pipeline import Selection
from scripts.project import Project, open_project

if TYPE_CHECKING:
    from pipeline.outcome import Run
    from scripts.answer import Answer

ANSWERS = {
    "plan": "scripts.inspect:plan",
    "explain": "scripts.explain:explain",
    "status": "scripts.status:status",
    "graph": "scripts.graph:graph",
    "lineage": "scripts.lineage:lineage",
    "diff": "scripts.diff:diff",
    "trace": "scripts.trace:trace",
    "query": "scripts.query:query",
    "gold": "scripts.gold:gold",
    "history": "scripts.history:history",
    "runs": "scripts.history:runs",
    "report": "scripts.report:report",
    "openlineage": "scripts.openlineage:openlineage",
    "verify": "scripts.inspect:verify",
    "accept": "scripts.keeping:accept",
    "gc": "scripts.keeping:gc",
    "erase": "scripts.erase.command:erase",
    "backup": "scripts.backup.command:backup",
    "audit": "scripts.audit:audit",
    "source": "scripts.sources:answer",
    "bronze": "scripts.bronze.commands:answer",
    "cdc": "scripts.cdc:answer",
    "dlq": "scripts.dlq:answer",
    "serve": "scripts.serve:serve",
    "state": "scripts.state.commands:answer",
    "password": "scripts.password:password",
    "alerts": "scripts.alerts:answer",
    "export": "scripts.export.command:export",
}
"""Command → the function that answers it: (project, options) → Answer. Imported only when it is asked for."""

BEFORE = {
    "doctor": "scripts.doctor.examination:doctor",
    "mock": "scripts.mock.command:mock",
    "events": "scripts.event_stream.command:events",
    "restore": "scripts.backup.command:restore",
    "help": "scripts.commandline.help:shown",
    "completion": "scripts.commandline.completion:completion",
}
"""Commands that need no project, and so work whatever the settings are: (options) → Answer."""


_WITHOUT_HISTORY = frozenset("run plan explain status query gold password alerts source state".split())  # noqa: SIM905
"""Commands that a registry's core is enough for, where the rest lies in the remote state."""


def dispatch(options: argparse.Namespace) -> int:
    """Run the parsed command; gives the exit code."""
    if options.command in BEFORE:
        return _told(_function(BEFORE[options.command])(options), options)
    project = open_project()
    if options.command not in _WITHOUT_HISTORY or getattr(options, "clean", False):
        _complete(project)
    if options.command == "run":
        return _run(project, options)
    if options.command == "serve":
        from scripts.serve import serve

        return serve(project, options)
    if options.command == "bronze" and options.action == "psql":
        from scripts.bronze.console import psql

        return psql(project, options.arguments)
    if options.command == "state" and options.action == "with":
        from scripts.stateless.command import with_state

        return with_state(project, options)
    return _answer(project, options)


def _complete(project: Project) -> None:
    """Have the whole history here, if this machine has pulled no more than the registry's core."""
    if os.path.exists(os.path.join(project.data_dir, "state", "manifest.json")):
        from scripts.state.complete import complete

        complete(project)


def _answer(project: Project, options: argparse.Namespace) -> int:
    return _told(_function(ANSWERS[options.command])(project, options), options)


def _function(name: str) -> Any:
    import importlib

    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


def _told(answer: Answer, options: argparse.Namespace) -> int:
    print(json.dumps(answer.data) if options.json else answer.text)
    return answer.exit_code


def _run(project: Project, options: argparse.Namespace) -> int:
    if options.raw and not options.clean:
        raise UsageError("--raw goes with --clean.", "Write --clean --raw to remove raw artifacts too.")
    if options.clean:
        _refuse_unattended(options)
        return _clean(project, options)
    if options.schedule:
        from scripts.schedule import schedule, without_schedule

        return schedule(project, options, without_schedule(options.typed))
    if options.dry_run:
        options.command = "plan"
        return _answer(project, options)
    if options.sync or options.stateless:
        from scripts.stateless.around import stateless, synced

        work = stateless if options.stateless else synced
        return work(project, lambda pulled: _job(pulled, options))
    return _execute(project, asked_for(project, options), options)


def _job(project: Project, options: argparse.Namespace) -> int:
    """What is done between pull and push: the run, then what the setting `retention` says."""
    code = _execute(project, asked_for(project, options), options)
    if project.settings["retention"]:
        from scripts.erase.due import erase_expired

        code = erase_expired(open_project()) or code
    return code


def _refuse_unattended(options: argparse.Namespace) -> None:
    for name in ("schedule", "sync", "stateless"):
        if getattr(options, name):
            raise UsageError(f"--clean does not go with --{name}.", "Run it on its own.")


def _execute(project: Project, selection: Selection, options: argparse.Namespace) -> int:
    from scripts import summary

    run = through_engine(project, selection, options)
    stays, named = not options.stateless, bool(options.sources)
    print(json.dumps(summary.as_json(run)) if options.json else summary.text(run, project, stays, named))
    return 1 if run.status == "failed" else 0


def through_engine(project: Project, selection: Selection, options: argparse.Namespace) -> Run:
    """Run the selection, telling on stderr what happens. Options: jobs, executor, strict, debug."""
    from scripts.events import listener

    fresh = not os.path.isdir(project.data_dir)
    _keep_private(project.data_dir)
    tell = listener(str(project.settings["log_level"]))
    try:
        run = project.pipeline.run(selection, options.jobs, tell, options.executor, options.strict)
    except Exception as error:
        if getattr(error, "exit_code", 1) == 1:  # neither a wrong command nor a matter of trying again
            _tell_watchers(project, acted=True, error=error)
        raise
    finally:
        tell.close()
    if fresh:
        open_project()  # now there is a place to keep the validated settings in
    if any(o.stage == "bronze" and o.action in {"ran", "failed"} for o in run.outcomes):
        from scripts.bronze.status import leave

        leave(project)
    acted = any(o.action in {"ran", "restored", "failed"} for o in run.outcomes)
    if acted:
        _tell_lineage(project, run.run_id)
    _tell_watchers(project, acted)
    if acted and project.settings["retention"]:
        from scripts.erase.due import tell_expired

        tell_expired(project)
    if options.debug:
        for outcome in run.outcomes:
            print(outcome.details, end="", file=sys.stderr)
    return run


def _tell_lineage(project: Project, run_id: str) -> None:
    if project.settings["openlineage_url"] or project.settings["openlineage_file"]:
        from scripts.openlineage import after_run

        after_run(project, run_id)


def _tell_watchers(project: Project, acted: bool, error: Exception | None = None) -> None:
    """Alerts, then metrics. Age is judged after a run that found nothing to do, too, if anybody is told who does not read the log."""
    settings = project.settings
    try:
        if (acted and settings["alerts"]["log"]) or settings["alerts"]["email"] or settings["alert_webhook_url"]:
            from serving.alerts.evaluation import after_run

            after_run(project, error)
        if settings["metrics_textfile"] or settings["metrics_push_url"]:
            _leave_metrics(project, acted)
    except PDPError as trouble:  # a secret that cannot be read
        print(f"  ! Nobody was told of this run: {trouble}", file=sys.stderr)


def _leave_metrics(project: Project, acted: bool) -> None:
    if acted:
        from serving.metrics.leaving import leave

        leave(project)
    else:
        from serving.metrics.heartbeat import beat

        beat(project)


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
    from scripts.words import counted, sized

    print(f"{counted(len(gone), 'stored version')} {verb}, {sized(size)}. Bronze rows stay; the inbox is never touched.")
    return 0


def asked_for(project: Project, options: argparse.Namespace) -> Selection:
    """What the command line asks of the engine. Raises UsageError for what is not there."""
    if options.only_stage and (options.start_stage or options.until_stage):
        raise UsageError("--only-stage stands alone.", "Use either it, or --start-stage and --until-stage.")
    if options.resume and (earlier := _unfinished(project)):
        return earlier
    _refuse_misplaced(options)
    force = options.force
    return project.selection(
        list(options.sources),
        start_stage=options.start_stage,
        until_stage=options.until_stage,
        only_stage=options.only_stage,
        hold_stages=("ingestion",) if options.skip_ingestion else (),
        force=None if force is None else tuple(force),
    )


def _refuse_misplaced(options: argparse.Namespace) -> None:
    """A command that does not come first, or is misspelt, is not a source that is not there."""
    for name in options.sources:
        if (name in ANSWERS or name in BEFORE) and name not in SOURCES:
            raise UsageError(f"{name!r} is a command, and a command comes first.", f"Write: python main.py {name} …")
        if name not in SOURCES and options.command == "run" and not options.dry_run:
            from pipeline.answers.lineage import closest

            near = closest(name, [*ANSWERS, *BEFORE, *SOURCES], 0.7)
            if near:
                raise UsageError(f"There is no command or source named {name!r}.", f"Did you mean {' or '.join(near)}?")


def _unfinished(project: Project) -> Selection | None:
    """What the last run was asked for, if it did not succeed; nodes it had forced and finished are not forced again."""
    from pipeline.answers.history import OF_THE_PIPELINE

    with project.pipeline.reading() as registry:
        row = (
            registry.db.execute(
                f"SELECT id, status, selection FROM run WHERE {OF_THE_PIPELINE} ORDER BY rowid DESC LIMIT 1"
            ).fetchone()
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
