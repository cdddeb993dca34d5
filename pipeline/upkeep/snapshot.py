"""A registry as it travels: its rows in one compact SQLite file, without caches; the explanations (what identities are made of, the source
of symbols) by themselves, because they are large and change only when code, settings or libraries do.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from config.errors import StoreError
from pipeline.registry import LATEST, Artifact, Registry, as_uri, fresh, telling, upgraded

TABLES = ("run", "attempt", "artifact", "attempt_input", "attempt_output", "node_state", "identity", "event", "stream", "page")
"""What travels, each after those it refers to."""
_UNEXPLAINED = "[]"


def snapshot(registry: Registry, to: str) -> None:
    """Write the registry's rows to the new file `to`: equal rows give equal bytes with one version of SQLite."""
    (source,) = [file for _, name, file in registry.db.execute("PRAGMA database_list") if name == "main"]
    with new_file(to) as made:
        made.execute("ATTACH ? AS source", (as_uri(source, "mode=ro"),))  # WAL: what is committed, and nothing else
        made.execute("BEGIN")
        for table in TABLES:
            columns = f"id, kind, '{_UNEXPLAINED}'" if table == "identity" else "*"
            made.execute(f"INSERT INTO main.{table} SELECT {columns} FROM source.{table}")  # in the order of its rows
        made.execute("COMMIT")
        made.execute("DETACH source")


@contextmanager
def new_file(path: str) -> Iterator[sqlite3.Connection]:
    """An empty registry to fill; when the block has ended it is one durable file, compact, with no log beside it. Raises StoreError."""
    with telling():
        registry = fresh(path)
        try:
            yield registry.db
            if registry.db.execute("PRAGMA journal_mode = DELETE").fetchone() != ("delete",):
                raise StoreError("The registry's copy could not be finished.", "Free disk space, then try again.")
            registry.db.execute("VACUUM")
        finally:
            registry.close()
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def opened(path: str) -> Iterator[sqlite3.Connection]:
    """A snapshot, read-only. Raises RegistryError for another program's file, and for one newer than this program."""
    with telling(), closing(sqlite3.connect(as_uri(path, "mode=ro"), uri=True, isolation_level=None)) as db:
        Registry(db).version()
        yield db


def current(path: str, copy: str) -> str:
    """The snapshot as this program's schema has it: itself, or the new file `copy` when an older program wrote it."""
    with opened(path) as db:
        if Registry(db).version() == LATEST:
            return path
    shutil.copyfile(path, copy)
    os.chmod(copy, 0o600)
    upgraded(copy)
    return copy


def same(one: str, other: str) -> bool:
    """Whether two snapshots hold the same rows."""
    with opened(one) as db:
        db.execute("ATTACH ? AS other", (as_uri(other, "mode=ro"),))
        if db.execute("PRAGMA main.user_version").fetchone() != db.execute("PRAGMA other.user_version").fetchone():
            return False
        return not any(
            db.execute(f"SELECT 1 FROM (SELECT * FROM {a}.{t} EXCEPT SELECT * FROM {b}.{t}) LIMIT 1").fetchone()
            for t in TABLES
            for a, b in (("main", "other"), ("other", "main"))
        )


def live(snapshot_file: str) -> list[Artifact]:
    """The versions a snapshot says are kept: those whose bytes the remote must hold."""
    query = "SELECT id, name, version, sha256, size, rows, path, created_at FROM artifact WHERE removed_at IS NULL ORDER BY id"
    with opened(snapshot_file) as db:
        return [Artifact(*row) for row in db.execute(query)]


def texts(registry: Registry, base: str | None = None) -> bytes:
    """Explanations of the identities that the snapshot `base` does not know, canonical JSON; b"" when there are none."""
    known: set[str] = set()
    if base is not None:
        with opened(base) as db:
            known = {ident for (ident,) in db.execute("SELECT id FROM identity")}
    rows = registry.db.execute("SELECT id, kind, leaves FROM identity WHERE leaves <> ?", (_UNEXPLAINED,))
    identities = {ident: [kind, json.loads(leaves)] for ident, kind, leaves in rows if ident not in known}
    wanted = {leaf[1] for kind, leaves in identities.values() if kind == "code" for leaf in leaves}
    sources = {digest: text for digest, text in registry.db.execute("SELECT digest, text FROM source_text") if digest in wanted}
    return _packed(identities, sources) if identities else b""


def joined(one: bytes, other: bytes) -> bytes:
    """Two lots of explanations as one; b"" counts as none."""
    (a, b), (c, d) = unpacked(one), unpacked(other)
    return _packed(a | c, b | d) if a or c else b""


def unpacked(data: bytes) -> tuple[dict[str, list[object]], dict[str, str]]:
    """(identity → [kind, leaves], digest of a symbol → its source). Raises StoreError for what is none."""
    if not data:
        return {}, {}
    try:
        found = json.loads(data)
        return dict(found["identity"]), dict(found["source_text"])
    except (ValueError, KeyError, TypeError):
        raise StoreError("The explanations of the remote state cannot be read.", "Pull again; runs do not need them.") from None


def _packed(identities: dict[str, list[object]], sources: dict[str, str]) -> bytes:
    whole = {"identity": identities, "source_text": sources}
    return json.dumps(whole, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
