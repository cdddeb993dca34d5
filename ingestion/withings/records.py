"""Withings raw artifacts → records: rows of a Health Mate archive, and what the API answered, whatever the copy was named or packed.

`raw` is the row or the object as received, and `table`, what it is a row of. Where a later export says more of the same thing (a day's
total that was still growing) the greater is the newer; the API states when it changed what (`modified`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from config.errors import SourceRefused
from config.stage import File, Inputs, Outputs, Report
from config.timezones import PersonZones
from ingestion.csv_text import Row, rows
from ingestion.export_files import ExportFile, beginning, each_file, is_web_page
from ingestion.json_stream import Item, items
from ingestion.records import DeadLetter, Layout, Parsed, Record, collect
from ingestion.withings import api
from ingestion.withings.tables import Header, stem, understand

SCHEMA = str(Path(__file__).with_name("schema.json"))
_FIRST, _LAST = datetime(2009, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_NEWEST = 1 << 60
_NOT_TABLES = (b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8")


def records(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `raw` → roles `records`, `dead_letters`. Settings: timezone, timezone_overrides (bp, weight and days say no zone)."""
    return collect(inputs, outputs, settings, parse, SCHEMA)


def parse(file: File, settings: Mapping[str, Any]) -> Iterator[Parsed]:
    """The rows of one raw artifact: a table, an answer of the API, or an archive of them."""
    zones = PersonZones(settings["timezone"], settings["timezone_overrides"])
    yield from each_file(file, lambda found: _one(found, zones))


def _one(found: ExportFile, zones: PersonZones) -> Iterator[Parsed]:
    head = beginning(found.file)
    if not head.strip():
        yield Layout("empty_file")
    elif is_web_page(head):
        raise SourceRefused("The file is a web page, not an export.", "Download the export again, logged in.", "html")
    elif head.startswith(_NOT_TABLES) or not found.name.lower().endswith((".csv", ".json")):
        if not _is_of_export(found):
            raise SourceRefused(_UNKNOWN, "Drop the archive, its CSV files or the API's JSON.", "unknown_table")
        yield Layout("file_not_read", 1, Path(found.name).suffix.lower() or "a file without an ending")
    elif head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith((b"{", b"[")):
        for item in items(found.file):
            if isinstance(item, Item):
                place = f"answer {item.number}" if item.number else "answer"
                yield from api.answer(item.value, f"{found.where}{place}")
            else:
                yield item._replace(position=found.where + item.position)
    else:
        yield from _table(found, zones)


def _table(found: ExportFile, zones: PersonZones) -> Iterator[Parsed]:
    header: Header | None = None
    rest = 0
    for row in rows(found.file):
        if isinstance(row, DeadLetter):
            yield row._replace(position=found.where + row.position)
        elif not any(cell.strip() for cell in row.cells):
            yield Layout("blank")
        elif header is None:
            header = understand(row.cells, found.name)
            if len(set(header.keys)) < len(header.keys):
                raise SourceRefused("The file names a column twice.", "Export it again.", "duplicate_columns")
            if header.table is None and not _is_of_export(found):
                raise SourceRefused(_UNKNOWN, "Drop the archive, its CSV files or the API's JSON.", "unknown_table")
            yield Layout("header")
        elif header.table is None:
            rest += 1
        elif row.cells == header.keys:
            yield Layout("header")
        else:
            yield _read(row, header, zones, f"{found.where}line {row.line}")
    if header is not None and header.table is None:
        yield Layout("table_not_read", rest, stem(found.name))


def _is_of_export(found: ExportFile) -> bool:
    """Whether a file lies in an archive or a folder, or is called like one that does: then it is unread, not wrong."""
    name = found.name.removeprefix("raw/withings/")
    return bool(found.where) or "/" in name or stem(name).startswith(("raw_", "aggregates_")) or stem(name) in _OTHERS


def _read(row: Row, header: Header, zones: PersonZones, position: str) -> Record | DeadLetter:
    table = header.table or ""
    if len(row.cells) != len(header.keys):
        return _letter(row, "short_row" if len(row.cells) < len(header.keys) else "long_row", position)
    raw: dict[str, Any] = {"table": table, **dict(zip(header.keys, row.cells, strict=True))}
    stamp = raw[next(name for name in ("Date", "date", "from", "start") if name in raw)]
    if table.startswith("raw_"):
        for name in ("duration", "value"):
            raw[name] = _list(raw[name])
            if raw[name] is None:
                return _letter(row, "bad_array", position)
    moment = _moment(stamp, zones, whole_day=table.startswith("aggregates_"))
    said = "bad_time" if moment is None else None
    return Record(
        f"{table}/{stamp.strip() if moment is None or moment.local else moment.utc.isoformat()}",
        None if moment is None else moment.utc,
        raw,
        position,
        _revision(table, raw),
        (said,) if said else (),
        (moment.flag,) if moment is not None and moment.flag else (),
        (),
        stamp if stamp.strip() else None,
        None if moment is None else moment.offset,
    )


class _Moment(NamedTuple):
    """A time as the archive writes it."""

    utc: datetime
    offset: int
    local: bool
    """Written without an offset."""
    flag: str | None = None


def _moment(text: str, zones: PersonZones, *, whole_day: bool) -> _Moment | None:
    """None for what is no time, or none of this source's era. Without an offset it is the person's clock."""
    try:
        if whole_day:
            found = zones.to_utc(datetime.combine(date.fromisoformat(text.strip()), time()))
            return _bounded(_Moment(found.utc, zones.offset(found.utc.timestamp()), True))
        written = datetime.fromisoformat(text.strip())
        if written.tzinfo is not None:
            return _bounded(_Moment(written.astimezone(UTC), int((written.utcoffset() or timedelta()).total_seconds()), False))
        found = zones.to_utc(written)
        return _bounded(_Moment(found.utc, zones.offset(found.utc.timestamp()), True, found.flag))
    except (ValueError, OverflowError):
        return None


def _bounded(moment: _Moment) -> _Moment | None:
    return moment if _FIRST <= moment.utc < _LAST else None


def _list(cell: str) -> list[Any] | None:
    """`[60,60]` → its numbers; a bare `60` → one. None for anything else."""
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    found = found if isinstance(found, list) else [found]
    return found if all(type(value) in (int, float) and abs(value) < 1e15 for value in found) else None


def _revision(table: str, raw: Mapping[str, Any]) -> int:
    """What still grew when it was exported is newer where it is greater: a day's total, an interval's length."""
    if table.startswith("raw_"):
        return int(min(max(0, sum(raw["duration"]) * 1000), _NEWEST))
    if not table.startswith("aggregates_"):
        return 0
    try:
        return int(min(max(0.0, float(raw["value"]) * 1000), _NEWEST))
    except (ValueError, OverflowError):
        return 0


def _letter(row: Row, reason: str, position: str) -> DeadLetter:
    return DeadLetter(",".join(row.cells).encode("utf-8", "surrogateescape"), reason, _WHY[reason], position)


_UNKNOWN = "The file is no part of a Withings export."
_OTHERS = frozenset({"account", "activities", "height", "user", "note", "other", "pwv", "signal", "manual_spo2"})
_WHY = {
    "short_row": "The row has fewer cells than the header.",
    "long_row": "The row has more cells than the header.",
    "bad_array": "The row's durations or values are no list of numbers.",
}
