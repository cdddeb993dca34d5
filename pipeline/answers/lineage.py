"""Where an artifact comes from and what was made of it: the registry's edges, walked level by level, each artifact once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from config.errors import UsageError
from pipeline.registry import Registry


class Step(NamedTuple):
    """One artifact (or outside file) on the way."""

    depth: int
    name: str
    version: int | None
    """None for a file nobody makes and for a remote's fingerprint."""
    sha256: str
    role: str
    node: str
    """The node on whose edge it was met."""
    attempt: str


class Walk(NamedTuple):
    """Steps nearest first, and the same as a tree."""

    steps: list[Step]
    below: dict[int, list[tuple[Step, int | None]]]
    """Artifact → its edges away from the start: (step, the artifact met there; None where the way ends)."""


# An artifact was made by its node's attempt in force if that made these bytes (again), else by the first that did.
_UP = """
SELECT own.id, i.name, f.version, i.sha256, i.role, made.node, made.id, f.id
FROM json_each(?) AS frontier
CROSS JOIN artifact own ON own.id = frontier.value
CROSS JOIN attempt made ON made.id = coalesce(
    (SELECT s.attempt_id FROM attempt first JOIN node_state s ON s.node = first.node
     JOIN attempt_output o ON o.attempt_id = s.attempt_id AND o.artifact_id = own.id WHERE first.id = own.attempt_id),
    own.attempt_id)
CROSS JOIN attempt_input i ON i.attempt_id = made.id
LEFT JOIN artifact f ON f.id = i.artifact_id
ORDER BY made.node, i.name
"""
_DOWN = """
SELECT i.artifact_id, coalesce(f.name, a.node), f.version, coalesce(f.sha256, a.input_hash), coalesce(o.role, ''), a.node, a.id, f.id
FROM json_each(?) AS frontier
CROSS JOIN attempt_input i ON i.artifact_id = frontier.value
CROSS JOIN attempt a ON a.id = i.attempt_id AND a.state IN ('committed', 'accepted')
LEFT JOIN attempt_output o ON o.attempt_id = a.id
LEFT JOIN artifact f ON f.id = o.artifact_id
ORDER BY a.node, f.name, f.version
"""
_FIND = (
    "SELECT f.id, f.name, f.version, f.sha256, f.size, f.rows, f.path, f.created_at, a.node, a.run_id "
    "FROM artifact f JOIN attempt a ON a.id = f.attempt_id "
)
_NEWEST = "WHERE f.name = ? ORDER BY f.version DESC LIMIT 1"
# what its newest version's node has in force; and, for a node that was renamed since, what any node has
_CURRENT = """
SELECT f.id FROM (SELECT attempt_id FROM artifact WHERE name = :name ORDER BY version DESC LIMIT 1) AS newest
CROSS JOIN attempt a ON a.id = newest.attempt_id
CROSS JOIN node_state s ON s.node = a.node
CROSS JOIN attempt_output o ON o.attempt_id = s.attempt_id
CROSS JOIN artifact f ON f.id = o.artifact_id AND f.name = :name
"""
_ANYWHERE = """
SELECT f.id FROM node_state s CROSS JOIN attempt_output o ON o.attempt_id = s.attempt_id
CROSS JOIN artifact f ON f.id = o.artifact_id AND f.name = :name
"""


def find(registry: Registry | None, text: str) -> tuple[Any, ...]:
    """(id, name, version, sha256, size, rows, path, created_at, node, run) of `NAME` (current version) or `NAME@vN`; else UsageError."""
    name, _, version = text.partition("@v")
    if registry is not None and name.endswith("/**"):
        raise UsageError(f"{name} is a collection.", _members(registry, name[:-2]))
    if registry is None or (version and not version.isdecimal()):
        raise UsageError(f"There is no artifact {text!r}.", "Run the pipeline first, or write NAME@v2.")
    if version:
        row = registry.db.execute(_FIND + "WHERE f.name = ? AND f.version = ?", (name, int(version))).fetchone()
    else:
        asked = {"name": name}
        current = registry.db.execute(_CURRENT, asked).fetchone() or registry.db.execute(_ANYWHERE, asked).fetchone()
        row = registry.db.execute(*((_FIND + "WHERE f.id = ?", current) if current else (_FIND + _NEWEST, (name,)))).fetchone()
    if row is None:
        raise UsageError(f"There is no artifact {text!r}.", _versions(registry, name) or near(registry, name))
    return tuple(row)


def upstream(registry: Registry, artifact_id: int) -> list[Step]:
    """Everything an artifact was made from, nearest first."""
    return walk(registry, artifact_id, up=True).steps


def walk(registry: Registry, artifact_id: int, up: bool) -> Walk:
    """Follow the edges from one artifact to the end, up or down."""
    steps: dict[tuple[Any, ...], Step] = {}
    below: dict[int, list[tuple[Step, int | None]]] = {}
    frontier, seen, depth = [artifact_id], {artifact_id}, 0
    while frontier:
        depth += 1
        rows = registry.db.execute(_UP if up else _DOWN, (json.dumps(frontier),)).fetchall()
        frontier = []
        for near_end, *facts, far_end in rows:
            step = Step(depth, *facts)
            steps.setdefault(tuple(facts), step)
            below.setdefault(near_end, []).append((step, far_end))
            if far_end is not None and far_end not in seen:
                seen.add(far_end)
                frontier.append(far_end)
    return Walk(list(steps.values()), below)


def near(registry: Registry, name: str) -> str:
    """How to mend a name no artifact has."""
    known = [row[0] for row in registry.db.execute("SELECT DISTINCT name FROM artifact")]
    return did_you_mean(name, known) or "`python main.py status` lists the artifacts."


def _versions(registry: Registry, name: str) -> str:
    """Which versions there are of an artifact; they are numbered without gaps."""
    (last,) = registry.db.execute("SELECT max(version) FROM artifact WHERE name = ?", (name,)).fetchone()
    return f"{name} has {'only v1' if last == 1 else f'v1 to v{last}'}." if last else ""


def _members(registry: Registry, prefix: str) -> str:
    query = "SELECT DISTINCT name FROM artifact WHERE substr(name, 1, ?) = ? ORDER BY name"
    found = [name for (name,) in registry.db.execute(query, (len(prefix), prefix))]
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    return f"Ask for one of its {len(found)}: {', '.join(found[:5])}{more}." if found else "It has no members yet."


def did_you_mean(text: str, names: Iterable[str]) -> str:
    """How to mend a name that is not there, if it looks like one that is; else ""."""
    close = closest(text, sorted(names))
    return f"Did you mean {' or '.join(close)}?" if close else ""


def closest(text: str, names: Sequence[str], likeness: float = 0.4) -> list[str]:
    """Up to three names someone who typed `text` may have meant: those that contain it, else those that look like it (0 to 1)."""
    import difflib

    return [n for n in names if text and text in n][:3] or difflib.get_close_matches(text, names, 3, likeness)
