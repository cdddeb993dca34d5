"""Sleep of a day: the nights and naps that ended on it, each told once, by the source believed first.

A session belongs to the local day of waking (its `local_date` says so already); minutes are elapsed time in UTC, so a night on
which clocks change has its true length. `docs/domain.md`, sleep.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from config.timezones import PersonZones
from processing.aggregators.choice import Priority, source_ranks
from processing.aggregators.clock import iso_local
from processing.aggregators.fates import ACCEPTED, DUPLICATE, LOWER_PRIORITY, NOT_DAILY, OTHER_DEVICE, SESSIONS
from processing.readings import has_flag

SAME_NIGHT = 0.1
"""Two sessions that share more than this part of the shorter one are one night told twice."""
MORNING = (3 * 3600, 14 * 3600)
"""Main sleep ends between 03:00 and 14:00 on the local clock."""
LONG_SLEEP = 180
"""Minutes. When nothing ends in the morning (work by night), the longest session from here on is the main sleep, not a nap."""

_STAGES = ("sleep_deep", "sleep_light", "sleep_rem")
_SECOND = 1_000_000


class Session(NamedTuple):
    """One record of sleep: a session, or a source's figures for the whole day."""

    record: int
    day: int
    rank: int
    daily: bool
    start: int
    """Seconds UTC."""
    end: int
    offset: int
    """UTC offset the reading states."""
    main: bool
    nap: bool
    said: dict[str, float]
    """Metric → value."""

    @property
    def asleep(self) -> float | None:
        """Minutes asleep: as stated, else the sum of the stages."""
        if "sleep_duration" in self.said:
            return self.said["sleep_duration"]
        stages = [self.said[name] for name in _STAGES if name in self.said]
        return sum(stages) if stages else None

    @property
    def window(self) -> float:
        """Minutes in bed."""
        return (self.end - self.start) / 60


class Night(NamedTuple):
    """What a day's sleep is made of."""

    day: int
    main: Session | None
    others: list[Session]
    daily: Session | None
    """Stands in for whatever no session says."""


def choose(table: pa.Table, frame: pd.DataFrame, priority: Priority) -> list[Night]:
    """Set fate and part (main, nap) of each reading; gives the nights they make, by day."""
    record = _records(table, frame)
    nights = []
    fates: dict[int, str] = {}
    parts: dict[int, str] = {}
    unsaid: dict[int, set[str]] = {}
    for day, told in _by_day(_sessions(table, frame, record, priority)):
        believed = min(s.rank for s in told)
        fates |= {s.record: LOWER_PRIORITY for s in told if s.rank != believed}
        night = _night(day, [s for s in told if s.rank == believed], fates)
        nights.append(night)
        sessions = [*([night.main] if night.main else []), *night.others]
        parts |= {s.record: "main" if s is night.main else "nap" for s in sessions}
        if night.daily:
            unsaid[night.daily.record] = _said(night.main, sessions)
    frame["fate"] = record.map(fates).astype(frame["fate"].dtype)
    frame["part"] = record.map(parts).astype(frame["part"].dtype)
    frame.loc[(frame["part"] == "nap") & (frame["metric"] == "sleep_score") & (frame["fate"] == ACCEPTED), "fate"] = NOT_DAILY
    for figures, said in unsaid.items():
        frame.loc[(record == figures) & frame["metric"].isin(said), "fate"] = SESSIONS
    return nights


def daily(nights: Iterable[Night], zones: PersonZones) -> pd.DataFrame:
    """The day's columns, by day."""
    rows = {night.day: _row(night, zones) for night in nights}
    columns = [
        "total_duration", "nap_duration", "sleep_deep_duration", "sleep_light_duration", "sleep_rem_duration",
        "sleep_awake_duration", "sleep_efficiency", "sleep_score", "bed_time", "wake_time",
    ]  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("day")


def _row(night: Night, zones: PersonZones) -> list[Any]:
    sessions = [*([night.main] if night.main else []), *night.others]
    stand_in = night.daily.said if night.daily else {}
    main = night.main
    minutes = [_sum(sessions, name, stand_in) for name in (*_STAGES, "sleep_awake")]
    score = main.said.get("sleep_score") if main else None
    bed, wake = _bed_and_wake(main, zones) if main else (None, None)
    return [
        sum(s.asleep or 0 for s in sessions) if sessions else stand_in.get("sleep_duration"),
        sum(s.asleep or 0 for s in night.others) if sessions else None,
        *minutes,
        min((main.asleep or 0) / main.window * 100, 100) if main and main.window else None,  # whole minutes may round above
        stand_in.get("sleep_score") if score is None else score,
        bed,
        wake,
    ]


def _sum(sessions: list[Session], metric: str, stand_in: dict[str, float]) -> float | None:
    values = [s.said[metric] for s in sessions if metric in s.said]
    return sum(values) if values else stand_in.get(metric)


def _bed_and_wake(main: Session, zones: PersonZones) -> tuple[str, str]:
    """Both ends on the person's clock. The reading states one offset; on a night clocks change the zone knows both."""
    offsets = zones.offset(main.start), zones.offset(main.end)
    bed, wake = offsets if main.offset in offsets else (main.offset, main.offset)
    return iso_local(main.start, bed), iso_local(main.end, wake)


def _night(day: int, told: list[Session], fates: dict[int, str]) -> Night:
    """One source's day: overlapping tellings reduced to the fullest, main sleep and naps told apart, one daily figure at most."""
    kept: list[Session] = []
    for session in sorted((s for s in told if not s.daily), key=_fullest_first):
        if session.asleep is None:
            fates[session.record] = NOT_DAILY
        elif any(_same_night(session, other) for other in kept):
            fates[session.record] = DUPLICATE
        else:
            fates[session.record] = ACCEPTED
            kept.append(session)
    figures = sorted((s for s in told if s.daily), key=_fullest_first)
    fates |= {s.record: OTHER_DEVICE for s in figures[1:]} | {s.record: ACCEPTED for s in figures[:1]}
    main = _main(kept)
    others = sorted((s for s in kept if s is not main), key=lambda s: (s.start, s.record))
    return Night(day, main, others, figures[0] if figures else None)


def _main(sessions: list[Session]) -> Session | None:
    """What the device calls main; else the longest that ends in the morning; else the longest that is too long for a nap."""
    awake = [s for s in sessions if not s.nap]
    candidates = (
        [s for s in awake if s.main],
        [s for s in awake if MORNING[0] <= (s.end + s.offset) % 86_400 <= MORNING[1]],
        [s for s in awake if (s.asleep or 0) >= LONG_SLEEP],
    )
    found = next((group for group in candidates if group), [])
    return max(found, key=lambda s: (s.asleep or 0, -s.start, -s.record), default=None)


def _same_night(one: Session, other: Session) -> bool:
    shared = min(one.end, other.end) - max(one.start, other.start)
    return shared > SAME_NIGHT * min(one.end - one.start, other.end - other.start)


def _fullest_first(session: Session) -> tuple[int, float, int, int]:
    return -len(session.said), -(session.asleep or 0), session.start, session.record


def _said(main: Session | None, sessions: list[Session]) -> set[str]:
    """What the day's sessions say, so that its daily figure need not. The score is that of the main sleep only."""
    said = {name for s in sessions for name in s.said if name != "sleep_score" or s is main}
    return said | ({"sleep_duration"} if sessions else set())


def _records(table: pa.Table, frame: pd.DataFrame) -> pd.Series[int]:
    """Which record each reading came from; ordinals follow source, raw id and time, whatever order the readings lay in."""
    raw_ids = np.asarray(table["raw_id"].to_pylist(), dtype=object)
    keys = pd.DataFrame({name: frame[name].cat.codes for name in ("source", "scope", "device")})
    keys = keys.assign(raw_id=raw_ids, start=frame["start"], end=frame["end"], day=frame["day"])
    return keys.groupby(["source", "raw_id", "start", "end", "scope", "device", "day"]).ngroup()


def _sessions(table: pa.Table, frame: pd.DataFrame, record: pd.Series[int], priority: Priority) -> Iterator[Session]:
    facts = pd.DataFrame(
        {
            "day": frame["day"],
            "rank": source_ranks(frame, priority, "sleep_duration"),
            "daily": frame["scope"] == "day",
            "start": frame["start"] // _SECOND,
            "end": frame["end"] // _SECOND,
            "offset": frame["utc_offset"],
            "main": has_flag(table, "main"),
            "nap": has_flag(table, "nap"),
        }
    )
    said: dict[int, dict[str, float]] = {}
    for at, metric, value in zip(record.tolist(), frame["metric"].tolist(), frame["value"].tolist(), strict=True):
        said.setdefault(at, {})[metric] = value
    grouped = facts.groupby(record).first()
    grouped[["main", "nap"]] = facts.groupby(record)[["main", "nap"]].any()
    for row in grouped.reset_index(names="record").astype(object).itertuples(index=False, name=None):
        yield Session._make((*row, said[row[0]]))


def _by_day(sessions: Iterable[Session]) -> Iterator[tuple[int, list[Session]]]:
    days: dict[int, list[Session]] = {}
    for session in sessions:
        days.setdefault(session.day, []).append(session)
    yield from sorted(days.items())
