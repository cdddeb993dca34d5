"""Fitbit exports (Google Takeout under either root, or Fitbit's own archive) → records: one per element of a JSON file or row of a CSV.

The twins of one measurement, JSON and CSV, both become records; which of them counts is decided when they are normalized. Files nobody
here reads are told by name and never opened further than their beginning: most of an export's bytes are no health data.
"""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from config.errors import SourceRefused
from config.stage import File, Inputs, Outputs, Report
from config.stamps import Stamps
from config.timezones import PersonZones
from ingestion.blocks import Block, expanded
from ingestion.csv_table import CsvTable, Line
from ingestion.export_files import ExportFile, beginning, each_file, is_web_page
from ingestion.fitbit import heart
from ingestion.fitbit.tables import Table, stem, table_of
from ingestion.json_stream import items
from ingestion.records import DeadLetter, Layout, Parsed, Record, collect, json_text

SCHEMA = str(Path(__file__).with_name("schema.json"))
_EXPORTED = re.compile(r"takeout-(\d{8}T\d{6})Z", re.IGNORECASE)
_NOTHING = b"no data"
"""All that stands in the files of a kind the account has nothing of."""


def records(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `raw` → roles `records`, `dead_letters`. Settings: timezone, timezone_overrides (the JSON files know no zone)."""
    return collect(inputs, outputs, settings, parse_blocks, SCHEMA)


def parse(file: File, settings: Mapping[str, Any]) -> Iterator[Parsed]:
    """The records of one raw artifact, a file of an export or an archive of it, one by one."""
    for item in parse_blocks(file, settings):
        if isinstance(item, Block):
            yield from expanded(item, ())
        else:
            yield item


def parse_blocks(file: File, settings: Mapping[str, Any]) -> Iterator[Parsed | Block]:
    """The same with a day's heart rates at once."""
    zones = PersonZones(settings["timezone"], settings["timezone_overrides"])
    revision = _exported(file)
    return each_file(file, lambda part: _read(part, zones, revision))


def _exported(file: File) -> int:
    """When the export was made, seconds since 1970: as Takeout names its archives, else when the file arrived."""
    found = _EXPORTED.search(file.name)
    if found:
        try:
            return calendar.timegm(time.strptime(found[1].upper(), "%Y%m%dT%H%M%S"))
        except ValueError:
            pass
    return int(file.arrived or 0)


def _read(part: ExportFile, zones: PersonZones, revision: int) -> Iterator[Parsed | Block]:
    head = beginning(part.file)
    if not head.strip(b"\xef\xbb\xbf \r\n\t"):
        yield Layout("empty_file")
        return
    if head.strip(b"\xef\xbb\xbf \r\n\t").lower() == _NOTHING:
        yield Layout("no_data")
        return
    if not part.where and is_web_page(head):
        raise SourceRefused("The file is a web page, not an export.", "Download the export again, logged in.", "html")
    table = table_of(part.name)
    if table is None:
        yield Layout("file_not_read", 1, stem(part.name))
        return
    if table.name == heart.TABLE and (day := heart.block(part, zones, revision)) is not None:
        yield day
        return
    reader = _Reader(table, zones, revision, part.where)
    yield from reader.csv(part) if table.name.startswith("csv.") else reader.json(part)


class _Reader:
    """Makes the records of one file."""

    def __init__(self, table: Table, zones: PersonZones, revision: int, where: str) -> None:
        self._table, self._revision, self._where = table, revision, where
        self._stamps = Stamps(zones)

    def json(self, part: ExportFile) -> Iterator[Parsed]:
        """The elements of a JSON array."""
        for item in items(part.file):
            if isinstance(item, DeadLetter):
                yield item._replace(position=self._where + item.position)
            elif not isinstance(item.value, dict):
                yield self._no_object(item.value, item.number)
            else:
                yield self._record(item.value, f"item {item.number}")

    def csv(self, part: ExportFile) -> Iterator[Parsed]:
        """The rows of a CSV. SourceRefused `missing_column` where the header lacks what makes the rows worth reading."""
        with CsvTable(part.file) as rows:
            rows.require([self._table.stamp])
            for column in self._table.values:
                if not set(column.split("|")) & set(rows.columns):
                    rows.require([column])
            yield Layout("header")
            for row in rows:
                if isinstance(row, Line):
                    yield self._record(row.cells, f"line {row.number}")
                else:
                    yield row._replace(position=self._where + row.position) if isinstance(row, DeadLetter) else row

    def _record(self, fields: Mapping[str, Any], position: str) -> Record:
        table = self._table
        raw = {"table": table.name, **{("table_field" if k == "table" else k): v for k, v in fields.items()}}
        written = fields.get(table.stamp)
        if table.name == "json.weight":
            written = f"{fields.get('date', '')} {fields.get('time', '')}".strip()
        elif table.name == "json.resting_heart_rate" and isinstance(value := fields.get("value"), dict):
            written = value.get("date") or written
        stamp = self._stamps.read(written, by_day=table.by_day, series=table.series)
        parts = [table.name, *([] if table.by_id else [f"{written}{'/2' if stamp.again else ''}"])]
        parts += [str(fields.get(name, "")) for name in table.identity]
        errors = () if stamp.error is None else (stamp.error,)
        if table.by_id and not any(parts[1:]):
            errors = (*errors, "no_id")
        return Record(
            "/".join(parts),
            stamp.utc,
            raw,
            self._where + position,
            self._revision,
            errors,
            time_text=written if isinstance(written, str) else None,
            utc_offset=stamp.offset,
        )

    def _no_object(self, value: Any, number: int) -> DeadLetter:
        try:
            raw = json_text(value).encode()
        except (ValueError, RecursionError):
            raw = b""
        position = f"{self._where}{f'item {number}' if number else 'the value'}"
        return DeadLetter(raw, "no_object", "It is no record: the export has objects here.", position)
