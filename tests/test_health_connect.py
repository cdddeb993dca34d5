"""Health Connect's backup becomes readings: its odd units, its zones in seconds, one app a day, nights on the day of waking."""

from __future__ import annotations

import itertools
import json
import sqlite3
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

from config.metrics import KINDS
from config.stage import Report
from ingestion.gadgetbridge.records import records as band_records
from ingestion.health_connect import records as room
from ingestion.health_connect.records import records
from processing.aggregators.daily_metrics import merge
from processing.normalizers.gadgetbridge import normalize as band_normalize
from processing.normalizers.health_connect import metrics_of, normalize
from processing.normalizers.health_connect_sleep import minutes_of
from processing.validators import readings as validators
from tests.gadgetbridge_exports import database as gadgetbridge
from tests.gadgetbridge_exports import minute
from tests.health_connect_exports import Rows, backup, instant, interval, zipped
from tests.readings_bench import SETTINGS, table_rows
from tests.stage_bench import StageBench, as_file

WARSAW = {"timezone": "Europe/Warsaw", "timezone_overrides": []}
STEPS, HEART, SERIES = "steps_record_table", "heart_rate_record_table", "heart_rate_record_series_table"
SLEEP, STAGES = "sleep_session_record_table", "sleep_stages_table"
BP, WEIGHT, SPO2 = "blood_pressure_record_table", "weight_record_table", "oxygen_saturation_record_table"
_FOLDERS = itertools.count()


def at(text: str, zone: str = "Europe/Warsaw") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


NOON = at("2025-03-10T12:00")


class Done:
    """What became of some backups."""

    def __init__(self, tmp_path: Path, files: Sequence[Path], settings: Mapping[str, Any] = WARSAW) -> None:
        bench = StageBench(tmp_path / f"bench{next(_FOLDERS)}")
        self.read, out = bench.run(records, {"raw": [as_file(path) for path in files]}, {})
        self.records = pq.read_table(out / "records").to_pylist()
        self.letters = pq.read_table(out / "dead_letters").to_pylist()
        self.made, out = bench.run(normalize, {"records": out / "records"}, settings)
        self.readings = pq.read_table(out / "readings").to_pylist()
        self.rejected = pq.read_table(out / "rejected").to_pylist()

    def of(self, metric: str) -> list[dict[str, Any]]:
        return [r for r in self.readings if r["metric"] == metric]

    def values(self, metric: str) -> list[float]:
        return [r["value"] for r in self.of(metric)]

    def raws(self) -> list[dict[str, Any]]:
        return [json.loads(r["raw"]) for r in self.records]


def fates(report: Report) -> dict[str, int]:
    return {fate: count for fate, count in report["balance"]["fates"].items() if count}


def done(tmp_path: Path, tables: Mapping[str, Rows], order: Mapping[int, Sequence[int]] | None = None) -> Done:
    folder = tmp_path / f"backup{next(_FOLDERS)}"
    folder.mkdir()
    return Done(tmp_path, [zipped(folder / "Health Connect.zip", backup(folder / "export.db", tables, order))])


def test_every_table_that_is_read_becomes_its_metric_in_its_unit(tmp_path: Path) -> None:
    found = done(
        tmp_path,
        {
            "basal_metabolic_rate_record_table": [instant(NOON, basal_metabolic_rate=80.0)],
            BP: [instant(NOON, systolic=121.0, diastolic=79.0)],
            "body_fat_record_table": [instant(NOON, percentage=18.5)],
            "body_temperature_record_table": [instant(NOON, temperature=36.6)],
            "heart_rate_variability_rmssd_record_table": [instant(NOON, heart_rate_variability_millis=41.5)],
            SPO2: [instant(NOON, percentage=97.0)],
            "respiratory_rate_record_table": [instant(NOON, rate=14.5)],
            "resting_heart_rate_record_table": [instant(NOON, beats_per_minute=55)],
            WEIGHT: [instant(NOON, weight=81_500.0)],
            "active_calories_burned_record_table": [interval(NOON, NOON + 600, energy=52_300.0)],
            "distance_record_table": [interval(NOON, NOON + 600, distance=810.5)],
            STEPS: [interval(NOON, NOON + 600, count=900)],
        },
    )
    assert {r["metric"]: round(r["value"], 6) for r in found.readings} == {
        "basal_energy": 1652.0,
        "systolic": 121,
        "diastolic": 79,
        "body_fat": 18.5,
        "body_temperature": 36.6,
        "hrv_rmssd": 41.5,
        "spo2": 97,
        "respiratory_rate": 14.5,
        "resting_heart_rate": 55,
        "weight": 81.5,
        "active_energy": 52.3,
        "distance": 810.5,
        "steps": 900,
    }
    assert {r["metric"]: r["scope"] for r in found.readings if r["scope"] != "instant"} == {
        "basal_energy": "day", "active_energy": "interval", "distance": "interval", "steps": "interval"
    }  # fmt: skip
    steps = found.of("steps")[0]
    assert (steps["start"], steps["end"]) == (datetime.fromtimestamp(NOON, UTC), datetime.fromtimestamp(NOON + 600, UTC))
    assert steps["device"] == "com.phone.steps"
    assert fates(found.made) == {"accepted": 12}


def test_a_heart_rate_series_is_one_record_with_all_its_samples(tmp_path: Path) -> None:
    series = [{"parent_key": 2, "epoch_millis": (NOON + n) * 1000, "beats_per_minute": 60 + n} for n in range(3)]
    series += [{"parent_key": 1, "epoch_millis": (NOON - 60) * 1000, "beats_per_minute": 0}]
    series += [{"parent_key": 1, "epoch_millis": (NOON - 61) * 1000, "beats_per_minute": 58}]
    parents = [interval(NOON - 100, NOON - 50, device_info_id=2), interval(NOON, NOON + 3)]
    found = done(tmp_path, {HEART: parents, SERIES: series})
    assert found.values("heart_rate") == [58, 60, 61, 62]
    assert found.raws()[0]["samples"] == [[(NOON - 61) * 1000, 58], [(NOON - 60) * 1000, 0]]
    assert found.of("heart_rate")[0]["device"] == "Acme Watch 7 (com.phone.steps)"
    assert fates(found.read) == {"accepted": 2}
    assert [(r["reason"], r["field"]) for r in found.rejected] == [("zero", "beats_per_minute")]


def test_zone_offsets_are_seconds_and_decide_the_day(tmp_path: Path) -> None:
    late = at("2025-03-10T23:30")
    found = done(tmp_path, {WEIGHT: [instant(late, 9 * 3600, weight=80_000.0), instant(late, 9 * 3_600_000, weight=81_000.0)]})
    assert [(r["utc_offset"], r["local_date"]) for r in found.of("weight")] == [
        (32_400, date(2025, 3, 11)),
        (3600, date(2025, 3, 10)),  # milliseconds are no offset: the person's zone
    ]


def test_columns_are_taken_by_name_whatever_their_order(tmp_path: Path) -> None:
    path = backup(tmp_path / "x.db", {})
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"DROP TABLE {WEIGHT}")
        connection.execute(
            f"CREATE TABLE {WEIGHT} (weight REAL, zone_offset INTEGER, time INTEGER, app_info_id INTEGER, uuid BLOB)"
        )
        connection.execute(f"INSERT INTO {WEIGHT} VALUES (70000, 3600, {NOON * 1000}, 3, x'0102')")
        connection.commit()
    found = Done(tmp_path, [path])
    assert (found.values("weight"), found.of("weight")[0]["device"]) == ([70], "com.manual.log")


NIGHT = (at("2025-03-09T23:00"), at("2025-03-10T07:00"))


def stages(parent: int, *told: tuple[int, int, int]) -> list[dict[str, int]]:
    """Minutes from 23:00, type."""
    return [
        {
            "parent_key": parent,
            "stage_start_time": (NIGHT[0] + 60 * a) * 1000,
            "stage_end_time": (NIGHT[0] + 60 * b) * 1000,
            "stage_type": k,
        }
        for a, b, k in told
    ]


def test_a_night_counts_for_the_day_of_waking_though_local_date_is_the_day_it_began(tmp_path: Path) -> None:
    told = stages(1, (0, 10, 1), (10, 200, 4), (200, 300, 5), (300, 310, 3), (310, 400, 6), (400, 470, 2), (470, 480, 7))
    found = done(tmp_path, {SLEEP: [interval(*NIGHT)], STAGES: told})
    assert {r["metric"]: r["value"] for r in found.readings} == {
        "sleep_duration": 450, "sleep_light": 190, "sleep_deep": 100, "sleep_rem": 90, "sleep_awake": 30
    }  # fmt: skip
    assert {r["local_date"] for r in found.readings} == {date(2025, 3, 10)}
    assert found.raws()[0]["local_date"] == (date(2025, 3, 9) - date(1970, 1, 1)).days


def test_a_night_on_which_clocks_change_or_the_person_flies_wakes_in_the_zone_of_waking(tmp_path: Path) -> None:
    start, end = at("2025-03-29T23:30"), at("2025-03-30T07:00")
    row = interval(start, end) | {"end_zone_offset": 7200}
    flight = interval(at("2025-05-01T20:00"), at("2025-05-02T03:00"), 7200) | {"end_zone_offset": -4 * 3600}
    found = done(tmp_path, {SLEEP: [row, flight]})
    assert [(r["value"], r["local_date"]) for r in found.of("sleep_duration")] == [
        (390, date(2025, 3, 30)),
        (420, date(2025, 5, 1)),
    ]


@pytest.mark.parametrize(
    ("row", "told", "reason"),
    [
        (interval(NIGHT[0], NIGHT[0]), [], "bad_sleep_window"),
        (interval(NIGHT[0], NIGHT[0] + 3 * 86_400), [], "bad_sleep_window"),
        (interval(*NIGHT), stages(1, (0, 480, 1)), "no_sleep"),
    ],
)
def test_a_night_that_cannot_be_one_is_refused(
    tmp_path: Path, row: dict[str, Any], told: list[dict[str, int]], reason: str
) -> None:
    found = done(tmp_path, {SLEEP: [row], STAGES: told})
    assert (found.readings, [r["reason"] for r in found.rejected]) == ([], [reason])


def test_steps_of_several_apps_are_never_summed_the_persons_order_decides(tmp_path: Path) -> None:
    rows = [
        interval(NOON, NOON + 600, count=500, app_info_id=1),
        interval(NOON, NOON + 600, count=480, app_info_id=2),
        interval(NOON + 600, NOON + 900, count=100, app_info_id=1),
    ]
    found = done(tmp_path, {STEPS: rows}, order={1: [2, 1]})
    assert found.values("steps") == [480]
    assert fates(found.made) == {"accepted": 1, "order_of_apps": 1, "unused:other_app": 2}
    assert [r["reason"] for r in found.rejected] == ["other_app"] * 2
    assert sum(done(tmp_path, {STEPS: rows}).values("steps")) == 600  # no order: who counted most that day
    assert sum(done(tmp_path, {STEPS: rows}, order={1: [3]}).values("steps")) == 600


def test_the_app_is_chosen_day_by_day(tmp_path: Path) -> None:
    rows = [interval(NOON, NOON + 600, count=500, app_info_id=1), interval(NOON + 86_400, NOON + 87_000, count=30, app_info_id=2)]
    assert done(tmp_path, {STEPS: rows}, order={1: [2, 1]}).values("steps") == [500, 30]


def test_heart_rate_of_two_apps_is_that_of_one(tmp_path: Path) -> None:
    series = [{"parent_key": 1, "epoch_millis": (NOON + n) * 1000, "beats_per_minute": 60} for n in range(5)]
    series += [{"parent_key": 2, "epoch_millis": NOON * 1000, "beats_per_minute": 61}]
    parents = [interval(NOON, NOON + 5, app_info_id=2), interval(NOON, NOON + 5, app_info_id=1)]
    found = done(tmp_path, {HEART: parents, SERIES: series})
    assert found.values("heart_rate") == [60] * 5
    assert fates(found.made) == {"accepted": 1, "unused:other_app": 1}


def test_one_night_of_two_apps_is_told_once_and_a_nap_of_the_other_stays(tmp_path: Path) -> None:
    nap = interval(at("2025-03-10T14:00"), at("2025-03-10T14:30"), app_info_id=1)
    rows = [interval(*NIGHT, app_info_id=1), interval(NIGHT[0] + 300, NIGHT[1], app_info_id=2), nap]
    told = stages(1, (0, 480, 4))
    found = done(tmp_path, {SLEEP: rows, STAGES: told}, order={5: [2, 1]})
    assert found.values("sleep_duration") == [475, 30]
    assert fates(found.made) == {"accepted": 2, "order_of_apps": 1, "unused:told_twice": 1}
    assert done(tmp_path, {SLEEP: rows, STAGES: told}).values("sleep_duration") == [480, 30]  # no order: who knows stages


def test_a_copy_by_another_app_of_one_blood_pressure_is_no_second_measurement(tmp_path: Path) -> None:
    rows = [
        instant(NOON, systolic=120.0, diastolic=80.0, app_info_id=1),
        instant(NOON, systolic=120.0, diastolic=80.0, app_info_id=3),
        instant(NOON + 60, systolic=120.0, diastolic=80.0, app_info_id=3),
    ]
    found = done(tmp_path, {BP: rows})
    assert found.values("systolic") == [120, 120]
    assert fates(found.made) == {"accepted": 2, "duplicate": 1}


def test_nought_is_no_measurement(tmp_path: Path) -> None:
    found = done(tmp_path, {BP: [instant(NOON, systolic=0.0, diastolic=0.0)], SPO2: [instant(NOON, percentage=0.0)]})
    assert found.readings == []
    assert fates(found.made) == {"rejected:zero": 2}
    assert [(r["reason"], r["field"]) for r in found.rejected] == [
        ("zero", "diastolic"), ("zero", "systolic"), ("zero", "percentage")
    ]  # fmt: skip


def test_the_next_backup_repeats_nothing_and_what_was_changed_last_counts(tmp_path: Path) -> None:
    first, second = instant(NOON, weight=80_000.0), instant(NOON + 60, weight=81_000.0, row_id=5)
    older = backup(tmp_path / "z.db", {WEIGHT: [first | {"row_id": 9}, second]})
    edited = first | {"weight": 79_000.0, "last_modified_time": 1_760_000_500_000}
    newer = backup(tmp_path / "a.db", {WEIGHT: [edited, second, instant(NOON + 120, weight=82_000.0)]})
    found = Done(tmp_path, [older, zipped(tmp_path / "b.zip", newer)])
    assert found.values("weight") == [79, 81, 82]
    assert fates(found.read) == {"accepted": 4, "duplicate": 1}
    assert fates(found.made) == {"accepted": 3, "superseded": 1}


def test_a_backup_restored_on_another_phone_is_the_same_records(tmp_path: Path) -> None:
    one = backup(tmp_path / "one.db", {WEIGHT: [instant(NOON, weight=80_000.0)]})
    other = tmp_path / "other.db"
    other.write_bytes(one.read_bytes())
    with closing(sqlite3.connect(other)) as connection:
        connection.execute(f"UPDATE {WEIGHT} SET row_id = 77, last_modified_time = 1770000000000, dedupe_hash = x'ff'")
        connection.commit()
    assert Done(tmp_path, [one, other]).values("weight") == [80]


def test_tables_that_are_not_read_are_told_by_name_and_its_own_bookkeeping_is_not(tmp_path: Path) -> None:
    tables = {
        "vo2_max_record_table": [instant(NOON, vo2_milliliters_per_minute_kilogram=44.0)],
        "hydration_record_table": [interval(NOON, NOON + 1, volume=0.25), interval(NOON + 2, NOON + 3, volume=0.3)],
        "activity_date_table": [{"epoch_days": 20_000, "record_type_id": 1}],
    }
    found = done(tmp_path, tables)
    assert fates(found.read) == {"unused:table_not_read": 3}
    assert [(f["message"].rsplit(" ", 1)[1], f["count"]) for f in found.read["findings"]] == [
        ("hydration_record_table.", 2),
        ("vo2_max_record_table.", 1),
    ]


def test_a_new_column_is_told(tmp_path: Path) -> None:
    path = backup(tmp_path / "x.db", {WEIGHT: [instant(NOON, weight=80_000.0)]})
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"ALTER TABLE {WEIGHT} ADD COLUMN clothed INTEGER")
        connection.commit()
    told = [f["message"] for f in Done(tmp_path, [path]).read["findings"] if f["code"] == "schema_drift"]
    assert [f"clothed of {WEIGHT}" in message for message in told] == [True]


def test_samples_without_their_record_are_counted(tmp_path: Path) -> None:
    series = [{"parent_key": key, "epoch_millis": NOON * 1000, "beats_per_minute": 60} for key in (None, 0, 1, 1, 9)]
    found = done(tmp_path, {HEART: [interval(NOON, NOON + 5)], SERIES: series})
    assert found.values("heart_rate") == [60, 60]
    assert fates(found.read) == {"accepted": 1, "unused:part_without_record": 3}


def test_a_series_too_long_for_a_record_is_a_dead_letter_and_the_others_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MOST_PARTS", 3)
    series = [{"parent_key": 1, "epoch_millis": NOON * 1000 + n, "beats_per_minute": 60} for n in range(4)]
    series += [{"parent_key": 2, "epoch_millis": NOON * 1000, "beats_per_minute": 66}]
    found = done(tmp_path, {HEART: [interval(NOON, NOON + 5), interval(NOON, NOON + 6)], SERIES: series})
    assert found.values("heart_rate") == [66]
    assert [(x["reason"], x["position"]) for x in found.letters] == [("too_big", f"health_connect_export.db {HEART} row 1")]


def test_a_child_table_without_its_key_does_not_lend_its_rows_to_anybody(tmp_path: Path) -> None:
    path = backup(
        tmp_path / "x.db", {HEART: [interval(NOON, NOON + 5)], SERIES: [{"parent_key": 1, "epoch_millis": NOON * 1000}]}
    )
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"DROP TABLE {SERIES}")
        connection.execute(f"CREATE TABLE {SERIES} (beats_per_minute INTEGER)")
        connection.execute(f"INSERT INTO {SERIES} VALUES (60)")
        connection.commit()
    found = Done(tmp_path, [path])
    assert found.readings == []
    assert fates(found.read) == {"accepted": 1, "unused:part_without_record": 1}


def test_samples_and_ends_of_another_age_are_refused_one_by_one(tmp_path: Path) -> None:
    series = [
        {"parent_key": 1, "epoch_millis": when, "beats_per_minute": 60} for when in (2**62, -(2**62), 0, NOON * 1000, "noon")
    ]
    ends = [
        interval(NOON, NOON + 60, count=9) | {"end_time": 2**62},
        interval(NOON, NOON - 60, count=8),
        interval(NOON, NOON, count=7),
    ]
    found = done(tmp_path, {HEART: [interval(NOON, NOON + 5)], SERIES: series, STEPS: ends})
    assert (found.values("heart_rate"), found.values("steps")) == ([60], [7])
    assert sorted(r["reason"] for r in found.rejected) == [*["bad_time"] * 5, "end_before_start"]


def test_the_order_of_files_leaves_no_trace(tmp_path: Path) -> None:
    one = backup(tmp_path / "1.db", {WEIGHT: [instant(NOON, weight=80_000.0)], STEPS: [interval(NOON, NOON + 60, count=9)]})
    changed = instant(NOON, weight=79_000.0) | {"last_modified_time": 1_770_000_000_000}
    two = backup(tmp_path / "2.db", {WEIGHT: [changed], STEPS: [interval(NOON, NOON + 60, count=9, app_info_id=2)]})
    for name, source in (("a", one), ("b", two), ("c", two), ("d", one)):
        (tmp_path / name).write_bytes(source.read_bytes())
    assert Done(tmp_path, [tmp_path / "a", tmp_path / "b"]).readings == Done(tmp_path, [tmp_path / "c", tmp_path / "d"]).readings


def test_a_travelled_day_is_the_day_of_the_override(tmp_path: Path) -> None:
    settings = WARSAW | {"timezone_overrides": [{"from": "2025-03-10", "to": "2025-03-12", "timezone": "Asia/Tokyo"}]}
    path = backup(tmp_path / "x.db", {WEIGHT: [instant(at("2025-03-10T20:00"), weight=80_000.0)]})
    assert [r["local_date"] for r in Done(tmp_path, [path], settings).readings] == [date(2025, 3, 11)]


def test_another_apps_database_is_refused(tmp_path: Path) -> None:
    found = Done(tmp_path, [gadgetbridge(tmp_path / "Gadgetbridge.db", {})])
    assert [(x["reason"], x["position"]) for x in found.letters] == [("unknown_database", "file")]


def test_a_time_before_there_were_phones_and_a_text_in_a_number_are_refused(tmp_path: Path) -> None:
    rows = [instant(1000, weight=80_000.0), instant(NOON, weight="heavy"), instant(NOON, weight=70_000.0)]
    found = done(tmp_path, {WEIGHT: rows})
    assert found.values("weight") == [70]
    assert fates(found.read) == {"accepted": 1, "rejected:bad_time": 1, "rejected:schema:weight:type": 1}


@given(st.lists(st.tuples(st.integers(-100, 700), st.integers(-100, 700), st.integers(-1, 9)), max_size=12))
def test_stages_never_add_up_to_more_than_the_night(told: list[tuple[int, int, int]]) -> None:
    minutes = minutes_of([[a * 60_000, b * 60_000, kind] for a, b, kind in told], 0, 480 * 60_000)
    if minutes is not None:
        assert 0 < minutes["sleep_duration"] <= 480
        assert sum(value for metric, value in minutes.items() if metric != "sleep_duration") <= 480


def test_a_refused_record_can_say_what_it_speaks_of() -> None:
    assert metrics_of({"table": BP}, "systolic") == {"systolic"}
    assert metrics_of({"table": HEART}, None) == {"heart_rate"}
    assert "sleep_rem" in metrics_of({"table": SLEEP}, None)


def test_a_night_an_hour_and_a_walk_seen_by_band_and_phone_end_up_once_in_the_daily_table(tmp_path: Path) -> None:
    night = [minute(at, 120) for at in range(NIGHT[0], NIGHT[1], 60)]
    walk = [minute(NOON + 60 * n, heart_rate=90, steps=50) for n in range(60)]
    band = gadgetbridge(tmp_path / "Gadgetbridge.db", {"HUAMI_EXTENDED_ACTIVITY_SAMPLE": [*night, *walk]})
    series = [{"parent_key": 1, "epoch_millis": (NOON + 60 * n) * 1000, "beats_per_minute": 92} for n in range(60)]
    phone = backup(
        tmp_path / "hc.db",
        {
            STEPS: [interval(NOON, NOON + 3600, count=2900)],
            HEART: [interval(NOON, NOON + 3600)],
            SERIES: series,
            SLEEP: [interval(NIGHT[0] + 600, NIGHT[1])],
            BP: [instant(NOON, systolic=121.0, diastolic=79.0)],
        },
    )
    (day,) = daily(tmp_path, {"gadgetbridge": band, "health_connect": phone}, {})
    assert (day["date"], day["steps"], day["avg_hr"], day["hr_samples"]) == (date(2025, 3, 10), 2900, 92, 60)
    assert (day["total_duration"], day["nap_duration"], day["systolic"], day["bp_readings"]) == (470, 0, 121, 1)
    (day,) = daily(
        tmp_path, {"gadgetbridge": band, "health_connect": phone}, {"steps": ["gadgetbridge"], "sleep": ["gadgetbridge"]}
    )
    assert (day["steps"], day["total_duration"], day["avg_hr"]) == (3000, 480, 92)


def daily(tmp_path: Path, exports: Mapping[str, Path], priority: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """Exports by source → the daily table, through the real rooms."""
    bench = StageBench(tmp_path / f"daily{next(_FOLDERS)}")
    made = {"gadgetbridge": (band_records, band_normalize), "health_connect": (records, normalize)}
    readings: dict[str, str | Path | list[str | Path]] = {}
    for source, path in exports.items():
        read, become = made[source]
        _, out = bench.run(read, {"raw": path}, {})
        _, out = bench.run(become, {"records": out / "records"}, WARSAW)
        readings[source] = out / "readings"
    kinds: dict[str, str | Path | list[str | Path]] = {}
    for kind in KINDS:
        _, out = bench.run(getattr(validators, f"validate_{kind}"), readings, {"plausibility": {}})
        kinds[kind] = out / "readings"
    _, out = bench.run(merge, kinds, SETTINGS | {"source_priority": priority})
    return table_rows(out / "parquet")
