"""Is everything as the registry says? Reads every byte, changes nothing, may run beside a run."""

from __future__ import annotations

import hashlib
import os
import sqlite3

from pipeline import lock
from pipeline.pages import knows_pages
from pipeline.partitions import in_view
from pipeline.registry import Artifact, Registry
from pipeline.store import TMP, Store


def verify(registry: Registry | None, store: Store) -> list[str]:
    """One sentence per problem; empty when all is well. A version that lies in the remote state is none."""
    try:
        return _problems(registry, store)
    except OSError as error:
        return [f"The data directory cannot be looked into: {error.strerror}."]


def elsewhere(registry: Registry | None, store: Store) -> int:
    """How many kept versions lie in the remote state only."""
    return sum(store.is_afar(Artifact(*row)) for row in registry.db.execute(_KEPT)) if registry and store.afar else 0


_KEPT = "SELECT id, name, version, sha256, size, rows, path, created_at FROM artifact WHERE removed_at IS NULL"


def _problems(registry: Registry | None, store: Store) -> list[str]:
    busy = lock.is_held(store.root)
    stored = set(store.stored())  # listed before the registry is read: what is committed meanwhile is in both
    if registry is None:
        return [f"The store holds {len(stored)} files but there is no registry."] if stored else []
    problems = _integrity(registry, partial=store.afar is not None and store.afar.partial)
    rows = [Artifact(*row) for row in registry.db.execute(_KEPT)]
    for a in rows:
        right = a.path == store.version_path(a.name, a.version, a.sha256)
        fault = _fault(store, a) if right else "has a row that was changed"
        if fault and _still_there(registry, a.name, a.version):
            problems.append(f"{a.name}@v{a.version} {fault}.")
    if not busy and not lock.is_held(store.root):
        problems += [f"The store holds {path}, which nobody registered." for path in sorted(stored - {a.path for a in rows})]
        problems += _views(registry, store)
        if registry.db.execute("SELECT 1 FROM run WHERE status = 'running'").fetchone():
            problems.append("A run was interrupted; the next start cleans up after it.")
    return problems


def _integrity(registry: Registry, *, partial: bool) -> list[str]:
    """What does not fit together; where history lies in the remote state, version numbers may have gaps."""
    try:
        found = [row[0] for row in registry.db.execute("PRAGMA integrity_check") if row[0] != "ok"]
        found += [f"row {row[1]} of {row[0]} refers to nothing" for row in registry.db.execute("PRAGMA foreign_key_check")]
        gaps = registry.db.execute("SELECT name FROM artifact GROUP BY name HAVING max(version) <> count(*) OR min(version) <> 1")
        found += [f"{name} has a gap in its versions" for (name,) in gaps if not partial]
        found += [f"what {node} is said to have read never was" for (node,) in registry.db.execute(_MISREAD)]
        unreadable = _UNREADABLE + _UNREADABLE_PAGES * knows_pages(registry)
        found += [f"an unreadable text in {table}" for (table,) in registry.db.execute(unreadable)]
        if knows_pages(registry):
            found += [f"a page of {node} lies outside its collection" for (node,) in registry.db.execute(_MISPLACED)]
        found += [f"{name} is not as the program declares it" for name in registry.misdeclared()]
    except sqlite3.DatabaseError as error:
        found = [str(error)]
    return [f"The registry is damaged: {text}." for text in found]


_MISREAD = """
SELECT DISTINCT a.node FROM attempt_input i JOIN artifact f ON f.id = i.artifact_id JOIN attempt a ON a.id = i.attempt_id
WHERE (i.name, i.sha256, i.size) <> (f.name, f.sha256, f.size)
"""
_UNREADABLE = """
SELECT 'identity' FROM identity WHERE NOT json_valid(leaves)
UNION SELECT 'attempt' FROM attempt WHERE NOT json_valid(coalesce(report, '{}')) OR NOT json_valid(reasons)
UNION SELECT 'run' FROM run WHERE NOT json_valid(selection)
"""
_UNREADABLE_PAGES = """
UNION SELECT 'stream' FROM stream WHERE NOT json_valid(coalesce(state, '{}')) UNION SELECT 'page' FROM page WHERE NOT json_valid(facts)
"""
_MISPLACED = """
SELECT DISTINCT p.node FROM page p JOIN artifact f ON f.id = p.artifact_id WHERE instr(f.name, '/' || p.stream || '/') = 0
"""


def _fault(store: Store, artifact: Artifact) -> str | None:
    try:
        with open(store.path(artifact.path), "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
            if (found, there := os.fstat(file.fileno()).st_size) != (artifact.sha256, artifact.size):
                return f"has other bytes than were committed ({there} of {artifact.size})"
    except FileNotFoundError:
        return None if store.is_afar(artifact) else "is missing from the store"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return None


def _still_there(registry: Registry, name: str, version: int) -> bool:
    """Not collected by `gc` or `--clean` while it was being read."""
    query = "SELECT 1 FROM artifact WHERE name = ? AND version = ? AND removed_at IS NULL"
    return registry.db.execute(query, (name, version)).fetchone() is not None


def _views(registry: Registry, store: Store) -> list[str]:
    current = in_view(registry.state())
    live = {row[0] for row in registry.db.execute("SELECT id FROM artifact WHERE removed_at IS NULL")}
    hidden = [a.name for a in current if a.id in live and not store.shows(a) and not (store.afar and not store.is_shown(a.name))]
    wrong = [f"{name} does not show its current version; the next run repairs it." for name in hidden]
    names = {a.name for a in current}
    tops = {name.partition("/")[0] for name in names}
    litter = [v for top in sorted(tops) for v in store.views_below(top) if v not in names or v.endswith(TMP)]
    return wrong + [f"{view} is a view of nothing." for view in litter]
