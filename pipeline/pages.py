"""Streams and pages in the registry: what is held of a remote's lists, where each goes on, what an attempt that ends well collects.

A page is an artifact and a row of `page`, written in one transaction with its stream's state. A node's collection is what its stage
wrote and kept, and every page that is held: whichever attempt has committed it, and whether or not that attempt lived to its end.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.registry import Artifact, Registry

if TYPE_CHECKING:
    import sqlite3

    from pipeline.node import Node

HELD, RETIRING, REPLACED = 0, 1, 2
UNFINISHED = "unfinished"
"""The key of an attempt that stopped within a round, and of one after which a stream was reset: no node ever has it, so the node runs."""
INCOMPLETE = "incomplete"
"""Code of the finding by which a stage says that it stopped within a round."""
_ARTIFACT = "f.id, f.name, f.version, f.sha256, f.size, f.rows, f.path, f.created_at"
_NAMED_AS_PAGE = re.compile(r"\d{6,}-[0-9a-f]{12}(\.[A-Za-z0-9.]+)?")
_KNOWS_PAGES = 3


class Held(NamedTuple):
    """A page that is held."""

    stream: str
    number: int
    fate: int
    artifact: Artifact


class Stream(NamedTuple):
    """A stream's row, with what is held of it."""

    node: str
    stream: str
    state: dict[str, Any] | None
    pages: int
    """Pages ever committed."""
    records: int
    repeated: int
    updated_at: float
    held: int
    """Pages held now."""


def knows_pages(registry: Registry) -> bool:
    """Whether a registry has these tables; one that an older program has made has them after the next run."""
    return registry.version() >= _KNOWS_PAGES


def held(db: sqlite3.Connection, node: str) -> list[Held]:
    """The pages of a node, those that are to be replaced included."""
    query = f"""
    SELECT p.stream, p.number, p.fate, {_ARTIFACT} FROM page p JOIN artifact f ON f.id = p.artifact_id
    WHERE p.node = ? AND p.fate < 2 ORDER BY p.stream, p.number
    """
    return [Held(stream, number, fate, Artifact(*row)) for stream, number, fate, *row in db.execute(query, (node,))]


def streams(registry: Registry, node: str = "") -> list[Stream]:
    """The streams of a node, or of all."""
    if not knows_pages(registry):
        return []
    query = """
    SELECT s.node, s.stream, s.state, s.pages, s.records, s.repeated, s.updated_at,
    (SELECT count(*) FROM page p WHERE p.node = s.node AND p.stream = s.stream AND p.fate < 2)
    FROM stream s WHERE ? IN ('', s.node) ORDER BY s.node, s.stream
    """
    rows = registry.db.execute(query, (node,))
    return [Stream(name, stream, None if state is None else json.loads(state), *rest) for name, stream, state, *rest in rows]


def waiting(registry: Registry, node: str, attempt: str) -> bool:
    """Whether pages are held that the attempt in force has not made its own."""
    query = """
    SELECT 1 FROM page p WHERE p.node = ? AND p.fate = 0
    AND NOT EXISTS (SELECT 1 FROM attempt_output o WHERE o.attempt_id = ? AND o.artifact_id = p.artifact_id) LIMIT 1
    """
    return knows_pages(registry) and registry.db.execute(query, (node, attempt)).fetchone() is not None


def forget(registry: Registry, node: str, lost: Sequence[Held], attempt_id: str, run_id: str) -> dict[str, int]:
    """Take lost pages out, and their streams' states with them: all is fetched anew. Gives how many by stream."""
    counts: dict[str, int] = {}
    for page in lost:
        counts[page.stream] = counts.get(page.stream, 0) + 1
    if counts:
        now = time.time()
        with registry.atomic() as db:
            db.executemany(
                "DELETE FROM page WHERE node = ? AND stream = ? AND number = ?", [(node, p.stream, p.number) for p in lost]
            )
            db.executemany("UPDATE artifact SET removed_at = ? WHERE id = ?", [(now, p.artifact.id) for p in lost])
            db.executemany(
                "UPDATE stream SET state = NULL, updated_at = ?, attempt_id = ? WHERE node = ? AND stream = ?",
                [(now, attempt_id, node, stream) for stream in counts],
            )
            db.execute(
                "INSERT INTO event (at, run_id, attempt_id, kind, data) VALUES (?, ?, ?, 'pages_lost', ?)",
                (now, run_id, attempt_id, json.dumps(counts)),
            )
    return counts


def collected(db: sqlite3.Connection, node: Node, before: Iterable[tuple[str, Artifact]], whole_round: bool) -> list[Artifact]:
    """What an attempt that ends well has in its collection beside what its stage wrote and kept: the pages held, and what else lay below
    their streams' folders (`before`: role and artifact as last committed). To be called in its transaction."""
    if whole_round:
        db.execute("UPDATE page SET fate = 2 WHERE node = ? AND fate = 1", (node.name,))
    pages = [page.artifact for page in held(db, node.name)]
    base = node.outputs[node.pages][:-2]
    folders = tuple(f"{base}{stream}/" for (stream,) in db.execute("SELECT stream FROM stream WHERE node = ?", (node.name,)))
    others = [
        a
        for role, a in before
        if role == node.pages and a.name.startswith(folders) and not _NAMED_AS_PAGE.fullmatch(a.name.rpartition("/")[2])
    ]
    return pages + others


def are_pages(db: sqlite3.Connection, node: str) -> set[int]:
    """Ids of the artifacts that are pages of a node, those replaced included."""
    return {ident for (ident,) in db.execute("SELECT artifact_id FROM page WHERE node = ?", (node,))}


def write_state(
    db: sqlite3.Connection, node: str, stream: str, state: str, pages: int, records: int, repeated: int, attempt: str
) -> None:
    """Put a stream's state and count on. To be called in a transaction."""
    db.execute(
        "INSERT INTO stream VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET state = excluded.state, "
        "pages = pages + excluded.pages, records = records + excluded.records, repeated = repeated + excluded.repeated, "
        "updated_at = excluded.updated_at, attempt_id = excluded.attempt_id",
        (node, stream, state, pages, records, repeated, time.time(), attempt),
    )


def set_state(registry: Registry, node: str, stream: str, state: Mapping[str, Any] | None, replace: bool = False) -> None:
    """A person's word on where a stream goes on (None: from the beginning), with a record of it; its node runs next time. With `replace`,
    the pages held make room for the new ones once a whole round of these is in."""
    now, text = time.time(), None if state is None else json.dumps(state, sort_keys=True)
    with registry.atomic() as db:
        db.execute(
            "INSERT INTO stream VALUES (?, ?, ?, 0, 0, 0, ?, NULL) ON CONFLICT DO UPDATE SET state = excluded.state, "
            "updated_at = excluded.updated_at, attempt_id = NULL",
            (node, stream, text, now),
        )
        if replace:
            db.execute("UPDATE page SET fate = 1 WHERE node = ? AND stream = ? AND fate = 0", (node, stream))
        db.execute(
            "UPDATE attempt SET input_hash = ? WHERE id = (SELECT attempt_id FROM node_state WHERE node = ?)", (UNFINISHED, node)
        )
        data = {"node": node, "stream": stream, "to": "the beginning" if state is None else "a given state", "replace": replace}
        db.execute("INSERT INTO event (at, kind, data) VALUES (?, 'state_set', ?)", (now, json.dumps(data)))


def is_whole_round(report: Mapping[str, Any]) -> bool:
    """Whether a stage's report says that it came to the end of what its remote had."""
    return all(finding.get("code") != INCOMPLETE for finding in report.get("findings", ()))
