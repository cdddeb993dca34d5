"""What has changed, as lines for a person and as JSON: the code, setting, library, file or artifact with both its sides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.answers.changes import Change
from scripts.looks import printable

_SHOWN, _DIFF_LINES = 20, 60
_LABELS = {"environment": "library", "settings": "setting"}


def change_lines(changes: Sequence[Change], indent: str, shown: int = _SHOWN, diffs: bool = True) -> list[str]:
    """Each change on a line, its diff below it."""
    lines: list[str] = []
    for change in changes[:shown]:
        lines.append(f"{indent}{_LABELS.get(change.kind, change.kind):<9} {_sentence(change)}")
        diff = change.diff.split("\n") if change.diff and diffs else []
        lines += [f"{indent}          {line}".rstrip() for line in diff[:_DIFF_LINES]]
        if len(diff) > _DIFF_LINES:
            lines.append(f"{indent}          … and {len(diff) - _DIFF_LINES} more lines: --json")
    if len(changes) > shown:
        lines.append(f"{indent}… and {len(changes) - shown} more")
    return lines


def change_data(change: Change) -> dict[str, Any]:
    """A change as JSON: `title` is its name as a person reads it."""
    return {**change._asdict(), "title": change.title}


def _sentence(change: Change) -> str:
    if not change.name:
        return "the program digests it in another way than it did"
    if change.kind == "new":
        return change.detail
    if change.kind == "environment":
        return f"{change.name} {change.old or 'not needed'} → {change.new or 'not needed'}"
    line = change.location.rpartition(":")[2]
    what = f"{change.detail} (line {line})" if change.kind == "code" and line.isdecimal() else change.detail
    versions = " → ".join(f"v{v}" for v in (change.old_version, change.new_version) if v is not None)
    digests = " → ".join(d[:12] for d in (change.old, change.new) if d)
    return "  ".join(filter(None, (printable(change.title), what, versions, digests)))
