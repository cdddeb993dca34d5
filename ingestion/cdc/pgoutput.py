"""Messages of PostgreSQL's own output plugin, decoded: bytes in, values out, nothing else.

Protocol version 1 in text format, as `pg_logical_slot_peek_binary_changes` gives it: one message a row. The layouts are those of
"Logical Replication Message Formats" in PostgreSQL's documentation.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from config.errors import SourceRefused

OPTIONS = ("proto_version", "1", "publication_names")
"""What a slot is asked with; the publication's quoted name follows."""
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_IGNORED = frozenset(b"OYM")
"""Where a change first came from, the names of types, messages of programs."""
_KEY = 1


class Begin(NamedTuple):
    """A transaction that has committed; its changes follow."""

    commit: int
    """LSN of its commit record. Transactions come in the order of these."""
    at: datetime
    xid: int


class Commit(NamedTuple):
    """The end of a transaction."""

    commit: int
    end: int
    """LSN behind its commit record: what a slot is advanced to."""
    at: datetime


class Column(NamedTuple):
    """A column of a table as it was when a change was made."""

    name: str
    type_oid: int
    key: bool
    """Whether it is part of what tells rows apart: the table's replica identity."""


class Relation(NamedTuple):
    """A table; comes before its first change and again whenever it has been altered."""

    oid: int
    schema: str
    table: str
    identity: str
    """Its replica identity: d default (the primary key), i an index, f the full row, n nothing."""
    columns: tuple[Column, ...]


class Unchanged(NamedTuple):
    """A large value that an update did not touch, and that therefore is not in the log."""


Cell = bytes | Unchanged | None
"""A value in its text form; None for NULL."""
Cells = tuple[Cell, ...]
UNCHANGED = Unchanged()


class Insert(NamedTuple):
    """A new row."""

    oid: int
    new: Cells


class Update(NamedTuple):
    """A row as it stands afterwards; `old` is its key if that has changed (else NULL outside the key), or the whole row before."""

    oid: int
    old: Cells | None
    new: Cells


class Delete(NamedTuple):
    """A row that is gone: its key, NULL elsewhere, or all of it."""

    oid: int
    old: Cells


class Truncate(NamedTuple):
    """Tables that were emptied."""

    oids: tuple[int, ...]


Message = Begin | Commit | Relation | Insert | Update | Delete | Truncate
CHANGES = frozenset(b"IUDT")
"""First bytes of messages that tell of a row or a table's rows."""


def decode(data: bytes) -> Message | None:
    """What a message says; None for one that says nothing of rows. SourceRefused for one that is none: it is never passed over."""
    if data[:1] and data[0] in _IGNORED:
        return None
    read = _READERS.get(data[:1])
    if read is None:
        raise _refused()
    reader = _Reader(data)
    try:
        message = read(reader)
    except (struct.error, UnicodeDecodeError, OverflowError, IndexError, ValueError):
        raise _refused() from None
    if not reader.ended:
        raise _refused()
    return message


def lsn_text(lsn: int) -> str:
    """A place in the log as PostgreSQL writes it: `16/B374D848`."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def lsn_number(text: str) -> int:
    """The number of such a place. ValueError for any other text."""
    high, _, low = text.partition("/")
    return (int(high, 16) << 32) | int(low, 16)


class _Reader:
    """Bytes from left to right."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 1

    @property
    def ended(self) -> bool:
        return self._at == len(self._data)

    def number(self, layout: str) -> int:
        (found,) = struct.unpack_from(layout, self._data, self._at)
        self._at += struct.calcsize(layout)
        return int(found)

    def taken(self, size: int) -> bytes:
        if size < 0 or self._at + size > len(self._data):
            raise ValueError("a length beyond the end")
        self._at += size
        return self._data[self._at - size : self._at]

    def byte(self) -> bytes:
        return self.taken(1)

    def text(self) -> str:
        end = self._data.index(b"\0", self._at)
        found = self._data[self._at : end].decode()
        self._at = end + 1
        return found

    def moment(self) -> datetime:
        return _EPOCH + timedelta(microseconds=self.number(">q"))

    def cells(self) -> Cells:
        return tuple(self._cell() for _ in range(self.number(">H")))

    def _cell(self) -> Cell:
        kind = self.byte()
        if kind == b"t":
            return self.taken(self.number(">i"))
        if kind in (b"n", b"u"):
            return None if kind == b"n" else UNCHANGED
        raise ValueError("no such kind of value")


def _begin(read: _Reader) -> Begin:
    return Begin(read.number(">Q"), read.moment(), read.number(">I"))


def _commit(read: _Reader) -> Commit:
    read.byte()  # flags, unused
    return Commit(read.number(">Q"), read.number(">Q"), read.moment())


def _relation(read: _Reader) -> Relation:
    oid, schema, table, identity = read.number(">I"), read.text(), read.text(), read.byte().decode("ascii")
    columns = []
    for _ in range(read.number(">H")):
        flags, name, type_oid = read.byte()[0], read.text(), read.number(">I")
        read.number(">i")  # the type's modifier
        columns.append(Column(name, type_oid, bool(flags & _KEY)))
    return Relation(oid, schema or "pg_catalog", table, identity, tuple(columns))


def _insert(read: _Reader) -> Insert:
    oid = read.number(">I")
    _expect(read, b"N")
    return Insert(oid, read.cells())


def _update(read: _Reader) -> Update:
    oid, kind, old = read.number(">I"), read.byte(), None
    if kind in (b"K", b"O"):
        old, kind = read.cells(), read.byte()
    if kind != b"N":
        raise ValueError("no new row")
    return Update(oid, old, read.cells())


def _delete(read: _Reader) -> Delete:
    oid = read.number(">I")
    _expect(read, b"KO")
    return Delete(oid, read.cells())


def _truncate(read: _Reader) -> Truncate:
    count = read.number(">I")
    read.byte()  # CASCADE, RESTART IDENTITY
    return Truncate(tuple(read.number(">I") for _ in range(count)))


def _expect(read: _Reader, kinds: bytes) -> None:
    if read.byte() not in kinds:
        raise ValueError("another kind of row")


_READERS: Mapping[bytes, Callable[[_Reader], Message]] = {
    b"B": _begin,
    b"C": _commit,
    b"R": _relation,
    b"I": _insert,
    b"U": _update,
    b"D": _delete,
    b"T": _truncate,
}


def _refused() -> SourceRefused:
    return SourceRefused(
        "The database sent a change in a form that is not known.",
        "Nothing was passed over; see docs/streams.md.",
        "unknown_format",
    )
