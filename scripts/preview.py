"""`source preview NAME [FILE…]`: what an export holds before anything is taken in. Changes nothing, shows no measured value."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

from config.errors import UsageError
from config.sources import SOURCES
from config.stage import File
from pipeline.execution.calls import load
from pipeline.listing import below
from pipeline.nodes import nodes
from scripts.answer import Answer
from scripts.project import Project
from scripts.words import counted

_MOST_LINES = 40


def answer(project: Project, source: str | None, paths: Sequence[str]) -> Answer:
    """`paths`: files or folders of an export; without any the source's inbox, of an API or a stream its pages. Raises UsageError."""
    if source is None or source not in SOURCES:
        said = f"There is no source named {source!r}." if source else "Which source's export is it?"
        raise UsageError(said, f"Sources are: {', '.join(SOURCES)}.")
    if SOURCES[source].rest and not paths:
        from scripts.preview_api import answer as of_api

        return of_api(project, source)
    files = list(_given(paths)) if paths else list(_dropped(project, source))
    if not files and SOURCES[source].pages:
        from scripts.preview_api import of_held

        return of_held(project, source)
    if not files:
        raise UsageError("There is nothing to look at.", f"Name a file, or drop the export in inbox/{source}/.")
    from ingestion.survey import Survey

    schema: Any = load(f"ingestion.{source}.records:SCHEMA")
    survey = Survey(load(f"ingestion.{source}.records:parse"), schema, _needs(project, source))
    for file in files:
        survey.look(file)
    told = {"source": source, **survey.told()}
    return Answer(told, "\n".join(_lines(told)))


def _needs(project: Project, source: str) -> dict[str, Any]:
    """The settings its `records` step declares."""
    node = next(node for node in nodes([source]) if node.name == f"ingestion.{source}.records")
    return {name: project.settings[name] for name in (*node.settings, *node.secrets)}


def _given(paths: Sequence[str]) -> Iterator[File]:
    for path in paths:
        if os.path.isfile(path):
            yield _file(os.path.basename(path), path)
        elif os.path.isdir(path):
            yield from (_file(name.lstrip("/"), found) for name, found in below(path, "**"))
        else:
            raise UsageError("One of the files is not there.", "Give the path of an export, or of its folder.")


def _dropped(project: Project, source: str) -> Iterator[File]:
    for name, path in below(project.data_dir, f"inbox/{source}/**"):
        yield _file(name.split("/", 2)[2], path)


def _file(name: str, path: str) -> File:
    return File(name, path, "", os.path.getsize(path))


def _lines(told: dict[str, Any]) -> Iterator[str]:
    refused = sum("refused" in file for file in told["files"])
    records = sum(file["records"] for file in told["files"])
    head = [counted(len(told["files"]), "file"), counted(records, "record")]
    head += [f"{counted(refused, 'file')} refused"] if refused else []
    yield f"{SOURCES[told['source']].title}: {', '.join(head)}"
    yield from _block("Tables", [_table(row) for row in told["tables"]])
    yield from _block("Not read", [f"{row['name']}  {row['count']:,} × {row['what']}" for row in told["not_read"]])
    yield from _block("No data", [f"{what}  {count:,}" for what, count in told["layout"].items()])
    yield from _block(
        "Refused", [f"{r['reason']}  {r['count']:,} × {r['kind']}, first at {r['example']}" for r in told["refused"]]
    )
    yield from _block("Changed", [_change(row) for row in told["drift"]])


def _block(title: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield f"\n{title}"
        yield from (f"  {line}" for line in lines[:_MOST_LINES])
        if len(lines) > _MOST_LINES:
            yield f"  … and {len(lines) - _MOST_LINES} more (--json has all)"


def _table(row: dict[str, Any]) -> str:
    span = f"  {row['first'][:10]} to {row['last'][:10]}" if row["first"] else "  no times"
    return f"{row['table'] or 'records':<48}{row['records']:>10,}{span}"


def _change(row: dict[str, Any]) -> str:
    of = f" of {row['table']}" if row["table"] else ""
    return f"{row['change']}: {row['field']}{of}  {counted(row['count'], 'record')}, first at {row['example']}"
