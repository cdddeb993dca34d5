"""Samsung Health's "Download personal data" → records: the rows of its CSVs and the short intervals in its JSON files.

A CSV begins with a line that says its type, the header comes second, and every line ends with a comma more than it has columns. Times
are UTC, beside them the offset of the place; a `day_time` is midnight UTC of the local day, as text or as milliseconds.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from config.epoch import epoch_micros
from config.errors import SourceRefused
from config.stage import File, Inputs, Outputs, Report
from config.stamps import Stamps
from config.timezones import PersonZones
from ingestion.csv_table import CsvTable, Line
from ingestion.export_files import ExportFile, beginning, each_file, is_web_page
from ingestion.json_stream import items
from ingestion.records import DeadLetter, Layout, Parsed, Record, collect
from ingestion.samsung_health.tables import BINS, POINTERS, TABLES, Table, bins_of, short_names, type_in_name, type_of

SCHEMA = str(Path(__file__).with_name("schema.json"))
_BINNED = ("binning_data", "binning")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def records(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `raw` → roles `records`, `dead_letters`. Settings: timezone, timezone_overrides (for rows of a whole day)."""
    return collect(inputs, outputs, settings, parse, SCHEMA)


def parse(file: File, settings: Mapping[str, Any]) -> Iterator[Parsed]:
    """The records of one raw artifact: a file of an export or an archive of it."""
    zones = PersonZones(settings["timezone"], settings["timezone_overrides"])
    return each_file(file, lambda part: _read(part, zones))


def _read(part: ExportFile, zones: PersonZones) -> Iterator[Parsed]:
    head = beginning(part.file)
    if not head.strip(b"\xef\xbb\xbf \r\n\t"):
        yield Layout("empty_file")
    elif is_web_page(head):
        raise SourceRefused("The file is a web page, not an export.", "Drop the export's own files.", "html")
    elif part.name.lower().endswith(".json"):
        yield from _json(part)
    elif part.name.lower().endswith(".csv") or _told_type(head):
        yield from _csv(part, _told_type(head), zones)
    else:
        yield Layout("file_not_read", 1, posixpath.splitext(part.name)[1] or "without an extension")


def _json(part: ExportFile) -> Iterator[Parsed]:
    kind, column = bins_of(part.name)
    if kind not in BINS or column not in _BINNED:
        yield Layout("file_not_read", 1, f"{kind} {column}.json" if column else kind)
        return
    name = posixpath.basename(part.name)
    for item in items(part.file):
        if isinstance(item, DeadLetter):
            yield item._replace(position=part.where + item.position)
        elif isinstance(item.value, dict):
            yield _bin(f"bins.{BINS[kind]}", name, item.value, f"{part.where}item {item.number}")
        else:
            yield DeadLetter(b"", "no_object", "It is no record: the export has objects here.", f"{part.where}item {item.number}")


def _bin(table: str, file: str, value: Mapping[str, Any], position: str) -> Record:
    micros = epoch_micros(value.get("start_time"))
    raw = {"table": table, "file": file, **{k: v for k, v in value.items() if k not in ("table", "file")}}
    return Record(
        f"{table}/{file}/{value.get('start_time')}",
        None if micros is None else _EPOCH + timedelta(microseconds=micros),
        raw,
        position,
        errors=("bad_time",) if micros is None else (),
    )


def _csv(part: ExportFile, told: str | None, zones: PersonZones) -> Iterator[Parsed]:
    kind = told or type_in_name(part.name)
    with CsvTable(part.file, preamble=int(told is not None)) as rows:
        if kind is None:
            raise SourceRefused(
                "The file is no table of a Samsung Health export.", "Drop the export's own files.", "unknown_table"
            )
        if told is not None:
            yield Layout("metadata")
        yield Layout("header")
        table = TABLES.get(kind)
        if table is not None:
            yield from _rows(part.where, rows, kind, table, Stamps(zones))
            return
        count = sum(1 for _ in rows)
        yield Layout("points_to_json", count) if kind in POINTERS else Layout("table_not_read", max(count, 1), kind)


def _rows(where: str, rows: CsvTable, kind: str, table: Table, stamps: Stamps) -> Iterator[Parsed]:
    names = dict(zip(rows.columns, short_names(rows.columns), strict=True))
    if not set(table.needed) <= set(names.values()):
        raise SourceRefused("The header lacks a column that every row needs.", "Export it again.", "missing_column")
    for row in rows:
        if isinstance(row, Line):
            cells = {names[column]: cell for column, cell in row.cells.items()}
            yield _record(kind, table, cells, stamps, f"{where}line {row.number}")
        else:
            yield row._replace(position=where + row.position) if isinstance(row, DeadLetter) else row


def _told_type(head: bytes) -> str | None:
    """The type the first line says: `com.samsung.shealth.blood_pressure,6230004,3`; None where that line is the header already."""
    first = head.partition(b"\n")[0].decode("utf-8-sig", "replace").split(",")
    return type_of(first[0]) if len(first) > 1 and first[1].strip().isdigit() else None


def _record(kind: str, table: Table, cells: Mapping[str, str], stamps: Stamps, position: str) -> Record:
    raw = {"table": kind, **{("table_field" if k == "table" else k): v for k, v in cells.items()}}
    text = cells[table.stamp].strip()
    utc, error = _moment(text, stamps, by_day=table.by_day)
    ids = [cells.get(name, "").strip() for name in table.identity]
    if not any(ids):
        ids = [text, cells.get("deviceuuid", "")]
    return Record(
        "/".join([kind, *ids]),
        utc,
        raw,
        position,
        revision(cells.get("update_time", ""), stamps),
        () if error is None else (error,),
        time_text=text or None,
        utc_offset=None if utc is None or table.by_day else 0,
    )


def _moment(text: str, stamps: Stamps, *, by_day: bool) -> tuple[datetime | None, str | None]:
    """UTC text or milliseconds; of a day the person's midnight that begins it."""
    micros = epoch_micros(int(text)) if text.isascii() and text.isdigit() and len(text) < 20 else None
    if by_day:
        day: date | None = (_EPOCH + timedelta(microseconds=micros)).date() if micros is not None else stamps.day(text)
        found = stamps.read(None if day is None else day.isoformat(), by_day=True)
        return found.utc, found.error
    if micros is not None:
        return _EPOCH + timedelta(microseconds=micros), None
    found = stamps.read(f"{text}Z" if text else None)
    return found.utc, found.error


def revision(text: str, stamps: Stamps) -> int:
    """The vendor's update time in milliseconds since 1970; 0 where there is none."""
    utc, _ = _moment(text.strip(), stamps, by_day=False)
    return 0 if utc is None else (utc - _EPOCH) // timedelta(milliseconds=1)
