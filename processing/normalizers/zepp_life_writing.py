"""What every part of the Zepp Life normalizer does: read a cell, place it in time, write its reading, settle its record's fate."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from config.metrics import METRICS
from config.timezones import PersonZones, to_utc
from processing.normalizers.building import Normalized, When
from processing.normalizers.newest import Row

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = 1_000_000
SENTINELS = (-1, 254, 255)
"""What bands write for "no heart rate"; 0 is told apart, as everywhere."""
_DAY = 86_400 * SECOND
_NOTHING = ("", "null")
_NUMBER = re.compile(r"-?\d{1,9}(?:\.\d{1,9})?", re.ASCII)

Refused = list[tuple[str, str]]
"""(reason, column) of each part of a record that cannot be used."""


def plain_number(cell: Any) -> float | None:
    """A cell's number; None for an empty one, `null` and everything that is no number."""
    text = str(cell).strip()
    return float(text) if _NUMBER.fullmatch(text) else None


def measured(raw: Mapping[str, Any], name: str, metric: str, refused: Refused) -> float | None:
    """A column's number; what is there but cannot be used is noted in `refused`."""
    cell = str(raw.get(name, "")).strip()
    if cell.lower() in _NOTHING:
        return None
    value = plain_number(cell)
    if value is None:
        refused.append(("not_a_number", name))
    elif value == 0 and METRICS[metric].zero_is_missing:
        refused.append(("zero", name))
    elif value in SENTINELS and (value < 0 or metric == "heart_rate"):
        refused.append(("sentinel", name))
    else:
        return value
    return None


def micros(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - EPOCH) // timedelta(microseconds=1)


class Writing:
    """The tables a run writes, and the person's zone."""

    def __init__(self, out: Normalized, zones: PersonZones) -> None:
        self.out, self.zones = out, zones

    def at(self, start: int, length: int = 0) -> When:
        """An instant or an interval, in microseconds; it counts for the local day it begins on."""
        offset = self.zones.offset(start // SECOND)
        return When(start, start + length, offset, (start + offset * SECOND) // _DAY)

    def ended(self, start: int, end: int) -> When:
        """A sleep session; it counts for the local day of waking."""
        day = (self.zones.local_date(end / SECOND) - EPOCH.date()).days
        return When(start, end, self.zones.offset(start / SECOND), day)

    def whole(self, day: date) -> When:
        """A local day from midnight to midnight: 23 or 25 hours long when the clocks change."""
        zone = self.zones.on(day)
        first, last = (to_utc(datetime.combine(day + timedelta(days=n), time()), zone).utc for n in (0, 1))
        offset = first.astimezone(zone).utcoffset() or timedelta()
        return When(micros(first), micros(last), int(offset.total_seconds()), (day - EPOCH.date()).days)

    def add(self, metric: str, value: float, when: When, scope: str, raw_id: str, flags: Sequence[str] = ()) -> None:
        """One reading; an export names no device."""
        self.out.add(metric, value, when, scope=scope, device="", raw_id=raw_id, flags=flags)

    def settle(self, row: Row, given: bool, refused: Refused) -> None:
        """One fate per record; every refused part is listed."""
        for reason, part in refused:
            self.out.reject(row, reason, part)
        if given:
            self.out.fates["accepted"] += 1
        elif refused:
            self.out.fates[f"rejected:{refused[0][0]}"] += 1
        else:
            self.out.drop(row, "no_measurement")
