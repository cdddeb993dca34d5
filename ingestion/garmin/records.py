"""Garmin raw artifacts → records: the account export's tree or zip, saved answers of Garmin Connect, and FIT files, wherever they lie.

`raw` is the object or the FIT message as received, and `table`, what it is. Re-exports and overlapping days are recognised by what a
record is about (a day, a moment); of two that differ the one that reaches further is the newer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, time
from pathlib import Path
from typing import Any

from config.errors import SourceRefused
from config.stage import File, Inputs, Outputs, Report
from config.timezones import PersonZones
from ingestion.export_files import ExportFile, beginning, each_file, is_web_page
from ingestion.garmin import fit, times
from ingestion.garmin.documents import Unit, units
from ingestion.json_stream import Item, items
from ingestion.records import DeadLetter, Layout, Parsed, Record, collect

SCHEMA = str(Path(__file__).with_name("schema.json"))

_LETTERS = re.compile(r"[A-Za-z]")
_NOT_READ = ("summarizedactivities", "courses", "workout", "gear", "personalrecord")
"""Parts of file names in an account export that hold training, whose objects may be too many to look at for nothing."""


def records(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `raw` → roles `records`, `dead_letters`. Settings: timezone, timezone_overrides (for what is given as a local clock)."""
    return collect(inputs, outputs, settings, parse, SCHEMA)


def parse(file: File, settings: Mapping[str, Any]) -> Iterator[Parsed]:
    """The records of one raw artifact: a JSON file, a FIT file, or an archive of them."""
    zones = PersonZones(settings["timezone"], settings["timezone_overrides"])
    yield from each_file(file, lambda found: _one(found, zones))


def _one(found: ExportFile, zones: PersonZones) -> Iterator[Parsed]:
    head = beginning(found.file)
    if not head.strip(b"\0 \r\n\t"):
        yield Layout("empty_file")
    elif is_web_page(head):
        raise SourceRefused("The file is a web page, not an export.", "Download the export again, logged in.", "html")
    elif fit.is_fit(head):
        yield from fit.messages(found.file, found.where)
    elif found.name.lower().endswith(".fit"):
        raise SourceRefused("The FIT file is damaged.", "Export it again, or take it off the watch again.", "damaged_fit")
    elif head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith((b"{", b"[")):
        yield from _document(found, zones)
    elif found.where or "/" in found.name.removeprefix("raw/garmin/"):  # of an export's archive or folder
        yield Layout("file_not_read", 1, Path(found.name).suffix.lower() or "a file without an ending")
    else:
        raise SourceRefused(
            "The file is no part of a Garmin export.", "Drop the export's zip, its JSON or FIT files.", "unknown_file"
        )


def _document(found: ExportFile, zones: PersonZones) -> Iterator[Parsed]:
    name = _kind(found.name)
    if any(word in name.lower() for word in _NOT_READ):
        yield Layout("file_not_read", 1, name)
        return
    for item in items(found.file):
        if not isinstance(item, Item):
            yield item._replace(position=found.where + item.position)
            continue
        place = f"{found.where}item {item.number}" if item.number else f"{found.where}the value"
        for number, unit in enumerate(units(item.value, name), 1):
            yield _record(unit, f"{place} object {number}", zones) if isinstance(unit, Unit) else unit


_PAGE = re.compile(r"raw/garmin/([a-z_]+)/\d{6,}-[0-9a-f]{12}\.json")
"""A page of the account itself: its kind, its number, its bytes' digest."""


def _kind(name: str) -> str:
    """`…/someone@example.com_0_gear.json` → `gear.json`: accounts and dates stand before the kind, or after it without a letter."""
    if page := _PAGE.fullmatch(name):
        return f"{page[1]}.json"
    parts = name.rpartition("/")[2].removesuffix(".json").split("_")
    return next((f"{part}.json" for part in reversed(parts) if _LETTERS.search(part) and "@" not in part), "a JSON file")


def _record(unit: Unit, position: str, zones: PersonZones) -> Record | DeadLetter:
    raw: dict[str, Any] = {**unit.object, "table": unit.table}
    if "table" in unit.object:
        return DeadLetter(json.dumps(raw).encode(), "unknown_object", "The object has a field that only records have.", position)
    stamp, key, revision = _ABOUT[unit.table](raw, zones)
    return Record(
        f"{unit.table}/{key}", stamp, {"table": unit.table, **unit.object}, position, revision, () if stamp else ("bad_time",)
    )


_About = tuple[datetime | None, str, int]


def _day(raw: Mapping[str, Any], zones: PersonZones, *, reach: int = 0) -> _About:
    """What speaks of a calendar day: its local midnight, its date, and how far it reaches."""
    found = times.day(raw.get("calendarDate"))
    if found is None:
        return None, str(raw.get("calendarDate"))[:100], reach
    account = raw.get("userProfilePK")
    stamp = zones.to_utc(datetime.combine(found, time())).utc
    return stamp, found.isoformat() + (f"/{account}" if isinstance(account, int) else ""), reach


def _daily(raw: Mapping[str, Any], zones: PersonZones) -> _About:
    """A day's summary grows while the day runs: the later its end, the more steps, the newer."""
    end = times.gmt(raw.get("wellnessEndTimeGmt"))
    return _day(raw, zones, reach=(int(end.timestamp()) << 20 if end else 0) + _count(raw.get("totalSteps")))


def _series(name: str) -> Callable[[Mapping[str, Any], PersonZones], _About]:
    """A day's curve: the more of it is there, the newer."""

    def about(raw: Mapping[str, Any], zones: PersonZones) -> _About:
        values = raw.get(name)
        pairs = [value for value in values if isinstance(value, list) and value] if isinstance(values, list) else []
        return _day(raw, zones, reach=sum(pair[-1] is not None for pair in pairs))

    return about


def _hrv(raw: Mapping[str, Any], zones: PersonZones) -> _About:
    summary, readings = raw.get("hrvSummary"), raw.get("hrvReadings")
    return _day(summary if isinstance(summary, dict) else {}, zones, reach=len(readings) if isinstance(readings, list) else 0)


def _sleep(raw: Mapping[str, Any], zones: PersonZones) -> _About:
    """A night is known by its day of waking: a night that is looked at again may begin at another minute."""
    start, end = (times.gmt(raw.get(f"sleep{what}TimestampGMT")) for what in ("Start", "End"))
    _, key, _ = _day(raw, zones)
    return start, key, int(end.timestamp()) if end else 0


def _nap(raw: Mapping[str, Any], zones: PersonZones) -> _About:  # noqa: ARG001  one shape for every table
    start, end = (times.gmt(raw.get(f"nap{what}TimestampGMT")) for what in ("Start", "End"))
    return start, _at(start, raw), int(end.timestamp()) if end else 0


def _measured(*names: str) -> Callable[[Mapping[str, Any], PersonZones], _About]:
    """A measurement at a moment: by its GMT field (the first of the names), else by its local clock (the others)."""

    def about(raw: Mapping[str, Any], zones: PersonZones) -> _About:
        stamp = times.gmt(raw.get(names[0]))
        for name in names[1:]:
            stamp = stamp or times.local(raw.get(name), zones)
        version = raw.get("version")
        return stamp, _at(stamp, raw), version if type(version) is int and 0 <= version < 1 << 62 else 0

    return about


def _interval(raw: Mapping[str, Any], zones: PersonZones) -> _About:  # noqa: ARG001  one shape for every table
    start = times.gmt(raw.get("startGMT"))
    return start, _at(start, raw), _count(raw.get("steps"))


def _biometrics(raw: Mapping[str, Any], zones: PersonZones) -> _About:
    weight, about = raw.get("weight"), raw.get("metaData")
    stamp = times.gmt(weight.get("timestampGMT")) if isinstance(weight, dict) else None
    if stamp is None and isinstance(about, dict):
        stamp = times.local(about.get("calendarDate"), zones) or _day(about, zones)[0]
    version = raw.get("version")
    return stamp, _at(stamp, raw), version if type(version) is int and 0 <= version < 1 << 62 else 0


def _health_status(raw: Mapping[str, Any], zones: PersonZones) -> _About:
    changed = times.gmt(raw.get("updateTimestampUTC")) or times.gmt(raw.get("createTimestampUTC"))
    return _day(raw, zones, reach=int(changed.timestamp()) if changed else 0)


def _at(stamp: datetime | None, raw: Mapping[str, Any]) -> str:
    return stamp.isoformat() if stamp else json.dumps(raw, sort_keys=True)[:200]


def _count(value: Any) -> int:
    return value if type(value) is int and 0 <= value < 1 << 20 else 0


_ABOUT: Mapping[str, Callable[[Mapping[str, Any], PersonZones], _About]] = {
    "daily": _daily,
    "daily_steps": _daily,
    "resting_heart_rate": _day,
    "heart_rate": _series("heartRateValues"),
    "respiration": _series("respirationValuesArray"),
    "spo2": _series("spO2HourlyAverages"),
    "hrv": _hrv,
    "sleep": _sleep,
    "nap": _nap,
    "steps": _interval,
    "blood_pressure": _measured("measurementTimestampGMT", "measurementTimestampLocal"),
    "weight": _measured("timestampGMT", "date", "calendarDate"),
    "biometrics": _biometrics,
    "health_status": _health_status,
}
"""Table → when a record of it was measured, what it is about, and how new it is."""
