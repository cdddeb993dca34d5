"""SQLite databases from strangers: opened so that nothing in them runs, read row by row, tables and columns by their names.

A database is opened read-only and immutable (a log beside it is never replayed, nothing is ever locked or written), with no trust in
its schema: views and virtual tables do not exist here, constraints are not evaluated, `PRAGMA quick_check` must find no damage before
the first row. A copy taken while the app was writing fails that check. https://www.sqlite.org/security.html
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import quote

from config.errors import SourceRefused
from config.stage import File
from ingestion.archives import is_zip, members
from ingestion.records import MAX_RECORD, DeadLetter, Layout, Parsed

MAGIC = b"SQLite format 3\0"
MAX_TABLES = 5_000
MAX_TOO_BIG = 100
"""Rows of one table that are larger than a record may be; with more of them the rest of the table is left."""
_LOGS = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83", b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7")
"""How a write-ahead log (two byte orders) and a rollback journal begin."""
_REAL_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0 AND name NOT LIKE 'sqlite~_%' ESCAPE '~'"

Cells = dict[str, Any]
"""Column → value of one row, JSON types only; a blob as hexadecimal text."""


class Row(NamedTuple):
    """One row of a table."""

    number: int
    """From 1, in the order it was read."""
    cells: Cells


class Database:
    """An opened export."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.user_version = int(self._one("PRAGMA user_version"))
        names = [row[0] for row in connection.execute(f"{_REAL_TABLES} LIMIT {MAX_TABLES + 1}")]
        if len(names) > MAX_TABLES:
            raise SourceRefused("The database has more than 5,000 tables.", _MEND, "too_many_tables")
        self.tables: Mapping[str, tuple[str, ...]] = {name: self._columns(name) for name in sorted(names)}
        """Table → its stored columns; those computed from others are left out."""

    def count(self, table: str) -> int:
        """How many rows a table has."""
        return int(self._one(f"SELECT count(*) FROM {_quoted(table)}"))

    def most(self, table: str, column: str, limit: int) -> int:
        """The highest whole number in a column that is at most `limit`; 0 for none."""
        name = _quoted(column)
        sql = f"SELECT max({name}) FROM {_quoted(table)} WHERE typeof({name}) = 'integer' AND {name} <= ?"
        return int(self._connection.execute(sql, (limit,)).fetchone()[0] or 0)

    def rows(self, table: str, order: Sequence[str] = (), but: Sequence[str] = ()) -> Iterator[Row | DeadLetter]:
        """The rows of a table, streamed. `order`: columns to sort by (in a file, not in memory); `but`: columns to leave out.

        A row that is too big for a record is a dead letter, and so is the place from which a table cannot be read on.
        """
        columns = [name for name in self.tables[table] if name not in but]
        sql = f"SELECT {', '.join(map(_quoted, columns)) or 'NULL'} FROM {_quoted(table)}"
        sql += f" ORDER BY {', '.join(map(_quoted, order))}" if order else ""
        number = oversized = 0
        while oversized <= MAX_TOO_BIG:
            try:
                for cells in self._connection.execute(f"{sql} LIMIT -1 OFFSET {number}"):
                    number += 1
                    yield Row(number, _plain(columns, cells))
                return
            except sqlite3.Error:
                pass
            number += 1
            try:  # the driver steps ahead: what it failed at is this row, or the one after it
                cells = self._connection.execute(f"{sql} LIMIT 1 OFFSET {number - 1}").fetchone()
            except sqlite3.DataError:  # SQLITE_TOOBIG
                oversized += 1
                yield DeadLetter(b"", "too_big", "The row is larger than 16 MB.", f"{table} row {number}")
            except sqlite3.Error:
                yield DeadLetter(b"", "damaged_table", _DAMAGED, f"{table} row {number}")
                return
            else:
                if cells is None:
                    return
                yield Row(number, _plain(columns, cells))
        yield DeadLetter(b"", "too_big", _TOO_MANY, f"{table} row {number}")

    def _columns(self, table: str) -> tuple[str, ...]:
        return tuple(row[1] for row in self._connection.execute(f"PRAGMA table_info({_quoted(table)})"))

    def _one(self, sql: str) -> Any:
        return self._connection.execute(sql).fetchone()[0]


@contextmanager
def opened(path: str) -> Iterator[Database]:
    """The database at `path`. SourceRefused when it is none, is damaged, or was copied while it was being written."""
    _refuse_if_cut(path)
    with closing(_connect(path)) as connection:
        try:
            for pragma in _GUARDS:
                connection.execute(f"PRAGMA {pragma}")
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_RECORD)
            if any(said != "ok" and not said.startswith(_CONSTRAINT) for (said,) in connection.execute(_CHECK)):
                raise _refused()
            database = Database(connection)
        except sqlite3.Error:
            raise _refused() from None
        yield database


class Found(NamedTuple):
    """A database within a raw artifact."""

    where: str
    """Member of the archive and a blank, as positions begin; empty for the artifact itself."""
    path: str
    """Valid until the next one is asked for."""


def parsed(file: File, read: Callable[[Database, str], Iterator[Parsed]]) -> Iterator[Parsed]:
    """What `read` makes of each database of a raw artifact, given with the beginning of its positions.

    The databases are the artifact itself or those in an archive, whatever they are called; other files are told by name. In an
    archive one that is refused becomes a dead letter and the others go on. SourceRefused for an archive that cannot be trusted, and
    for a file that is neither archive nor database.
    """
    for found in _databases(file):
        if not isinstance(found, Found):
            yield found
            continue
        try:
            with opened(found.path) as database:
                yield from read(database, found.where)
        except SourceRefused as refused:
            if not found.where:
                raise
            yield DeadLetter(b"", refused.reason, refused.what, found.where.strip())


def _databases(file: File) -> Iterator[Found | Layout]:
    with open(file.path, "rb") as source:
        head = source.read(16)
    if is_zip(head):
        yield from _members(file)
    elif head.startswith(MAGIC):
        yield Found("", file.path)
    elif head.startswith(_LOGS):
        yield Layout("log_not_read", 1, file.name.rsplit("/", 1)[-1])
    elif not head:
        yield Layout("empty_file")
    else:
        raise SourceRefused(
            "The file is no SQLite database and no zip archive.", "Drop the app's export as it is.", "unknown_format"
        )


def _members(file: File) -> Iterator[Found | Layout]:
    for member in members(file.path):
        head = member.file.read(16)
        if head.startswith(MAGIC):
            with _on_disk(member.file) as path:
                yield Found(f"{member.name} ", path)
        elif not member.size:
            yield Layout("empty_file")
        else:
            yield Layout("log_not_read" if head.startswith(_LOGS) else "file_not_read", 1, member.name)


@contextmanager
def _on_disk(source: BinaryIO) -> Iterator[str]:
    """SQLite needs a name; an unpacked member has none."""
    with tempfile.TemporaryDirectory(prefix="pdp-") as folder:
        path = Path(folder, "export.db")
        source.seek(0)
        with path.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        yield str(path)


def _refuse_if_cut(path: str) -> None:
    """A last page that is not whole: SQLite itself reads noughts where it ends. https://www.sqlite.org/fileformat2.html#page_size"""
    with open(path, "rb") as file:
        head, size = file.read(100), file.seek(0, 2)
    page = int.from_bytes(head[16:18], "big")
    if page and size % (page if page > 1 else 1 << 16):
        raise _refused()


def _connect(path: str) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(f"file:{quote(str(Path(path).absolute()))}?mode=ro&immutable=1", uri=True)
    except sqlite3.Error:
        raise _refused() from None
    connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")  # what is no UTF-8 is refused as a record
    return connection


_CHECK = "PRAGMA quick_check(1000000000)"
_CONSTRAINT = "NULL value in "
"""No damage; SQLite 3.40 says it of sound tables, too, whose key is not their first columns: Gadgetbridge's BATTERY_LEVEL."""
_GUARDS = (
    "trusted_schema = OFF",
    "query_only = ON",
    "cell_size_check = ON",
    "ignore_check_constraints = ON",  # quick_check would evaluate what a stranger wrote
    "mmap_size = 0",  # a file cut short while it is read is an error, not a signal
    "temp_store = FILE",
    "cache_size = -8192",  # KiB
)


def _plain(columns: Sequence[str], values: Sequence[Any]) -> Cells:
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in zip(columns, values, strict=False)}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


_MEND = "Export it again, and copy the file only when the app has finished."
_TOO_MANY = "The rest of the table is left: too many of its rows are too big."
_DAMAGED = "The table is damaged; the rows from here on cannot be read."


def _refused() -> SourceRefused:
    return SourceRefused("The database is damaged, or was copied while the app was writing.", _MEND, "damaged_database")
