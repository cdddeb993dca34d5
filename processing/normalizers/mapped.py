"""Records → readings by the mapping their source's declaration gives: for every source that needs no rules of its own.

What a mapping does not find in a record is not there: records of another shape give no reading and are counted. What it finds and
cannot use is refused with its reason. A record that says it was deleted gives none. Rules: `docs/connectors.md`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from config.mapping import Mapped, found
from config.metrics import METRICS
from config.stage import Finding, Inputs, Outputs, Report
from config.timezones import PersonZones
from config.units import converted, scale
from processing.normalizers.building import Normalized, When
from processing.normalizers.fate import Fate
from processing.normalizers.mapped_pairs import Parts, Reading
from processing.normalizers.mapped_time import Moment, UnreadableTimeError, moment
from processing.normalizers.moments import instant, night, whole_day
from processing.normalizers.newest import Row
from processing.normalizers.outcome import written
from processing.normalizers.owners import OTHER, Record, guessed, mine

_NAME = "readings_"
_LONGEST_DEVICE = 120


def normalize(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `records` → roles `readings`, `rejected`. Settings: timezone, timezone_overrides, own_users, readings_<source>, unify_<source>.
    Records of other people are refused (`other_user`). Balance unit: record."""
    source = next(name.removeprefix(_NAME) for name in settings if name.startswith(_NAME))
    records = inputs.one("records").path
    run = _Run(source, settings, mine(source, records, settings["own_users"]))
    for row in run.out.newest(records):
        run.take(row)
    run.parts.finish()
    others = guessed(source, settings["own_users"], run.out.fates[f"rejected:{OTHER}"])
    return run.out.write(outputs, findings=[*run.findings(), *others])


class _Run:
    """One run over the records of one source."""

    def __init__(self, source: str, settings: Mapping[str, Any], own: Callable[[Record], bool]) -> None:
        self._own = own
        self.out = Normalized(source)
        self.parts = Parts(self.out)
        self._zones = PersonZones(settings["timezone"], settings["timezone_overrides"])
        self._mapped = [Mapped(**said) for said in settings[f"{_NAME}{source}"]]
        self._folders = [f"raw/{source}/{mapped.stream}/" if mapped.stream else "" for mapped in self._mapped]
        self._deleted = (settings.get(f"unify_{source}") or {}).get("deleted", "")
        self._scales: dict[tuple[str, str], tuple[float, float] | None] = {}
        self._unknown = 0

    def findings(self) -> list[Finding]:
        """What a person should know of all records together."""
        said = "Records name a metric that the catalogue does not have; they give no reading."
        return [{"code": "unknown_metric", "message": said, "count": self._unknown}] if self._unknown else []

    def take(self, row: Row) -> None:
        """One valid record."""
        raw = json.loads(row.text)
        fate = Fate(row)
        if self._deleted and found(raw, self._deleted) not in (None, False, 0, ""):
            fate.settle(self.out, "unused:deleted")
            return
        if not self._own(raw):
            self.out.drop(row, OTHER, "user")
            return
        unknown, readings = False, []
        for mapped, folder in zip(self._mapped, self._folders, strict=True):
            value = found(raw, mapped.value)
            if value is None or not row.raw_artifact.startswith(folder):
                continue
            metric = found(raw, mapped.metric[1:]) if mapped.metric.startswith("=") else mapped.metric
            if isinstance(metric, str) and metric in METRICS:
                readings += self._reading(fate, raw, mapped, metric, value)
            else:
                unknown = True
        fate.given = len(readings)
        self.parts.take(readings)
        self._unknown += unknown
        fate.settle(self.out, "unused:unknown_metric" if unknown else "unused:no_measurement")

    def _reading(self, fate: Fate, raw: Any, mapped: Mapped, metric: str, value: Any) -> list[Reading]:
        """The reading, or none and why."""
        amount, scaled = written(value), self._scale(metric, mapped.unit, raw)
        if amount is None:
            fate.refuse("not_a_number", mapped.value)
        elif scaled is None:
            fate.refuse("unknown_unit", mapped.value)
        elif amount == 0 and METRICS[metric].zero_is_missing:
            fate.refuse("zero", mapped.value)
        else:
            try:
                when, scope, flag = self._when(raw, mapped, metric)
            except UnreadableTimeError as why:
                fate.refuse(str(why), mapped.value)
                return []
            amount = converted(amount if mapped.factor == 1 else amount * mapped.factor, scaled)
            device = found(raw, mapped.device)
            named = str(device)[:_LONGEST_DEVICE] if isinstance(device, str | int) else ""
            return [Reading(metric, amount, when, scope, named, fate.row.raw_id, (flag,) if flag else ())]
        return []

    def _scale(self, metric: str, unit: str, raw: Any) -> tuple[float, float] | None:
        """How its unit goes over into the catalogue's; None where it does not."""
        if unit.startswith("="):
            said = found(raw, unit[1:])
            if said is not None and not isinstance(said, str):
                return None
            unit = (said or "")[:_LONGEST_DEVICE]
        if (metric, unit) not in self._scales:
            if len(self._scales) > 10_000:  # a field that holds no units but anything
                self._scales.clear()
            self._scales[metric, unit] = scale(metric, unit)
        return self._scales[metric, unit]

    def _when(self, raw: Any, mapped: Mapped, metric: str) -> tuple[When, str, str | None]:
        """(its time, scope, flag). Raises UnreadableTimeError."""
        said = found(raw, mapped.offset)
        start = moment(found(raw, mapped.time), said, self._zones)
        if start.day is not None:
            return whole_day(self._zones, start.day), "day", None
        kind = METRICS[metric].kind
        over = found(raw, mapped.end)
        if over is None or over == "":
            if kind == "sleep":
                raise UnreadableTimeError("no_end")
            return instant(self._zones, start.micros, stated=start.stated), "instant", start.flag
        end = moment(over, said, self._zones)
        _in_order(start, end)
        flag = start.flag or end.flag
        if kind == "sleep":
            return night(self._zones, start.micros, end.micros, (start.stated, end.stated)), "session", flag
        return instant(self._zones, start.micros, end.micros - start.micros, start.stated), "interval", flag


_LONGEST = 36 * 3_600_000_000


def _in_order(start: Moment, end: Moment) -> None:
    if end.day is not None or not 0 <= end.micros - start.micros <= _LONGEST:
        raise UnreadableTimeError("bad_end")
