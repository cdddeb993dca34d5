"""The SQLite file that knows runs, attempts, artifacts and lineage. One process writes it, with one connection, under the run lock."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from config.errors import PDPError, RegistryError, StoreError

APPLICATION_ID = 0x50445031  # "PDP1"
NAME = "registry.db"
_MIGRATIONS = os.path.join(os.path.dirname(__file__), "migrations")


class Artifact(NamedTuple):
    """One version of a named file."""

    id: int
    name: str
    version: int
    sha256: str
    size: int
    rows: int | None
    path: str
    """Relative to the data root."""
    created_at: float


class Committed(NamedTuple):
    """A committed attempt and what it made."""

    id: str
    node: str
    input_hash: str
    code_id: str
    settings_id: str
    environment_id: str
    outputs: list[tuple[str, Artifact]]
    """(role, artifact)"""


class Registry:
    """Open registry. `atomic()` is the only way to write."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.db = connection

    @classmethod
    def open(cls, data_dir: str) -> Registry:
        """Open for writing, creating or migrating as needed. Raises RegistryError and leaves the file alone when it cannot be trusted."""
        path = os.path.join(data_dir, NAME)
        if not os.path.exists(path):
            _create(path)
        elif os.path.getsize(path) == 0 and not _has(path + "-wal") and _has(os.path.join(data_dir, "store")):
            raise RegistryError(
                "The registry is empty although the store is not: it was cut off or overwritten.",
                "Restore registry.db from a backup, or move the store away to start anew.",
            )
        elif (beside := cls.read(data_dir)) is not None:  # looked at without being able to touch it
            beside.close()
        return _opened(path)

    @classmethod
    def read(cls, data_dir: str) -> Registry | None:
        """Open read-only beside a run, or None when there is no registry yet."""
        path = os.path.join(data_dir, NAME)
        if not _has(path):
            return None
        try:
            registry = cls(_connect(f"file:{_quoted(path)}?mode=ro"))
        except sqlite3.DatabaseError as error:
            raise _broken(error) from None
        try:
            version = registry._check()
        except sqlite3.DatabaseError as error:
            registry.close()
            raise _broken(error) from None
        except RegistryError:
            registry.close()
            raise
        if version == 0:  # a run was killed before its first transaction: there is no registry yet
            registry.close()
            return None
        return registry

    def close(self) -> None:
        self.db.close()

    @contextmanager
    def atomic(self) -> Iterator[sqlite3.Connection]:
        """One transaction, on disk when the block has ended (WAL, synchronous=FULL); all of it or nothing."""
        try:
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield self.db
            except BaseException:
                self.db.execute("ROLLBACK")
                raise
            self._commit()
        except sqlite3.OperationalError as error:
            raise StoreError(
                f"The registry could not be written: {error}.", "Free disk space or mend permissions, then run again."
            ) from None
        except sqlite3.DatabaseError as error:
            raise _broken(error) from None

    def _commit(self) -> None:
        try:
            self.db.execute("COMMIT")
        except sqlite3.Error:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise

    def state(self) -> dict[str, Committed]:
        """The attempt in force per node, with its outputs: all a run needs to know to skip."""
        return _grouped(
            self.db.execute(_SELECT_COMMITTED + "FROM node_state s JOIN attempt a ON a.id = s.attempt_id" + _JOIN_OUTPUTS)
        )

    def committed(self, node: str, input_hash: str) -> list[Committed]:
        """Earlier attempts of `node` with this very input hash, newest first."""
        rows = self.db.execute(
            _SELECT_COMMITTED + "FROM attempt a" + _JOIN_OUTPUTS + "WHERE a.node = ? AND a.input_hash = ? "
            "AND a.state IN ('committed', 'accepted') ORDER BY a.started_at DESC",
            (node, input_hash),
        )
        return list(_grouped(rows, key=0).values())

    def inputs(self, attempt_id: str) -> dict[tuple[str, str], str]:
        """(role, name) → sha256 of what an attempt read."""
        rows = self.db.execute("SELECT role, name, sha256 FROM attempt_input WHERE attempt_id = ?", (attempt_id,))
        return {(role, name): sha for role, name, sha in rows}

    def leaves(self, identity_id: str) -> list[list[str]]:
        """[[name, digest, location], …] of an identity; empty when unknown."""
        import json

        row = self.db.execute("SELECT leaves FROM identity WHERE id = ?", (identity_id,)).fetchone()
        return json.loads(row[0]) if row else []

    def prepare(self) -> None:
        """Set the connection up for writing and bring the schema up to date, each migration in its own transaction."""
        if self.db.execute("PRAGMA schema_version").fetchone()[0] == 0:
            self.db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        if self.db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = FULL")
        self.db.execute("PRAGMA foreign_keys = ON")
        version = self._check()
        for number, sql in enumerate(_migrations()[version:], version + 1):
            with self.atomic() as db:
                for statement in _statements(sql):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {number}")

    def _check(self) -> int:
        application = self.db.execute("PRAGMA application_id").fetchone()[0]
        version = int(self.db.execute("PRAGMA user_version").fetchone()[0])
        if application not in (APPLICATION_ID, 0) or (application == 0 and version):
            raise RegistryError("registry.db is a database of another program.", "Choose another DATA_DIR.")
        if version > LATEST:
            raise RegistryError(
                f"The registry is newer (version {version}) than this program knows ({LATEST}).",
                "Update the program, then run again.",
            )
        return version


LATEST = 1
_SELECT_COMMITTED = (
    "SELECT a.id, a.node, a.input_hash, a.code_id, a.settings_id, a.environment_id, "
    "o.role, f.id, f.name, f.version, f.sha256, f.size, f.rows, f.path, f.created_at "
)
_JOIN_OUTPUTS = " LEFT JOIN attempt_output o ON o.attempt_id = a.id LEFT JOIN artifact f ON f.id = o.artifact_id "


def _grouped(rows: sqlite3.Cursor, key: int = 1) -> dict[str, Committed]:
    found: dict[str, Committed] = {}
    for row in rows:
        attempt = found.get(row[key])
        if attempt is None:
            attempt = found[row[key]] = Committed(row[0], row[1], row[2], row[3], row[4], row[5], [])
        if row[6] is not None:
            attempt.outputs.append((row[6], Artifact(*row[7:])))
    return found


def sync_folder(path: str) -> None:
    """Make the names in a folder durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _opened(path: str) -> Registry:
    registry = Registry(_connect(f"file:{_quoted(path)}"))
    try:
        registry.prepare()
    except sqlite3.DatabaseError as error:
        registry.close()
        raise _broken(error) from None
    except PDPError:
        registry.close()
        raise
    return registry


def _create(path: str) -> None:
    """Make an empty registry whole or not at all: a reader never meets one that is being made."""
    tmp = path + ".tmp"
    for side in ("", "-journal", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(tmp + side)
    fd = os.open(tmp, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        _checkpointed(_opened(tmp))
        os.fsync(fd)
    finally:
        os.close(fd)
    os.replace(tmp, path)
    sync_folder(os.path.dirname(path))


def _checkpointed(registry: Registry) -> None:
    """Close with everything in the one file: closing alone would swallow a full disk and leave half of it in the log."""
    try:
        done = registry.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)
    except sqlite3.DatabaseError:
        done = False
    finally:
        registry.close()
    if not done:
        raise StoreError("The registry could not be written.", "Free disk space or mend permissions, then run again.")


def _connect(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=10, check_same_thread=False)


def _migrations() -> list[str]:
    names = sorted(n for n in os.listdir(_MIGRATIONS) if n.endswith(".sql"))
    return [_text(os.path.join(_MIGRATIONS, n)) for n in names]


def _text(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def _statements(sql: str) -> Iterator[str]:
    """The single statements of a script: `executescript` would commit the transaction around it."""
    buffer = ""
    for line in sql.splitlines(keepends=True):
        buffer += line
        if sqlite3.complete_statement(buffer):
            yield buffer
            buffer = ""


def _has(path: str) -> bool:
    """Whether a file has bytes or a folder has entries."""
    try:
        return bool(os.listdir(path)) if os.path.isdir(path) else os.path.getsize(path) > 0
    except OSError:
        return False


def _quoted(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _broken(error: sqlite3.DatabaseError) -> RegistryError:
    return RegistryError(f"The registry cannot be used: {error}.", "Restore registry.db from a backup; it has not been touched.")
