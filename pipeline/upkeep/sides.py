"""A registry's snapshot in memory, by what its rows mean: a version by its name and content, an attempt with all it read and wrote.

Numbers that are given out locally (a version's id, an event's) are no part of it, so that two sides can be compared.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

Key = tuple[str, str]
"""A version: (name, sha256)."""
Row = tuple[Any, ...]


class Kept(NamedTuple):
    """A version's row."""

    version: int
    size: int
    rows: int | None
    maker: str
    created_at: float
    removed_at: float | None


class Attempt(NamedTuple):
    """An attempt's row and edges."""

    row: Row
    """As the table has it: id, run, node, stage, key, …"""
    read: tuple[tuple[str, str, Key | None, str, int | None], ...]
    """(role, name, version or None for what nobody makes, sha256, size)"""
    made: tuple[tuple[Key, str], ...]
    """(version, role)"""

    @property
    def run(self) -> str:
        return str(self.row[1])

    @property
    def node(self) -> str:
        return str(self.row[2])

    @property
    def began(self) -> tuple[float, str]:
        """What orders attempts of different machines: when it began, then its id."""
        return self.row[9], self.row[0]

    @property
    def identities(self) -> tuple[str, str, str]:
        """Code, settings, environment."""
        return self.row[6], self.row[7], self.row[8]

    @property
    def sources(self) -> set[Key]:
        """The versions it read."""
        return {key for _, _, key, _, _ in self.read if key is not None}


class Page(NamedTuple):
    """A page's row. Which number it has is each side's own affair, as long as their order stands."""

    number: int
    digest: str
    facts: str
    records: int
    attempt: str
    created_at: float
    fate: int


Stream = tuple[str, str]
"""(node, stream)."""


class Side(NamedTuple):
    """All rows of one registry, in their order."""

    runs: dict[str, Row]
    attempts: dict[str, Attempt]
    versions: dict[Key, Kept]
    state: dict[str, str]
    """Node → the attempt in force."""
    identities: dict[str, Row]
    events: dict[Row, None]
    """(at, run, attempt, kind, data)"""
    streams: dict[Stream, Row]
    """(state, pages, records, repeated, updated at, attempt)"""
    pages: dict[tuple[Stream, Key], Page]


EMPTY = Side({}, {}, {}, {}, {}, {}, {}, {})
BARE = "erased"
"""The key of an attempt of whose outputs some were erased: no node ever has it, so the node runs again."""


def stripped(attempt: Attempt, gone: set[Key]) -> Attempt:
    """An attempt without what is gone: its key, its report and its reasons may speak of that, so they go as well."""
    row = (*attempt.row[:4], BARE, *attempt.row[5:11], None, attempt.row[12], None, "[]", None)
    made = tuple((key, role) for key, role in attempt.made if key not in gone)
    contents = {sha for (_, sha), _ in made}
    read = tuple(r for r in attempt.read if (r[2] is None and r[3] in contents) or (r[2] is not None and r[2] not in gone))
    return Attempt(row, read, made)


def read_side(db: sqlite3.Connection) -> Side:
    """The rows of a snapshot."""
    keys: dict[int, Key] = {}
    versions: dict[Key, Kept] = {}
    query = "SELECT id, name, sha256, version, size, rows, attempt_id, created_at, removed_at FROM artifact ORDER BY id"
    for ident, name, sha, *kept in db.execute(query):
        keys[ident] = (name, sha)
        versions[name, sha] = Kept(*kept)
    read: dict[str, list[Any]] = defaultdict(list)
    for attempt, role, name, ident, sha, size in db.execute("SELECT * FROM attempt_input ORDER BY attempt_id, role, name"):
        read[attempt].append((role, name, keys[ident] if ident is not None else None, sha, size))
    made: dict[str, list[Any]] = defaultdict(list)
    for attempt, ident, role in db.execute("SELECT attempt_id, artifact_id, role FROM attempt_output"):
        made[attempt].append((keys[ident], role))
    attempts = {
        row[0]: Attempt(row, tuple(read.get(row[0], ())), tuple(sorted(made.get(row[0], ()))))
        for row in db.execute("SELECT * FROM attempt ORDER BY rowid")
    }
    return Side(
        {row[0]: row for row in db.execute("SELECT * FROM run ORDER BY rowid")},
        attempts,
        versions,
        dict(db.execute("SELECT node, attempt_id FROM node_state")),
        {row[0]: row for row in db.execute("SELECT * FROM identity")},
        dict.fromkeys(db.execute("SELECT at, run_id, attempt_id, kind, data FROM event ORDER BY id")),
        {(row[0], row[1]): row[2:] for row in db.execute("SELECT * FROM stream")},
        {((row[0], row[1]), keys[row[3]]): Page(row[2], *row[4:]) for row in db.execute("SELECT * FROM page")},
    )


def write_side(db: sqlite3.Connection, side: Side, path_of: Any) -> None:
    """Put the rows into an empty registry; `path_of(name, version, sha256)` is where a version lies."""
    ids = {key: number for number, key in enumerate(side.versions, 1)}
    db.execute("BEGIN")
    _fill(db, "run", side.runs.values())
    _fill(db, "attempt", (a.row for a in side.attempts.values()))
    _fill(
        db,
        "artifact",
        (
            (ids[key], key[0], v.version, key[1], v.size, v.rows, path_of(key[0], v.version, key[1]), *v[3:])
            for key, v in side.versions.items()
        ),
    )
    _fill(db, "attempt_input", _read_rows(side, ids))
    _fill(db, "attempt_output", ((ident, ids[key], role) for ident, a in side.attempts.items() for key, role in a.made))
    _fill(db, "node_state", side.state.items())
    _fill(db, "identity", side.identities.values())
    _fill(db, "event", ((number, *event) for number, event in enumerate(side.events, 1)))
    _fill(db, "stream", ((*stream, *row) for stream, row in side.streams.items()))
    _fill(db, "page", ((*stream, page.number, ids[key], *page[1:]) for (stream, key), page in side.pages.items()))
    db.execute("COMMIT")


def _read_rows(side: Side, ids: dict[Key, int]) -> Iterator[Row]:
    for ident, attempt in side.attempts.items():
        for role, name, key, sha, size in attempt.read:
            yield ident, role, name, ids[key] if key is not None else None, sha, size


def _fill(db: sqlite3.Connection, table: str, rows: Any) -> None:
    width = len(db.execute(f"PRAGMA table_info({table})").fetchall())
    db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * width)})", rows)
