"""When a measurement was taken and what it is called: cells about date and time → instant, codes and a `raw_id` that survives edits.

The id is made of what identifies a measurement (its local time), never of where it stands, so a row inserted above changes
nothing. Measurements of one time get ordinals in the order of their content: a repeated row is the same record again, and a
list sorted the other way round gives the same ids.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, tzinfo
from typing import Any, NamedTuple

from config.timezones import PersonZones
from ingestion.clock import Clock

SLOT_TIMES = {"morning": time(8), "midday": time(12), "afternoon": time(15), "evening": time(20), "night": time(22)}
"""The clock time a part of the day stands for where no time is written; flagged `time_from_slot`."""
UNKNOWN_TIME = time(12)
"""Stands for a time that is not written at all; flagged `time_unknown`. Neither morning nor evening."""
_HOURS = {"morning": (3, 14), "midday": (10, 16), "afternoon": (11, 20), "evening": (15, 24), "night": (18, 28)}
"""Hours a written time may have without contradicting the part of the day (28 is 4 in the morning after)."""


class Occasion(NamedTuple):
    """When it was measured."""

    utc: datetime | None
    label: str
    """The identifying part: `2025-03-29T07:30`, `2025-03-29/morning`, `2025-03-29`; '' when unknown."""
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    offset: int | None = None
    """Seconds east of UTC with which a local clock was read: one that was written, else the zone's at that time."""


def occasion(
    day: date, clock: Clock, slot: str | None, zones: PersonZones, zone: tzinfo | None = None, offset: tzinfo | None = None
) -> Occasion:
    """The instant of a local date and what is written about the time. `zone`: the document's own; `offset`: one written there."""
    slot = clock.slot or slot
    warnings: list[str] = []
    if clock.error and (slot is None or clock.error != "bad_time"):
        return Occasion(None, "", (clock.error,))
    if clock.error:
        warnings.append("bad_time")
    at, label = _time(clock, slot, warnings)
    local = datetime.combine(day, at)
    if offset is not None:
        utc = local.replace(tzinfo=offset).astimezone(UTC)
    else:
        utc, flag = zones.to_utc(local, zone)
        warnings += [flag] if flag else []
    ahead = round((local - utc.replace(tzinfo=None)).total_seconds())
    return Occasion(utc, f"{day}{label}", (), tuple(warnings), ahead)


def time_text(*cells: Any) -> str | None:
    """The cells that say when, as they stand, with a blank between; None unless all that is written there is text."""
    written = [cell for cell in cells if not is_blank(cell)]
    return " ".join(written) if written and all(isinstance(cell, str) for cell in written) else None


def ordinals(labels_and_contents: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """(label, content) → 1, 2, … among the different contents of one label, in the order of content."""
    contents: dict[str, set[str]] = defaultdict(set)
    for label, content in labels_and_contents:
        contents[label].add(content)
    return {(label, content): n for label, found in contents.items() for n, content in enumerate(sorted(found), 1)}


def content_key(*parts: Any) -> str:
    """A short name for content; equal content, equal name, whatever the order of keys."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:20]


def _time(clock: Clock, slot: str | None, warnings: list[str]) -> tuple[time, str]:
    if clock.time is not None:
        if slot and not _fits(clock.time, slot):
            warnings.append("slot_mismatch")
        return clock.time, f"T{clock.time.isoformat('seconds' if clock.time.second else 'minutes')}"
    if slot:
        warnings.append("time_from_slot")
        return SLOT_TIMES[slot], f"/{slot}"
    warnings.append("time_unknown")
    return UNKNOWN_TIME, ""


def _fits(at: time, slot: str) -> bool:
    first, last = _HOURS[slot]
    return first <= at.hour < last or first <= at.hour + 24 < last


def is_blank(cell: Any) -> bool:
    """Nothing is written in this cell."""
    return cell is None or (isinstance(cell, str) and not cell.strip())


def any_cell(cells: Sequence[Any]) -> bool:
    """Something is written in this row."""
    return not all(is_blank(cell) for cell in cells)
