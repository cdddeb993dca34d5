"""`diff ARTIFACT vA vB`: how two versions differ, in rows and columns; keys and counts only, values never unless `--values` asks for them.

Tables (Parquet, CSV) are compared by key: the daily table by date, readings by their identity, records by `raw_id`; a table without a
key as a bag of rows. Other files are compared by size and, when they are text, by lines. Every cell is read as a 64-bit digest, a part
of the rows at a time, so that memory stays bounded whatever the size.
"""

from __future__ import annotations

import os
import time
from argparse import Namespace
from collections.abc import Callable
from typing import Any, NamedTuple

from config.errors import StoreError, UsageError
from pipeline.answers.lineage import find
from pipeline.registry import Artifact, Registry
from scripts.answer import Answer
from scripts.looks import printable
from scripts.project import Project
from scripts.words import sized

_KEYS_TOLD = 100
_KEYS_SHOWN = 10


class Version(NamedTuple):
    """One stored version."""

    version: int
    sha256: str
    size: int
    rows: int | None
    path: str
    """Absolute."""


def diff(project: Project, options: Namespace) -> Answer:
    """Compare two versions of an artifact. UsageError for versions that are not there or whose bytes are gone."""
    name = options.artifact.partition("@")[0]
    with project.pipeline.reading() as registry:
        a, b = (_version(registry, project.pipeline.local, name, text) for text in (options.a, options.b))
    data = {"artifact": name, "a": _told(a), "b": _told(b), "identical": a.sha256 == b.sha256}
    head = [f"{printable(name)}: v{a.version} → v{b.version}"]
    if data["identical"]:
        return Answer(data | {"kind": "same"}, f"{head[0]}: the same bytes")
    from scripts.table_diff import compare

    found = compare(a.path, b.path, _KEYS_TOLD, options.values)
    size = f"  {sized(a.size)} → {sized(b.size)}, {a.sha256[:12]} → {b.sha256[:12]}"
    return Answer(data | found, "\n".join([*head, size, *_lines(found)]))


def _version(registry: Registry | None, local: Callable[[Artifact], str], name: str, text: str) -> Version:
    number = text.removeprefix("v")
    if not number.isdecimal():
        raise UsageError(f"{text!r} is no version.", "Write it as v1 or 1.")
    find(registry, name)  # a name nobody knows gives its own error
    assert registry is not None
    row = registry.db.execute(
        "SELECT removed_at, id, name, version, sha256, size, rows, path, created_at FROM artifact WHERE name = ? AND version = ?",
        (name, int(number)),
    ).fetchone()
    whole = registry.db.execute(
        "SELECT version FROM artifact WHERE name = ? AND removed_at IS NULL ORDER BY version DESC LIMIT 12", (name,)
    )
    there = ", ".join(f"v{v}" for (v,) in reversed(whole.fetchall()))
    if row is None:
        raise UsageError(f"{name} has no version {number}.", f"Its versions with bytes: {there or 'none'}.")
    if row[0] is not None:
        day = time.strftime("%Y-%m-%d", time.localtime(row[0]))
        raise UsageError(
            f"The bytes of {name}@v{number} were removed by gc or --clean on {day}; only its row is left.",
            f"Its versions with bytes: {there or 'none'}.",
        )
    found = Artifact(*row[1:])
    path = local(found)
    if not os.path.exists(path):
        raise StoreError(f"{name}@v{number} is missing from the store.", "`python main.py verify` tells what else is.")
    return Version(found.version, found.sha256, found.size, found.rows, path)


def _told(version: Version) -> dict[str, Any]:
    return {k: v for k, v in version._asdict().items() if k != "path"}


def _lines(found: dict[str, Any]) -> list[str]:
    if found["kind"] == "bytes":
        return ["  not a table and no text: only the bytes can be compared"]
    if found["kind"] == "text":
        return [f"  lines: {_counts(found['lines'])}"]
    columns, rows = found["columns"], found["rows"]
    lines = [
        f"  rows: {_counts(rows)}{' by ' + ', '.join(found['key']) if found['key'] else ', compared whole: there is no key'}"
    ]
    lines += [f"  column {printable(c)} is new" for c in columns["added"]]
    lines += [f"  column {printable(c)} is gone" for c in columns["removed"]]
    lines += [f"  column {printable(c['name'])}: {c['a']} → {c['b']}" for c in columns["retyped"]]
    cells = sorted(found["cells"].items(), key=lambda p: (-p[1], p[0]))
    if cells:
        width = max(len(c) for c, _ in cells) + 2
        lines += ["  changed cells", *(f"    {printable(c):<{width}}{n:>10,}" for c, n in cells)]
    for what in ("added", "removed", "changed"):
        keys = found["keys"].get(what, [])
        if keys:
            more = rows[what] - min(len(keys), _KEYS_SHOWN)
            told = "; ".join(printable(" ".join(str(part) for part in key.values())) for key in keys[:_KEYS_SHOWN])
            lines.append(f"  {what}: {told}{f' and {more:,} more' if more else ''}")
    for value in found.get("values", []):
        key = " ".join(str(part) for part in value["key"].values())
        lines.append(printable(f"    {key}  {value['column']}: {value['a']} → {value['b']}"))
    return lines


def _counts(counts: dict[str, int]) -> str:
    told = [f"{counts['a']:,} → {counts['b']:,}"]
    return ", ".join([*told, *(f"{counts[k]:,} {k}" for k in ("added", "removed", "changed") if counts.get(k))])
