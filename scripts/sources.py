"""`source list`, `source check`, `source preview`: what can be read, whether the other side lets us, what an export holds."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from config.errors import PDPError, UsageError
from config.sources import SOURCES, is_live
from pipeline.execution.calls import load
from pipeline.listing import below
from scripts.answer import Answer
from scripts.project import Project

_ORIGINS = ("google_api_endpoint", "google_credentials", "object_stores")
"""What looking at any source's origins may need."""


def answer(project: Project, options: Namespace) -> Answer:
    """`source list|check|preview`."""
    if options.action == "preview":
        from scripts.preview import answer as preview

        return preview(project, options.sources)
    return listed(project) if options.action == "list" else check(project, options.sources)


def listed(project: Project) -> Answer:
    """Every source PDP knows and whether it has something to read."""
    rows = [
        {
            "name": s.name,
            "title": s.title,
            "inbox_files": len(below(project.data_dir, f"inbox/{s.name}/**")),
            "live": is_live(s.name, project.settings),
            "active": s.name in project.sources,
            "hint": s.hint,
        }
        for s in SOURCES.values()
    ]
    lines = [
        f"{'●' if r['active'] else '○'} {r['name']:<16}{r['title']:<36}{'live, ' if r['live'] else ''}{r['inbox_files']} files in the inbox"
        for r in rows
    ]
    return Answer({"sources": rows, "examples": project.examples}, "\n".join(lines))


def check(project: Project, names: list[str]) -> Answer:
    """Ask each source whether it could be read now; changes nothing."""
    for name in names:
        if name not in SOURCES:
            raise UsageError(f"There is no source named {name!r}.", f"Sources are: {', '.join(SOURCES)}.")
    results = {name: _checked(project, name) for name in names or SOURCES}
    lines = [f"{name:<16}{line}" for name, found in results.items() for line in found["messages"]]
    ok = all(found["ok"] for found in results.values())
    return Answer({"ok": ok, "sources": results}, "\n".join(lines), 0 if ok else 1)


def _checked(project: Project, name: str) -> dict[str, Any]:
    source = SOURCES[name]
    files = len(below(project.data_dir, f"inbox/{name}/**"))
    messages = [f"{files} files in the inbox"] if files else []
    try:
        if is_live(name, project.settings) or not source.live:
            asked = (*source.extract_settings, *source.settings, *source.secrets, f"origins_{name}", *_ORIGINS)
            needs = {setting: project.settings[setting] for setting in asked}
            messages += load(f"ingestion.{name}.check:check")(needs)
    except PDPError as error:
        return {"ok": False, "messages": [*messages, str(error)]}
    if not messages:
        messages = [f"nothing to read: {source.hint}"]
    return {"ok": True, "messages": messages}
