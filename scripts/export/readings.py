"""The readings that count, a day at a time, put together as they were measured: a blood pressure is one measurement, not two."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from config.tables import read_batches
from processing.aggregators.fates import ACCEPTED
from scripts.export.asked import Asked

BLOOD_PRESSURE = "blood_pressure"
_COLUMNS = [
    *("local_date", "metric", "start", "end", "scope", "value", "unit", "utc_offset", "source", "device", "raw_id", "fate"),
]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_QUARTER_DAY = 14 * 60
"""No clock is further from UTC than this many minutes."""


class Reading(NamedTuple):
    """One accepted reading; times in microseconds since 1970, UTC."""

    day: date
    metric: str
    start: int
    end: int
    scope: str
    value: float
    unit: str
    utc_offset: int
    source: str
    device: str | None
    raw_id: str

    @property
    def is_instant(self) -> bool:
        return self.start == self.end


class Measurement(NamedTuple):
    """What was measured at once."""

    metric: str
    """That of its reading; `blood_pressure` for a pair of pressures."""
    readings: Mapping[str, Reading]
    """Metric → reading; a pair may have lost one of its two to validation."""
    again: int
    """How many before it would carry the same name."""

    @property
    def reading(self) -> Reading:
        """One that says when, where from and by what."""
        return next(iter(self.readings.values()))

    @property
    def key(self) -> str:
        """What tells it from every other of the same person, always the same for the same measurement."""
        r = self.reading
        parts = [self.metric, r.source, r.raw_id, r.device or "", r.scope, str(r.start), str(r.end), str(self.again)]
        return "".join(f"{len(part)}:{part}" for part in parts)


class _Place(NamedTuple):
    """What readings of one measurement have in common, in the order measurements are told."""

    start: int
    metric: str
    end: int
    source: str
    raw_id: str
    device: str
    scope: str


def measurements(choices: str, asked: Asked) -> Iterator[Measurement]:
    """The measurements of the choices table at this path, by day, in one order. Memory holds a day."""
    day: list[Reading] = []
    for reading in _readings(choices, asked):
        if day and reading.day != day[0].day:
            yield from _put_together(day)
            day = []
        day.append(reading)
    yield from _put_together(day)


def moment(micros: int, utc_offset: int) -> str:
    """An instant on the clock it was measured by: `2025-03-01T07:30:00+01:00`; offsets are whole minutes of at most 14 hours."""
    minutes = max(-_QUARTER_DAY, min(_QUARTER_DAY, round(utc_offset / 60)))
    zone = timezone(timedelta(minutes=minutes))
    return (_EPOCH + timedelta(microseconds=micros)).astimezone(zone).isoformat()


def number(value: float) -> int | float:
    """A whole number without a point."""
    return int(value) if value.is_integer() else value


def count(choices: str, asked: Asked) -> Counter[str]:
    """How many readings of each metric count."""
    found: Counter[str] = Counter()
    for batch in _accepted(choices, asked):
        for of in pc.value_counts(batch.column("metric")).to_pylist():
            found[of["values"]] += of["counts"]
    return found


def _readings(choices: str, asked: Asked) -> Iterator[Reading]:
    for found in _accepted(choices, asked):
        columns = {name: found.column(name) for name in _COLUMNS[:-1]}
        for name in ("start", "end"):
            columns[name] = columns[name].cast(pa.int64())
        yield from map(Reading._make, zip(*(column.to_pylist() for column in columns.values()), strict=True))


def _accepted(choices: str, asked: Asked) -> Iterator[pa.RecordBatch]:
    for batch in read_batches(choices, _COLUMNS):
        kept = pc.equal(batch.column("fate"), ACCEPTED)
        for name, wanted in (("source", asked.sources), ("metric", asked.metrics)):
            if wanted is not None:
                kept = pc.and_(kept, pc.is_in(batch.column(name), pa.array(sorted(wanted), pa.string())))
        if asked.dated:
            kept = pc.and_(kept, within(batch.column("local_date"), asked))
        yield batch.filter(kept)


def within(days: pa.Array, asked: Asked) -> pa.Array:
    """Which days are wanted."""
    kept = pc.is_valid(days)
    if asked.first is not None:
        kept = pc.and_(kept, pc.greater_equal(days, pa.scalar(asked.first)))
    if asked.last is not None:
        kept = pc.and_(kept, pc.less_equal(days, pa.scalar(asked.last)))
    return pc.fill_null(kept, fill_value=False)


def _put_together(day: list[Reading]) -> Iterator[Measurement]:
    """A day's readings, pressures of one record and instant as one."""
    found: dict[_Place, list[dict[str, Reading]]] = defaultdict(list)
    for reading in day:
        metric = BLOOD_PRESSURE if reading.metric in ("systolic", "diastolic") else reading.metric
        place = (reading.start, metric, reading.end, reading.source, reading.raw_id, reading.device or "", reading.scope)
        same = found[_Place(*place)]
        partner = next((pair for pair in same if reading.metric not in pair), None) if metric == BLOOD_PRESSURE else None
        if partner is None:
            same.append({reading.metric: reading})
        else:
            partner[reading.metric] = reading
    for common, same in sorted(found.items()):
        for again, readings in enumerate(same):
            yield Measurement(common.metric, readings, again)
