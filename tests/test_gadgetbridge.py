"""Gadgetbridge's database becomes readings: right minute, right night, nothing out of 255, whatever device and phone it came from."""

from __future__ import annotations

import itertools
import json
import sqlite3
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.stage import Report
from ingestion.gadgetbridge.records import records
from processing.normalizers.gadgetbridge import metrics_of, normalize
from processing.normalizers.gadgetbridge_minutes import BAND, Minutes, extended
from processing.normalizers.gadgetbridge_sleep import of_zepp
from processing.normalizers.mi_fitness_sleep import NoSessionError
from tests.gadgetbridge_exports import BAND as DEVICE
from tests.gadgetbridge_exports import SAMPLES as TABLES
from tests.gadgetbridge_exports import Rows, database, insert, minute, zepp_block
from tests.stage_bench import StageBench, as_file

WARSAW = {"timezone": "Europe/Warsaw", "timezone_overrides": []}
EXTENDED = "HUAMI_EXTENDED_ACTIVITY_SAMPLE"
XIAOMI = "XIAOMI_ACTIVITY_SAMPLE"
NIGHTS = "XIAOMI_SLEEP_TIME_SAMPLE"
_FOLDERS = itertools.count()


def at(text: str, zone: str = "Europe/Warsaw") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


NOON = at("2025-03-10T12:00")


class Done:
    """What became of some exports."""

    def __init__(
        self, tmp_path: Path, files: Sequence[Path], settings: Mapping[str, Any] = WARSAW, arrived: float | None = None
    ) -> None:
        bench = StageBench(tmp_path / f"bench{next(_FOLDERS)}")
        raw = [as_file(path)._replace(arrived=arrived) for path in files]
        self.read, out = bench.run(records, {"raw": raw}, {})
        self.records = pq.read_table(out / "records").to_pylist()
        self.letters = pq.read_table(out / "dead_letters").to_pylist()
        self.made, out = bench.run(normalize, {"records": out / "records"}, settings)
        self.readings = pq.read_table(out / "readings").to_pylist()
        self.rejected = pq.read_table(out / "rejected").to_pylist()

    def of(self, metric: str) -> list[dict[str, Any]]:
        return [r for r in self.readings if r["metric"] == metric]

    def values(self, metric: str) -> list[float]:
        return [r["value"] for r in self.of(metric)]

    def fates(self) -> dict[str, int]:
        return _fates(self.made)


def _fates(report: Report) -> dict[str, int]:
    return {fate: count for fate, count in report["balance"]["fates"].items() if count}


def done(tmp_path: Path, tables: Mapping[str, Rows], settings: Mapping[str, Any] = WARSAW, **more: Any) -> Done:
    folder = tmp_path / f"export{next(_FOLDERS)}"
    folder.mkdir()
    return Done(tmp_path, [database(folder / "Gadgetbridge.db", tables, **more)], settings)


def slept(start: int, minutes: int, kind: int = 120, **more: Any) -> list[dict[str, Any]]:
    return [minute(start + 60 * n, kind, **more) for n in range(minutes)]


def test_a_minute_gives_heart_rate_and_steps(tmp_path: Path) -> None:
    found = done(tmp_path, {"MI_BAND_ACTIVITY_SAMPLE": [minute(NOON, heart_rate=72, steps=15)]})
    beat, steps = found.of("heart_rate")[0], found.of("steps")[0]
    assert (beat["value"], beat["scope"], beat["start"]) == (72, "instant", datetime.fromtimestamp(NOON, UTC))
    assert (steps["value"], steps["scope"], (steps["end"] - steps["start"]).seconds) == (15, "interval", 60)
    assert (steps["utc_offset"], steps["local_date"]) == (3600, date(2025, 3, 10))
    assert found.fates() == {"accepted": 1, "device_name": 1}
    assert beat["device"].startswith("Band [")


@pytest.mark.parametrize("beats", [255, 254, -1, 0, 9, 251])
def test_what_the_app_takes_for_no_heart_rate_is_none(tmp_path: Path, beats: int) -> None:
    found = done(tmp_path, {EXTENDED: [minute(NOON, heart_rate=beats, steps=1)], XIAOMI: [minute(NOON, heart_rate=beats)]})
    assert found.of("heart_rate") == []
    assert found.fates() == {"accepted": 1, "device_name": 1, "unused:nothing_measured": 1}


def test_activity_tables_count_seconds_and_all_others_milliseconds(tmp_path: Path) -> None:
    rows = {
        XIAOMI: [minute(NOON, heart_rate=70, SPO2=0)],
        "HUAMI_HEART_RATE_MANUAL_SAMPLE": [{"TIMESTAMP": NOON * 1000, "UTC_OFFSET": 3_600_000, "HEART_RATE": 71}],
    }
    found = done(tmp_path, rows)
    assert [r["start"] for r in found.of("heart_rate")] == [datetime.fromtimestamp(NOON, UTC)] * 2
    assert found.of("spo2") == []


def test_every_single_sample_becomes_its_metric(tmp_path: Path) -> None:
    ms = NOON * 1000
    found = done(
        tmp_path,
        {
            "HUAMI_HEART_RATE_MAX_SAMPLE": [{"TIMESTAMP": ms, "UTC_OFFSET": 3_600_000, "HEART_RATE": 171}],
            "HUAMI_HEART_RATE_RESTING_SAMPLE": [{"TIMESTAMP": ms, "UTC_OFFSET": 3_600_000, "HEART_RATE": 55}],
            "HUAMI_SPO2_SAMPLE": [
                {"TIMESTAMP": ms, "TYPE_NUM": 1, "SPO2": 97},
                {"TIMESTAMP": ms + 1000, "TYPE_NUM": 1, "SPO2": 0},
            ],
            "HUAMI_SLEEP_RESPIRATORY_RATE_SAMPLE": [{"TIMESTAMP": ms, "UTC_OFFSET": 3_600_000, "RATE": 14}],
            "GENERIC_HRV_VALUE_SAMPLE": [{"TIMESTAMP": ms, "VALUE": 41}],
            "XIAOMI_MANUAL_SAMPLE": [
                {"TIMESTAMP": ms, "TYPE": 0x11, "VALUE": 66},
                {"TIMESTAMP": ms + 1, "TYPE": 0x12, "VALUE": 98},
                {"TIMESTAMP": ms + 2, "TYPE": 0x13, "VALUE": 30},
            ],
            "HUAMI_STRESS_SAMPLE": [{"TIMESTAMP": ms, "TYPE_NUM": 1, "STRESS": 30}],
            "GENERIC_TEMPERATURE_SAMPLE": [
                {"TIMESTAMP": ms, "TEMPERATURE": 36.6, "TEMPERATURE_TYPE": 1, "TEMPERATURE_LOCATION": 1},
                {"TIMESTAMP": ms + 1, "TEMPERATURE": 33.5, "TEMPERATURE_TYPE": 2, "TEMPERATURE_LOCATION": 9},
                {"TIMESTAMP": ms + 2, "TEMPERATURE": 33.5, "TEMPERATURE_TYPE": 1},
            ],
        },
    )
    assert {r["metric"]: r["value"] for r in found.readings} == {
        "heart_rate_max": 171, "resting_heart_rate": 55, "respiratory_rate": 14, "hrv_rmssd": 41, "heart_rate": 66, "spo2": 98,
        "body_temperature": 36.6,
    }  # fmt: skip
    assert found.values("spo2") == [97, 98]
    assert found.of("heart_rate_max")[0]["scope"] == "day"
    assert found.fates() == {"accepted": 8, "device_name": 1, "rejected:zero": 1, "unused:not_a_metric": 4}
    assert [(r["reason"], r["field"]) for r in found.rejected] == [("zero", "SPO2")]


def test_the_tables_of_newer_apps_are_read_for_any_device(tmp_path: Path) -> None:
    rows = {
        "GENERIC_HEART_RATE_SAMPLE": [
            {"TIMESTAMP": NOON * 1000, "HEART_RATE": 62},
            {"TIMESTAMP": NOON * 1000 + 1, "HEART_RATE": 255},
        ],
        "GENERIC_SPO2_SAMPLE": [{"TIMESTAMP": NOON * 1000, "SPO2": 96}],
    }
    found = done(tmp_path, rows)
    assert (found.values("heart_rate"), found.values("spo2")) == ([62], [96])
    assert [r["reason"] for r in found.rejected] == ["device_sentinel"]


OTHER_KINDS = ("PEBBLE_HEALTH_ACTIVITY_SAMPLE", "HUAWEI_ACTIVITY_SAMPLE", "GARMIN_ACTIVITY_SAMPLE", "COLMI_ACTIVITY_SAMPLE")


def test_an_app_that_never_knew_a_device_lacks_its_tables(tmp_path: Path) -> None:
    made = database(tmp_path / "made.db", {XIAOMI: [minute(NOON, heart_rate=61)]})
    with closing(sqlite3.connect(made)) as connection:
        for table in (*(name for name in TABLES if name != XIAOMI), "BASE_ACTIVITY_SUMMARY", "BATTERY_LEVEL"):
            connection.execute(f"DROP TABLE {table}")
        connection.commit()
    assert Done(tmp_path, [made]).values("heart_rate") == [61]


def test_a_table_of_any_device_is_read_or_counted_under_its_name(tmp_path: Path) -> None:
    made = database(tmp_path / "made.db", {})
    with closing(sqlite3.connect(made)) as connection:
        for table in OTHER_KINDS:
            connection.execute(f"CREATE TABLE {table} (TIMESTAMP INTEGER, DEVICE_ID INTEGER, HEART_RATE INTEGER)")
        for table in (*TABLES, "USER", "BATTERY_LEVEL", *OTHER_KINDS):
            columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
            row = {name: NOON if name == "TIMESTAMP" else 1 for _, name, _, needed, _, key in columns if needed or key}
            insert(connection, table, row or {"TIMESTAMP": NOON})
        connection.commit()
    found = Done(tmp_path, [made])
    read = {json.loads(r["raw"])["table"] for r in found.records} - {"DEVICE"}
    told = {f["message"].rsplit(" ", 1)[1].rstrip(".") for f in found.read["findings"] if f["code"] == "not_read"}
    assert read == {*TABLES} - {"COLMI_HRV_VALUE_SAMPLE"}
    assert told == {"COLMI_HRV_VALUE_SAMPLE", "USER", "BATTERY_LEVEL", *OTHER_KINDS}


@pytest.mark.parametrize(("beats", "reason"), [(255, "device_sentinel"), (-1, "device_sentinel"), (0, "zero")])
def test_a_single_sample_that_says_nothing_is_refused_with_its_reason(tmp_path: Path, beats: int, reason: str) -> None:
    row = {"TIMESTAMP": NOON * 1000, "UTC_OFFSET": 0, "HEART_RATE": beats}
    found = done(tmp_path, {"HUAMI_HEART_RATE_RESTING_SAMPLE": [row]})
    assert (found.readings, [r["reason"] for r in found.rejected]) == ([], [reason])


def test_a_stated_offset_decides_the_day(tmp_path: Path) -> None:
    late = at("2025-03-10T23:30")
    row = {"TIMESTAMP": late * 1000, "UTC_OFFSET": 9 * 3_600_000, "HEART_RATE": 60}
    found = done(tmp_path, {"HUAMI_HEART_RATE_RESTING_SAMPLE": [row]})
    assert (found.readings[0]["utc_offset"], found.readings[0]["local_date"]) == (32_400, date(2025, 3, 11))


def test_the_daily_summary_counts_its_zone_in_quarter_hours(tmp_path: Path) -> None:
    midnight = at("2025-03-10T00:00", "Asia/Kathmandu")
    row = {
        "TIMESTAMP": midnight * 1000,
        "TIMEZONE": 23,
        "STEPS": 8000,
        "HR_RESTING": 0,
        "HR_AVG": 70,
        "HR_MAX": 255,
        "SPO2_AVG": 96,
    }
    found = done(tmp_path, {"XIAOMI_DAILY_SUMMARY_SAMPLE": [row]})
    assert {r["metric"]: r["value"] for r in found.readings} == {"steps": 8000, "heart_rate_mean": 70, "spo2": 96}
    assert {(r["local_date"], r["scope"]) for r in found.readings} == {(date(2025, 3, 10), "day")}


def test_minutes_of_a_newer_huami_device_become_a_night_with_stages_on_the_day_of_waking(tmp_path: Path) -> None:
    start = at("2025-03-09T23:00")
    rows = [
        *slept(start, 60),
        *slept(start + 3600, 30, DEEP_SLEEP=128 + 50, REM_SLEEP=0),
        *slept(start + 5400, 20, DEEP_SLEEP=10, REM_SLEEP=128 + 60),
        *slept(start + 6600, 10, kind=80),
        *slept(start + 7200, 240, DEEP_SLEEP=128 + 42, REM_SLEEP=128 + 55),
    ]
    found = done(tmp_path, {EXTENDED: rows})
    told = {r["metric"]: r["value"] for r in found.readings}
    assert told == {"sleep_duration": 350, "sleep_light": 300, "sleep_deep": 30, "sleep_rem": 20, "sleep_awake": 10}
    assert {(r["local_date"], r["scope"]) for r in found.readings} == {(date(2025, 3, 10), "session")}
    assert found.readings[0]["start"] == datetime.fromtimestamp(start, UTC)
    assert found.fates() == {"device_name": 1, "minute_of_session": 360}


def test_a_band_says_only_once_that_the_kind_of_minute_changed(tmp_path: Path) -> None:
    """RAW_KIND & 0x0f; 0 and 10 stand for the kind before."""
    start = at("2025-03-10T01:00")
    kinds = [0x59, *[0] * 29, 0x7B, *[10] * 19, 0x50, 12]
    found = done(tmp_path, {"MI_BAND_ACTIVITY_SAMPLE": [minute(start + 60 * n, kind) for n, kind in enumerate(kinds)]})
    told = {r["metric"]: r["value"] for r in found.readings}
    assert told == {"sleep_duration": 51, "sleep_light": 30, "sleep_deep": 21, "sleep_awake": 0}


def test_nothing_is_inherited_over_a_long_hole(tmp_path: Path) -> None:
    start = at("2025-03-10T01:00")
    rows = [
        minute(start, 9),
        *[minute(start + 60 * n, 0) for n in range(1, 30)],
        *[minute(start + 86_400 + 60 * n, 0) for n in range(30)],
    ]
    found = done(tmp_path, {"MI_BAND_ACTIVITY_SAMPLE": rows})
    assert found.values("sleep_duration") == [30]


def test_the_first_mi_band_has_kinds_of_its_own(tmp_path: Path) -> None:
    start = at("2025-03-10T01:00")
    rows = [*slept(start, 30, kind=5), *slept(start + 1800, 30, kind=4)]
    first = {**DEVICE, "TYPE": 10, "TYPE_NAME": "MIBAND"}
    older = {**DEVICE, "TYPE": 10, "TYPE_NAME": ""}
    for device in (first, older):
        found = done(tmp_path, {"MI_BAND_ACTIVITY_SAMPLE": rows}, devices=[device])
        assert (found.values("sleep_light"), found.values("sleep_deep")) == ([30], [30])
    assert done(tmp_path, {"MI_BAND_ACTIVITY_SAMPLE": rows}).of("sleep_duration") == []


@pytest.mark.parametrize(
    ("between", "nights"),
    [
        ([], 2),  # a hole of more than two hours
        ([(0, 125, 80)], 2),  # awake for more than two hours
        ([(0, 115, 80), (115, 10, 120)], 1),
        ([(0, 1, 115)], 2),  # not worn, however short
        ([(0, 1, 118)], 2),  # on the charger
    ],
)
def test_a_session_ends_when_the_app_says_so(tmp_path: Path, between: list[tuple[int, int, int]], nights: int) -> None:
    start = at("2025-03-10T00:00")
    rows = [*slept(start, 60), *slept(start + 3600 + 125 * 60, 60)]
    for after, minutes, kind in between:
        rows += slept(start + 3600 + 60 * after, minutes, kind)
    if between and between[0][1] == 1:
        rows = [*slept(start, 60), minute(start + 3600, between[0][2]), *slept(start + 3660, 60)]
    assert len(done(tmp_path, {EXTENDED: rows}).of("sleep_duration")) == nights


def test_five_minutes_are_no_session_and_holes_are_neither_sleep_nor_waking(tmp_path: Path) -> None:
    start = at("2025-03-10T00:00")
    assert done(tmp_path, {EXTENDED: slept(start, 5)}).of("sleep_duration") == []
    rows = [*slept(start, 30), *slept(start + 3600, 30)]
    found = done(tmp_path, {EXTENDED: rows})
    assert (found.values("sleep_duration"), found.values("sleep_awake")) == ([60], [0])


def test_the_night_clocks_change_has_its_true_length(tmp_path: Path) -> None:
    start = at("2025-03-29T23:00")
    found = done(tmp_path, {EXTENDED: slept(start, 420)})
    (night,) = found.of("sleep_duration")
    assert (night["value"], night["local_date"], night["utc_offset"]) == (420, date(2025, 3, 30), 3600)
    assert night["end"].astimezone(ZoneInfo("Europe/Warsaw")).hour == 7


NIGHT = {
    "TIMESTAMP": at("2025-03-09T23:10") * 1000,
    "WAKEUP_TIME": at("2025-03-10T06:40") * 1000,
    "IS_AWAKE": 1,
    "TOTAL_DURATION": 440,
    "DEEP_SLEEP_DURATION": 100,
    "LIGHT_SLEEP_DURATION": 270,
    "REM_SLEEP_DURATION": 70,
    "AWAKE_DURATION": 10,
}
STAGES = [
    {"TIMESTAMP": NIGHT["TIMESTAMP"] + 60_000 * start, "STAGE": stage}
    for start, stage in ((0, 3), (100, 2), (200, 4), (260, 5), (270, 3))
]
NO_TOTALS = dict.fromkeys((key for key in NIGHT if key.endswith("DURATION")), 0)


def test_a_xiaomi_night_is_what_the_band_says(tmp_path: Path) -> None:
    found = done(tmp_path, {NIGHTS: [NIGHT], "XIAOMI_SLEEP_STAGE_SAMPLE": STAGES})
    told = {r["metric"]: r["value"] for r in found.readings}
    assert told == {"sleep_duration": 440, "sleep_deep": 100, "sleep_light": 270, "sleep_rem": 70, "sleep_awake": 10}
    assert found.fates() == {"accepted": 1, "device_name": 1, "stage_of_session": 5}


def test_a_xiaomi_night_without_totals_is_added_up_from_its_stages(tmp_path: Path) -> None:
    found = done(tmp_path, {NIGHTS: [NIGHT | NO_TOTALS], "XIAOMI_SLEEP_STAGE_SAMPLE": STAGES})
    told = {r["metric"]: r["value"] for r in found.readings}
    assert told == {"sleep_duration": 440, "sleep_deep": 100, "sleep_light": 280, "sleep_rem": 60, "sleep_awake": 10}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"WAKEUP_TIME": 0, "IS_AWAKE": 0}, "unfinished_sleep"),
        ({"WAKEUP_TIME": NIGHT["TIMESTAMP"]}, "bad_sleep_window"),
        ({"WAKEUP_TIME": NIGHT["TIMESTAMP"] + 3 * 86_400_000}, "bad_sleep_window"),
        (NO_TOTALS, "no_sleep"),
    ],
)
def test_a_night_that_cannot_be_one_is_refused(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    found = done(tmp_path, {NIGHTS: [NIGHT | change]})
    assert found.readings == []
    assert [r["reason"] for r in found.rejected] == [reason]


MIDNIGHT = at("2025-03-10T00:00")
BLOCK = zepp_block(MIDNIGHT, 1380, 1830, [(1380, 1500, 4), (1500, 1600, 5), (1600, 1700, 8), (1700, 1720, 7), (1720, 1830, 4)])


def test_a_zepp_night_is_read_from_its_bytes_and_goes_before_the_minutes(tmp_path: Path) -> None:
    minutes = slept(at("2025-03-09T23:05"), 400)
    block = {"TIMESTAMP": MIDNIGHT * 1000, "DATA": BLOCK}
    found = done(tmp_path, {"HUAMI_SLEEP_SESSION_SAMPLE": [block], EXTENDED: minutes})
    told = {r["metric"]: r["value"] for r in found.readings}
    assert told == {
        "sleep_duration": 430, "sleep_deep": 100, "sleep_light": 230, "sleep_rem": 100, "sleep_awake": 20, "sleep_score": 80
    }  # fmt: skip
    (start,) = {r["start"] for r in found.readings}
    assert start == datetime.fromtimestamp(at("2025-03-09T23:00"), UTC)
    assert found.fates() == {"accepted": 1, "device_name": 1, "minute_of_session": 400}


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader_of_zepp_nights(data: bytes) -> None:
    try:
        session = of_zepp({"DATA": data.hex()}, 0)
    except NoSessionError:
        return
    assert 0 < session.minutes["sleep_duration"] <= (session.end - session.start) / 60_000_000 <= 1440


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(-1, 255)), max_size=80))
def test_sessions_from_any_minutes_are_in_order_apart_and_no_longer_than_their_window(noted: list[tuple[int, int]]) -> None:
    minutes = Minutes()
    for place, kind in dict(noted).items():
        minutes.add(1_700_000_040 + 60 * place, kind, silent=True)
    runs = list(minutes.runs(BAND))
    for run in runs:
        assert run.end - run.start > 300
        assert run.minutes["sleep_duration"] * 60 <= run.end - run.start
    assert all(one.end <= other.start for one, other in itertools.pairwise(runs))
    assert sum(minutes.silent(runs)) == len(set(dict(noted)))


def test_only_seven_bits_of_the_sleep_columns_count() -> None:
    assert [extended(120, d, r) for d, r in ((42, 55), (43, 99), (128, 128), (171, 0), (0, 184))] == [1, 2, 1, 2, 3]


def test_two_bands_worn_in_parallel_tell_one_night_once_and_keep_their_steps_apart(tmp_path: Path) -> None:
    start = at("2025-03-09T23:00")
    second = {**DEVICE, "_id": 2, "IDENTIFIER": "AA:BB:CC:00:00:02", "NAME": "Other"}
    rows = [*slept(start, 400), minute(NOON, steps=20), *[row | {"DEVICE_ID": 2} for row in slept(start, 300)]]
    rows += [minute(NOON, steps=22) | {"DEVICE_ID": 2}]
    found = done(tmp_path, {EXTENDED: rows}, devices=[DEVICE, second])
    assert found.values("sleep_duration") == [400]
    assert len({r["device"] for r in found.of("steps")}) == 2


def test_a_later_export_repeats_nothing_and_its_minutes_go_before_older_ones(tmp_path: Path) -> None:
    same = minute(NOON + 60, steps=4)
    older = database(tmp_path / "b_older.db", {XIAOMI: [minute(NOON - 60, steps=8), minute(NOON, steps=3), same]})
    newer = [minute(NOON - 60, steps=2), minute(NOON, steps=9), same, minute(NOON + 120, steps=5)]
    found = Done(tmp_path, [older, database(tmp_path / "a_newer.db", {XIAOMI: newer})])
    assert found.values("steps") == [2, 9, 4, 5]
    assert found.fates() == {"accepted": 4, "device_name": 1, "superseded": 2}
    assert _fates(found.read) == {"accepted": 7, "duplicate": 2}


def test_the_same_device_on_another_phone_is_the_same_device(tmp_path: Path) -> None:
    one = database(tmp_path / "one.db", {XIAOMI: [minute(NOON, steps=3)]})
    moved = {**DEVICE, "_id": 7}
    other = database(tmp_path / "other.db", {XIAOMI: [minute(NOON, steps=3) | {"DEVICE_ID": 7}]}, devices=[moved])
    assert Done(tmp_path, [one, other]).values("steps") == [3]


def test_different_devices_with_one_number_on_two_phones_stay_two(tmp_path: Path) -> None:
    one = database(tmp_path / "one.db", {XIAOMI: [minute(NOON, steps=3)]})
    other = database(
        tmp_path / "other.db", {XIAOMI: [minute(NOON, steps=8)]}, devices=[{**DEVICE, "IDENTIFIER": "AA:BB:CC:00:00:09"}]
    )
    assert sorted(Done(tmp_path, [one, other]).values("steps")) == [3, 8]


def test_a_clock_that_ran_ahead_does_not_make_an_export_the_newest(tmp_path: Path) -> None:
    wrong = database(tmp_path / "older.db", {XIAOMI: [minute(NOON, steps=3), minute(at("2037-01-01T00:00"), steps=1)]})
    right = database(tmp_path / "newer.db", {XIAOMI: [minute(NOON, steps=9), minute(NOON + 60, steps=1)]})
    found = Done(tmp_path, [wrong, right], arrived=float(NOON + 86_400))
    assert found.values("steps") == [9, 1]
    assert _fates(found.read)["rejected:future"] == 1


def test_a_damaged_export_is_refused_and_the_others_are_read(tmp_path: Path) -> None:
    good = database(tmp_path / "good.db", {XIAOMI: [minute(NOON, steps=3)]})
    (tmp_path / "cut.db").write_bytes(good.read_bytes()[:30_000])
    (tmp_path / "Gadgetbridge.db-wal").write_bytes(bytes.fromhex("377f0682") + bytes(28))
    found = Done(tmp_path, [tmp_path / "cut.db", good, tmp_path / "Gadgetbridge.db-wal"])
    assert found.values("steps") == [3]
    assert _fates(found.read) == {"accepted": 2, "rejected:damaged_database": 1, "unused:log_not_read": 1}
    assert [x["reason"] for x in found.letters] == ["damaged_database"]


def test_a_text_where_a_number_stood_is_refused_and_told(tmp_path: Path) -> None:
    found = done(tmp_path, {XIAOMI: [minute(NOON, steps=3), minute(NOON + 60) | {"STEPS": "many"}]})
    assert found.values("steps") == [3]
    assert _fates(found.read)["rejected:schema:STEPS:type"] == 1
    assert [f for f in found.read["findings"] if "another type" in f["message"]]


def test_the_order_of_exports_leaves_no_trace(tmp_path: Path) -> None:
    rows = slept(at("2025-03-09T23:00"), 60)
    one = database(tmp_path / "one", {EXTENDED: rows[:40]})
    two = database(tmp_path / "two", {EXTENDED: [minute(rows[39]["TIMESTAMP"], 80), *rows[40:]]})
    for name, source in (("a", one), ("b", two), ("c", two), ("d", one)):
        (tmp_path / name).write_bytes(source.read_bytes())
    first, second = (Done(tmp_path, [tmp_path / x for x in names]) for names in ("ab", "cd"))
    assert first.readings == second.readings
    assert first.values("sleep_duration") == [59]


def test_a_journey_moves_the_day_of_a_minute(tmp_path: Path) -> None:
    settings = WARSAW | {"timezone_overrides": [{"from": "2025-03-10", "to": "2025-03-12", "timezone": "Asia/Tokyo"}]}
    found = done(tmp_path, {XIAOMI: [minute(at("2025-03-10T20:00"), steps=3)]}, settings)
    assert (found.readings[0]["local_date"], found.readings[0]["utc_offset"]) == (date(2025, 3, 11), 32_400)


def test_a_summary_of_the_day_clocks_change_is_23_hours_long(tmp_path: Path) -> None:
    row = {"TIMESTAMP": at("2025-03-30T00:00") * 1000, "TIMEZONE": 4, "STEPS": 0, "SPO2_AVG": 255}
    (steps,) = done(tmp_path, {"XIAOMI_DAILY_SUMMARY_SAMPLE": [row]}).readings
    assert (steps["value"], steps["local_date"], (steps["end"] - steps["start"]).total_seconds()) == (
        0,
        date(2025, 3, 30),
        23 * 3600,
    )


def test_hardware_addresses_stay_out_of_identities(tmp_path: Path) -> None:
    found = done(tmp_path, {XIAOMI: [minute(NOON, steps=3)]})
    assert not [r for r in found.records if "AA:BB" in r["raw_id"].upper()]


def test_tables_that_are_not_read_are_told_by_name_and_empty_ones_are_not(tmp_path: Path) -> None:
    rows: dict[str, Rows] = {
        "COLMI_HRV_VALUE_SAMPLE": [{"TIMESTAMP": NOON * 1000, "VALUE": 40}],
        "USER": [{"NAME": "x", "BIRTHDAY": 0, "GENDER": 2}],
    }
    found = done(tmp_path, rows)
    assert _fates(found.read) == {"accepted": 1, "unused:table_not_read": 2}
    assert [f["message"].rsplit(" ", 1)[1] for f in found.read["findings"]] == ["COLMI_HRV_VALUE_SAMPLE.", "USER."]


def test_a_new_column_is_told_and_a_lost_one_too(tmp_path: Path) -> None:
    path = database(tmp_path / "Gadgetbridge.db", {XIAOMI: [minute(NOON, steps=3)]})
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"ALTER TABLE {XIAOMI} ADD COLUMN MOOD INTEGER")
        connection.execute(f"ALTER TABLE {XIAOMI} DROP COLUMN HEART_RATE")
        connection.commit()
    found = Done(tmp_path, [path])
    assert found.values("steps") == [3]
    told = [f["message"] for f in found.read["findings"] if f["code"] == "schema_drift"]
    assert [message for message in told if f"MOOD of {XIAOMI}" in message]
    assert [message for message in told if f"HEART_RATE of {XIAOMI}" in message]


def test_the_apps_own_zip_is_read_and_what_lies_beside_the_database_is_told(tmp_path: Path) -> None:
    inner = database(tmp_path / "Gadgetbridge", {XIAOMI: [minute(NOON, steps=3)]})
    with zipfile.ZipFile(tmp_path / "gadgetbridge.zip", "w") as target:
        target.write(inner, "database/Gadgetbridge")
        target.writestr("preferences/global.json", "{}")
        target.writestr("files/empty", "")
    found = Done(tmp_path, [tmp_path / "gadgetbridge.zip"])
    assert found.values("steps") == [3]
    assert found.records[1]["position"] == "database/Gadgetbridge XIAOMI_ACTIVITY_SAMPLE row 1"
    assert _fates(found.read) == {"accepted": 2, "unused:empty_file": 1, "unused:file_not_read": 1}


def test_a_minute_before_there_were_such_bands_is_refused(tmp_path: Path) -> None:
    found = done(tmp_path, {XIAOMI: [minute(86_400, steps=3), minute(NOON, steps=4)]})
    assert found.values("steps") == [4]
    assert _fates(found.read) == {"accepted": 2, "rejected:bad_time": 1}


def test_workouts_are_kept_as_records(tmp_path: Path) -> None:
    row = {
        "START_TIME": NOON * 1000,
        "END_TIME": NOON * 1000 + 1,
        "ACTIVITY_KIND": 16,
        "DEVICE_ID": 1,
        "USER_ID": 1,
        "RAW_SUMMARY_DATA": b"\1",
    }
    found = done(tmp_path, {"BASE_ACTIVITY_SUMMARY": [row]})
    assert found.fates() == {"device_name": 1, "unused:workout": 1}
    assert json.loads(found.records[1]["raw"])["RAW_SUMMARY_DATA"] == "01"


def test_a_refused_record_can_say_what_it_speaks_of() -> None:
    assert metrics_of({"table": "HUAMI_SPO2_SAMPLE"}, "SPO2") == {"spo2"}
    assert metrics_of({"table": XIAOMI}, None) == {"heart_rate", "steps", "spo2"}
    assert "sleep_duration" in metrics_of({"table": NIGHTS}, None)
    assert metrics_of({"table": "XIAOMI_MANUAL_SAMPLE", "TYPE": 0x12}, None) == {"spo2"}
    assert metrics_of({"table": "USER"}, None) == set()
