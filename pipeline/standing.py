"""A run that has nothing to do, decided at once: what the last such run looked at is looked at again, and nothing else.

Deciding that every node may be skipped is a function of facts: what files, folders and links look like, which paths are absent, what is
installed, what remotes and sinks answer, what the registry holds. A run in which every node was skipped keeps the facts it consulted. The
next run that is asked the same, and finds every one of them unchanged, has the same answer; any difference, and the planner decides
node by node as if nothing had been kept. The registry drops what is kept in the very transaction that changes its state (triggers of
`0002_standing.sql`), so a kept answer never outlives what it rests on. Deleting it costs time, never correctness.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence

from pipeline.installed import installed_stamp
from pipeline.outcome import Outcome
from pipeline.registry import Artifact, Registry
from pipeline.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from pipeline.node import Node
    from pipeline.selection import Selection

_INO = (1 << 63) - 1
_ENGINE = os.path.dirname(os.path.abspath(__file__))


class Question(NamedTuple):
    """What a run is asked, as text: equal text, equal question."""

    selection: str
    asked: str


class Facts(NamedTuple):
    """All that a run's decisions rest on besides the registry."""

    files: Mapping[str, list[int]]
    """Path → ino, size, mtime_ns, ctime_ns, dev."""
    names: list[tuple[str, str, str, str]]
    """(kind, base, name, what was found there)."""
    installed: str
    """What was installed when the code was looked at."""


def question(nodes: Iterable[Node], settings: Mapping[str, Any], selection: Selection, *context: Any) -> Question | None:
    """The whole question: the DAG, the settings it declares, the selection, the engine's own code. None if it cannot be put."""
    nodes = list(nodes)
    names = sorted({name for node in nodes for name in node.settings})
    try:
        values = [(name, settings[name]) for name in names]
        asked = ([tuple(node) for node in nodes], _sha256(repr(values)) if values else "", context, _engine())
    except (KeyError, ImportError, OSError):  # the planner meets it again, and tells
        return None
    return Question(repr(tuple(selection)), repr(asked))


def _sha256(text: str) -> str:
    """Settings may be private: the registry keeps no value of theirs. `hashlib` would take longer to import than the rest to run."""
    try:
        from _sha256 import sha256  # type: ignore[import-not-found]
    except ImportError:  # its name from Python 3.12 on
        from _sha2 import sha256  # type: ignore[import-not-found]
    digest: str = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return digest


def _engine() -> list[tuple[str, int, int, int]]:
    """The engine's own files: another engine may decide otherwise."""
    found = []
    for folder in (_ENGINE, os.path.join(_ENGINE, "code"), os.path.join(_ENGINE, "execution")):
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(".py"):
                    seen = entry.stat()
                    found.append((entry.name, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns))
    return sorted(found)


def check(registry: Registry, asked: Question, data_dir: str, ask: Callable[[str, str, str], bool]) -> list[Outcome] | None:
    """The outcomes of a run in which every node is skipped, or None when that is not certain.

    `ask(kind, node, kept)` repeats a question to the outside world: whether it still answers as it did.
    """
    db, root = registry.db, os.path.join(data_dir, "")
    try:
        kept = db.execute(_KEPT, asked).fetchone()
        if kept is None or kept[1] != repr(installed_stamp()):
            return None
        ident, counts = (kept[0],), kept[2:]
        files, names = db.execute(_FILES, ident).fetchall(), db.execute(_NAMES, ident).fetchall()
        if not (_files_stand(files, root) and _names_stand(names, root, ask)):
            return None
        outcomes = _outcomes(db.execute(_OUTCOMES, ident), data_dir)
        return outcomes if (len(files), len(names), len(outcomes)) == counts else None
    except (sqlite3.Error, OSError, ValueError):  # an older registry, a file that is gone: the planner meets it again, and tells
        return None


_KEPT = """
SELECT id, installed, files, names, outcomes FROM standing WHERE selection = ? AND asked = ?
AND NOT EXISTS (SELECT 1 FROM run WHERE status = 'running') AND NOT EXISTS (SELECT 1 FROM run WHERE litter = 1)
"""
_FILES = "SELECT path, ino, size, mtime_ns, ctime_ns, dev FROM standing_file WHERE standing_id = ?"
_NAMES = "SELECT kind, base, name, found FROM standing_name WHERE standing_id = ?"
_OUTCOMES = "SELECT node, stage, attempt_id, rows, warnings, held FROM standing_outcome WHERE standing_id = ? ORDER BY position"


def _files_stand(rows: Iterable[tuple[Any, ...]], root: str) -> bool:
    stat = os.stat
    for path, ino, size, mtime_ns, ctime_ns, dev in rows:
        s = stat(path if path[0] == "/" else root + path)
        if s.st_ctime_ns != ctime_ns or s.st_mtime_ns != mtime_ns or s.st_size != size:
            return False
        if s.st_ino & _INO != ino or s.st_dev & _INO != dev:
            return False
    return True


def _names_stand(rows: Iterable[tuple[str, str, str, str]], root: str, ask: Callable[[str, str, str], bool]) -> bool:
    readlink = os.readlink
    for kind, base, name, found in rows:
        if kind == "link":
            same = readlink(root + name) == found
        elif kind == "absent":
            same = not os.path.exists(name)
        elif kind in {"remote", "sink"}:
            same = ask(kind, name, found)
        else:
            same = _listed(kind, base or root, name) == found
        if not same:
            return False
    return True


def _listed(kind: str, base: str, name: str) -> str:
    from pipeline.listing import below, matching, modules_in

    if kind == "files":
        return repr([n for n, _ in below(base, name)])
    return repr(modules_in(name) if kind == "modules" else matching(base, name))


def _outcomes(rows: Iterable[tuple[Any, ...]], data_dir: str) -> list[Outcome]:
    made = _Made(data_dir)
    return [
        Outcome(
            node,
            stage,
            "skipped",
            attempt,
            0.0,
            count,
            _Outputs(made, attempt),
            None,
            "",
            (),
            {},
            tuple(told.splitlines()),
            bool(held),
        )
        for node, stage, attempt, count, told, held in rows
    ]


class _Made:
    """What attempts made, read from the registry when it is first asked for: most runs with nothing to do are not."""

    def __init__(self, data_dir: str) -> None:
        self._data_dir = data_dir
        self._found: dict[str, tuple[Artifact, ...]] = {}

    def by(self, attempt: str) -> tuple[Artifact, ...]:
        if attempt not in self._found:
            registry = Registry.read(self._data_dir)
            rows = registry.db.execute(_OUTPUTS, (attempt,)).fetchall() if registry else []
            self._found[attempt] = tuple([Artifact(*row) for row in rows])
            if registry:
                registry.close()
        return self._found[attempt]


_OUTPUTS = """
SELECT f.id, f.name, f.version, f.sha256, f.size, f.rows, f.path, f.created_at
FROM attempt_output o JOIN artifact f ON f.id = o.artifact_id WHERE o.attempt_id = ? ORDER BY f.name
"""


class _Outputs(Sequence):  # type: ignore[type-arg]
    """An outcome's outputs."""

    __slots__ = ("_attempt", "_made")

    def __init__(self, made: _Made, attempt: str) -> None:
        self._made = made
        self._attempt = attempt

    def __getitem__(self, index: Any) -> Any:
        return self._made.by(self._attempt)[index]

    def __len__(self) -> int:
        return len(self._made.by(self._attempt))


def keep(registry: Registry, asked: Question, facts: Facts | None, outcomes: list[Outcome]) -> None:
    """Keep what a run found in which every node was skipped, if every fact it rests on can be looked at again."""
    if facts is None or any(o.action != "skipped" or o.attempt is None for o in outcomes):
        return
    with registry.atomic(durable=False) as db:
        db.execute("DELETE FROM standing WHERE selection = ?", asked[:1])
        for table in ("standing_file", "standing_name", "standing_outcome"):  # of one that another program deleted
            db.execute(f"DELETE FROM {table} WHERE standing_id NOT IN (SELECT id FROM standing)")
        row = (*asked, facts.installed, len(facts.files), len(facts.names), len(outcomes))
        ident = db.execute(
            "INSERT INTO standing (selection, asked, installed, files, names, outcomes) VALUES (?, ?, ?, ?, ?, ?)", row
        ).lastrowid
        files = [(ident, path, *seen) for path, seen in facts.files.items()]
        db.executemany("INSERT INTO standing_file VALUES (?, ?, ?, ?, ?, ?, ?)", files)
        db.executemany("INSERT INTO standing_name VALUES (?, ?, ?, ?, ?)", [(ident, *name) for name in facts.names])
        db.executemany(
            "INSERT INTO standing_outcome VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(ident, n, o.node, o.stage, o.attempt, o.rows, "\n".join(o.warnings), o.held) for n, o in enumerate(outcomes)],
        )
