"""One element of an export as a record: its attributes as received, under an identity that no other export changes.

Every export prints the same instants with another offset and the device with another pointer; weights and distances change with the
unit a person prefers. So the identity is made of type, source and the instants, and of the value only where it is a word.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Any, NamedTuple

from ingestion.apple_health.stamps import Stamp, read_stamp
from ingestion.apple_health.types import CATEGORY, short
from ingestion.records import Record

VOLATILE = ("creationDate", "startDate", "endDate", "device", "sourceVersion")
"""Attributes that say the same in other words from export to export."""


class Element(NamedTuple):
    """An element below the root."""

    name: str
    attributes: list[str]
    """Names and values by turns."""
    line: int
    metadata: dict[str, str]
    children: list[dict[str, Any]]


def to_record(element: Element, where: str, exported: int) -> Record:
    """The record of one element. `exported`: when the export was made, in microseconds; the newest export is believed."""
    attributes = dict(zip(element.attributes[::2], element.attributes[1::2], strict=True))
    raw: dict[str, Any] = {**attributes, "table": element.name}
    if element.metadata:
        raw["metadata"] = element.metadata
    if element.name == "Correlation":
        raw["records"] = element.children
    position = f"{where}line {element.line}"
    if element.name == "ActivitySummary":
        return _summary(raw, position, exported)
    start, end, created = (read_stamp(attributes.get(name)) for name in ("startDate", "endDate", "creationDate"))
    label = attributes.get("value", "") if attributes.get("type", "").startswith(CATEGORY) else ""
    raw_id = f"{prefix(attributes)}{_span(attributes, start, end)}/{_seconds(attributes, 'creationDate', created)}"
    return Record(
        raw_id=f"{raw_id}/{label[:100]}" if label else raw_id,
        timestamp=start.utc if start else None,
        raw=raw,
        position=position,
        revision=exported,
        errors=() if start and end else ("bad_date",),
        volatile=(*VOLATILE, "records"),
        time_text=attributes.get("startDate"),
        utc_offset=start.offset if start else None,
    )


def prefix(attributes: dict[str, str]) -> str:
    """The beginning of an identity: the type and a digest of the source's name, which may be a person's."""
    return f"{short(attributes.get('type', ''))[:100]}/{_source(attributes.get('sourceName', ''))}/"


@lru_cache(1_000)
def _source(name: str) -> str:
    return hashlib.blake2b(name.encode(), digest_size=4).hexdigest()


def _span(attributes: dict[str, str], start: Stamp | None, end: Stamp | None) -> str:
    return f"{_seconds(attributes, 'startDate', start)}-{_seconds(attributes, 'endDate', end)}"


def _seconds(attributes: dict[str, str], name: str, stamp: Stamp | None) -> str:
    return str(stamp.seconds) if stamp else attributes.get(name, "")[:50]


def _summary(raw: dict[str, Any], position: str, exported: int) -> Record:
    """The rings of a day. Its time is noon UTC of that day, which lies in it almost everywhere."""
    day = str(raw.get("dateComponents", ""))
    try:
        stamp = datetime.combine(date.fromisoformat(day), time(12), UTC) if len(day) == 10 else None
    except ValueError:
        stamp = None
    errors = () if stamp else ("bad_date",)
    return Record(f"ActivitySummary/{day[:50]}", stamp, raw, position, exported, errors=errors, time_text=day)
