"""`source state show|set|reset`: how far a source has read each of its streams, and a person's word on where it goes on."""

from __future__ import annotations

import json
from argparse import Namespace

from config.errors import UsageError
from config.sources import SOURCES
from pipeline.pages import Stream
from scripts.answer import Answer
from scripts.project import Project
from scripts.words import ago, counted

_SIGNED_IN = "_auth"
"""The stream that holds no pages, but what its source needs to sign in: it is not shown, and reset by its name only."""
_SEALED = "(sealed)"


def answer(project: Project, options: Namespace) -> Answer:
    """Show, set or reset; `set` and `reset` wait for no run: beside one they are refused (BusyError)."""
    if options.source not in SOURCES:
        raise UsageError(f"There is no source named {options.source!r}.", f"Sources are: {', '.join(SOURCES)}.")
    node = f"ingestion.{options.source}.extract"
    found = project.pipeline.streams(node)
    if options.pages and options.what != "reset":
        raise UsageError("--pages belongs to reset.", "Leave it out.")
    if options.what == "show":
        return _shown(options.source, [s for s in found if options.stream in (None, s.stream)])
    if options.what == "set":
        return _set(project, node, options)
    return _reset(project, node, found, options)


def _shown(source: str, found: list[Stream]) -> Answer:
    rows = [
        {
            "stream": s.stream,
            "state": _SEALED if _own(s) else s.state,
            "pages": s.held,
            "pages_committed": s.pages,
            "records": s.records,
            "repeated": s.repeated,
            "updated_at": s.updated_at,
        }
        for s in found
    ]
    lines = [
        f"{s.stream:<20}{counted(s.held, 'page'):>12}{counted(s.records, 'record'):>18}  {ago(s.updated_at):<14}{_told(s)}"
        for s in found
    ]
    return Answer({"source": source, "streams": rows}, "\n".join(lines) or f"{source} has not read a page yet.")


def _set(project: Project, node: str, options: Namespace) -> Answer:
    if not options.stream or not options.value:
        raise UsageError(
            "Setting a state needs its stream and the state.", """Such as: set NAME STREAM '{"cursor": "2026-01-01"}'."""
        )
    try:
        state = json.loads(options.value)
    except ValueError:
        state = None
    if not isinstance(state, dict):
        raise UsageError("A state is a JSON object.", """Such as '{"cursor": "2026-01-01"}'.""")
    project.pipeline.set_state(node, options.stream, state)
    return Answer({"source": options.source, "set": [options.stream]}, f"{options.stream} goes on from there with the next run.")


def _reset(project: Project, node: str, found: list[Stream], options: Namespace) -> Answer:
    names = [s.stream for s in found if (s.stream == options.stream if options.stream else not _own(s))]
    if not names:
        known = ", ".join(s.stream for s in found)
        raise UsageError("There is no such stream.", f"Its streams are: {known}." if known else "It has not read a page yet.")
    for name in names:
        project.pipeline.set_state(node, name, None, replace=options.pages)
    what = "Its pages make room for the new ones once all of these are in." if options.pages else "The pages it has stay."
    return Answer({"source": options.source, "reset": names}, f"{', '.join(names)}: the next run begins anew. {what}")


def _own(stream: Stream) -> bool:
    return stream.stream == _SIGNED_IN


def _told(stream: Stream) -> str:
    if _own(stream):
        return _SEALED
    return "begins anew" if stream.state is None else json.dumps(stream.state, ensure_ascii=False, sort_keys=True)
