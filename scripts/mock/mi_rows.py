"""Rows of the Mi Fitness tables for one day: samples, daily reports, sports, in the vendor's own JSON.

Keys and units as read in public exports: epoch seconds, minutes of sleep, metres, kcal. Day rows carry UTC midnight of the LOCAL
day, `timezone` counts quarter hours, `latest_hr.time` is the local clock written as if it were UTC; 0 means nothing measured.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import Any, NamedTuple

from scripts.mock.chance import between, stream
from scripts.mock.files import csv_line
from scripts.mock.person import AWAKE, DEEP, HALF_HOUR, LIGHT, REM, Person, Sleep

UID = "1234567890"
BAND, PHONE, BY_HAND, ANY = "huami.6485020865", "hlth.gen_5496087616", "xiaomiwear_app_manually", "default"
_EPOCH = date(1970, 1, 1)
_OTHER = 6  # asleep, stage not told apart
_HEIGHT = 1.78
_NAP = 7200


class Cut(NamedTuple):
    """Which rows an export holds: those before `until`, stamped `lag` seconds after they were measured."""

    until: int
    lag: int


class Seen(NamedTuple):
    """What the app's daily report is made of: (second, beats), steps, sleep."""

    beats: list[tuple[int, int]]
    walked: int
    sleeps: list[Sleep]


class Day(NamedTuple):
    """CSV lines of one local day, table by table."""

    samples: list[str]
    reports: list[str]
    sports: list[str]


def day_rows(person: Person, day: date, every: int, cut: Cut) -> Day:
    """Everything one local day adds to an export, heart rate sampled every `every` seconds."""
    worn = person.plan.is_worn(day)
    samples, beats = _heart_rows(person, day, every, cut) if worn else ([], [])
    steps, walked = _step_rows(person, day, worn, cut)
    samples += steps
    sleeps = [s for s in (person.night(day), person.nap(day)) if s and s.end < cut.until] if worn else []
    if worn:
        samples += _sleep_rows(person, day, sleeps, cut)
        samples += _spot_rows(person, day, cut)
    samples += _weight_row(person, day, cut)
    reports = list(_reports(person, day, Seen(beats, walked, sleeps), cut))
    return Day(samples, reports, _sport_rows(person, day, cut) if worn else [])


def _line(sid: str, key: str, time: int, value: dict[str, Any], cut: Cut, *, tag: str = "") -> str:
    """One row of fitness_data, or of aggregated_fitness_data when it has a tag."""
    text = json.dumps(value, separators=(",", ":"))
    known = time + (86_400 if tag else 0) + cut.lag  # a day's report is made when the day is over
    return csv_line([UID, sid, *([tag] if tag else []), key, time, text, known])


def _heart_rows(person: Person, day: date, every: int, cut: Cut) -> tuple[list[str], list[tuple[int, int]]]:
    """Lines and (second, beats). Written without the csv module: a long life at one sample a minute has millions of them."""
    lines, kept = [], []
    for t, beats in person.heart_rate(day, every):
        if t >= cut.until:
            break
        line = f'{UID},{BAND},heart_rate,{t},"{{""time"":{t},""bpm"":{beats},""type"":0}}",{t + cut.lag}\n'
        lines.append(line)
        kept.append((t, beats))
        if t // every % 997 == 0:
            lines.append(line)  # now and then the band syncs a row twice
    return lines, kept


def _step_rows(person: Person, day: date, worn: bool, cut: Cut) -> tuple[list[str], int]:
    """Lines per sender, and the steps the app would show: the larger of band and phone per half hour, never their sum."""
    rng = stream(person.plan.seed, "phone", day)
    lines, total, burnt = [], 0, 0.0
    for n, (start, steps) in enumerate(person.steps(day)):
        carried = rng.random() < (0.45 if worn else 0.9)
        by_phone, minute = (int(steps * (0.6 + 0.45 * rng.random())) if carried else 0), 60 * between(rng, 1, 27)
        if start + HALF_HOUR >= cut.until:
            break
        total += max(steps if worn else 0, by_phone)
        for sid, count, at in ((BAND, steps if worn else 0, start + 60), (PHONE, by_phone, start + minute)):
            if count:
                value = {"time": at, "steps": count, "distance": int(count * 0.74), "calories": round(count * 0.04, 2)}
                lines.append(_line(sid, "steps", at, value, cut))
        burnt += steps * 0.04 + 3
        if worn and n % 3 == 2:  # energy comes in larger steps than walking
            lines.append(_line(BAND, "calories", start + 60, {"time": start + 60, "calories": round(burnt, 2)}, cut))
            burnt = 0.0
    return lines, total


def _staged(day: date) -> bool:
    """Whether the band told the stages of this day's sleep apart."""
    return day.toordinal() % 37 != 0


def _sleep_value(sleep: Sleep, quarters: int, *, staged: bool) -> dict[str, Any]:
    """What a segment says of itself; `duration` leaves the minutes awake out."""
    deep, light, rem, awake = (sleep.minutes(s) for s in (DEEP, LIGHT, REM, AWAKE))
    return {
        "bedtime": sleep.start,
        "wake_up_time": sleep.end,
        "duration": deep + light + rem,
        "sleep_deep_duration": deep if staged else 0,
        "sleep_light_duration": light if staged else 0,
        "sleep_rem_duration": rem if staged else 0,
        "sleep_awake_duration": awake,
        "awake_count": sum(s == AWAKE for _, _, s in sleep.stages),
        "timezone": quarters,
    }


def _items(sleep: Sleep, *, staged: bool) -> list[dict[str, int]]:
    def state(s: int) -> int:
        return s if staged or s == AWAKE else _OTHER

    return [{"start_time": a, "end_time": b, "state": state(s)} for a, b, s in sleep.stages]


def _sleep_rows(person: Person, day: date, sleeps: list[Sleep], cut: Cut) -> list[str]:
    """`sleep` and, for the same night again, `watch_night_sleep`; naps as `watch_daytime_sleep`. Some nights have no stages."""
    lines, midnight = [], _midnight(day)
    for sleep in sleeps:
        quarters, staged = person.plan.offset(day, sleep.end) // 900, _staged(day)
        value = _sleep_value(sleep, quarters, staged=staged)
        items = _items(sleep, staged=staged)
        own = {"device_bedtime": sleep.start, "device_wake_up_time": sleep.end, "protoTime": sleep.end}
        trace = {"sleep_trace_duration": value["duration"], "items": items}
        lines.append(_line(BAND, "sleep", sleep.end, {**value, **own, **trace}, cut))
        if sleep.end - sleep.start < _NAP:
            daytime = {
                "bedtime": 0,
                "duration": 0,
                "items": items,
                "date_time": midnight,
                "timezone": quarters,
                "wake_up_time": 0,
            }
            lines.append(_line(BAND, "watch_daytime_sleep", sleep.end, daytime, cut))
        elif staged:
            lines.append(_line(BAND, "watch_night_sleep", sleep.end, {**value, "items": items, "date_time": midnight}, cut))
    return lines


def _spot_rows(person: Person, day: date, cut: Cut) -> list[str]:
    """Resting heart rate, oxygen, stress and the measurements made by hand."""
    rng, begin = stream(person.plan.seed, "spot", day), person.plan.begins(day)
    lines = []
    if rng.random() < 0.94:
        value = {"bpm": person.resting_heart_rate(day), "date_time": _midnight(day)}
        lines.append(_line(BAND, "resting_heart_rate", _midnight(day), value, cut))
    for t, percent in person.oxygen(day):
        if t < cut.until:
            lines.append(_line(BAND, "spo2", t, {"time": t, "spo2": percent}, cut))
    for hour in (9, 13, 18):
        t = begin + hour * 3600 + 60 * between(rng, 0, 59)
        if t < cut.until:
            lines.append(_line(BAND, "stress", t, {"time": t, "stress": between(rng, 12, 64)}, cut))
    t = begin + 60 * between(rng, 600, 1200)
    if rng.random() < 0.15 and t < cut.until:
        lines.append(_line(BAND, "single_heart_rate", t, {"bpm": between(rng, 66, 92), "time": t}, cut))
        lines.append(_line(BAND, "single_spo2", t + 45, {"spo2": between(rng, 94, 99), "time": t + 45}, cut))
    return lines


def _weight_row(person: Person, day: date, cut: Cut) -> list[str]:
    kilograms, t = person.weight(day), person.plan.begins(day) + 25_500
    if kilograms is None or t >= cut.until:
        return []
    value = {"bmi": round(kilograms / _HEIGHT / _HEIGHT, 5), "time": t, "weight": kilograms, "body_fat_rate": 0}
    return [_line(BY_HAND, "weight", t, value, cut)]


def _sport_rows(person: Person, day: date, cut: Cut) -> list[str]:
    """`duration` leaves pauses out, so it is a little less than end − start."""
    sport = person.workout(day)
    if sport is None or sport.end >= cut.until:
        return []
    rng, seconds = stream(person.plan.seed, "sport", day), sport.end - sport.start
    distance = int(seconds * (1.5 if sport.on_foot else 5.2))
    value = {
        "sport_type": sport.sport_type,
        "start_time": sport.start,
        "end_time": sport.end,
        "duration": seconds - between(rng, 0, 240),
        "distance": distance,
        "calories": seconds // 9,
        **({"steps": int(distance / 0.74)} if sport.on_foot else {}),
        "avg_hrm": between(rng, 108, 121),
        "max_hrm": between(rng, 128, 146),
        "min_hrm": between(rng, 76, 90),
        "timezone": person.plan.offset(day, sport.end) // 900,
    }
    category = "outdoor_sports"
    text = json.dumps(value, separators=(",", ":"))
    return [csv_line([UID, BAND, sport.key, sport.start, category, text, sport.end + cut.lag])]


def _reports(person: Person, day: date, seen: Seen, cut: Cut) -> Iterator[str]:
    """The app's own summary. On about one day in thirty it is missing although samples exist, and only the marks are there."""
    rng, time = stream(person.plan.seed, "report", day), _midnight(day)
    forgotten, unmeasured = rng.random() < 0.03, rng.random() < 0.06
    walked = seen.walked
    found: list[tuple[str, dict[str, Any]]] = []
    if walked:
        found.append(("steps", {"calories": int(walked * 0.04), "distance": int(walked * 0.74), "steps": walked}))
        found.append(("calories", {"calories": int(walked * 0.04) + 95}))
    heart = _heart_report(person, day, seen.beats, rested=rng.random() < 0.8)
    if heart:
        found.append(("heart_rate", heart))
    if seen.sleeps:
        found.append(("sleep", _sleep_report(person, day, seen, unmeasured=unmeasured)))
    for key, value in found:
        yield _line(ANY, key, time, {"has_data": True}, cut, tag="daily_mark")
        if not forgotten:
            yield _line(ANY, key, time, value, cut, tag="daily_report")
    if walked:
        goals = [{"achieved_value": walked, "target_value": 8000, "field": 1}]
        value = {"goal_items": goals, "sidList": [PHONE, BAND], "date_time": time, "timeInZero": time}
        yield _line(ANY, "goal", time, value, cut, tag="daily_fitness")


def _heart_report(person: Person, day: date, beats: list[tuple[int, int]], *, rested: bool) -> dict[str, Any] | None:
    """Mean, bounds and the last sample. A day off the wrist still gets a row now and then, all zeros."""
    valid = [b for _, b in beats if 0 < b < 255]
    if not valid:
        return {"avg_hr": 0, "max_hr": 0, "min_hr": 0, "avg_rhr": None, "abnormal_hr_count": 0} if day.day % 3 == 0 else None
    last = next(s for s in reversed(beats) if 0 < s[1] < 255)
    local = last[0] + person.plan.offset(day, last[0])
    return {
        "abnormal_hr_count": 0,
        "avg_hr": round(sum(valid) / len(valid)),
        "max_hr": max(valid),
        "min_hr": min(valid),
        "avg_rhr": person.resting_heart_rate(day) if rested else None,
        "latest_hr": {"bpm": last[1], "time": local, "dbKey": "heart_rate", "dbTime": last[0], "sid": BAND},
    }


def _sleep_report(person: Person, day: date, seen: Seen, *, unmeasured: bool) -> dict[str, Any]:
    """Sums over the night and the naps of the day, and each of them as a segment."""
    parts = [_sleep_value(s, person.plan.offset(day, s.end) // 900, staged=_staged(day)) for s in seen.sleeps]
    total = {k: sum(p[k] for p in parts) for k in parts[0] if k.startswith("sleep_")}
    minutes = sum(p["duration"] for p in parts)
    inside = [b for t, b in seen.beats if 0 < b < 255 and any(s.start <= t < s.end for s in seen.sleeps)]
    oxygen = [percent for _, percent in person.oxygen(day) if percent]
    heart = round(sum(inside) / len(inside)) if inside and not unmeasured else 0
    score = 62 + (minutes - 400) // 6 + total["sleep_deep_duration"] // 6 - total["sleep_awake_duration"]
    return {
        "avg_hr": heart,
        "avg_spo2": round(sum(oxygen) / len(oxygen)) if oxygen and not unmeasured else 0,
        "segment_details": parts,
        **total,
        "total_duration": minutes,
        "sleep_score": max(20, min(98, score)),
        "day_sleep_evaluation": 0,
        "long_sleep_evaluation": 6,
        "sleep_stage": 3,
    }


def _midnight(day: date) -> int:
    """UTC midnight of the local date: how the vendor stamps a day."""
    return (day - _EPOCH).days * 86400
