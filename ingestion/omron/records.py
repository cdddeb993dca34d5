"""OMRON raw artifacts → records: OMRON connect's CSV in its languages and layouts, omblepy's files, loose or in an archive.

The rows are read as any blood pressure CSV (`bp_csv`); this room knows what is OMRON's own: reports of several tables, a time zone
per row, and the clock of a cuff that has fallen back to its first day.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from config.errors import SettingsError, SourceRefused
from config.stage import File, Inputs, Outputs, Report
from config.timezones import to_utc, zone
from ingestion.archives import is_zip, members
from ingestion.bp_csv.records import parse_bytes
from ingestion.dropped_text import MAX_BYTES, read_bytes
from ingestion.omron.sections import sections
from ingestion.records import DeadLetter, Layout, Parsed, Record, collect
from ingestion.words import fold

SCHEMA = os.path.join(os.path.dirname(__file__), "schema.json")
LAYOUTS: dict[str, dict[str, Any]] = {
    "omron_logbook": {
        "requires": ["Time Zone"],
        "columns": {
            "datetime": ["Measurement Date"],
            "systolic": ["SYS", "SYS(mmHg)", "SYS (mmHg)"],
            "diastolic": ["DIA", "DIA(mmHg)", "DIA (mmHg)"],
            "pulse": ["Pulse", "Pulse(bpm)", "Pulse (bpm)"],
            "irregular": ["Irregular heartbeat detected", "Irregular Heartbeat"],
            "movement": ["Body Movement", "Body movement detection"],
            "note": ["Notes", "Note"],
        },
        "na": ["-"],
        "own_user": "1",
    }
}
"""Layouts beside those of `bp_csv`: `Measurement Date,Time Zone,SYS,DIA,Pulse,Device Model Name`."""
_FIRST_DAY = date(2010, 1, 1)
"""A cuff whose clock was never set, or lost its battery, counts from here; readings of that day have no time."""
_OFFSET = re.compile(r"(?:utc|gmt)?\s?([+-])(\d{1,2}):?(\d\d)?", re.IGNORECASE)


def records(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `raw` → roles `records`, `dead_letters`. Settings: `timezone`, `timezone_overrides`."""
    return collect(inputs, outputs, settings, parse, SCHEMA)


def parse(file: File, settings: Mapping[str, Any]) -> Iterator[Parsed]:
    """The rows of one raw artifact: a report or an archive of them. SourceRefused as `bp_csv` and `archives` say."""
    with open(file.path, "rb") as opened:
        zipped = is_zip(opened.read(4))
    if not zipped:
        yield from _report(read_bytes(file.path), file.name, "", settings)
        return
    for member in members(file.path):
        try:
            if member.size > MAX_BYTES:
                raise SourceRefused("The file is larger than 32 MB.", "Check that it is the right export.", "too_big")
            yield from _report(member.file.read(), member.name, f"{member.name} ", settings)
        except SourceRefused as refused:  # one odd member; the others go on
            yield DeadLetter(b"", refused.reason, refused.what, member.name)


def _report(data: bytes, name: str, where: str, settings: Mapping[str, Any]) -> Iterator[Parsed]:
    for section in sections(data):
        if section.unread:
            yield Layout("header")
            yield Layout("table_not_read", section.rows, section.unread)
            continue
        for item in parse_bytes(section.data, name, {**settings, "bp_csv_presets": LAYOUTS}):
            if isinstance(item, Layout):
                yield item
                continue
            line = int(item.position.rpartition(" ")[2]) + section.first - 1
            placed = item._replace(position=f"{where}line {line}")
            yield _checked(placed) if isinstance(placed, Record) else placed


def _checked(record: Record) -> Record:
    """The record with the time its own zone says, and without a time its clock cannot know."""
    if record.timestamp is None or record.utc_offset is None:
        return record
    local = (record.timestamp + timedelta(seconds=record.utc_offset)).replace(tzinfo=None)
    if local.date() <= _FIRST_DAY:
        return record._replace(errors=(*record.errors, "clock_reset"))
    stated = next((cell for name, cell in record.raw["row"].items() if fold(name) == "time zone" and cell.strip()), None)
    own = _zone(stated.strip()) if stated else None
    if own is None:
        return record._replace(warnings=(*record.warnings, "unknown_zone")) if stated else record
    utc = to_utc(local, own).utc
    if isinstance(own, ZoneInfo):
        record = record._replace(raw={**record.raw, "timeZone": own.key})  # the day it counts for is a day there
    return record._replace(timestamp=utc, utc_offset=round((local - utc.replace(tzinfo=None)).total_seconds()))


def _zone(text: str) -> tzinfo | None:
    """`Europe/Warsaw`, `UTC+09:00`, `+2`; None for anything else."""
    match = _OFFSET.fullmatch(text)
    if match is None:
        try:
            return zone(text)
        except SettingsError:
            return None
    seconds = int(match[2]) * 3600 + int(match[3] or 0) * 60
    if seconds > 14 * 3600 or int(match[3] or 0) > 59:
        return None
    return timezone(timedelta(seconds=seconds if match[1] == "+" else -seconds))
