"""Is everything as the registry says? Reads every byte, changes nothing, may run beside a run."""

from __future__ import annotations

import hashlib
import os
import sqlite3

from pipeline import lock
from pipeline.registry import Registry
from pipeline.store import TMP, Store


def verify(registry: Registry | None, data_dir: str) -> list[str]:
    """One sentence per problem; empty when all is well."""
    store = Store(data_dir)
    busy = lock.is_held(data_dir)
    stored = set(store.stored())  # listed before the registry is read: what is committed meanwhile is in both
    if registry is None:
        return [f"The store holds {len(stored)} files but there is no registry."] if stored else []
    problems = _integrity(registry)
    rows = registry.db.execute("SELECT name, version, sha256, size, path FROM artifact WHERE removed_at IS NULL").fetchall()
    for name, version, sha, size, path in rows:
        fault = _fault(store.path(path), sha, size)
        if fault and _still_there(registry, name, version):
            problems.append(f"{name}@v{version} {fault}.")
    if not busy and not lock.is_held(data_dir):
        problems += [f"The store holds {path}, which nobody registered." for path in sorted(stored - {r[4] for r in rows})]
        problems += _views(registry, store)
        if registry.db.execute("SELECT 1 FROM run WHERE status = 'running'").fetchone():
            problems.append("A run was interrupted; the next start cleans up after it.")
    return problems


def _integrity(registry: Registry) -> list[str]:
    try:
        found = [row[0] for row in registry.db.execute("PRAGMA integrity_check") if row[0] != "ok"]
        found += [f"row {row[1]} of {row[0]} refers to nothing" for row in registry.db.execute("PRAGMA foreign_key_check")]
        gaps = registry.db.execute("SELECT name FROM artifact GROUP BY name HAVING max(version) <> count(*) OR min(version) <> 1")
        found += [f"{name} has a gap in its versions" for (name,) in gaps]
    except sqlite3.DatabaseError as error:
        found = [str(error)]
    return [f"The registry is damaged: {text}." for text in found]


def _fault(path: str, sha: str, size: int) -> str | None:
    try:
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != sha:
                return f"has other bytes than were committed ({os.fstat(file.fileno()).st_size} of {size})"
    except FileNotFoundError:
        return "is missing from the store"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return None


def _still_there(registry: Registry, name: str, version: int) -> bool:
    """Not collected by `gc` or `--clean` while it was being read."""
    query = "SELECT 1 FROM artifact WHERE name = ? AND version = ? AND removed_at IS NULL"
    return registry.db.execute(query, (name, version)).fetchone() is not None


def _views(registry: Registry, store: Store) -> list[str]:
    state = registry.state()
    current = [a for attempt in state.values() for _, a in attempt.outputs]
    live = {row[0] for row in registry.db.execute("SELECT id FROM artifact WHERE removed_at IS NULL")}
    hidden = [a.name for a in current if a.id in live and not store.shows(a)]
    wrong = [f"{name} does not show its current version; the next run repairs it." for name in hidden]
    names = {a.name for a in current}
    tops = {name.partition("/")[0] for name in names}
    litter = [v for top in sorted(tops) for v in store.views_below(top) if v not in names or v.endswith(TMP)]
    return wrong + [f"{view} is a view of nothing." for view in litter]
