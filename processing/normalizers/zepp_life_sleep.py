"""Zepp Life nights: what a row of SLEEP tells, naps included; of one night told several times the newest telling counts.

`deepSleepTime + shallowSleepTime + REMTime` is the time asleep. What `wakeTime` means is not settled: it is taken for minutes awake
only where it is exactly what the window lacks. Start and stop are UTC; equal ones are the placeholder of a night without sleep; 0
means that only the day is known, and then the minutes are the day's. Sources: `docs/sources.md`, Zepp Life.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any

from config.epoch import epoch_micros
from config.timezones import PersonZones
from processing.normalizers.mi_fitness_sleep import MINUTE, NoSessionError, Session
from processing.normalizers.zepp_life_writing import micros, plain_number

_LONGEST = 24 * 60 * MINUTE
_SLACK = 2
"""Minutes by which whole minutes may miss a window in seconds."""
_STAGES = (("sleep_deep", "deepSleepTime"), ("sleep_light", "shallowSleepTime"), ("sleep_rem", "REMTime"))
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)", re.ASCII)
_STARTS, _STOPS = ("start", "begin", "startTime", "start_time"), ("stop", "end", "endTime", "end_time", "stopTime")


def day_minutes(raw: Mapping[str, Any]) -> dict[str, float]:
    """Sleep metric → minutes of a row of SLEEP; empty when it tells of no sleep. REM of 0 is a band that does not know it."""
    found = {metric: plain_number(raw.get(name)) or 0.0 for metric, name in _STAGES}
    if min(found.values()) < 0 or not sum(found.values()):
        return {}
    known = {metric: minutes for metric, minutes in found.items() if minutes or metric != "sleep_rem"}
    return {"sleep_duration": sum(found.values()), **known}


def night(raw: Mapping[str, Any], owner: int) -> Session | None:
    """The session of a row of SLEEP; None when it has no window. Raises NoSessionError(reason)."""
    start, end = moment(raw.get("start")), moment(raw.get("stop"))
    if start is None or end is None or start == end:
        return None
    if not 0 < end - start <= _LONGEST:
        raise NoSessionError("bad_sleep_window")
    minutes = day_minutes(raw)
    if not minutes:
        raise NoSessionError("no_sleep")
    missing = (end - start) / MINUTE - minutes["sleep_duration"]
    awake = plain_number(raw.get("wakeTime"))
    if awake is not None and abs(missing - awake) <= _SLACK:
        minutes["sleep_awake"] = awake
    return Session(owner, start, end, minutes, int(raw.get("export") or 0))


def naps(raw: Mapping[str, Any], owner: int, day: date, zones: PersonZones) -> tuple[list[Session], int]:
    """(the naps of a row of SLEEP, how many are told without a usable time)."""
    told = raw.get("naps")
    told = [told] if isinstance(told, dict) else told if isinstance(told, list) else []
    found = []
    for nap in told:
        ends = [_nap_moment(nap, names, day, zones) for names in (_STARTS, _STOPS)]
        if ends[0] is None or ends[1] is None or not 0 < ends[1] - ends[0] <= _LONGEST:
            continue
        asleep = {"sleep_duration": (ends[1] - ends[0]) / MINUTE}
        found.append(Session(owner, ends[0], ends[1], asleep, int(raw.get("export") or 0), nap=True))
    return found, len(told) - len(found)


def moment(cell: Any) -> int | None:
    """Microseconds since 1970 of `2025-01-14 23:30:00+0000` or an epoch; None for 0, `null` and what says no offset."""
    if isinstance(cell, str) and not cell.strip().isdigit():
        try:
            found = datetime.fromisoformat(cell.strip())
        except ValueError:
            return None
        return micros(found) if found.tzinfo else None
    return epoch_micros(int(cell) if isinstance(cell, str) and len(cell) < 20 else cell)


def _nap_moment(nap: Any, names: tuple[str, ...], day: date, zones: PersonZones) -> int | None:
    cell = next((nap[name] for name in names if name in nap), None) if isinstance(nap, dict) else None
    clock = _CLOCK.fullmatch(cell.strip()) if isinstance(cell, str) else None
    if clock is None:
        return moment(cell)
    if int(clock[1]) > 23 or int(clock[2]) > 59:
        return None
    local = datetime.combine(day, time(int(clock[1]), int(clock[2])))
    return micros(zones.to_utc(local).utc)
