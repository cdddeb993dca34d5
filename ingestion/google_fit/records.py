"""Google Fit's Takeout → records: data points of `All Data`, sleep of `All Sessions`, rows of `Daily activity metrics`.

A point's table says how far Google has worked on it (`merged`, `derived`, `raw`) and what it is of; so one measurement told by several
streams is told apart later. Types nobody here reads are counted by their name.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from config.epoch import epoch_micros
from config.errors import SourceRefused
from config.stage import File, Inputs, Outputs, Report
from config.stamps import Stamps
from config.timezones import PersonZones
from ingestion.csv_table import CsvTable, Line
from ingestion.export_files import ExportFile, beginning, each_file, is_web_page
from ingestion.json_stream import Item, items
from ingestion.records import DeadLetter, Layout, Parsed, Record, collect

SCHEMA = str(Path(__file__).with_name("schema.json"))
TYPES = {
    "com.google.step_count.delta": "steps",
    "com.google.distance.delta": "distance",
    "com.google.heart_rate.bpm": "heart_rate",
    "com.google.weight": "weight",
    "com.google.body.fat.percentage": "body_fat",
    "com.google.body.temperature": "body_temperature",
    "com.google.oxygen_saturation": "spo2",
    "com.google.blood_pressure": "blood_pressure",
    "com.google.sleep.segment": "sleep",
    "com.google.activity.segment": "activity",
}
"""A point's type → what its table is called. Calories count the basal rate in and are neither active nor basal energy."""
_POINTS = ("Data Points", "point")
_SOURCES = ("Data Source", "dataSourceId")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_MEMBERS = 1_000
_DATED = re.compile(r"(\d{4}-\d\d-\d\d)(?: ?\(\d+\))?\.csv", re.ASCII)
_METRICS = frozenset({"Step count", "Distance (m)", "Average heart rate (bpm)", "Average weight (kg)", "Calories (kcal)"})


def records(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `raw` → roles `records`, `dead_letters`. Settings: timezone, timezone_overrides (for rows of a day)."""
    return collect(inputs, outputs, settings, parse, SCHEMA)


def parse(file: File, settings: Mapping[str, Any]) -> Iterator[Parsed]:
    """The records of one raw artifact: a file of an export or an archive of it."""
    zones = PersonZones(settings["timezone"], settings["timezone_overrides"])
    return each_file(file, lambda part: _read(part, zones))


def _read(part: ExportFile, zones: PersonZones) -> Iterator[Parsed]:
    head, name = beginning(part.file), posixpath.basename(part.name).lower()
    if not head.strip(b"\xef\xbb\xbf \r\n\t"):
        yield Layout("empty_file")
    elif is_web_page(head) and not part.where:
        raise SourceRefused("The file is a web page, not an export.", "Download the export again, logged in.", "html")
    elif name.endswith(".json"):
        yield from _json(part, zones)
    elif name.endswith(".csv"):
        yield from _csv(part, zones)
    else:
        yield Layout("file_not_read", 1, posixpath.splitext(name)[1] or "without an extension")


def _json(part: ExportFile, zones: PersonZones) -> Iterator[Parsed]:
    members: dict[str, Any] = {}
    unread: Counter[str] = Counter()
    points = False
    for item in items(part.file, _POINTS):
        if isinstance(item, DeadLetter):
            yield item._replace(position=part.where + item.position)
        elif item.key in _POINTS and item.number:
            points = True
            yield from _point(item, members, unread, part.where)
        elif item.key is not None and len(members) < _MOST_MEMBERS:
            members[item.key] = item.value
    points = points or any(name in members for name in _SOURCES)
    yield from (Layout("type_not_read", count, kind) for kind, count in unread.items())
    if not points:
        yield _session(members, part, zones)


def _point(item: Item, members: Mapping[str, Any], unread: Counter[str], where: str) -> Iterator[Parsed]:
    value, position = item.value, f"{where}item {item.number}"
    if not isinstance(value, dict):
        yield DeadLetter(b"", "no_object", "It is no record: the export has objects here.", position)
        return
    source = str(next((members[name] for name in _SOURCES if name in members), ""))
    kind = str(value.get("dataTypeName") or [*source.split(":"), "", ""][1])
    if kind not in TYPES:
        unread[kind or "a point of no type"] += 1
        return
    rank = "merged" if ":merge_" in source else "derived" if source.startswith("derived:") else "raw"
    start, end = _nanos(value.get("startTimeNanos")), _nanos(value.get("endTimeNanos"))
    table = f"{rank}.{TYPES[kind]}"
    raw = {"table": table, "source": source, **{k: v for k, v in value.items() if k not in ("table", "source")}}
    origin = value.get("originDataSourceId") or source
    modified = epoch_micros(_integer(value.get("modifiedTimeMillis")))
    yield Record(
        f"{table}/{value.get('startTimeNanos')}/{value.get('endTimeNanos')}/{origin}",
        None if start is None else _EPOCH + timedelta(microseconds=start),
        raw,
        position,
        (modified or 0) // 1000,
        () if start is not None and end is not None and end >= start else ("bad_time",),
    )


def _session(members: Mapping[str, Any], part: ExportFile, zones: PersonZones) -> Parsed:
    """A workout, or the night in bed."""
    activity = members.get("fitnessActivity")
    if activity != "sleep":
        return Layout("file_not_read", 1, "a session" if isinstance(activity, str) else posixpath.basename(part.name))
    stamp = Stamps(zones).read(members.get("startTime"))
    raw = {"table": "session", **{k: v for k, v in members.items() if k != "table"}}
    text = members.get("startTime")
    return Record(
        f"session/{members.get('startTime')}/{members.get('endTime')}",
        stamp.utc,
        raw,
        part.where + "the file",
        errors=() if stamp.error is None else (stamp.error,),
        time_text=text if isinstance(text, str) else None,
        utc_offset=stamp.offset,
    )


def _csv(part: ExportFile, zones: PersonZones) -> Iterator[Parsed]:
    dated = _DATED.fullmatch(posixpath.basename(part.name))
    with CsvTable(part.file) as rows:
        day = dated[1] if dated and "Start time" in rows.columns else None
        if day is None and not ("Date" in rows.columns and _METRICS & set(rows.columns)):
            yield Layout("file_not_read", 1, posixpath.basename(part.name))
            return
        yield Layout("header")
        stamps = Stamps(zones)
        for row in rows:
            if isinstance(row, Line):
                yield _row(row, day, stamps, part.where)
            else:
                yield row._replace(position=part.where + row.position) if isinstance(row, DeadLetter) else row


def _row(row: Line, day: str | None, stamps: Stamps, where: str) -> Record:
    """A quarter hour of `day`, or a whole day."""
    cells = row.cells
    text = cells["Date"].strip() if day is None else f"{day}T{cells['Start time'].strip()}"
    stamp = stamps.read(text, by_day=day is None)
    table = {"table": "days"} if day is None else {"table": "windows", "day": day}
    return Record(
        f"{table['table']}/{text}",
        stamp.utc,
        table | {k: v for k, v in cells.items() if k not in table},
        f"{where}line {row.number}",
        errors=() if stamp.error is None else (stamp.error,),
        time_text=text,
        utc_offset=stamp.offset,
    )


def _nanos(value: Any) -> int | None:
    """Microseconds since 1970 of nanoseconds, a number or a text."""
    whole = _integer(value)
    micros = None if whole is None else whole // 1000
    return micros if micros is not None and epoch_micros(micros) == micros else None


def _integer(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 25:
        return int(value)
    return value if type(value) is int else None
