"""The SQLite file that knows runs, attempts, artifacts and lineage. One process writes it, under the run lock."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from config.errors import RegistryError, StoreError
from pipeline.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pipeline.afar import Afar

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
        self.afar: Afar | None = None
        """Where explanations lie that have not come here."""

    @classmethod
    def open(cls, data_dir: str) -> Registry:
        """Open for writing, creating or migrating as needed. Raises RegistryError and leaves the file alone when it cannot be trusted."""
        path = os.path.join(data_dir, NAME)
        there = os.path.exists(path)
        if not (there and (_has(path) or _has(path + "-wal"))) and _has(os.path.join(data_dir, "store")):
            raise RegistryError(
                f"The registry is {'empty' if there else 'missing'} although the store is not: it was cut off, overwritten or deleted.",
                "Restore registry.db from a backup, or move the store away to start anew.",
            )
        if not there:
            _create(path)
        elif (beside := cls.read(data_dir)) is not None:  # looked at without being able to touch it
            beside.close()
        return _opened(path)

    @classmethod
    def read(cls, data_dir: str) -> Registry | None:
        """Open read-only beside a run, or None when there is no registry yet."""
        path = os.path.join(data_dir, NAME)
        if not _has(path):
            return None
        # beside nobody, a folder that cannot be written offers no place for SQLite's own shared memory
        alone = not os.access(data_dir, os.W_OK) and not os.path.exists(path + "-wal")
        with telling():
            registry = cls(_connect(f"file:{_quoted(path)}?mode=ro" + "&immutable=1" * alone))
            try:
                version = registry.version()
            except BaseException:
                registry.close()
                raise
        if version == 0:  # a run was killed before its first transaction: there is no registry yet
            registry.close()
            return None
        return registry

    @classmethod
    def beside(cls, data_dir: str) -> Registry:
        """A second connection of this process, for a thread of it that has to write as well: SQLite lets one of them write at a time."""
        return _opened(os.path.join(data_dir, NAME))

    def close(self) -> None:
        self.db.close()

    @contextmanager
    def atomic(self, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """One transaction, all of it or nothing; on disk when the block has ended (WAL, synchronous=FULL).

        One that is not `durable` survives the death of this process, and a power cut once the next durable one is on disk.
        """
        with telling():
            try:
                self.db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                self.db.execute("BEGIN IMMEDIATE")
                yield self.db
                self.db.execute("COMMIT")
            except BaseException:  # a signal, too, wherever it strikes
                if self.db.in_transaction:
                    self.db.execute("ROLLBACK")
                raise

    def refuse_damaged(self) -> None:
        """Raise RegistryError unless SQLite finds the file sound. To be asked before anything is deleted on the registry's word."""
        with telling():
            found = self.db.execute("PRAGMA quick_check(1)").fetchone()
            if found != ("ok",) or self.db.execute("PRAGMA foreign_key_check").fetchone():
                raise _broken("its pages do not fit together")

    def misdeclared(self) -> list[str]:
        """Tables, indexes and triggers that are not as the migrations make them; none are judged in a registry of an older program."""
        if self.version() != LATEST:
            return []
        new = Registry(sqlite3.connect(":memory:", isolation_level=None))
        new.prepare()
        ours, theirs = (set(r.db.execute("SELECT name, type, tbl_name, sql FROM sqlite_master")) for r in (self, new))
        new.close()
        return sorted({name for name, *_ in ours ^ theirs})

    def state(self) -> dict[str, Committed]:
        """The attempt in force per node, with its outputs: all a run needs to know to skip."""
        return _grouped(
            self.db.execute(_SELECT_COMMITTED + "FROM node_state s JOIN attempt a ON a.id = s.attempt_id" + _JOIN_OUTPUTS)
        )

    def committed(self, node: str, input_hash: str) -> list[Committed]:
        """Earlier attempts of `node` with this very input hash, newest first."""
        rows = self.db.execute(
            _SELECT_COMMITTED + "FROM attempt a" + _JOIN_OUTPUTS + "WHERE a.node = ? AND a.input_hash = ? "
            "AND a.state IN ('committed', 'accepted') ORDER BY a.rowid DESC",  # clocks jump; row numbers grow
            (node, input_hash),
        )
        return list(_grouped(rows, key=0).values())

    def alike(self, node: str, code: str, settings: str, environment: str, first: Committed | None) -> Committed | None:
        """The newest attempt of `node` that ran with these identities, `first` before all others. What was accepted did not run."""
        rows = self.db.execute(
            _SELECT_COMMITTED + "FROM attempt a" + _JOIN_OUTPUTS + "WHERE a.id = (SELECT id FROM attempt WHERE node = ? "
            "AND state = 'committed' AND code_id = ? AND settings_id = ? AND environment_id = ? "
            "ORDER BY id = ? DESC, rowid DESC LIMIT 1)",
            (node, code, settings, environment, first.id if first else ""),
        )
        return next(iter(_grouped(rows).values()), None)

    def inputs(self, attempt_id: str) -> dict[tuple[str, str], str]:
        """(role, name) → sha256 of what an attempt read."""
        rows = self.db.execute("SELECT role, name, sha256 FROM attempt_input WHERE attempt_id = ?", (attempt_id,))
        return {(role, name): sha for role, name, sha in rows}

    def leaves(self, identity_id: str) -> list[list[str]]:
        """[[name, digest, location], …] of an identity; empty when unknown."""
        import json

        row = self.db.execute("SELECT leaves FROM identity WHERE id = ?", (identity_id,)).fetchone()
        try:
            here: list[list[str]] = json.loads(row[0]) if row else []
        except ValueError:  # damaged; only explanations rest on it, and `verify` tells
            return []
        return self.afar.leaves(identity_id) if row and not here and self.afar else here

    def texts(self) -> list[str]:
        """Digests of the symbols whose source is kept; none in a registry that an older program has made."""
        if self.db.execute("SELECT 1 FROM sqlite_master WHERE name = 'source_text'").fetchone() is None:
            return []
        return [digest for (digest,) in self.db.execute("SELECT digest FROM source_text")]

    def prepare(self) -> None:
        """Set the connection up for writing and bring the schema up to date, each migration in its own transaction."""
        if self.db.execute("PRAGMA schema_version").fetchone()[0] == 0:
            self.db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        if self.db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = FULL")
        self.db.execute("PRAGMA foreign_keys = ON")
        version = self.version()
        for number, sql in enumerate(_migrations()[version:], version + 1):
            with self.atomic() as db:
                for statement in _statements(sql):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {number}")

    def version(self) -> int:
        """How far its schema is. Raises RegistryError for another program's database, and for one newer than this program."""
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


LATEST = 3
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
            if type(row[9]) is not int or type(row[11]) is not int or not row[8] or not row[13]:
                raise _broken("a row holds what it cannot")
            attempt.outputs.append((row[6], Artifact(*row[7:])))
    return found


def sync_folder(path: str) -> None:
    """Make the names in a folder durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def fresh(path: str) -> Registry:
    """An empty registry in a new file, private."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    return _opened(path)


def as_uri(path: str, options: str = "") -> str:
    """A file's name as SQLite's URI."""
    return f"file:{_quoted(os.path.abspath(path))}" + (f"?{options}" if options else "")


def upgraded(path: str) -> None:
    """Bring a registry's file that nobody else has open to this program's schema. Raises RegistryError for one it cannot be."""
    with telling():
        registry = _opened(path)
        try:
            registry.refuse_damaged()
            registry.db.execute("PRAGMA journal_mode = DELETE")
        finally:
            registry.close()


def _opened(path: str) -> Registry:
    with telling():
        registry = Registry(_connect(f"file:{_quoted(path)}"))
        try:
            registry.prepare()
        except BaseException:
            registry.close()
            raise
    return registry


def _create(path: str) -> None:
    """Make an empty registry whole or not at all: a reader never meets one that is being made, and a log of another is not read into it."""
    tmp = path + ".tmp"
    for left in (tmp, tmp + "-journal", tmp + "-wal", tmp + "-shm", path + "-wal", path + "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(left)
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


@contextmanager
def telling() -> Iterator[None]:
    """SQLite's errors, wherever they surface, as sentences: the disk's (StoreError) or the file's own (RegistryError)."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _REFUSALS:
            mend = "Free disk space or mend permissions, then run again."
            raise StoreError(f"The registry could not be read or written: {error}.", mend) from None
        raise _broken(str(error)) from None
    except UnicodeDecodeError:
        raise _broken("it holds a text that is none") from None


_REFUSALS = frozenset((3, 5, 6, 7, 8, 10, 13, 14, 22, 23))
"""PERM, BUSY, LOCKED, NOMEM, READONLY, IOERR, FULL, CANTOPEN, NOLFS, AUTH: what is around the file is at fault, not the file."""


def _broken(why: str) -> RegistryError:
    return RegistryError(f"The registry cannot be used: {why}.", "Restore registry.db from a backup.")
