"""Zepp Life records become readings: nights by the day of waking, minutes at their nights, one person's weights, nothing twice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from config.metrics import METRICS
from tests.zepp_life_bench import ACCOUNT, MADE, SAMPLES, Zepp, fates, table, told

USER = "1234567890,1,175.0,75.0,Jan,null,1980-01"
WEIGHT = "2025-03-15 08:00:00+0000,75.5,175.0,24.6,21.5,54.0,3.6,1898.0,57.9,13.0"


def of(readings: Sequence[dict[str, Any]], metric: str) -> list[dict[str, Any]]:
    return [r for r in readings if r["metric"] == metric]


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


def test_the_shared_samples_give_these_readings_and_these_fates(tmp_path: Path) -> None:
    files = {f"{p.parent.name}/{p.name}": p.read_bytes() for p in sorted(SAMPLES.rglob("*.csv"))}
    readings, rejected, done = Zepp(tmp_path).put(files).readings()
    assert fates(done) == {
        "accepted": 127,
        "rejected:other_user": 3,
        "superseded": 2,
        "unused:empty_day": 1,
        "unused:no_sleep": 2,
        "unused:sport": 6,
        "unused:stray_minute": 18,
        "unused:told_by_session": 22,
    }
    assert (len(readings), len(rejected)) == (293, 4)
    assert len({r["local_date"] for r in readings}) == 86


def test_a_night_has_its_utc_window_its_stages_and_the_day_of_waking(tmp_path: Path) -> None:
    row = "2022-01-01,76,331,0,2021-12-31 23:02:00+0000,2022-01-01 06:50:00+0000,61,"
    readings, _, _ = Zepp(tmp_path).export({"SLEEP": [row]}).readings()
    assert told(readings) == {
        "sleep_duration": 468,  # = stop - start: REM is a third stage, no part of shallow sleep
        "sleep_deep": 76,
        "sleep_light": 331,
        "sleep_rem": 61,
        "sleep_awake": 0,
    }
    night = readings[0]
    assert (night["start"], night["end"]) == (utc(2021, 12, 31, 23, 2), utc(2022, 1, 1, 6, 50))
    assert (night["local_date"], night["utc_offset"], night["scope"], night["flags"]) == (date(2022, 1, 1), 3600, "session", [])


def test_wake_time_counts_as_awake_only_where_the_window_has_room_for_it(tmp_path: Path) -> None:
    rows = [
        "2026-01-01,96,198,12,2026-01-01 06:47:00+0000,2026-01-01 12:13:00+0000,32,",
        "2026-01-02,96,198,12,2026-01-02 06:47:00+0000,2026-01-02 12:25:00+0000,32,",
    ]
    readings, _, _ = Zepp(tmp_path).export({"SLEEP": rows}).readings()
    assert [(r["local_date"].day, r["value"]) for r in of(readings, "sleep_awake")] == [(2, 12)]


def test_a_placeholder_night_is_no_night(tmp_path: Path) -> None:
    row = "2025-02-28,0,0,0,2025-02-28 00:00:00+0000,2025-02-28 00:00:00+0000,0,0"
    readings, rejected, done = Zepp(tmp_path).export({"SLEEP": [row]}).readings()
    assert (readings, rejected, fates(done)) == ([], [], {"unused:no_sleep": 1})


def test_a_night_of_2018_without_a_window_gives_the_minutes_of_its_day(tmp_path: Path) -> None:
    header = "date,lastSyncTime,deepSleepTime,shallowSleepTime,wakeTime,start,stop"
    data = table("SLEEP", ["2018-09-01,0,107,300,0,0,0", "2018-09-02,0,10,50,0,1535846400,1535850000"], header)
    readings, _, _ = Zepp(tmp_path).put({"SLEEP.csv": data}).readings()
    by_scope = {scope: told([r for r in readings if r["scope"] == scope]) for scope in ("day", "session")}
    assert by_scope["day"] == {"sleep_duration": 407, "sleep_deep": 107, "sleep_light": 300}
    assert by_scope["session"]["sleep_duration"] == 60


def test_a_window_that_ends_before_it_begins_is_refused(tmp_path: Path) -> None:
    row = "2025-01-15,68,312,0,2025-01-15 06:45:00+0000,2025-01-14 23:30:00+0000,45,0"
    readings, (refusal,), done = Zepp(tmp_path).export({"SLEEP": [row]}).readings()
    assert (readings, refusal["reason"], fates(done)) == ([], "bad_sleep_window", {"rejected:bad_sleep_window": 1})


@pytest.mark.parametrize(
    "nap",
    [
        '{\\"start\\":1736949600,\\"stop\\":1736953200}',
        '{\\"start\\":1736949600000,\\"end\\":1736953200000}',
        '{\\"start\\":\\"2025-01-15 14:00:00+0000\\",\\"stop\\":\\"2025-01-15 15:00:00+0000\\"}',
        '{\\"start\\":\\"15:00\\",\\"end\\":\\"16:00\\"}',
    ],
)
def test_a_nap_is_a_session_of_its_own(tmp_path: Path, nap: str) -> None:
    row = f'2025-01-15,68,312,0,2025-01-14 23:30:00+0000,2025-01-15 06:35:00+0000,45,"[{nap}]"'
    readings, _, done = Zepp(tmp_path).export({"SLEEP": [row]}).readings()
    naps = [r for r in readings if r["flags"] == ["nap"]]
    assert [(r["metric"], r["value"], r["start"]) for r in naps] == [("sleep_duration", 60, utc(2025, 1, 15, 14))]
    assert fates(done) == {"accepted": 1}


def test_a_nap_without_a_time_is_listed_and_the_night_is_used(tmp_path: Path) -> None:
    row = '2025-01-15,68,312,0,2025-01-14 23:30:00+0000,2025-01-15 06:35:00+0000,45,"[{\\"minutes\\":30}]"'
    readings, (refusal,), done = Zepp(tmp_path).export({"SLEEP": [row]}).readings()
    assert (len(of(readings, "sleep_duration")), refusal["reason"], fates(done)) == (1, "no_sleep_window", {"accepted": 1})


def test_the_night_the_clocks_change_has_its_true_length(tmp_path: Path) -> None:
    row = "2025-03-30,60,300,0,2025-03-29 22:00:00+0000,2025-03-30 04:30:00+0000,30,"
    readings, _, _ = Zepp(tmp_path).export({"SLEEP": [row]}).readings()
    assert told(readings)["sleep_duration"] == 390
    assert {r["local_date"] for r in readings} == {date(2025, 3, 30)}


def minutes_of(start: datetime, length: int, dated: str, breath: str = "14.5", stage: str = "LIGHT") -> list[str]:
    """Rows of SLEEP_MINUTE of a local clock window under one way of dating; the first minute of each hour has its breaths."""
    rows = []
    for n in range(length):
        at = start + timedelta(minutes=n)
        day = at.date()
        waking = (start + timedelta(minutes=length)).date()
        if dated == "wake_day":
            day = waking if at.hour >= 20 else day
        elif dated == "day_late":
            day += timedelta(days=1)
        elif dated == "wake_day_late":
            day = (waking if at.hour >= 20 else day) + timedelta(days=1)
        rows.append(f"{day},{at:%H:%M},{stage},,{breath if at.minute == 0 else ''}")
    return rows


@pytest.mark.parametrize("dated", ["as_written", "wake_day", "day_late", "wake_day_late"])
def test_minutes_find_their_nights_however_they_are_dated(tmp_path: Path, dated: str) -> None:
    bed = [datetime(2025, 6, day, 22, 30 + day) for day in (1, 2, 3, 7)]
    rows, nights = [], []
    for start in bed:
        end = start + timedelta(minutes=480)
        nights.append(
            f"{end.date()},100,320,0,{start - timedelta(hours=2):%Y-%m-%d %H:%M:00+0000},"
            f"{end - timedelta(hours=2):%Y-%m-%d %H:%M:00+0000},60,"
        )
        rows += minutes_of(start, 480, dated)
    readings, _, done = Zepp(tmp_path).export({"SLEEP": nights, "SLEEP_MINUTE": rows}).readings()
    breaths = [r["start"] for r in of(readings, "respiratory_rate")]
    expected = [s + timedelta(minutes=n) for s in bed for n in range(480) if (s + timedelta(minutes=n)).minute == 0]
    assert breaths == [(at - timedelta(hours=2)).replace(tzinfo=UTC) for at in expected]
    assert len(of(readings, "sleep_duration")) == 4
    assert fates(done) == {"accepted": 4 + len(expected), "unused:told_by_session": 4 * 480 - len(expected)}


def test_a_night_only_its_minutes_tell_is_built_of_them_without_bridging_gaps_or_counting_twice(tmp_path: Path) -> None:
    night = minutes_of(datetime(2025, 6, 1, 1, 0), 100, "as_written", stage="DEEP")
    rows = [*night[:60], *night[70:], *night[:30]]
    rows += [f"2025-06-01,02:{m:02d},WAKE,," for m in range(40, 60)]
    readings, _, done = Zepp(tmp_path).export({"SLEEP_MINUTE": rows}).readings()
    session = [r for r in readings if r["scope"] == "session"]
    assert told(session) == {"sleep_duration": 90, "sleep_deep": 90, "sleep_awake": 20}
    assert (session[0]["start"], session[0]["end"]) == (utc(2025, 5, 31, 23), utc(2025, 6, 1, 1))
    assert session[0]["raw_id"] == f"SLEEP_MINUTE/{ACCOUNT}/2025-06-01T01:00:00"
    assert fates(done) == {"accepted": 110}


def test_minutes_with_conflicting_stages_count_once(tmp_path: Path) -> None:
    night = minutes_of(datetime(2025, 6, 1, 1, 0), 60, "as_written")
    readings, _, done = Zepp(tmp_path).export({"SLEEP_MINUTE": [*night, "2025-06-01,01:30,REM,,"]}).readings()
    assert of(readings, "sleep_duration")[0]["value"] == 60
    assert fates(done) == {"accepted": 60, "superseded": 1}


def test_a_few_stray_minutes_are_no_nap(tmp_path: Path) -> None:
    rows = minutes_of(datetime(2025, 6, 1, 15, 1), 5, "as_written")
    readings, _, done = Zepp(tmp_path).export({"SLEEP_MINUTE": rows}).readings()
    assert (readings, fates(done)) == ([], {"unused:stray_minute": 5})


def test_heart_beats_of_sleep_minutes_count_only_where_no_other_table_has_them(tmp_path: Path) -> None:
    night = [f"2025-06-01,{h:02d}:{m:02d},DEEP,{50 + h},0" for h in (1, 2) for m in range(60)]
    readings, _, _ = Zepp(tmp_path).export({"SLEEP_MINUTE": night, "HEARTRATE_AUTO": ["2025-06-01,01:30,61"]}).readings()
    beats = of(readings, "heart_rate")
    assert [r["value"] for r in beats if r["start"].hour == 23] == [61]
    assert {r["value"] for r in beats if r["start"].hour == 0} == {52}
    assert of(readings, "respiratory_rate") == []


def test_null_is_missing_and_sentinels_are_no_heart_beats(tmp_path: Path) -> None:
    rows = [f"2025-01-09,00:{m:02d},{cell}" for m, cell in enumerate(("70", "null", "", "0", "255", "254", "-1", "fast"))]
    readings, rejected, done = Zepp(tmp_path).export({"HEARTRATE_AUTO": rows}).readings()
    assert [r["value"] for r in readings] == [70]
    assert sorted(r["reason"] for r in rejected) == [
        "no_measurement", "no_measurement", "not_a_number", "sentinel", "sentinel", "sentinel", "zero",
    ]  # fmt: skip
    assert sum(fates(done).values()) == 8


def test_manual_heart_rates_and_saturations_are_instants(tmp_path: Path) -> None:
    tables = {"HEARTRATE": ["2025-01-20 10:20:26+0000,67"], "SPO2": ["2025-01-20,03:00,96"]}
    readings, _, _ = Zepp(tmp_path).export(tables).readings()
    assert [(r["metric"], r["value"], r["start"], r["scope"]) for r in readings] == [
        ("heart_rate", 67, utc(2025, 1, 20, 10, 20, 26), "instant"),
        ("spo2", 96, utc(2025, 1, 20, 2), "instant"),
    ]


def test_a_day_without_the_band_is_no_day_of_zero_steps(tmp_path: Path) -> None:
    rows = ["2025-02-20,0,0,0,0", "2025-02-21,8432,7040,2100,0"]
    readings, _, done = Zepp(tmp_path).export({"ACTIVITY": rows}).readings()
    assert told(readings) == {"steps": 8432, "distance": 7040, "active_energy": 0}
    assert {(r["local_date"], r["scope"]) for r in readings} == {(date(2025, 2, 21), "day")}
    assert fates(done) == {"accepted": 1, "unused:empty_day": 1}


def test_a_day_on_which_clocks_change_is_23_hours_long(tmp_path: Path) -> None:
    readings, _, _ = Zepp(tmp_path).export({"ACTIVITY": ["2025-03-30,100,70,0,3"]}).readings()
    assert {r["end"] - r["start"] for r in readings} == {timedelta(hours=23)}


def test_stages_of_activity_speak_only_where_neither_day_nor_minutes_do(tmp_path: Path) -> None:
    tables = {
        "ACTIVITY": ["2025-01-01,5000,4000,0,200"],
        "ACTIVITY_MINUTE": ["2025-01-02,09:00,100", "2025-01-02,09:01,0"],
        "ACTIVITY_STAGE": [f"2025-01-0{day},23:50,00:10,400,20,500" for day in (1, 2, 3)],
    }
    readings, _, done = Zepp(tmp_path).export(tables).readings()
    assert [(r["local_date"].day, r["value"], r["scope"]) for r in of(readings, "steps")] == [
        (1, 5000, "day"),
        (2, 100, "interval"),
        (3, 500, "interval"),
    ]
    assert [r["local_date"].day for r in of(readings, "distance")] == [1, 2, 3]
    assert of(readings, "steps")[2]["end"] - of(readings, "steps")[2]["start"] == timedelta(minutes=20)
    assert fates(done) == {"accepted": 4, "unused:no_steps": 1, "unused:told_by_day": 1}


def test_weights_of_another_height_are_the_familys(tmp_path: Path) -> None:
    family = [f"2025-03-1{day} 07:00:00+0000,60.2,160.0,23.5,22.8,56.2,2.9,1550.0,44.5,9.0" for day in range(3)]
    readings, rejected, done = Zepp(tmp_path).export({"BODY": [WEIGHT, *family], "USER": [USER]}).readings()
    assert told(readings) == {"weight": 75.5, "body_fat": 21.5}
    assert [(r["reason"], r["field"]) for r in rejected] == [("other_user", "height")] * 3
    assert [f["code"] for f in done["findings"]] == ["other_people"]


def test_without_a_user_table_the_height_of_most_weights_is_the_persons(tmp_path: Path) -> None:
    other = "2025-03-10 07:00:00+0000,60.2,160.0,23.5,22.8,56.2,2.9,1550.0,44.5,9.0"
    again = WEIGHT.replace("03-15", "03-16").replace("175.0", "null")
    readings, _, _ = Zepp(tmp_path).export({"BODY": [other, WEIGHT, WEIGHT.replace("03-15", "03-17"), again]}).readings()
    assert [r["value"] for r in of(readings, "weight")] == [75.5] * 3


def test_a_bag_on_the_scale_is_a_weight_the_catalogue_rejects_and_gives_no_body_fat(tmp_path: Path) -> None:
    bag = "2020-06-10 06:45:00+0000,3.3,175.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0"
    readings, rejected, _ = Zepp(tmp_path).export({"BODY": [bag]}).readings()
    assert told(readings)["weight"] < METRICS["weight"].reject[0]
    assert [(r["reason"], r["field"]) for r in rejected] == [("zero", "fatRate")]


def test_muscle_rate_whose_unit_nobody_knows_is_no_reading(tmp_path: Path) -> None:
    readings, _, _ = Zepp(tmp_path).export({"BODY": [WEIGHT]}).readings()
    assert {r["metric"] for r in readings} == {"weight", "body_fat"}


def test_sport_and_account_rows_are_counted_not_read(tmp_path: Path) -> None:
    sport = "17,2025-01-10 07:30:00+0000,3600,-1.0,-1.0,5210.0,0.691,380.0"
    readings, rejected, done = Zepp(tmp_path).export({"SPORT": [sport], "USER": [USER]}).readings()
    assert (readings, rejected, fates(done)) == ([], [], {"account": 1, "unused:sport": 1})


def test_of_overlapping_exports_the_newest_counts_whatever_their_order(tmp_path: Path) -> None:
    growing = {MADE: "2025-01-15,100,70,0,4", MADE + 86_400_000: "2025-01-15,900,630,0,36"}
    for n, account_first in enumerate((growing, dict(reversed(growing.items())))):
        zepp = Zepp(tmp_path / str(n))
        for made, row in account_first.items():
            zepp.export({"ACTIVITY": [row]}, made=made)
        readings, _, done = zepp.readings()
        assert told(readings)["steps"] == 900
        assert fates(done) == {"accepted": 1, "superseded": 1}


def test_a_night_that_a_newer_export_tells_longer_is_one_night(tmp_path: Path) -> None:
    zepp = Zepp(tmp_path)
    for made, stop, light in ((MADE, "05:00", 240), (MADE + 1, "06:30", 330)):
        zepp.export({"SLEEP": [f"2025-01-15,60,{light},0,2025-01-15 00:00:00+0000,2025-01-15 {stop}:00+0000,0,"]}, made=made)
    readings, _, _ = zepp.readings()
    assert [r["value"] for r in of(readings, "sleep_duration")] == [390]


def test_the_same_export_twice_changes_nothing(tmp_path: Path) -> None:
    tables = {"ACTIVITY": ["2025-01-15,100,70,0,4"], "HEARTRATE_AUTO": ["2025-01-09,00:05,70"]}
    once, _, _ = Zepp(tmp_path / "1").export(tables).readings()
    twice, _, _ = Zepp(tmp_path / "2").export(tables).export(tables, made=MADE + 1).readings()
    assert once == twice


def test_another_account_is_another_person_unless_said_otherwise(tmp_path: Path) -> None:
    zepp = Zepp(tmp_path).export({"ACTIVITY": ["2025-01-15,100,70,0,4", "2025-01-16,100,70,0,4"]})
    zepp.export({"ACTIVITY": ["2025-01-15,900,630,0,36"]}, account="9999999999")
    readings, _, done = zepp.readings()
    assert [r["value"] for r in of(readings, "steps")] == [100, 100]
    assert (fates(done)["rejected:other_user"], [f["code"] for f in done["findings"]]) == (1, ["other_people"])


def test_loose_files_of_an_export_that_lies_there_too_count_once(tmp_path: Path) -> None:
    minutes = [f"2025-01-09,09:0{m},100" for m in range(5)]
    zepp = Zepp(tmp_path).export({"ACTIVITY_MINUTE": minutes[:4]}).export({"ACTIVITY_MINUTE": minutes[4:]}, account="9999999999")
    zepp.put({"ACTIVITY_MINUTE.csv": table("ACTIVITY_MINUTE", minutes)})
    readings, _, done = zepp.readings()
    assert [(r["start"].minute, r["value"]) for r in readings] == [(m, 100) for m in range(5)]
    assert fates(done) == {"accepted": 5, "duplicate": 4, "rejected:other_user": 1}


def test_own_users_says_which_account_is_yours(tmp_path: Path) -> None:
    zepp = Zepp(tmp_path).export({"ACTIVITY": ["2025-01-15,100,70,0,4", "2025-01-16,100,70,0,4"]})
    zepp.export({"ACTIVITY": ["2025-01-15,900,630,0,36"]}, account="9999999999")
    readings, _, done = zepp.readings(own_users={"zepp_life": ["9999999999"]})
    assert ([r["value"] for r in of(readings, "steps")], done["findings"]) == ([900], [])


def test_a_journey_moves_the_local_clock_with_the_person(tmp_path: Path) -> None:
    away = [{"from": "2025-07-01", "to": "2025-07-14", "timezone": "Asia/Hong_Kong"}]
    tables = {
        "HEARTRATE_AUTO": ["2025-07-09,07:00,60"],
        "SLEEP": ["2025-07-09,60,330,0,2025-07-08 16:00:00+0000,2025-07-08 22:30:00+0000,0,"],
    }
    readings, _, _ = Zepp(tmp_path).export(tables).readings(timezone_overrides=away)
    assert of(readings, "heart_rate")[0]["start"] == utc(2025, 7, 8, 23)
    assert {r["local_date"] for r in readings} == {date(2025, 7, 9)}
