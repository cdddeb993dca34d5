"""`source list|check|discover`: what can be read, whether the other side lets us, which streams it has; the way to the rest."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from config.errors import PDPError, UsageError
from config.sources import SOURCES, hint, is_live
from pipeline.execution.calls import load
from pipeline.listing import below
from pipeline.nodes import nodes, step
from scripts.answer import Answer
from scripts.project import Project
from scripts.words import counted

_FAILED = ("denied:", "unreachable:", "wrong settings:")
"""How a line begins that says why a stream cannot be read."""


def answer(project: Project, options: Namespace) -> Answer:
    """`source list|check|discover|preview|add|state`."""
    if options.action == "list":
        return listed(project)
    if options.action == "check":
        return check(project, options.sources)
    if options.action == "discover":
        return discover(project, options.source)
    if options.action == "preview":
        from scripts.preview import answer as preview

        return preview(project, options.source, options.files)
    if options.action == "add":
        from scripts.source_add import answer as add

        return add(project, options)
    from scripts.source_state import answer as state

    return state(project, options)


def listed(project: Project) -> Answer:
    """Every source PDP knows and whether it has something to read."""
    rows: list[dict[str, Any]] = [
        {
            "name": s.name,
            "title": title(project, s.name),
            "inbox_files": len(below(project.data_dir, f"inbox/{s.name}/**")),
            "live": is_live(s.name, project.settings),
            "active": s.name in project.sources,
            "hint": hint(s.name, project.settings),
        }
        for s in SOURCES.values()
    ]
    wide = max(len(row["title"]) for row in rows) + 2
    lines = [f"{'●' if row['active'] else '○'} {row['name']:<16}{row['title']:<{wide}}{_has(row)}" for row in rows]
    return Answer({"sources": rows, "examples": project.examples}, "\n".join(lines))


def _has(row: dict[str, Any]) -> str:
    """Of a source behind an API files in its inbox are told only when somebody has dropped some."""
    files = [f"{row['inbox_files']} files in the inbox"] if row["inbox_files"] or not SOURCES[row["name"]].rest else []
    return ", ".join((["live"] if row["live"] else []) + files) or "not live"


def title(project: Project, name: str) -> str:
    """What people call a source: one that a file declares as the file says."""
    return str(project.settings[f"rest_{name}"].get("title") or SOURCES[name].title)


def check(project: Project, names: list[str]) -> Answer:
    """Ask each source whether it could be read now; changes nothing."""
    for name in names:
        known(name)
    results = {name: _checked(project, name) for name in names or SOURCES}
    lines = [f"{name:<16}{line}" for name, found in results.items() for line in found["messages"]]
    ok = all(found["ok"] for found in results.values())
    return Answer({"ok": ok, "sources": results}, "\n".join(lines), 0 if ok else 1)


def _checked(project: Project, name: str) -> dict[str, Any]:
    source = SOURCES[name]
    files = len(below(project.data_dir, f"inbox/{name}/**"))
    messages = [f"{files} files in the inbox"] if files else []
    try:
        if is_live(name, project.settings) or not (source.live or source.tokens or source.rest):
            said = load(step(source, "check"))(needs(project, name))
            if source.rest and any(line.startswith(_FAILED) for line in said):
                return {"ok": False, "messages": [*messages, *said]}
            messages += said
    except PDPError as error:
        return {"ok": False, "messages": [*messages, str(error)]}
    if not messages:
        messages = [f"nothing to read: {hint(name, project.settings)}"]
    return {"ok": True, "messages": messages}


def discover(project: Project, name: str) -> Answer:
    """The streams of an API with their fields, asked for once; of an export what lies in its inbox. Never a value."""
    source = SOURCES[known(name)]
    if not source.rest:
        from scripts.preview import answer as preview

        return preview(project, name, [])
    if not is_live(name, project.settings):
        raise UsageError(f"{name} cannot be asked yet.", f"To switch it on, {hint(name, project.settings)}.")
    found = load(step(source, "discover"))(needs(project, name))
    lines = [title(project, name)]
    for stream, said in found.items():
        if "error" in said:
            lines.append(f"\n{stream}: {said['error']}")
            continue
        lines.append(f"\n{stream}: {counted(said['records'], 'record')} on its first page; pages: {_pages(said['pages'])}")
        width = max((len(field) for field in said["fields"]), default=0) + 2
        lines += [f"  {field:<{width}}{', '.join(kinds)}" for field, kinds in said["fields"].items()]
    failed = any("error" in said for said in found.values())
    return Answer({"source": name, "streams": found}, "\n".join(lines), 1 if failed else 0)


def _pages(pages: Any) -> str:
    if not pages:
        return "not known, its parent has no record"
    return str(pages.get("error") or ", ".join(f"{k} {v}" if k != "type" else str(v) for k, v in pages.items()))


def known(name: str) -> str:
    """The name of a source that there is. Raises UsageError."""
    if name not in SOURCES:
        raise UsageError(f"There is no source named {name!r}.", f"Sources are: {', '.join(SOURCES)}.")
    return name


def needs(project: Project, name: str) -> dict[str, Any]:
    """The settings and secrets that the source's own steps declare."""
    own = [node for node in nodes([name]) if node.name.startswith(f"ingestion.{name}.")]
    return {setting: project.settings[setting] for node in own for setting in (*node.settings, *node.secrets)}
