"""Removing artifacts for good: their bytes, and every row that speaks of them or of what was made from them.

`clean` and `gc` remove bytes and keep the rows; here the rows go too, and the file of the registry is written anew, so that no free page
keeps what stood there. One transaction says what is gone, then the bytes go; killed in between, the next start removes the rest, and the
same command again finishes. What stays is the record that something was erased.
"""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from config.errors import BusyError
from pipeline.afar import discard_incoming
from pipeline.commit import begin_run
from pipeline.partitions import whole
from pipeline.recovery import tidy
from pipeline.registry import Registry
from pipeline.store import Store
from pipeline.upkeep.sides import BARE


class Erased(NamedTuple):
    """What was erased, or would be."""

    names: list[str]
    """Artifacts, those made from the wanted ones included."""
    versions: int
    size: int
    """Bytes of their versions, as registered, wherever they lie."""
    rows: dict[str, int]
    """Table of the registry → rows that go."""
    sha256: list[str]
    """Contents that go: a remote state has a blob for each."""
    nodes: list[str]
    """Nodes whose outputs go: the next run makes them again, of what is left."""


def doomed(registry: Registry | None, wanted: Callable[[str], bool]) -> Erased:
    """What `erase` would remove; changes nothing."""
    if registry is None:
        return Erased([], 0, 0, {}, [], [])
    _choose(registry.db, wanted)
    return _chosen(registry.db)


def erase(
    registry: Registry, store: Store, wanted: Callable[[str], bool], note: Mapping[str, Any], unread: Iterable[str] = ()
) -> Erased:
    """Erase, to be called under the run lock after recovery. Of the nodes `unread` the streams' states go, too: asked again, they would
    fetch everything; those of others stay, so that no erased page comes back. Raises RegistryError for a registry that is damaged,
    BusyError when a reader keeps the registry's log from being cut off: then everything else is done."""
    registry.refuse_damaged()  # what it says is about to be believed
    db = registry.db
    _choose(db, wanted)
    erased = _chosen(db)
    db.execute("PRAGMA secure_delete = ON")
    if erased.names:
        run_id = uuid.uuid4().hex
        begin_run(registry, run_id, json.dumps({"erase": len(erased.names)}))
        for name in erased.names:  # while the rows know them; killed here, the next start shows them again
            store.hide(name)
        with registry.atomic():
            _delete(db)
            data = json.dumps({**note, "artifacts": len(erased.names), "versions": erased.versions, "bytes": erased.size})
            db.execute("INSERT INTO event (at, run_id, kind, data) VALUES (?, ?, 'erased', ?)", (time.time(), run_id, data))
        tidy(registry, store)
        with registry.atomic():
            db.execute("UPDATE run SET status = 'succeeded', ended_at = ? WHERE id = ?", (time.time(), run_id))
    with registry.atomic():
        db.executemany("DELETE FROM stream WHERE node = ?", [(node,) for node in unread])
    store.drop_empty_folders()
    discard_incoming(store.root)
    for table in _CHOICES:
        db.execute(f"DROP TABLE temp.{table}")
    db.execute("VACUUM")
    if db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        raise BusyError(
            "It is erased, but a reader still holds the registry's log, which may show it.", "Close it, then try again."
        )
    return erased


_CHOICES = ("gone_name", "gone_attempt", "bare_attempt", "gone_node", "gone_run")
_MADE_FROM_GONE = """
INSERT OR IGNORE INTO gone_name SELECT m.name FROM attempt_input i JOIN artifact r ON r.id = i.artifact_id
JOIN gone_name g ON g.name = r.name JOIN attempt_output o ON o.attempt_id = i.attempt_id JOIN artifact m ON m.id = o.artifact_id
UNION SELECT m.name FROM attempt_input i JOIN artifact r ON r.id = i.artifact_id
JOIN gone_name g ON g.name = r.name JOIN artifact m ON m.attempt_id = i.attempt_id
"""
_READERS = """
INSERT INTO gone_attempt SELECT DISTINCT i.attempt_id FROM attempt_input i JOIN artifact r ON r.id = i.artifact_id
JOIN gone_name g ON g.name = r.name
"""
_MADE = "(SELECT attempt_id, artifact_id FROM attempt_output UNION SELECT attempt_id, id FROM artifact)"
"""What attempts made: an attempt that died has made its pages, and has no outputs."""
_MAKERS_OF_NOTHING_ELSE = f"""
INSERT OR IGNORE INTO gone_attempt SELECT o.attempt_id FROM {_MADE} o JOIN artifact f ON f.id = o.artifact_id
GROUP BY o.attempt_id HAVING min(f.name IN (SELECT name FROM gone_name)) = 1
"""
_MAKERS_OF_OTHERS = f"""
INSERT INTO bare_attempt SELECT DISTINCT o.attempt_id FROM {_MADE} o JOIN artifact f ON f.id = o.artifact_id
JOIN gone_name g ON g.name = f.name WHERE o.attempt_id NOT IN (SELECT id FROM gone_attempt)
"""
_HAD_PAGES = """
INSERT OR IGNORE INTO bare_attempt SELECT id FROM attempt WHERE state IN ('committed', 'accepted') AND node IN (
    SELECT p.node FROM page p JOIN artifact f ON f.id = p.artifact_id JOIN gone_name g ON g.name = f.name)
AND id NOT IN (SELECT id FROM gone_attempt)
"""
"""The rows that say which attempt had a page among its outputs are the newest attempt's only."""
_NODES = """
INSERT INTO gone_node SELECT DISTINCT node FROM attempt
WHERE id IN (SELECT id FROM gone_attempt UNION SELECT id FROM bare_attempt)
"""
_TRIED_IN_VAIN = """
INSERT OR IGNORE INTO gone_attempt SELECT id FROM attempt
WHERE state NOT IN ('committed', 'accepted') AND node IN (SELECT name FROM gone_node) AND id NOT IN (SELECT id FROM bare_attempt)
AND id NOT IN (SELECT attempt_id FROM artifact WHERE name NOT IN (SELECT name FROM gone_name))
"""
_RUNS_OF_NOTHING_ELSE = """
INSERT INTO gone_run SELECT id FROM run WHERE id IN (SELECT run_id FROM attempt WHERE id IN (SELECT id FROM gone_attempt))
AND id NOT IN (SELECT run_id FROM attempt WHERE id NOT IN (SELECT id FROM gone_attempt))
"""
_GONE_VERSIONS = "SELECT id FROM artifact WHERE name IN (SELECT name FROM gone_name)"
_WHERE = {
    "event": """attempt_id IN (SELECT id FROM attempt WHERE node IN (SELECT name FROM gone_node))
        OR run_id IN (SELECT id FROM gone_run)""",
    "node_state": "attempt_id IN (SELECT id FROM gone_attempt)",
    "page": f"artifact_id IN ({_GONE_VERSIONS})",
    "attempt_input": f"""attempt_id IN (SELECT id FROM gone_attempt) OR artifact_id IN ({_GONE_VERSIONS})
        OR (artifact_id IS NULL AND attempt_id IN (SELECT id FROM bare_attempt) AND sha256 NOT IN (
            SELECT f.sha256 FROM attempt_output o JOIN artifact f ON f.id = o.artifact_id
            WHERE o.attempt_id = attempt_input.attempt_id AND f.name NOT IN (SELECT name FROM gone_name)))""",
    "attempt_output": f"attempt_id IN (SELECT id FROM gone_attempt) OR artifact_id IN ({_GONE_VERSIONS})",
    "artifact": "name IN (SELECT name FROM gone_name)",
    "attempt": "id IN (SELECT id FROM gone_attempt)",
    "run": "id IN (SELECT id FROM gone_run)",
    "cache_file": "true",
    "standing_file": "true",
    "standing_name": "true",
    "standing_outcome": "true",
    "standing": "true",
}
"""Table → rows that go, each before those it refers to."""
_BARED = f"UPDATE attempt SET input_hash = '{BARE}', report = NULL, rows = NULL, reasons = '[]', error = NULL \
WHERE id IN (SELECT id FROM bare_attempt)"
_UNUSED = """
DELETE FROM identity WHERE id NOT IN (SELECT code_id FROM attempt UNION SELECT settings_id FROM attempt
UNION SELECT environment_id FROM attempt)
"""


def _choose(db: sqlite3.Connection, wanted: Callable[[str], bool]) -> None:
    """Fill the temporary tables that say what goes."""
    db.execute("PRAGMA temp_store = MEMORY")  # no name of it lands in another file
    for table, column in zip(_CHOICES, ("name", "id", "id", "name", "id"), strict=True):
        db.execute(f"CREATE TEMP TABLE IF NOT EXISTS {table} ({column} TEXT PRIMARY KEY)")
        db.execute(f"DELETE FROM temp.{table}")
    names = [(name,) for (name,) in db.execute("SELECT DISTINCT name FROM artifact") if wanted(name)]
    db.executemany("INSERT INTO gone_name VALUES (?)", names)
    while db.execute(_MADE_FROM_GONE).rowcount > 0:
        pass
    for statement in (_READERS, _MAKERS_OF_NOTHING_ELSE, _MAKERS_OF_OTHERS):
        db.execute(statement)
    if _knows(db, "page"):
        db.execute(_HAD_PAGES)
    for statement in (_NODES, _TRIED_IN_VAIN, _RUNS_OF_NOTHING_ELSE):
        db.execute(statement)


def _chosen(db: sqlite3.Connection) -> Erased:
    names = [name for (name,) in db.execute("SELECT name FROM gone_name ORDER BY name")]
    contents = db.execute(
        "SELECT sha256, size FROM artifact WHERE name IN (SELECT name FROM gone_name) ORDER BY sha256"
    ).fetchall()
    rows = {
        table: db.execute(f"SELECT count(*) FROM main.{table} WHERE {where}").fetchone()[0]
        for table, where in _WHERE.items()
        if _knows(db, table)
    }
    told = {table: count for table, count in rows.items() if count and names}
    nodes = sorted({whole(node) for (node,) in db.execute("SELECT name FROM gone_node")})
    return Erased(names, len(contents), sum(size for _, size in contents), told, sorted({sha for sha, _ in contents}), nodes)


def _knows(db: sqlite3.Connection, table: str) -> bool:
    """Whether the registry has a table: one that an older program made may not, until the next run."""
    return db.execute("SELECT 1 FROM main.sqlite_master WHERE name = ?", (table,)).fetchone() is not None


def _delete(db: sqlite3.Connection) -> None:
    for table, where in _WHERE.items():
        db.execute(f"DELETE FROM main.{table} WHERE {where}")
    db.execute(_BARED)
    db.execute("UPDATE attempt SET reasons = '[]' WHERE node IN (SELECT name FROM gone_node)")  # they may name what has gone
    db.execute(_UNUSED)
