"""What the fields of a record mean, said once by whoever declares a source: its readings, and its place among unified records.

Fields that say where something is are dotted paths into the record as it was received: `data.heart.bpm`, `samples.0.value`. A key
that holds a dot itself is reached as it stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Mapped(NamedTuple):
    """One reading that each record of a source may hold."""

    metric: str
    """Name in the metric catalogue: `heart_rate`. `=path` reads it from the record."""
    value: str
    """Where its number is."""
    time: str
    """Where its moment is: ISO 8601, seconds or milliseconds since 1970, or a date for a value of the whole day."""
    unit: str = ""
    """Unit the source counts in, in UCUM (`[lb_av]`); empty: the catalogue's. `=path` reads it from the record."""
    offset: str = ""
    """Where the UTC offset is that a time without one was taken in: `+02:00`, `7200`; empty: the person's zone."""
    device: str = ""
    """Where the measuring device's name is."""
    factor: float = 1.0
    """The number is multiplied by it first: 0.001 for a weight in thousandths of the unit."""
    stream: str = ""
    """Only for records of this stream; empty: of every one."""
    end: str = ""
    """Where the moment is at which it ended: a sleep needs one, unless its time is a date; steps of an interval may have one."""


class Unify(NamedTuple):
    """Where a record of a source says what every unified record says; empty: it does not say it."""

    source_id: str = ""
    """Where its identity in the source is; empty: it is the record's own."""
    name: str = ""
    value: str = ""
    unit: str = ""
    description: str = ""
    occurred_at: str = ""
    created_at: str = ""
    updated_at: str = ""
    deleted: str = ""
    """Where it says that it is gone: anything there but null, false, 0 or an empty text means so."""
    event_id: str = ""
    """Where the identity is that is the same over every transport."""


def plain(mapped: Mapped | Unify) -> dict[str, Any]:
    """The same as plain data, as a node's settings carry it."""
    return mapped._asdict()


def found(record: Any, path: str) -> Any:
    """What lies at a dotted path; None where nothing does, and for an empty path. A key that holds dots itself goes before its parts."""
    if not path:
        return None
    if isinstance(record, Mapping):
        if path in record:
            return record[path]
        at = path.find(".")
        while at >= 0:
            if path[:at] in record:
                return found(record[path[:at]], path[at + 1 :])
            at = path.find(".", at + 1)
        return None
    if isinstance(record, list):
        head, _, rest = path.partition(".")
        if head.isdecimal() and len(head) < 7 and int(head) < len(record):
            return found(record[int(head)], rest) if rest else record[int(head)]
    return None
