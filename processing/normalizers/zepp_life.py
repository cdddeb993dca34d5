"""Zepp Life records → readings: samples, minutes of steps, days, nights and weights, in the person's zone.

Of one row in several exports the newest counts (`superseded`). ACTIVITY is the day's total; stages of activity speak only where
neither a day nor minutes do. BODY holds the whole family: rows of another height are other people's. 0, 255 and `null` are
"not measured". Rules and their sources: `docs/sources.md`, Zepp Life.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date, time, timedelta
from typing import Any, NamedTuple

from config.metrics import METRICS
from config.stage import Finding, Inputs, Outputs, Report
from config.timezones import PersonZones
from processing.normalizers.building import Normalized
from processing.normalizers.mi_fitness_sleep import MINUTE
from processing.normalizers.newest import Row
from processing.normalizers.owners import OTHER, Record, guessed, mine
from processing.normalizers.zepp_life_nights import HOUR, Nights
from processing.normalizers.zepp_life_unnamed import told_by_account
from processing.normalizers.zepp_life_writing import EPOCH, SECOND, Refused, Writing, measured, plain_number


def normalize(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `records` → roles `readings`, `rejected`. Settings: timezone, timezone_overrides, own_users. Records of other accounts, and
    weights of another height, are refused (`other_user`)."""
    records, own_users = inputs.one("records").path, settings["own_users"]
    own = mine("zepp_life", records, own_users)
    run, again = _Run(PersonZones(settings["timezone"], settings["timezone_overrides"]), own), told_by_account(records, own)
    for row in run.out.newest(records):
        if again(row.raw_id):
            run.out.fates["duplicate"] += 1
        else:
            run.take(row)
    family = run.finish()
    others = guessed("zepp_life", own_users, run.out.fates[f"rejected:{OTHER}"] - family)
    return run.out.write(outputs, findings=[*others, *_of_family(family)])


class _Pending(NamedTuple):
    """A record whose readings wait for others."""

    row: Row
    raw: dict[str, Any]
    day: date


class _Run:
    """One run of the normalizer."""

    def __init__(self, zones: PersonZones, own: Callable[[Record], bool]) -> None:
        self.out = Normalized("zepp_life")
        self._own = own
        self._writing = Writing(self.out, zones)
        self._nights = Nights(self._writing)
        self._body: list[_Pending] = []
        self._stages: list[_Pending] = []
        self._heights: set[float] = set()
        self._days: set[date] = set()
        self._stepped: set[date] = set()
        self._hours: set[int] = set()

    def take(self, row: Row) -> None:
        """One valid record."""
        raw = json.loads(row.text)
        if not self._own(raw):
            self.out.drop(row, OTHER, "account")
            return
        table = raw["table"]
        if table in _SAMPLES:
            self._sample(row, raw, *_SAMPLES[table])
        elif table == "SLEEP_MINUTE":
            self._nights.take_minute(row, raw)
        elif table == "ACTIVITY_MINUTE":
            self._steps(row, raw)
        elif table == "USER":
            self._heights |= {height for height in (plain_number(raw.get("height")),) if height}
            self.out.fates["account"] += 1
        elif table == "SPORT":
            self.out.fates["unused:sport"] += 1
        else:
            self._pend(row, raw, table)

    def finish(self) -> int:
        """What had to wait for all records. Gives how many weights were other people's."""
        for pending in self._stages:
            self._stage(pending)
        self._nights.finish(self._hours)
        return self._weights()

    def _pend(self, row: Row, raw: dict[str, Any], table: str) -> None:
        day = date.fromisoformat(raw["date"].strip()) if "date" in raw else EPOCH.date()
        pending = _Pending(row, raw, day)
        if table == "ACTIVITY":
            self._whole_day(pending)
        elif table == "SLEEP":
            self._nights.take(*pending)
        else:
            (self._body if table == "BODY" else self._stages).append(pending)

    def _sample(self, row: Row, raw: dict[str, Any], name: str, metric: str) -> None:
        refused: Refused = []
        value = measured(raw, name, metric, refused)
        if value is not None:
            when = self._writing.at(row.stamp or 0)
            if metric == "heart_rate":
                self._hours.add(when.start // HOUR)
            self._writing.add(metric, value, when, "instant", row.raw_id, row.codes or ())
        self._writing.settle(row, value is not None, refused)

    def _steps(self, row: Row, raw: dict[str, Any]) -> None:
        """A minute without steps says nothing: the band may lie on a table."""
        refused: Refused = []
        steps = measured(raw, "steps", "steps", refused)
        if steps == 0:
            self.out.fates["unused:no_steps"] += 1
            return
        if steps is not None:
            when = self._writing.at(row.stamp or 0, MINUTE)
            self._stepped.add(EPOCH.date() + timedelta(days=when.day))
            self._writing.add("steps", steps, when, "interval", row.raw_id, row.codes or ())
        self._writing.settle(row, steps is not None, refused)

    def _whole_day(self, pending: _Pending) -> None:
        """All zero is a day without the band; steps without calories are real."""
        refused: Refused = []
        found = {metric: measured(pending.raw, name, metric, refused) for name, metric in _ACTIVITY}
        if not any(found.values()):
            if refused:
                self._writing.settle(pending.row, False, refused)
            else:
                self.out.fates["unused:empty_day"] += 1
            return
        self._days.add(pending.day)
        for metric, value in found.items():
            if value is not None:
                self._writing.add(metric, value, self._writing.whole(pending.day), "day", pending.row.raw_id)
        self._writing.settle(pending.row, True, refused)

    def _stage(self, pending: _Pending) -> None:
        row, raw = pending.row, pending.raw
        if pending.day in self._days:
            self.out.fates["unused:told_by_day"] += 1
            return
        start, length = row.stamp or 0, _stage_length(raw)
        if length is None:
            self.out.drop(row, "bad_interval")
            return
        refused: Refused = []
        given = False
        for name, metric in _ACTIVITY:
            value = None if metric == "steps" and pending.day in self._stepped else measured(raw, name, metric, refused)
            if value is not None:
                self._writing.add(metric, value, self._writing.at(start, length), "interval", row.raw_id, row.codes or ())
                given = True
        self._writing.settle(row, given, refused)

    def _weights(self) -> int:
        """Rows of another height are the family's: whose heights count says USER, else most rows."""
        heights = Counter(height for p in self._body if (height := plain_number(p.raw.get("height"))))
        own = {height for height in heights if any(abs(height - mine) < 1 for mine in self._heights)}
        if heights and not own:
            own = {max(heights, key=lambda height: (heights[height], height))}
        family = 0
        for row, raw, _ in self._body:
            height = plain_number(raw.get("height"))
            if height and height not in own:
                self.out.drop(row, OTHER, "height")
                family += 1
                continue
            refused: Refused = []
            found = [(metric, measured(raw, name, metric, refused)) for name, metric in _BODY]
            for metric, value in found:
                if value is not None:
                    self._writing.add(metric, value, self._writing.at(row.stamp or 0), "instant", row.raw_id)
            self._writing.settle(row, any(value is not None for _, value in found), refused)
        return family


def metrics_of(raw: Mapping[str, Any], part: str | None) -> set[str]:
    """Which metrics a record (or the part of it that was refused) speaks of; nothing for a record without any."""
    table = str(raw.get("table", ""))
    if table == "SLEEP":
        return {name for name, metric in METRICS.items() if metric.kind == "sleep" and name != "sleep_score"}
    fields = _FIELDS.get(table, ())
    return {metric for name, metric in fields if part in (None, name)} or {metric for _, metric in fields}


def _stage_length(raw: Mapping[str, Any]) -> int | None:
    """Microseconds of a stage of activity; one that ends before it begins ends on the day after."""
    ends = []
    for name in ("start", "stop"):
        try:
            clock = time.fromisoformat(str(raw[name]).strip().zfill(5))
        except ValueError:
            return None
        ends.append(clock.hour * 3600 + clock.minute * 60 + clock.second)
    return (ends[1] - ends[0]) % 86_400 * SECOND or None


def _of_family(count: int) -> list[Finding]:
    return [{"code": "other_people", "message": _FAMILY, "count": count}] if count else []


_FAMILY = "Weights of another height than yours were left out: a scale's family shares one account."
_SAMPLES = {"HEARTRATE_AUTO": ("heartRate", "heart_rate"), "HEARTRATE": ("heartRate", "heart_rate"), "SPO2": ("spo2", "spo2")}
_ACTIVITY = (("steps", "steps"), ("distance", "distance"), ("calories", "active_energy"))
_BODY = (("weight", "weight"), ("fatRate", "body_fat"))
_FIELDS: Mapping[str, tuple[tuple[str, str], ...]] = {
    **{table: (field,) for table, field in _SAMPLES.items()},
    "SLEEP_MINUTE": (("hr", "heart_rate"), ("respiratory_rate", "respiratory_rate")),
    "ACTIVITY_MINUTE": (("steps", "steps"),),
    "ACTIVITY_STAGE": _ACTIVITY,
    "ACTIVITY": _ACTIVITY,
    "BODY": _BODY,
}
"""Table → its columns and the metric of each."""
