"""Apple Health records → readings: samples and intervals by device, blood pressure once, nights once, the rings' daily totals.

A pair of pressures stands in an export three times over: in its correlation and as two records; it comes out once. The offset a time is
printed with is that of the moment of export: the day is that of the record's own zone (`HKTimeZone`) or of the person. Steps of a phone
and a watch stay apart by device, and the merge counts every half hour once. Rules: `docs/sources.md`, Apple Health.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

from config.errors import SettingsError
from config.metrics import METRICS
from config.stage import Inputs, Outputs, Report
from config.timezones import PersonZones, to_utc, zone
from processing.normalizers import bulk
from processing.normalizers.apple_health_columns import Columns
from processing.normalizers.apple_health_sleep import IN_BED, STAGES, VALUE_PREFIX, Segment, nights
from processing.normalizers.apple_health_units import ENERGY, PRESSURE, PRESSURES, QUANTITIES, UnknownUnitError, converted
from processing.normalizers.building import Normalized, When
from processing.normalizers.mi_fitness_sleep import choose
from processing.normalizers.months import Months
from processing.normalizers.newest import Row
from processing.normalizers.numbers import number

_SECOND = 1_000_000
_MICROSECOND = timedelta(microseconds=1)
_DAY = 86_400 * _SECOND
_EPOCH = date(1970, 1, 1)
_FIRST_DAY = date(2009, 1, 1)
"""Before it there was nothing to wear; summaries of an empty app are dated 1969."""


def normalize(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Roles `records`, `months` → roles `readings`, `rejected`, `months`. Settings: timezone, timezone_overrides."""
    run = _Run(PersonZones(settings["timezone"], settings["timezone_overrides"]))
    months, columns = Months(inputs, outputs), Columns()
    told = bulk.road(inputs.one("records").path, columns, run.zones, run.out, run.take, months.kept)
    months.take_over(run.out, columns)
    run.finish()
    return months.written(run.out.write(outputs), told)


class _Pressure(NamedTuple):
    """One half of a blood pressure."""

    row: Row
    raw: dict[str, Any]
    metric: str
    value: float
    when: When


class _Run:
    """One run of the normalizer."""

    def __init__(self, zones: PersonZones) -> None:
        self.zones = zones
        self.out = Normalized("apple_health")
        self._stated: dict[tuple[str, int], int | None] = {}
        self._measured: set[tuple[int, float, float]] = set()
        """Instant, systolic and diastolic of what was read: another app's copy is no second measurement."""
        self._pairs: list[tuple[Row, dict[str, Any]]] = []
        self._halves: list[_Pressure] = []
        self._sleep: list[Segment] = []
        self._sleepers: list[tuple[Row, str]] = []

    def take(self, row: Row) -> None:
        """One valid record."""
        raw = json.loads(row.text)
        name = str(raw.get("type", "")).removeprefix("HKQuantityTypeIdentifier")
        if name in QUANTITIES:
            self._quantity(row, raw, name)
        elif raw["table"] == "ActivitySummary":
            self._summary(row, raw)
        elif raw["table"] == "Correlation":
            self._pairs.append((row, raw))
        elif name in PRESSURES:
            self._half(row, raw, PRESSURES[name])
        elif name == "HKCategoryTypeIdentifierSleepAnalysis":
            self._segment(row, raw)
        else:
            self.out.fates["unused:type_not_a_metric"] += 1

    def finish(self) -> None:
        """What waits for others: pressures and nights."""
        self._pressures()
        self._nights()

    def _quantity(self, row: Row, raw: dict[str, Any], name: str) -> None:
        quantity = QUANTITIES[name]
        found = self._value(row, raw, quantity.metric, quantity.units)
        if found is not None:
            length = 0 if quantity.scope == "instant" else _length(raw)
            self._add(row, raw, quantity.metric, found, self._when(row, raw, length), quantity.scope)
            self.out.fates["accepted"] += 1

    def _value(self, row: Row, raw: Mapping[str, Any], metric: str, units: dict[str, float]) -> float | None:
        """The measured value; None after the record was dropped."""
        try:
            read = number(float(raw["value"]))
            if read is None:
                raise ValueError
            found = converted(read, raw.get("unit"), units)
        except UnknownUnitError:
            self.out.drop(row, "unknown_unit", "unit")
        except ValueError:
            self.out.drop(row, "not_a_number", "value")
        else:
            if found or not METRICS[metric].zero_is_missing:
                return found
            self.out.drop(row, "zero", "value")
        return None

    def _add(self, row: Row, raw: Mapping[str, Any], metric: str, value: float, when: When, scope: str) -> None:
        flags = ["user_entered"] if raw.get("metadata", {}).get("HKWasUserEntered") == "1" else []
        self.out.add(metric, value, when, scope=scope, device=raw.get("sourceName", ""), raw_id=row.raw_id, flags=flags)

    def _when(self, row: Row, raw: Mapping[str, Any], length: int = 0) -> When:
        start = row.stamp or 0
        stated = self._offset_stated(raw, start)
        offset = self.zones.offset(start // _SECOND, stated)
        return When(start, start + length, offset, (start + offset * _SECOND) // _DAY)

    def _offset_stated(self, raw: Mapping[str, Any], micros: int) -> int | None:
        """The UTC offset at an instant in the zone the record names."""
        metadata = raw.get("metadata")
        name = metadata.get("HKTimeZone") if metadata else None
        if not name:
            return None
        key = name, micros // (900 * _SECOND)
        if key not in self._stated:
            try:
                delta = datetime.fromtimestamp(micros // _SECOND, UTC).astimezone(zone(name)).utcoffset() or timedelta()
                self._stated[key] = int(delta.total_seconds())
            except SettingsError:
                self._stated[key] = None
        return self._stated[key]

    def _half(self, row: Row, raw: dict[str, Any], metric: str) -> None:
        value = self._value(row, raw, metric, PRESSURE)
        if value is not None:
            self._halves.append(_Pressure(row, raw, metric, value, self._when(row, raw)))

    def _pressures(self) -> None:
        """Pairs as the correlations say; what is left is paired by source and instant."""
        told: set[tuple[Any, ...]] = set()
        for row, raw in sorted(self._pairs, key=lambda pair: pair[0].raw_id):
            told |= self._pair(row, raw)
        waiting: dict[tuple[str, int], dict[str, list[_Pressure]]] = {}
        for half in sorted(self._halves, key=lambda h: h.row.raw_id):
            if _told(half.raw, half.metric, half.row.stamp) in told:
                self.out.fates["duplicate"] += 1
            else:
                key = half.raw.get("sourceName", ""), half.when.start
                waiting.setdefault(key, {}).setdefault(half.metric, []).append(half)
        for halves in waiting.values():
            self._match(halves.get("systolic", []), halves.get("diastolic", []))

    def _match(self, systolic: list[_Pressure], diastolic: list[_Pressure]) -> None:
        if len(systolic) != len(diastolic):
            for half in (*systolic, *diastolic):
                self.out.drop(half.row, "partner_missing", half.metric)
            return
        for one, other in zip(systolic, diastolic, strict=True):
            fate = self._measure(one.row, one.raw, one.when, one.value, other.value)
            self.out.fates[fate] += 2

    def _measure(self, row: Row, raw: Mapping[str, Any], when: When, systolic: float, diastolic: float) -> str:
        """A measurement's two readings; gives the fate of what told it."""
        measured = when.start, systolic, diastolic
        if measured in self._measured:
            return "duplicate"
        self._measured.add(measured)
        for metric, value in (("systolic", systolic), ("diastolic", diastolic)):
            self._add(row, raw, metric, value, when, "instant")
        return "accepted"

    def _pair(self, row: Row, raw: dict[str, Any]) -> set[tuple[Any, ...]]:
        """The readings of a correlation; gives what its halves are known by."""
        found: dict[str, float] = {}
        told = set()
        for half in raw["records"]:
            metric = PRESSURES.get(str(half.get("type", "")).removeprefix("HKQuantityTypeIdentifier"))
            if metric is None:
                continue
            told.add(_told(half, metric, row.stamp))
            try:
                found[metric] = converted(float(half.get("value", "")), half.get("unit"), PRESSURE)
            except ValueError:
                self.out.reject(row, "not_a_number", metric)
        systolic, diastolic = number(found.get("systolic")), number(found.get("diastolic"))
        if not systolic or not diastolic:
            self.out.drop(row, "partner_missing")
            return set()
        self.out.fates[self._measure(row, raw, self._when(row, raw), systolic, diastolic)] += 1
        return told

    def _summary(self, row: Row, raw: dict[str, Any]) -> None:
        """The rings of a day: the energy of all devices, as the app itself merges them."""
        day = date.fromisoformat(raw["dateComponents"])
        total = {"value": raw.get("activeEnergyBurned", ""), "unit": raw.get("activeEnergyBurnedUnit")}
        if day < _FIRST_DAY:
            self.out.drop(row, "no_such_day", "dateComponents")
            return
        value = self._value(row, total, "active_energy", ENERGY)
        if value is None:
            return
        if not value:  # the rings of a phone without a watch stay empty
            self.out.drop(row, "zero", "activeEnergyBurned")
            return
        tz = self.zones.on(day)
        first, last = (to_utc(datetime.combine(d, time()), tz).utc for d in (day, day + timedelta(days=1)))
        offset = first.astimezone(tz).utcoffset() or timedelta()
        when = When(_micros(first), _micros(last), int(offset.total_seconds()), (day - _EPOCH).days)
        self.out.add("active_energy", value, when, scope="day", device="", raw_id=row.raw_id)
        self.out.fates["accepted"] += 1

    def _segment(self, row: Row, raw: dict[str, Any]) -> None:
        start = row.stamp or 0
        end = start + _length(raw)
        stage = STAGES.get(str(raw["value"]).removeprefix(VALUE_PREFIX))
        if stage is None:
            self.out.drop(row, "unknown_stage", "value")
        elif not start < end <= start + _DAY:
            self.out.drop(row, "bad_sleep_window")
        else:
            source = raw.get("sourceName", "")
            self._sleep.append(Segment(start, end, stage, source, self._offset_stated(raw, start), len(self._sleepers)))
            self._sleepers.append((row, source))

    def _nights(self) -> None:
        told = nights(self._sleep)
        kept, again = choose(night.session for night in told)
        given: set[int] = set()
        for session in kept:
            segments = told[session.owner].segments
            row, source = self._sleepers[min(segments).number]
            offset = self.zones.offset(session.start // _SECOND, session.stated)
            day = (self.zones.local_date(session.end / _SECOND, session.stated) - _EPOCH).days
            when = When(session.start, session.end, offset, day)
            for metric, value in session.minutes.items():
                self.out.add(metric, value, when, scope="session", device=source, raw_id=row.raw_id)
            given |= {s.number for s in segments}
        repeated = {s.number for session in again for s in told[session.owner].segments}
        for segment in self._sleep:
            row = self._sleepers[segment.number][0]
            if segment.number in given:
                self.out.fates["accepted"] += 1
            elif segment.number in repeated:
                self.out.fates["duplicate"] += 1
            elif segment.stage == IN_BED:
                self._bed(row, segment, (told[s.owner].session for s in kept))
            else:
                self.out.drop(row, "awake_only")

    def _bed(self, row: Row, bed: Segment, kept: Iterable[Any]) -> None:
        if any(s.start < bed.end and bed.start < s.end for s in kept):
            self.out.fates["unused:in_bed"] += 1
        else:
            self.out.drop(row, "in_bed_only")


def metrics_of(raw: Mapping[str, Any], part: str | None) -> set[str]:  # noqa: ARG001  every source's has these two
    """Which metrics a record speaks of; nothing for a record without any."""
    name = str(raw.get("type", "")).removeprefix("HKQuantityTypeIdentifier")
    if name in QUANTITIES:
        return {QUANTITIES[name].metric}
    if name in PRESSURES:
        return {PRESSURES[name]}
    if raw.get("table") == "Correlation":
        return set(PRESSURES.values())
    if raw.get("table") == "ActivitySummary":
        return {"active_energy"}
    return {m for m, told in METRICS.items() if told.kind == "sleep"} if name.endswith("SleepAnalysis") else set()


def _told(raw: Mapping[str, Any], metric: str, stamp: int | None) -> tuple[Any, ...]:
    return metric, raw.get("sourceName", ""), stamp, raw.get("value"), raw.get("unit")


def _length(raw: Mapping[str, Any]) -> int:
    """Microseconds from start to end, both printed with an offset of their own."""
    start, end = raw["startDate"], raw["endDate"]
    return 0 if start == end else max(0, (_instant(end) - _instant(start)) // _MICROSECOND)


def _instant(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text[:19] + text[20:])
    except ValueError:  # a phone set to a 12-hour clock
        clock = "%I:%M:%S %p" if "M" in text.upper() else "%H:%M:%S"
        return datetime.strptime(" ".join(text.split()), f"%Y-%m-%d {clock} %z")


def _micros(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // _MICROSECOND
