"""A page → the changes it tells, one by one, each with the row as the page knows it. No page before it is asked for anything here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from config.errors import SourceRefused
from ingestion.cdc.pages import Logged, Rows
from ingestion.cdc.pgoutput import Begin, Cell, Cells, Column, Commit, Delete, Insert, Relation, Truncate, Unchanged, Update


class Place(NamedTuple):
    """Where something was told: of which page, and its number there."""

    page: int
    number: int


class Row(NamedTuple):
    """A row, told by a snapshot or changed."""

    op: str
    """snapshot | insert | update | delete."""
    table: str
    """`public.readings`."""
    columns: tuple[Column, ...]
    cells: Cells
    key: tuple[Cell, ...]
    """What tells it from the table's other rows."""
    former: tuple[Cell, ...] | None
    """Its key before, where an update changed it."""
    before: Cells | None
    """The whole row before, where the table logs it."""
    lsn: int
    at: datetime
    number: int


class Emptied(NamedTuple):
    """All rows of these tables are gone that were told before: by TRUNCATE, or because a whole snapshot does not hold them."""

    op: str
    """truncate | snapshot_end."""
    tables: tuple[str, ...]
    snapshot: str
    """Of a snapshot's end: rows told by it stay."""
    lsn: int
    at: datetime
    number: int


Change = Row | Emptied


def changes(page: Rows | Logged) -> Iterator[Change]:
    """What a page tells, in order; `number` counts from 0. SourceRefused where it is not whole."""
    found = _of_rows(page) if isinstance(page, Rows) else _of_log(page)
    for number, change in enumerate(found):
        yield change._replace(number=number)


def _of_rows(page: Rows) -> Iterator[Change]:
    if page.table is None:
        yield Emptied("snapshot_end", page.tables, page.snapshot, page.lsn, page.at, 0)
        return
    columns = page.table.columns
    which = key_of(columns)
    for cells in page.rows:
        key = tuple(cells[i] for i in which)
        yield Row("snapshot", page.table.full, columns, cells, key, None, None, page.lsn, page.at, 0)


def _of_log(page: Logged) -> Iterator[Change]:
    relations: dict[int, Relation] = {}
    at: datetime | None = None
    for frame, message in page.frames:
        if isinstance(message, Begin):
            at = message.at
        elif isinstance(message, Relation):
            relations[message.oid] = message
        elif not isinstance(message, Commit):
            oids = message.oids if isinstance(message, Truncate) else (message.oid,)
            if at is None or any(oid not in relations for oid in oids):
                raise _damaged()
            tables = [relations[oid] for oid in oids]
            if isinstance(message, Truncate):
                yield Emptied("truncate", tuple(map(_full, tables)), "", frame.lsn, at, 0)
            else:
                yield _row(message, tables[0], page.keys, frame.lsn, at)


def _row(message: Insert | Update | Delete, table: Relation, keys: Mapping[str, list[str]], lsn: int, at: datetime) -> Row:
    name = _full(table)
    which = key_of(table.columns, keys.get(name) if table.identity == "f" else None)
    cells = message.old if isinstance(message, Delete) else message.new
    old = message.old if isinstance(message, Update) else None
    if any(len(row) != len(table.columns) for row in (cells, old) if row is not None):
        raise _damaged()
    before = message.old if table.identity == "f" and not isinstance(message, Insert) else None
    key, former = tuple(cells[i] for i in which), None
    if old is not None:
        was = tuple(old[i] for i in which)
        key = tuple(o if isinstance(k, Unchanged) else k for k, o in zip(key, was, strict=True))
        former = was if was != key else None
    return Row(_OPS[type(message)], name, table.columns, cells, key, former, before, lsn, at, 0)


_OPS: Mapping[type, str] = {Insert: "insert", Update: "update", Delete: "delete"}


def key_of(columns: tuple[Column, ...], named: Sequence[str] | None = None) -> list[int]:
    """Which columns tell rows apart: the key, or all of them where a table has none."""
    found = [i for i, column in enumerate(columns) if (column.name in named if named else column.key)]
    return found or list(range(len(columns)))


def _full(table: Relation) -> str:
    return f"{table.schema}.{table.table}"


def raw_id(table: str, key: tuple[Cell, ...]) -> str:
    """`public.readings:17`; as a list where the key is of several columns, or its text could be such a list: `public.visits:["7","x"]`."""
    said = [cell.decode("utf-8", "backslashreplace") if isinstance(cell, bytes) else None for cell in key]
    if len(said) == 1 and said[0] is not None and not said[0].startswith("["):
        return f"{table}:{said[0]}"
    return f"{table}:{json.dumps(said, ensure_ascii=False, separators=(',', ':'))}"


def _damaged() -> SourceRefused:
    return SourceRefused("The page of changes is not whole.", "Fetch it anew: source state reset cdc.", "unknown_format")
