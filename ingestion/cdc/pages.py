"""The two kinds of raw page a database gives, as bytes and back: rows of a snapshot as COPY wrote them, and messages of the log.

A page can be read without any other: a line of JSON says what it is, and a page of the log begins with the transaction it goes on
with and says each table before its first change. Behind that line stand the bytes as the database sent them.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from config.errors import SourceRefused
from ingestion.cdc.pgoutput import CHANGES, Begin, Column, Commit, Message, Relation, Truncate, decode, lsn_number, lsn_text

LOG, ROWS = ".pgoutput", ".copy"
"""How pages of the log and of a snapshot end."""
MOST_CHANGES = 500
MOST_BYTES = 4 << 20
"""A page is closed at so many changes or bytes; a larger value stands alone."""

_FRAME = struct.Struct(">QII")
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_MEANS = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


class Frame(NamedTuple):
    """A message of the log with where it stood."""

    lsn: int
    xid: int
    data: bytes


class Table(NamedTuple):
    """A table as a snapshot met it."""

    schema: str
    name: str
    columns: tuple[Column, ...]

    @property
    def full(self) -> str:
        """`public.readings`."""
        return f"{self.schema}.{self.name}"


class Rows(NamedTuple):
    """A page of a snapshot, or its end: `table` is None then, and `tables` names all that were read."""

    at: datetime
    lsn: int
    """Revision of its rows: older than every change the snapshot does not hold."""
    snapshot: str
    """Tells one snapshot from another."""
    table: Table | None
    tables: tuple[str, ...]
    rows: list[tuple[bytes | None, ...]]


class Logged(NamedTuple):
    """A page of the log."""

    keys: Mapping[str, list[str]]
    """Table → its primary key, for tables that log whole rows before."""
    frames: list[tuple[Frame, Message]]


class Writer:
    """Gathers messages into pages; `add` says when one is full."""

    def __init__(self, keys: Mapping[str, Sequence[str]]) -> None:
        self._keys = {name: list(columns) for name, columns in keys.items()}
        self._relations: dict[int, Frame] = {}
        self._begin: Frame | None = None
        self._clear()

    def _clear(self) -> None:
        self._parts: list[bytes] = []
        self._said: set[int] = set()
        self._begun = False
        self.changes = self._size = 0

    def add(self, frame: Frame, message: Message, *, skip: bool = False) -> None:
        """A message in its order. `skip`: a change that an earlier page holds already."""
        if isinstance(message, Begin):
            self._begin, self._begun = frame, False
        elif isinstance(message, Relation):
            self._relations[message.oid] = frame
            self._said.discard(message.oid)
        elif isinstance(message, Commit):
            if self._begun:
                self._put(frame)
            self._begin = None
        elif not skip:
            self._change(frame, message)

    @property
    def full(self) -> bool:
        """Whether the page should end here."""
        return self.changes >= MOST_CHANGES or self._size >= MOST_BYTES

    def take(self) -> bytes:
        """The page, and a new one begins."""
        header = {"pdp": "changes", "version": 1, "keys": self._keys}
        body = _line(header) + b"".join(self._parts)
        self._clear()
        return body

    def _change(self, frame: Frame, message: Message) -> None:
        if not self._begun and self._begin is not None:
            self._put(self._begin)
            self._begun = True
        for oid in message.oids if isinstance(message, Truncate) else (message.oid,):  # type: ignore[union-attr]
            if oid not in self._said:
                if oid not in self._relations:
                    raise _damaged()
                self._put(self._relations[oid])
                self._said.add(oid)
        self._put(frame)
        self.changes += 1

    def _put(self, frame: Frame) -> None:
        self._parts += [_FRAME.pack(frame.lsn, frame.xid, len(frame.data)), frame.data]
        self._size += _FRAME.size + len(frame.data)


def rows_page(page: Rows, lines: bytes = b"") -> bytes:
    """A page of a snapshot; `lines`: its rows as COPY wrote them."""
    header: dict[str, Any] = {
        "pdp": "snapshot",
        "version": 1,
        "at": page.at.isoformat(),
        "lsn": lsn_text(page.lsn),
        "snapshot": page.snapshot,
    }
    if page.table is None:
        header["tables"] = list(page.tables)
    else:
        header |= {"table": page.table[:2], "columns": page.table.columns}
    return _line(header) + lines


def read(body: bytes) -> Rows | Logged:
    """A page's content. SourceRefused for bytes that are none, or not whole."""
    line, _, rest = body.partition(b"\n")
    try:
        header = json.loads(line)
        kind = header["pdp"] if header["version"] == 1 else ""
        if kind == "changes":
            return Logged(dict(header["keys"]), list(_frames(rest)))
        if kind == "snapshot":
            return _rows(header, rest)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, struct.error):
        raise _damaged() from None
    raise _damaged()


def _frames(rest: bytes) -> Iterator[tuple[Frame, Message]]:
    at = 0
    while at < len(rest):
        lsn, xid, size = _FRAME.unpack_from(rest, at)
        data = rest[at + _FRAME.size : at + _FRAME.size + size]
        if len(data) < size:
            raise ValueError("cut short")
        at += _FRAME.size + size
        message = decode(data)
        if message is not None:
            yield Frame(lsn, xid, data), message


def _rows(header: Mapping[str, Any], rest: bytes) -> Rows:
    at, lsn, snapshot = datetime.fromisoformat(header["at"]).astimezone(UTC), lsn_number(header["lsn"]), str(header["snapshot"])
    if "tables" in header:
        return Rows(at, lsn, snapshot, None, tuple(map(str, header["tables"])), [])
    columns = tuple(Column(str(name), int(oid), bool(key)) for name, oid, key in header["columns"])
    schema, name = map(str, header["table"])
    table = Table(schema, name, columns)
    rows = [_cells(line, len(columns)) for line in rest.split(b"\n")[:-1]]
    return Rows(at, lsn, snapshot, table, (), rows)


def _cells(line: bytes, count: int) -> tuple[bytes | None, ...]:
    parts = line.split(b"\t") if count else []
    if len(parts) != count:
        raise ValueError("another number of columns")
    return tuple(None if part == rb"\N" else _plain(part) for part in parts)


def _plain(part: bytes) -> bytes:
    return _ESCAPE.sub(lambda found: _MEANS.get(found[1], found[1]), part) if b"\\" in part else part


def is_change(data: bytes) -> bool:
    """Whether a message tells of a row or of a table's rows."""
    return data[:1] != b"" and data[0] in CHANGES


def _line(header: Mapping[str, Any]) -> bytes:
    return json.dumps(header, separators=(",", ":")).encode() + b"\n"


def _damaged() -> SourceRefused:
    return SourceRefused("The file is no whole page of a database's changes.", "Drop no other files here.", "unknown_format")
