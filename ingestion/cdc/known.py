"""What is known of rows while pages are read in their order: where each row was last told, so that later pages can be understood.

Three things cannot be told by a page alone. A large value an update did not touch is not in the log: it stands where it was last told.
TRUNCATE names no rows: all that are known are gone. And a snapshot taken anew says by leaving a row out that it is gone. Memory holds
nineteen bytes a row and large value, never a row; pages are read again where rows are wanted.
"""

from __future__ import annotations

import hashlib
import struct
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence

from config.errors import SourceRefused
from ingestion.cdc.changes import Change, Emptied, Place, Row, changes
from ingestion.cdc.pages import Rows, read
from ingestion.cdc.pgoutput import Cell, Unchanged
from ingestion.ledger import Ledger

_LARGE = 100
"""Shorter texts are never stored out of line: PostgreSQL takes no less than 128 bytes for a row's target size."""
_PLACE = struct.Struct(">IIB")
_HELD = 3


class Known:
    """The rows told so far. `load` gives the bytes of a page by its number."""

    def __init__(self, load: Callable[[int], bytes]) -> None:
        self._load = load
        self._rows, self._large = Ledger(_PLACE.size), Ledger(_PLACE.size)
        self._since: dict[str, int] = {}
        """Table → the first page that may hold a row of it that is there."""
        self._held: OrderedDict[int, list[Change]] = OrderedDict()

    def page(self, number: int) -> list[Change]:
        """The changes of a page. SourceRefused for one that is damaged."""
        if number not in self._held:
            while len(self._held) >= _HELD:
                self._held.popitem(last=False)
            self._held[number] = list(changes(read(self._load(number))))
        self._held.move_to_end(number)
        return self._held[number]

    def told(self, row: Row, place: Place) -> tuple[Row, tuple[str, ...]]:
        """The row with the values it does not repeat, and the names of columns whose value nothing told yet; it is known from now on."""
        lacking, cells = [], list(row.cells)
        for i, cell in enumerate(cells):
            if isinstance(cell, Unchanged):
                cells[i] = self._earlier(row, i)
                if isinstance(cells[i], Unchanged):
                    lacking.append(row.columns[i].name)
        whole = row._replace(cells=tuple(cells))
        if row.former is not None:
            self._put(row.table, row.former, place, there=False)
        self._put(row.table, row.key, place, there=row.op != "delete")
        if row.op != "delete":
            self._note_large(row, whole, place)
        return whole, tuple(lacking)

    def gone(self, change: Emptied, place: Place) -> Iterator[Row]:
        """The rows that are no more, as they were last told; they are known as gone from now on."""
        for table in change.tables:
            begin = self._since.get(table, place.page)
            for number in range(begin, place.page + 1):
                if change.op != "truncate" and self._is_of(number, change.snapshot):
                    continue
                for old in self._told_on(number):
                    here = Place(number, old.number)
                    if not (isinstance(old, Row) and here < place and old.table == table and self._stands(old, here)):
                        continue
                    self._put(table, old.key, here, there=False)
                    yield self._filled(old)
            if change.op == "truncate":
                self._since[table] = place.page

    def _told_on(self, number: int) -> Sequence[Change]:
        try:
            return list(self.page(number))
        except SourceRefused:
            return ()  # told when its turn came

    def _is_of(self, number: int, snapshot: str) -> bool:
        try:
            head = read(self._load(number))
        except SourceRefused:
            return False
        return isinstance(head, Rows) and head.snapshot == snapshot

    def _filled(self, row: Row) -> Row:
        cells = tuple(self._earlier(row, i) if isinstance(c, Unchanged) else c for i, c in enumerate(row.cells))
        return row._replace(cells=cells)

    def _earlier(self, row: Row, index: int) -> Cell:
        """The value of a column as last told: by the row before, where the log has it, else by an earlier change."""
        name, key = row.columns[index].name, row.former if row.former is not None else row.key
        if row.before is not None and not isinstance(row.before[index], Unchanged):
            return row.before[index]
        found = self._large.get(_digest(row.table, key, name))
        if found is None:
            return row.cells[index]
        page, number, _ = _PLACE.unpack(found)
        try:
            told = self.page(page)[number]
        except SourceRefused:
            return row.cells[index]
        cells = {c.name: v for c, v in zip(told.columns, told.cells, strict=True)} if isinstance(told, Row) else {}
        return cells.get(name, row.cells[index])

    def _note_large(self, row: Row, whole: Row, place: Place) -> None:
        for column, said, value in zip(row.columns, row.cells, whole.cells, strict=True):
            if isinstance(said, bytes) and len(said) >= _LARGE:
                self._large.swap(_digest(row.table, row.key, column.name), _PLACE.pack(*place, 1))
            elif isinstance(said, Unchanged) and row.former is not None and isinstance(value, bytes):
                found = self._large.get(_digest(row.table, row.former, column.name))
                if found is not None:
                    self._large.swap(_digest(row.table, row.key, column.name), found)

    def _put(self, table: str, key: tuple[Cell, ...], place: Place, *, there: bool) -> None:
        self._since.setdefault(table, place.page)
        self._rows.swap(_digest(table, key), _PLACE.pack(*place, there))

    def _stands(self, row: Row, place: Place) -> bool:
        """Whether this is where the row was last told, and it is there."""
        return self._rows.get(_digest(row.table, row.key)) == _PLACE.pack(*place, 1)


def _digest(table: str, key: tuple[Cell, ...], column: str = "") -> bytes:
    return hashlib.blake2b(repr((table, key, column)).encode(), digest_size=16).digest()
