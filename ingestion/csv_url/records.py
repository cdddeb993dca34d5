"""A raw CSV → records: one per row, as written, beside it what its columns mean. Streamed; a date is never guessed.

A row is known by its id column, else by its content; the newest of one id is the one updated last. All CSVs of this source share one
space of ids. Which of day and month comes first in 03/04/2025 is decided by the rows of the same column that allow one order only.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, BinaryIO, NamedTuple

from config.errors import SourceRefused
from config.stage import File, Inputs, Outputs, Report
from config.timezones import PersonZones
from ingestion.clock import read_date, read_epoch, read_time
from ingestion.csv_table import CsvTable, Line
from ingestion.csv_url.columns import TIMES, meanings
from ingestion.date_column import column_order
from ingestion.dropped_text import is_empty, kind_of
from ingestion.export_files import ExportFile, beginning, each_file
from ingestion.occasions import Occasion, content_key, occasion
from ingestion.records import Layout, Parsed, Record, collect

SCHEMA = os.path.join(os.path.dirname(__file__), "schema.json")
_DELIMITERS = (",", ";", "\t", "|")
_PLAIN = re.compile(r"\d{4}-|\d{10}(?:\d{3})?$", re.ASCII)
"""Times whose numbers stand in one order only."""
_EPOCHS = {10: 1, 13: 1000}
"""Digits of a count since 1970 → how many of it are a second."""
_TIMELESS, _UNTOLD = Occasion(None, ""), Occasion(None, "", ("no_time",))
_COMMA = re.compile(r"([+-]?\d{1,15}),(\d{1,20})", re.ASCII)


def records(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `raw` → roles `records`, `dead_letters`. Settings: timezone, timezone_overrides (for times without an offset)."""
    return collect(inputs, outputs, settings, parse, SCHEMA)


def parse(file: File, settings: Mapping[str, Any]) -> Iterator[Parsed]:
    """The rows of one CSV, or of an archive of them. SourceRefused: what it is instead of a CSV, `no_header`, `duplicate_columns`."""
    zones = PersonZones(settings["timezone"], settings["timezone_overrides"])
    yield from each_file(file, lambda found: _one(found, zones))


def _one(found: ExportFile, zones: PersonZones) -> Iterator[Parsed]:
    head = beginning(found.file, 1 << 16)
    if is_empty(head):
        yield Layout("empty_file")
        return
    if kind_of(head) != "text":
        raise SourceRefused("The file is no CSV.", "Give the address of the CSV itself.", "unknown_format")
    form = _form(head)
    reader = _Reader(zones, form, _orders(found.file, form))
    with _table(found.file, form) as table:
        yield Layout("header")
        columns = {field: table.columns[index] for field, index in meanings(table.columns).items()}
        for item in table:
            if not isinstance(item, Line):
                yield item if isinstance(item, Layout) else item._replace(position=found.where + item.position)
            elif list(item.cells.values()) == table.columns:
                yield Layout("header")
            else:
                yield reader.record(item, columns, found.where)


class _Form(NamedTuple):
    """How a CSV is written."""

    delimiter: str
    encoding: str


def _form(head: bytes) -> _Form:
    """By its byte-order mark and its first line: the delimiter that cuts that into most fields."""
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    text = head[: len(head) // 2 * 2].decode(encoding, "replace")
    line = next((line for line in text.splitlines() if line.strip()), "")
    widths = {delimiter: len(next(csv.reader([line], delimiter=delimiter), [])) for delimiter in _DELIMITERS}
    return _Form(max(_DELIMITERS, key=lambda delimiter: widths[delimiter]), encoding)


def _table(file: BinaryIO, form: _Form) -> CsvTable:
    return CsvTable(file, delimiter=form.delimiter, encoding=form.encoding, numbered=True)


def _orders(file: BinaryIO, form: _Form) -> dict[str, str | None]:
    """Time field → whether its dates are `dmy` or `mdy`, as those of its rows agree that allow one order only; None otherwise."""
    with _table(file, form) as table:
        columns = {field: table.columns[index] for field, index in meanings(table.columns).items() if field in TIMES}
        seen: dict[str, set[str]] = {field: set() for field in columns}
        for item in table:
            for field, column in columns.items():
                if isinstance(item, Line) and not _PLAIN.match(text := item.cells[column].strip()):
                    order = column_order([read_date(text)], None)
                    seen[field] |= {order} if order else set()
    return {field: next(iter(orders)) if len(orders) == 1 else None for field, orders in seen.items()}


class _Reader:
    """Makes records of a CSV's rows."""

    def __init__(self, zones: PersonZones, form: _Form, orders: Mapping[str, str | None]) -> None:
        self._zones, self._form, self._orders = zones, form, orders

    def record(self, line: Line, columns: Mapping[str, str], where: str) -> Record:
        texts = {field: text for field, column in columns.items() if (text := line.cells[column].strip())}
        clock = texts.pop("clock", "")
        moments = {field: self._moment(field, texts.pop(field), clock) for field in TIMES if field in texts}
        fields = {field: self._number(text) if field == "value" else text for field, text in texts.items()}
        fields |= {field: moment.label for field, moment in moments.items() if moment.utc}
        fields.setdefault("id", f"content-{content_key(line.cells)}")
        measured = moments.get("occurred_at", _UNTOLD if "occurred_at" in columns else _TIMELESS)
        created, updated = (moments.get(field, measured).utc for field in TIMES[1:])
        unread = [f"{field}_not_read" for field in TIMES[1:] if field in moments and moments[field].utc is None]
        stamp = measured.utc if "occurred_at" in columns else created
        return Record(
            raw_id=fields["id"],
            timestamp=stamp,
            raw={"fields": fields, "row": line.cells},
            position=f"{where}line {line.number}",
            revision=int(updated.timestamp() * 1000) if "updated_at" in moments and updated else 0,
            errors=measured.errors,
            warnings=(*measured.warnings, *unread),
            time_text=self._written(line, columns),
            utc_offset=measured.offset,
            timeless="occurred_at" not in columns,
        )

    def _written(self, line: Line, columns: Mapping[str, str]) -> str | None:
        cells = [line.cells[columns[field]].strip() for field in ("occurred_at", "clock") if field in columns]
        return " ".join(filter(None, cells)) or None

    def _moment(self, field: str, text: str, clock: str) -> Occasion:
        """When it was; its label is ISO 8601 with the offset, or a bare date where no time of day is written."""
        if per_second := _EPOCHS.get(len(text)) if text.isascii() and text.isdigit() else None:
            utc = read_epoch(text, per_second)
            return Occasion(None, "", (utc,)) if isinstance(utc, str) else Occasion(utc, utc.isoformat(), offset=0)
        written, order = read_date(text), self._orders[field]
        if written.error is None and written.order == "?" and order is None:
            return Occasion(None, "", ("ambiguous_date",))
        day = written.day(order or "dmy")
        if isinstance(day, str):
            return Occasion(None, "", (day,))
        at = read_time(clock) if clock and field == "occurred_at" else written.clock
        when = occasion(day, at, None, self._zones, None, written.offset)
        if when.utc is None:
            return when
        timed = at.time is not None or at.slot is not None
        said = tuple(code for code in when.warnings if code != "time_unknown")
        return when._replace(label=_iso(when.utc, when.offset or 0) if timed else day.isoformat(), warnings=said)

    def _number(self, text: str) -> str:
        """`36,6` of a table that the comma does not divide, with a point."""
        found = None if self._form.delimiter == "," else _COMMA.fullmatch(text)
        return f"{found[1]}.{found[2]}" if found else text


def _iso(utc: datetime, offset: int) -> str:
    return utc.astimezone(timezone(timedelta(seconds=offset)) if offset else UTC).isoformat()
