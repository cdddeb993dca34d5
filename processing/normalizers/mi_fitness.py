"""Mi Fitness records → readings: samples, intervals, sleep sessions and the vendor's own daily figures, in the person's zone.

Of one row in several exports the newest counts (`superseded`). A day row's date is the UTC date of its stamp when the stamp is
a UTC midnight, because the app writes the midnight of the local day as if it were UTC; otherwise the person's zone decides.
0 means "not measured" for heart rate, SpO2, weight and sleep score. Times inside daily reports (`latest_hr.time`) are local clock
written as UTC and are never used. Rules and their sources: `docs/sources.md`, Mi Fitness.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from config.epoch import epoch_micros
from config.metrics import METRICS
from config.stage import Inputs, Outputs, Report
from config.timezones import PersonZones, to_utc
from processing.normalizers.building import Normalized, When
from processing.normalizers.mi_fitness_sleep import MINUTE, NoSessionError, Session, choose, day_minutes, sessions_of
from processing.normalizers.newest import Row
from processing.normalizers.numbers import number
from processing.normalizers.owners import OTHER, Record, guessed, mine

_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
_EPOCH = date(1970, 1, 1)


def normalize(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `records` → roles `readings`, `rejected`. Settings: timezone, timezone_overrides, own_users. Records of other accounts are
    refused (`other_user`)."""
    records, own_users = inputs.one("records").path, settings["own_users"]
    run = _Run(PersonZones(settings["timezone"], settings["timezone_overrides"]), mine("mi_fitness", records, own_users))
    for row in run.out.newest(records):
        run.take(row)
    run.finish()
    others = guessed("mi_fitness", own_users, run.out.fates[f"rejected:{OTHER}"])
    return run.out.write(outputs, run.labels(), others)


@dataclass
class _Pending:
    """A record whose readings wait for others: day rows and sleep."""

    row: Row
    value: dict[str, Any]
    device: str
    day: date | None = None
    sessions: list[Session] = field(default_factory=list)
    given: int = 0
    refused: list[tuple[str, str | None]] = field(default_factory=list)
    again: int = 0


class _Run:
    """One run of the normalizer."""

    def __init__(self, zones: PersonZones, own: Callable[[Record], bool]) -> None:
        self.zones = zones
        self._own = own
        self.out = Normalized("mi_fitness")
        self._names: dict[str, str] = {}
        self._days: dict[tuple[str, str, str, date], _Pending] = {}
        self._sleep: list[_Pending] = []

    def take(self, row: Row) -> None:
        """One valid record."""
        raw = json.loads(row.text)
        table = raw["table"]
        if not self._own(raw):
            self.out.drop(row, OTHER, "Uid")
        elif table == "hlth_center_fitness_data":
            self._sample(row, raw)
        elif table == "hlth_center_aggregated_fitness_data":
            self._report(row, raw)
        elif table == "hlth_center_data_source":
            self._names[raw["Sid"]] = raw.get("Name") or raw.get("Alias") or raw.get("Model") or ""
            self.out.fates["device_name"] += 1
        elif table == "user_fitness_data_records":
            self._older(row, raw)
        else:
            self.out.fates["unused:sport"] += 1

    def labels(self) -> dict[str, str]:
        """Device id → `name [id]`; two devices of one name stay two."""
        return {sid: f"{name} [{sid}]" for sid, name in self._names.items() if name}

    def _sample(self, row: Row, raw: dict[str, Any]) -> None:
        key, value = raw["Key"], raw["Value"]
        if key in _SLEEP_RANK:
            self._sleeper(row, value, raw.get("Sid", ""), _SLEEP_RANK[key], nap=key == "watch_daytime_sleep")
        elif key == "resting_heart_rate" and _is_midnight(raw["Time"]):
            self._day_row(row, raw, key)
        elif key in _FIELDS:
            self._instant(row, raw, value)
        else:
            self.out.fates["unused:key_not_a_metric"] += 1

    def _instant(self, row: Row, raw: dict[str, Any], value: dict[str, Any]) -> None:
        length, fields = _FIELDS[raw["Key"]]
        start = row.stamp or 0
        offset = self.zones.offset(start // _SECOND)
        when = When(start, start + length, offset, (start + offset * _SECOND) // _DAY)
        device = raw.get("Sid", "")
        given = 0
        refused: list[tuple[str, str | None]] = []
        for name, metric in fields:
            if (found := _measured(value, name, metric, refused)) is not None:
                scope = "interval" if length else "instant"
                self.out.add(metric, found, when, scope=scope, device=device, raw_id=row.raw_id)
                given += 1
        self._settle(row, given, refused)

    def _report(self, row: Row, raw: dict[str, Any]) -> None:
        tag = raw["Tag"]
        if tag == "daily_mark":
            self.out.fates["unused:daily_mark"] += 1
        elif tag == "daily_report" and (raw["Key"] in _DAY_FIELDS or raw["Key"] == "sleep"):
            self._day_row(row, raw, raw["Key"])
        else:
            self.out.fates["unused:key_not_a_metric"] += 1

    def _older(self, row: Row, raw: dict[str, Any]) -> None:
        """The layer before `hlth_center_*`: only its nights say beyond doubt when they were."""
        if raw["key"] in _OLDER_SLEEP and isinstance(raw["value"], dict):
            value = dict(raw["value"])
            value.setdefault("duration", value.get("night_duration"))
            if value["duration"] is None:
                del value["duration"]
            self._sleeper(row, value, raw.get("did", ""), 0, nap=raw["key"] == "watch_daytime_sleep_record")
        else:
            self.out.fates["unused:older_layer"] += 1

    def _sleeper(self, row: Row, value: dict[str, Any], device: str, rank: int, *, nap: bool) -> None:
        try:
            sessions = sessions_of(value, 0, rank, nap)
        except NoSessionError as none:
            self.out.drop(row, str(none))
            return
        self._sleep.append(_Pending(row, value, device, sessions=sessions))

    def _day_row(self, row: Row, raw: dict[str, Any], key: str) -> None:
        """Of two rows for one day, stamped differently by two versions of the app, the newer counts."""
        micros = epoch_micros(raw["Time"]) or 0
        device = raw.get("Sid", "")
        day = _EPOCH + timedelta(days=micros // _DAY) if micros % _DAY == 0 else self.zones.local_date(micros / _SECOND)
        mine = _Pending(row, raw["Value"], device, day)
        place = (raw.get("Uid", ""), key, device, day)
        rival = self._days.get(place)
        if rival is not None:
            self.out.fates["superseded"] += 1
        if rival is None or (row.revision, row.text) > (rival.row.revision, rival.row.text):
            self._days[place] = mine

    def finish(self) -> None:
        """What had to wait for all records: daily figures and sleep."""
        nights: list[_Pending] = []
        for (_, key, _, _), pending in sorted(self._days.items()):
            if key == "sleep":
                nights.append(pending)
            else:
                self._daily(pending, _DAY_FIELDS[key])
                self._settle(pending.row, pending.given, pending.refused)
        self._nights(nights)

    def _daily(self, pending: _Pending, fields: tuple[tuple[str, str], ...]) -> None:
        for name, metric in fields:
            if (found := _measured(pending.value, name, metric, pending.refused)) is not None:
                self._add_day(pending, metric, found)

    def _add_day(self, pending: _Pending, metric: str, value: float) -> None:
        day = pending.day or _EPOCH
        self.out.add(metric, value, self._whole(day), scope="day", device=pending.device, raw_id=pending.row.raw_id)
        pending.given += 1

    def _whole(self, day: date) -> When:
        """A local day from midnight to midnight: 23 or 25 hours long when the clocks change."""
        zone = self.zones.on(day)
        first = to_utc(datetime.combine(day, time()), zone).utc
        last = to_utc(datetime.combine(day + timedelta(days=1), time()), zone).utc
        offset = first.astimezone(zone).utcoffset() or timedelta()
        return When(_micros(first), _micros(last), int(offset.total_seconds()), (day - _EPOCH).days)

    def _nights(self, reports: list[_Pending]) -> None:
        for pending in reports:
            _read_segments(pending)
        tellers = sorted([*reports, *self._sleep], key=lambda p: p.row.raw_id)
        for owner, pending in enumerate(tellers):
            for session in pending.sessions:
                session.owner = owner
        kept, again = choose(session for pending in tellers for session in pending.sessions)
        for session in again:
            tellers[session.owner].again += 1
        scored = self._scores(reports)
        staged: set[date] = set()
        slept: set[date] = set()
        for session in kept:
            day = self._add_session(session, tellers[session.owner], scored)
            slept.add(day)
            if session.staged:
                staged.add(day)
        for pending in reports:
            self._add_totals(pending, staged, slept)
        for pending in tellers:
            self._settle(pending.row, pending.given, pending.refused, pending.again)

    def _scores(self, reports: list[_Pending]) -> set[date]:
        """Write the daily sleep scores; gives the days that have one."""
        scored: set[date] = set()
        for pending in reports:
            before = pending.given
            self._daily(pending, (("sleep_score", "sleep_score"),))
            if pending.given > before and pending.day is not None:
                scored.add(pending.day)
        return scored

    def _add_session(self, session: Session, teller: _Pending, scored: set[date]) -> date:
        """The session's readings; it counts for the day of waking. Gives that day."""
        offset = self.zones.offset(session.start / _SECOND, session.stated)
        day = self.zones.local_date(session.end / _SECOND, session.stated)
        minutes = dict(session.minutes)
        if session.score is not None and day not in scored:
            minutes["sleep_score"] = session.score
        flags = ["nap"] if session.nap else []
        when = When(session.start, session.end, offset, (day - _EPOCH).days)
        for metric, value in minutes.items():
            self.out.add(metric, value, when, scope="session", device=teller.device, raw_id=teller.row.raw_id, flags=flags)
        teller.given += 1
        return day

    def _add_totals(self, pending: _Pending, staged: set[date], slept: set[date]) -> None:
        """A daily report's totals, where no session says as much."""
        if pending.day in staged:
            return
        for metric, value in day_minutes(pending.value).items():
            if metric != "sleep_duration" or pending.day not in slept:
                self._add_day(pending, metric, value)

    def _settle(self, row: Row, given: int, refused: list[tuple[str, str | None]], again: int = 0) -> None:
        """One fate per record; every refused part is listed."""
        for reason, part in refused:
            self.out.reject(row, reason, part)
        if given:
            self.out.fates["accepted"] += 1
        elif again:
            self.out.fates["duplicate"] += 1
        elif refused:
            self.out.fates[f"rejected:{refused[0][0]}"] += 1
        else:
            self.out.drop(row, "no_measurement")


def metrics_of(raw: Mapping[str, Any], part: str | None) -> set[str]:
    """Which metrics a record (or the part of it that was refused) speaks of; nothing for a record without any."""
    key = str(raw.get("Key", raw.get("key", "")))
    if key in _SLEEP_RANK or key in _OLDER_SLEEP or (key == "sleep" and "Tag" in raw):
        return {"sleep_score"} if part == "sleep_score" else {name for name, m in METRICS.items() if m.kind == "sleep"}
    fields = (*_DAY_FIELDS.get(key, ()), *_FIELDS.get(key, (0, ()))[1])
    return {metric for name, metric in fields if part in (None, name)}


def _measured(value: Mapping[str, Any], name: str, metric: str, refused: list[tuple[str, str | None]]) -> float | None:
    """A field's number; what is there but cannot be used is noted in `refused`."""
    raw = value.get(name)
    if raw is None:
        return None
    found = number(raw)
    if found is None:
        refused.append(("not_a_number", name))
    elif found == 0 and METRICS[metric].zero_is_missing:
        refused.append(("zero", name))
    else:
        return found
    return None


def _read_segments(pending: _Pending) -> None:
    segments = pending.value.get("segment_details")
    for index, segment in enumerate(segments if isinstance(segments, list) else ()):
        try:
            pending.sessions += sessions_of(segment if isinstance(segment, dict) else {}, 0, _REPORT_RANK, nap=False)
        except NoSessionError as none:
            pending.refused.append((str(none), f"segment_details.{index}"))


def _is_midnight(value: Any) -> bool:
    return (epoch_micros(value) or 1) % _DAY == 0


def _micros(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


_Fields = tuple[tuple[str, str], ...]
_FIELDS: dict[str, tuple[int, _Fields]] = {
    "heart_rate": (0, (("bpm", "heart_rate"),)),
    "single_heart_rate": (0, (("bpm", "heart_rate"),)),
    "resting_heart_rate": (0, (("bpm", "resting_heart_rate"),)),
    "spo2": (0, (("spo2", "spo2"),)),
    "single_spo2": (0, (("spo2", "spo2"),)),
    "weight": (0, (("weight", "weight"),)),
    "steps": (MINUTE, (("steps", "steps"), ("distance", "distance"), ("calories", "active_energy"))),
}
"""Key → length of the interval in microseconds (0: an instant) and which field of the value is which metric."""
_DAY_FIELDS: dict[str, _Fields] = {
    "steps": (("steps", "steps"), ("distance", "distance"), ("calories", "active_energy")),
    "heart_rate": (
        ("avg_hr", "heart_rate_mean"),
        ("min_hr", "heart_rate_min"),
        ("max_hr", "heart_rate_max"),
        ("avg_rhr", "resting_heart_rate"),
    ),
    "spo2": (("avg_spo2", "spo2"),),
    "resting_heart_rate": (("bpm", "resting_heart_rate"),),
}
_SLEEP_RANK = {"watch_daytime_sleep": 2, "watch_night_sleep": 2, "sleep": 3}
_REPORT_RANK = 1
_OLDER_SLEEP = ("watch_sleep_report", "watch_night_sleep_record", "watch_daytime_sleep_record")
