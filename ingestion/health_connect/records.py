"""A Health Connect backup becomes one record per row of the tables that are read, with its samples or stages and who wrote it.

To the row's own columns a record adds `table`, `app` and `device` (what the row's numbers mean in this backup), and `samples` or
`stages`: lists of the child table's rows. A record is known by its `uuid`; of two backups the one modified last counts. The person's
own order of apps is a record of each category. Every other table that holds rows is told by name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from config.epoch import epoch_micros
from config.errors import SourceRefused
from config.stage import File, Inputs, Outputs, Report
from ingestion.health_connect.tables import APPS, BOOKKEEPING, CHILDREN, DEVICES, INSTANTS, INTERVALS, PRIORITIES, Child
from ingestion.records import DeadLetter, Layout, Parsed, Record, collect
from ingestion.sqlite_export import Cells, Database, parsed

SCHEMA = str(Path(__file__).with_name("schema.json"))
MOST_PARTS = 200_000
"""Samples of one record; a watch that measures every second needs 86,400 a day."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_NAMES = 10_000


def records(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `raw` → roles `records`, `dead_letters`."""
    return collect(inputs, outputs, settings, parse, SCHEMA)


def parse(file: File, settings: Mapping[str, Any]) -> Iterator[Parsed]:  # noqa: ARG001  every source's parse has these two
    """The rows of one raw artifact: a backup as zip or its database. Raises SourceRefused for anything else."""
    yield from parsed(file, _read)


def _read(database: Database, where: str) -> Iterator[Parsed]:
    if APPS not in database.tables or not any(name.endswith("_record_table") for name in database.tables):
        raise SourceRefused(
            "The database is none of Health Connect's.", "Drop the backup as Android writes it.", "unknown_database"
        )
    reader = _Reader(database, where)
    read = {APPS, DEVICES, PRIORITIES, *INSTANTS, *INTERVALS, *(child.table for child in CHILDREN.values())}
    for table in (*INSTANTS, *INTERVALS):
        if table in database.tables:
            yield from reader.table(table)
    yield from reader.priorities()
    for table in database.tables:
        if table not in read | BOOKKEEPING and (rows := database.count(table)):
            yield Layout("table_not_read", rows, table)


class _Reader:
    """Turns the rows of one backup into records; apps and devices are looked up once."""

    def __init__(self, database: Database, where: str) -> None:
        self._database, self._where = database, where
        self._apps = _names(database, APPS, ("package_name",))
        self._devices = _names(database, DEVICES, ("manufacturer", "model"))
        self._latest = 0

    def table(self, table: str) -> Iterator[Parsed]:
        """The records of one table."""
        child = CHILDREN.get(table)
        if child is not None and self._joined(table, child):
            yield from self._with_parts(table, child)
            return
        if child is not None and child.table in self._database.tables:
            yield Layout("part_without_record", self._database.count(child.table), child.table)
        for row in self._database.rows(table):
            yield self._letter(row) if isinstance(row, DeadLetter) else self._record(table, row.cells, row.number)

    def priorities(self) -> Iterator[Parsed]:
        """Which app the person believes first, a record per category."""
        if PRIORITIES not in self._database.tables:
            return
        for row in self._database.rows(PRIORITIES):
            if isinstance(row, DeadLetter):
                yield self._letter(row)
                continue
            order = str(row.cells.get("app_id_priority_order") or "")[:10_000].split(",")
            apps = [self._apps[number] for number in map(str.strip, order) if number in self._apps]
            raw = {**row.cells, "table": PRIORITIES, "apps": apps}
            position = f"{self._where}{PRIORITIES} row {row.number}"
            yield Record(f"{PRIORITIES}/{_id(row.cells.get('health_data_category'))}", None, raw, position, self._latest)

    def _joined(self, table: str, child: Child) -> bool:
        """Whether the two tables have the columns that join them."""
        tables = self._database.tables
        return "row_id" in tables[table] and {"parent_key", *child.columns} <= set(tables.get(child.table, ()))

    def _with_parts(self, table: str, child: Child) -> Iterator[Parsed]:
        """Parents in the order of `row_id` beside their parts in the order of `parent_key`: neither is ever held whole."""
        parts = _Parts(self._database, child, self._where)
        for row in self._database.rows(table, order=("row_id",)):
            if isinstance(row, DeadLetter):
                yield self._letter(row)
                continue
            mine, letters = parts.of(row.cells.get("row_id"))
            yield from letters
            position = f"{self._where}{table} row {row.number}"
            if mine is None:
                yield DeadLetter(b"", "too_big", "The record has more than 200,000 samples.", position)
            else:
                yield self._record(table, {**row.cells, child.key: mine}, row.number)
        yield from parts.rest()

    def _record(self, table: str, cells: Cells, number: int) -> Record:
        raw = {
            **cells,
            "table": table,
            "app": self._apps.get(str(cells.get("app_info_id"))),
            "device": self._devices.get(str(cells.get("device_info_id"))),
        }
        stamp = cells.get("time" if table in INSTANTS else "start_time")
        micros, revision = epoch_micros(stamp), epoch_micros(cells.get("last_modified_time")) or 0
        self._latest = max(self._latest, revision)
        return Record(
            f"{table}/{_id(cells.get('uuid') or (raw['app'], stamp, cells.get('end_time')))}",
            None if micros is None else _EPOCH + timedelta(microseconds=micros),
            raw,
            f"{self._where}{table} row {number}",
            revision,
            ("bad_time",) if micros is None else (),
        )

    def _letter(self, letter: DeadLetter) -> DeadLetter:
        return letter._replace(position=self._where + letter.position)


class _Parts:
    """The rows of a child table, handed out parent by parent."""

    def __init__(self, database: Database, child: Child, where: str) -> None:
        self._child, self._where = child, where
        self._rows = database.rows(child.table, order=("parent_key", child.columns[0]))
        self._letters: list[DeadLetter] = []
        self._orphans = 0
        self._next = self._step()

    def of(self, parent: Any) -> tuple[list[list[Any]] | None, list[DeadLetter]]:
        """A parent's parts (None: too many to hold), and what could not be read on the way there. Parents come in rising order."""
        found: list[list[Any]] = []
        many = 0
        while self._next is not None and _before(self._next[0], parent):
            self._orphans += 1
            self._next = self._step()
        while self._next is not None and self._next[0] == parent:
            many += 1
            if many <= MOST_PARTS:
                found.append(self._next[1])
            self._next = self._step()
        letters, self._letters = self._letters, []
        return found if many <= MOST_PARTS else None, letters

    def rest(self) -> Iterator[Parsed]:
        """What belongs to no parent."""
        while self._next is not None:
            self._orphans += 1
            self._next = self._step()
        yield from self._letters
        if self._orphans:
            yield Layout("part_without_record", self._orphans, self._child.table)

    def _step(self) -> tuple[Any, list[Any]] | None:
        for row in self._rows:
            if isinstance(row, DeadLetter):
                self._letters.append(row._replace(position=self._where + row.position))
            else:
                return row.cells.get("parent_key"), [row.cells.get(name) for name in self._child.columns]
        return None


def _before(key: Any, parent: Any) -> bool:
    """Whether a part comes before a parent in SQLite's order: null, numbers, text."""
    return (_kind(key), key) < (_kind(parent), parent) if _kind(key) == _kind(parent) != 0 else _kind(key) < _kind(parent)


def _kind(value: Any) -> int:
    return 0 if value is None else 2 if isinstance(value, str) else 1


def _names(database: Database, table: str, columns: tuple[str, ...]) -> dict[str, str]:
    """`row_id` as text → what it stands for."""
    found: dict[str, str] = {}
    if table not in database.tables:
        return found
    for row in database.rows(table, but=("app_icon",)):
        if isinstance(row, DeadLetter) or row.number > _MOST_NAMES:
            break
        words = [str(word)[:200] for word in map(row.cells.get, columns) if word]
        if words:
            found[str(row.cells.get("row_id"))] = " ".join(words)
    return found


def _id(value: Any) -> str:
    """Short values that are plain words as they are; of anything else a digest."""
    text = str(value)
    return (
        text
        if text.isalnum() and text.isascii() and len(text) <= 64
        else hashlib.blake2b(repr(value).encode("utf-8", "replace"), digest_size=16).hexdigest()
    )
