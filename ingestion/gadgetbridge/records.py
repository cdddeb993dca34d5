"""A Gadgetbridge database becomes one record per row of the tables that are read; every other table that holds rows is told by name.

A device is known by its hardware address, of which records carry a digest: the number the database gives it differs from phone to
phone. Of one minute in two exports the row of the later export counts; how late an export is says its own latest stamp.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from config.epoch import LAST, epoch_micros
from config.errors import SourceRefused
from config.stage import File, Inputs, Outputs, Report
from ingestion.gadgetbridge.tables import DEVICES, MINUTES, SAMPLES, SETTINGS, WORKOUTS
from ingestion.records import DeadLetter, Layout, Parsed, Record, collect
from ingestion.sqlite_export import Cells, Database, parsed

SCHEMA = str(Path(__file__).with_name("schema.json"))

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SLACK = 86_400
_MOST_DEVICES = 10_000


def records(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `raw` → roles `records`, `dead_letters`."""
    return collect(inputs, outputs, settings, parse, SCHEMA)


def parse(file: File, settings: Mapping[str, Any]) -> Iterator[Parsed]:  # noqa: ARG001  every source's parse has these two
    """The rows of one raw artifact: a database, or an archive that holds databases. Raises SourceRefused for anything else."""
    until = LAST if file.arrived is None else int(file.arrived) + _SLACK
    yield from parsed(file, lambda database, where: _read(database, where, until))


def _read(database: Database, where: str, until: int) -> Iterator[Parsed]:
    if DEVICES not in database.tables or not any(name.endswith("_SAMPLE") for name in database.tables):
        raise SourceRefused("The database is none of Gadgetbridge's.", "Drop the file the app exports.", "unknown_database")
    reader = _Reader(database, where, until)
    for table in (DEVICES, WORKOUTS, *SAMPLES):
        if table in database.tables:
            yield from reader.table(table)
    read = {DEVICES, WORKOUTS, *SAMPLES, *SETTINGS}
    for table in database.tables:
        if table not in read and (rows := database.count(table)):
            yield Layout("table_not_read", rows, table)


class _Reader:
    """Turns the rows of one database into records; who the devices are is looked up once."""

    def __init__(self, database: Database, where: str, until: int) -> None:
        self._database, self._where = database, where
        self._devices = dict(_devices(database))
        self._revision = _latest(database, until)

    def table(self, table: str) -> Iterator[Parsed]:
        """The records of one table."""
        for row in self._database.rows(table):
            if isinstance(row, DeadLetter):
                yield row._replace(position=self._where + row.position)
            else:
                yield self._record(table, row.cells, f"{self._where}{table} row {row.number}")

    def _record(self, table: str, cells: Cells, position: str) -> Record:
        raw = {"table": "", **cells} | {"table": table}
        if table == DEVICES:
            return Record(f"{table}/{_device(cells)}", None, raw, position, self._revision)
        stamp = cells.get("START_TIME" if table == WORKOUTS else "TIMESTAMP")
        micros = epoch_micros(stamp)
        device = self._devices.get(_text(cells.get("DEVICE_ID")), "unknown")
        return Record(
            f"{table}/{device}/{_text(stamp)}",
            None if micros is None else _EPOCH + timedelta(microseconds=micros),
            raw,
            position,
            self._revision,
            ("bad_time",) if micros is None else (),
        )


def _devices(database: Database) -> Iterator[tuple[str, str]]:
    """The database's number for a device → what it is known by here."""
    for row in database.rows(DEVICES):
        if not isinstance(row, DeadLetter):
            yield _text(row.cells.get("_id")), _device(row.cells)
            if row.number >= _MOST_DEVICES:
                return


def _device(cells: Cells) -> str:
    return hashlib.blake2b(str(cells.get("IDENTIFIER")).casefold().encode("utf-8", "replace"), digest_size=6).hexdigest()


def _text(value: Any) -> str:
    """A whole number as it is; of anything else, which no export holds here, a digest."""
    if type(value) is int:
        return str(value)
    return hashlib.blake2b(repr(value).encode("utf-8", "replace"), digest_size=8).hexdigest()


def _latest(database: Database, until: int) -> int:
    """The export's latest minute, microseconds since 1970, not later than `until`: a band whose clock is wrong must not say it."""
    found = (
        database.most(name, "TIMESTAMP", until * per_second) * 1_000_000 // per_second
        for name in (*SAMPLES, "BATTERY_LEVEL")
        if "TIMESTAMP" in database.tables.get(name, ())
        for per_second in ((1,) if name in MINUTES or name == "BATTERY_LEVEL" else (1_000,))
    )
    return max(found, default=0)
