"""`openlineage`: a run as OpenLineage events, printed, appended to a file or sent to a server; and the same by itself after a run."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from typing import Any

from config.addresses import web_address
from config.errors import PDPError, UsageError
from pipeline.answers.history import run
from pipeline.answers.openlineage import Event, events
from pipeline.registry import Registry
from scripts.answer import NOTHING_YET, Answer
from scripts.project import Project
from scripts.words import counted


def openlineage(project: Project, options: Namespace) -> Answer:
    """Tell one run: to `--out`, to `--url` (or the server of the settings), else to whoever reads the output."""
    with project.pipeline.reading() as registry:
        if registry is None:
            return Answer({"run_id": None, "events": []}, NOTHING_YET)
        run_id = str(run(registry, options.run)["run_id"])
        found = _told(project, registry, run_id)
    url = options.url or ("" if options.out else project.settings["openlineage_url"])
    told = []
    if options.out:
        append(options.out, found)
        told.append(f"{_events(found)} of run {run_id} appended to {options.out}.")
    if url:
        _sender(project, _checked(url)).send(found)
        told.append(f"{_events(found)} of run {run_id} sent.")
    data: dict[str, Any] = {"run_id": run_id, "events": found}
    return Answer(data, "\n".join(told or (_line(event) for event in found)))


def after_run(project: Project, run_id: str) -> None:
    """Tell a run that has just ended to whom the settings name; trouble is one line on stderr and changes nothing else."""
    settings = project.settings
    try:
        with project.pipeline.reading() as registry:
            found = _told(project, registry, run_id) if registry else []
        if found and settings["openlineage_file"]:
            append(os.path.join(project.data_dir, os.path.expanduser(settings["openlineage_file"])), found)
        if found and settings["openlineage_url"]:
            _sender(project, settings["openlineage_url"]).send(found)
    except PDPError as error:
        print(f"  ! Lineage was not told: {error} Tell it again: openlineage {run_id}", file=sys.stderr)


def append(path: str, found: list[Event]) -> None:
    """Add the events to a file, one JSON object per line; a new file is its owner's alone. Raises UsageError."""
    text = "".join(f"{_line(event)}\n" for event in found).encode()
    try:
        with open(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600), "wb", buffering=0) as file:
            rest = memoryview(text)
            while rest:
                rest = rest[file.write(rest) :]
    except OSError as error:
        raise UsageError(
            f"The events could not be written: {error.strerror}.", "Name a file in a folder you may write to."
        ) from None


def _sender(project: Project, url: str) -> Any:
    from scripts.lineage_server import LineageServer

    return LineageServer(url, str(project.settings["openlineage_api_key"]).strip())


def _checked(url: str) -> str:
    try:
        return web_address(url)
    except ValueError as error:
        raise UsageError(
            f"The address of the lineage server is wrong: {error}.", "Example: --url http://localhost:5000"
        ) from None


def _told(project: Project, registry: Registry, run_id: str) -> list[Event]:
    """Where the database is nobody is told: its tables are named by this installation, not by a host."""
    return events(registry, run_id, str(project.settings["openlineage_namespace"]), "postgres")


def _line(event: Event) -> str:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def _events(found: list[Event]) -> str:
    return counted(len(found), "event")
