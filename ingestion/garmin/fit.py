"""FIT files → records, decoded by fitdecode: https://developer.garmin.com/fit/protocol/

Seconds count from 1989-12-31 UTC; 0xFF, 0xFFFF and the like are "nothing" and left out by the library; `timestamp_16` is the low half
of the time since the last whole one. A file whose checksum or structure is damaged is refused whole, before its first record: which
of its values the damage hit, nobody can say.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO

from config.errors import SourceRefused
from ingestion.records import Layout, Parsed, Record

MAX_SIZE = 32 << 20
"""A day of every second is 3 MB."""
_FIT_EPOCH = 631_065_600
"""1989-12-31T00:00Z in seconds since 1970."""
_RELATIVE = 0x10000000
"""Smaller times count since the device was switched on: no clock was set."""

_READ = {
    "record": {"heart_rate"},
    "monitoring": {"heart_rate", "steps", "cycles"},
    "monitoring_hr_data": {"resting_heart_rate", "current_day_resting_heart_rate"},
    "weight_scale": {"weight"},
    "blood_pressure": {"systolic_pressure", "diastolic_pressure", "heart_rate"},
    "respiration_rate": {"respiration_rate"},
    "spo2_data": {"reading_spo2"},
    "hrv_status_summary": {"last_night_average"},
    "hrv_value": {"value"},
}
"""Message → fields of which it must have one to be a record."""
_OURS = ("table", "serial_number", "utc_offset")
"""What is noted beside a message's own fields; an app on the watch may name its fields as it likes."""
_STRUCTURE = frozenset({"file_id", "file_creator", "device_info", "event", "developer_data_id", "field_description", "pad"})


def is_fit(head: bytes) -> bool:
    """Whether a file that begins like this is a FIT file, whatever its name."""
    return len(head) >= 12 and head[8:12] == b".FIT" and head[0] in (12, 14)


def messages(file: BinaryIO, where: str) -> Iterator[Parsed]:
    """The records of one FIT file. SourceRefused, before the first, when it is damaged or absurdly large."""
    size = file.seek(0, 2)
    if size > MAX_SIZE:
        raise SourceRefused("The FIT file is larger than 32 MB.", "Check that it is a file of the watch.", "too_big")
    try:
        for _ in _frames(file, strict=True):
            pass
    except Exception:  # noqa: BLE001  the library raises what its parser happens to meet: any of it means damage
        raise SourceRefused(
            "The FIT file is damaged.", "Export it again, or take it off the watch again.", "damaged_fit"
        ) from None
    yield from _read(file, where)


def _frames(file: BinaryIO, *, strict: bool) -> Iterator[Any]:
    import fitdecode  # type: ignore[import-untyped]  # 16,000 lines of profile: only where there is a FIT file

    file.seek(0)
    check = fitdecode.CrcCheck.RAISE if strict else fitdecode.CrcCheck.DISABLED
    with fitdecode.FitReader(file, check_crc=check, error_handling=fitdecode.ErrorHandling.IGNORE) as reader:
        for frame in reader:
            if frame.frame_type == fitdecode.FIT_FRAME_DATA:
                yield frame


def _read(file: BinaryIO, where: str) -> Iterator[Parsed]:
    serial, last, offset = "", 0, None
    unread: Counter[str] = Counter()
    for number, frame in enumerate(_frames(file, strict=False), 1):
        if frame.name == "file_id":
            serial = str(_raw(frame, "serial_number") or "")
        last = _seconds(frame, last)
        if frame.name == "monitoring_info":
            offset = _offset(frame, last)
        if frame.name in _STRUCTURE:
            unread[""] += 1
        elif frame.name not in _READ:
            unread[frame.name] += 1
        elif (record := _record(frame, serial, last, offset, f"{where}message {number}")) is not None:
            yield record
        else:
            yield Layout("no_measurement")
    for name, times in sorted(unread.items()):
        yield Layout("message_not_read" if name else "fit_structure", times, f"FIT {name}" if name else "")


def _seconds(frame: Any, last: int) -> int:
    """The message's time in FIT seconds; that of the last one that had any, where it has none."""
    whole = _raw(frame, "timestamp")
    if isinstance(whole, int):
        return whole
    low = _raw(frame, "timestamp_16")
    if isinstance(low, int):
        return last + ((low - (last & 0xFFFF)) & 0xFFFF)
    return last


def _offset(frame: Any, seconds: int) -> int | None:
    """Seconds east of UTC the watch lived at: its local clock, written as if it were UTC, less the time itself."""
    local = _raw(frame, "local_timestamp")
    found = round((local - seconds) / 900) * 900 if isinstance(local, int) else None
    return found if found is not None and abs(found) <= 14 * 3600 else None


def _record(frame: Any, serial: str, seconds: int, offset: int | None, position: str) -> Record | None:
    fields = {field.name: _plain(field.value) for field in frame.fields if field.value is not None}
    fields = {name: value for name, value in fields.items() if value is not None}
    if not fields.keys() & _READ[frame.name]:
        return None
    timed = "timestamp" in fields or "timestamp_16" in fields
    known = timed and seconds >= _RELATIVE
    own = {name if name not in _OURS else f"field_{name}": value for name, value in fields.items()}
    raw: dict[str, Any] = {"table": f"fit_{frame.name}", "serial_number": serial, **own}
    if frame.name == "monitoring" and offset is not None:
        raw["utc_offset"] = offset  # counts begin at the watch's own midnight
    who = [str(fields[name]) for name in ("activity_type", "user_profile_index") if name in fields]
    key = str(seconds) if known else hashlib.sha256(json.dumps(raw).encode()).hexdigest()[:16]
    return Record(
        "/".join(["fit", frame.name, serial, key, *who]),
        datetime.fromtimestamp(_FIT_EPOCH, UTC) + timedelta(seconds=seconds) if known else None,
        raw,
        position,
        0,
        () if known else ("no_time",),
    )


def _raw(frame: Any, name: str) -> Any:
    return next((field.raw_value for field in frame.fields if field.name == name and field.value is not None), None)


def _plain(value: Any) -> Any:
    """A field's value as JSON has it; None for what it has not."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, int | str):
        return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
    return str(value)
