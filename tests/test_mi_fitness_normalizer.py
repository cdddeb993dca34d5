"""Mi Fitness records become readings: right day, right zone, once per night, nothing invented out of zeros."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from config.stage import Report
from ingestion.mi_fitness.records import records
from processing.normalizers.mi_fitness import normalize
from processing.normalizers.mi_fitness_sleep import NoSessionError, Session, choose, sessions_of, stated_offset
from tests.mi_fitness_exports import AGGREGATED, BAND, FITNESS, OLDER, PHONE, SOURCES, SPORT, fitness, older, report, table
from tests.stage_bench import StageBench

SHANGHAI = {"timezone": "Asia/Shanghai", "timezone_overrides": []}
WARSAW = {"timezone": "Europe/Warsaw", "timezone_overrides": []}
T = 1_765_284_300
DAY = 1_765_152_000  # 2025-12-08T00:00Z

_FOLDERS = itertools.count()


class Export:
    """Rows → records → readings, through the real record step."""

    def __init__(self, tmp_path: Path, settings: dict[str, Any] = SHANGHAI) -> None:
        self.folder = tmp_path / f"export{next(_FOLDERS)}"
        self.folder.mkdir()
        self.settings = settings
        self.files: list[Path] = []

    def add(self, header: list[str], *rows: list[str]) -> Export:
        path = self.folder / f"{len(self.files)}.csv"
        path.write_text(table(header, list(rows)), encoding="utf-8")
        self.files.append(path)
        return self

    def run(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]], Report]:
        bench = StageBench(self.folder / "bench")
        _, out = bench.run(records, {"raw": list(self.files)}, self.settings)
        done, out = bench.run(normalize, {"records": out / "records"}, {"own_users": {}, **self.settings})
        return pq.read_table(out / "readings").to_pylist(), pq.read_table(out / "rejected").to_pylist(), done


def fates(done: Report) -> dict[str, int]:
    return done["balance"]["fates"]


def by_metric(readings: list[dict[str, Any]]) -> dict[str, float]:
    return {r["metric"]: r["value"] for r in readings}


def at(text: str, zone: str = "Europe/Warsaw") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


NIGHT = {
    "bedtime": 1_765_128_180,
    "wake_up_time": 1_765_158_480,
    "duration": 496,
    "sleep_deep_duration": 101,
    "sleep_light_duration": 329,
    "sleep_rem_duration": 66,
    "sleep_awake_duration": 9,
    "timezone": 32,
}
NAP = {
    "bedtime": 1_765_195_560,
    "wake_up_time": 1_765_200_000,
    "duration": 74,
    "sleep_deep_duration": 12,
    "sleep_light_duration": 62,
    "sleep_rem_duration": 0,
    "sleep_awake_duration": 0,
    "timezone": 32,
}
SLEEP_DAY = {
    "avg_hr": 0,
    "avg_spo2": 0,
    "segment_details": [NAP, NIGHT],
    "sleep_score": 78,
    "sleep_awake_duration": 9,
    "sleep_deep_duration": 113,
    "sleep_light_duration": 391,
    "sleep_rem_duration": 66,
    "total_duration": 570,
}


def test_samples_become_instants_in_the_persons_zone(tmp_path: Path) -> None:
    rows = [
        fitness("heart_rate", T, {"time": T, "bpm": 85, "type": 0}),
        fitness("single_heart_rate", T + 60, {"time": T + 60, "bpm": 90}),
        fitness("single_spo2", T, {"time": T, "spo2": 97}),
        fitness("spo2", T + 60, {"time": T + 60, "spo2": 96}),
        fitness("weight", T, {"time": T, "weight": 80.5, "bmi": 27.6, "body_fat_rate": 0}),
        fitness("resting_heart_rate", T, {"time": T, "bpm": 60}),
    ]
    readings, _, done = Export(tmp_path).add(FITNESS, *rows).run()
    assert [(r["metric"], r["value"], r["unit"]) for r in readings] == [
        ("heart_rate", 85.0, "/min"),
        ("heart_rate", 90.0, "/min"),
        ("resting_heart_rate", 60.0, "/min"),
        ("spo2", 97.0, "%"),
        ("spo2", 96.0, "%"),
        ("weight", 80.5, "kg"),
    ]
    first = readings[0]
    assert first["start"] == first["end"] == datetime.fromtimestamp(T, UTC)
    assert (first["utc_offset"], first["local_date"], first["scope"]) == (28800, date(2025, 12, 9), "instant")
    assert (first["device"], first["source"], first["flags"]) == (BAND, "mi_fitness", [])
    assert fates(done) == {"accepted": 6}


def test_the_local_day_is_the_persons_not_utc(tmp_path: Path) -> None:
    late = at("2025-12-09 00:30", "Asia/Shanghai")  # still 2025-12-08 in UTC
    (reading,), _, _ = Export(tmp_path).add(FITNESS, fitness("heart_rate", late, {"bpm": 60})).run()
    assert reading["local_date"] == date(2025, 12, 9)
    travel = {"timezone": "Asia/Shanghai", "timezone_overrides": [{"from": "2025-12-01", "to": "2025-12-31", "timezone": "UTC"}]}
    (reading,), _, _ = Export(tmp_path, travel).add(FITNESS, fitness("heart_rate", late, {"bpm": 60})).run()
    assert (reading["local_date"], reading["utc_offset"]) == (date(2025, 12, 8), 0)


def test_raw_steps_stay_apart_by_device_and_are_intervals(tmp_path: Path) -> None:
    content = {"time": T, "steps": 69, "distance": 41, "calories": 2.75}
    rows = [fitness("steps", T, content), fitness("steps", T, content | {"steps": 70}, sid=PHONE)]
    readings, _, _ = Export(tmp_path).add(FITNESS, *rows).run()
    steps = [r for r in readings if r["metric"] == "steps"]
    assert [(r["device"], r["value"], r["scope"]) for r in steps] == [(PHONE, 70.0, "interval"), (BAND, 69.0, "interval")]
    assert steps[0]["end"] - steps[0]["start"] == timedelta(minutes=1)
    assert {r["metric"] for r in readings} == {"steps", "distance", "active_energy"}


def test_a_day_row_stamped_utc_midnight_is_that_date_wherever_the_person_lives(tmp_path: Path) -> None:
    for zone, start in (("Asia/Shanghai", "2025-12-07T16:00+00:00"), ("America/New_York", "2025-12-08T05:00+00:00")):
        export = Export(tmp_path, {"timezone": zone, "timezone_overrides": []})
        readings, _, _ = export.add(AGGREGATED, report("steps", DAY, {"steps": 1631, "distance": 1021, "calories": 46})).run()
        assert by_metric(readings) == {"steps": 1631.0, "distance": 1021.0, "active_energy": 46.0}
        assert {(r["local_date"], r["scope"], r["start"]) for r in readings} == {
            (date(2025, 12, 8), "day", datetime.fromisoformat(start))
        }


def test_a_day_row_stamped_with_the_real_local_midnight_is_converted(tmp_path: Path) -> None:
    (reading,), _, _ = Export(tmp_path).add(AGGREGATED, report("steps", DAY - 8 * 3600, {"steps": 5})).run()
    assert (reading["local_date"], reading["utc_offset"]) == (date(2025, 12, 8), 28800)


def test_the_resting_heart_rate_of_a_day_belongs_to_that_day(tmp_path: Path) -> None:
    export = Export(tmp_path, {"timezone": "America/New_York", "timezone_overrides": []})
    (reading,), _, _ = export.add(FITNESS, fitness("resting_heart_rate", DAY, {"bpm": 66, "date_time": DAY})).run()
    assert (reading["metric"], reading["scope"], reading["local_date"]) == ("resting_heart_rate", "day", date(2025, 12, 8))


def test_a_day_told_by_both_stamps_is_told_once_by_the_newer(tmp_path: Path) -> None:
    rows = [
        report("steps", DAY, {"steps": 5}, update=10**9 * 2),
        report("steps", DAY - 8 * 3600, {"steps": 4}, update=10**9 * 2 - 1),
    ]
    for order in (rows, rows[::-1]):
        readings, _, done = Export(tmp_path).add(AGGREGATED, *order).run()
        assert by_metric(readings) == {"steps": 5.0}
        assert fates(done) == {"accepted": 1, "superseded": 1}


@pytest.mark.parametrize(("day", "hours"), [("2025-03-30", 23), ("2025-10-26", 25), ("2025-06-01", 24)])
def test_days_are_as_long_as_the_clocks_make_them(tmp_path: Path, day: str, hours: int) -> None:
    stamp = int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())
    (reading,), _, _ = Export(tmp_path, WARSAW).add(AGGREGATED, report("steps", stamp, {"steps": 1})).run()
    assert reading["end"] - reading["start"] == timedelta(hours=hours)
    assert reading["local_date"].isoformat() == day
    assert (reading["start"] + timedelta(seconds=reading["utc_offset"])).time().isoformat() == "00:00:00"


def test_the_heart_rate_report_gives_daily_figures_and_never_its_local_clock_times(tmp_path: Path) -> None:
    content = {
        "avg_hr": 72,
        "min_hr": 54,
        "max_hr": 112,
        "avg_rhr": 66,
        "abnormal_hr_count": 0,
        "latest_hr": {"bpm": 91, "time": 1_765_237_320, "dbTime": 1_765_208_520, "sid": BAND},
    }
    readings, _, _ = Export(tmp_path).add(AGGREGATED, report("heart_rate", DAY, content)).run()
    assert by_metric(readings) == {
        "heart_rate_max": 112.0,
        "heart_rate_mean": 72.0,
        "heart_rate_min": 54.0,
        "resting_heart_rate": 66.0,
    }
    assert {r["scope"] for r in readings} == {"day"}


def test_zero_is_missing_null_is_absent(tmp_path: Path) -> None:
    rows = [report("heart_rate", DAY, {"avg_hr": 68, "min_hr": 0, "max_hr": 110, "avg_rhr": None})]
    samples = [
        fitness("heart_rate", T, {"bpm": 0}),
        fitness("single_spo2", T, {"spo2": 0}),
        fitness("weight", T, {"weight": 0}),
        fitness("steps", T, {"steps": 0, "distance": 0}),
    ]
    readings, rejected, done = Export(tmp_path).add(AGGREGATED, *rows).add(FITNESS, *samples).run()
    assert by_metric(readings) == {"heart_rate_mean": 68.0, "heart_rate_max": 110.0, "steps": 0.0, "distance": 0.0}
    assert {(r["reason"], r["field"]) for r in rejected} == {
        ("zero", "bpm"),
        ("zero", "spo2"),
        ("zero", "weight"),
        ("zero", "min_hr"),
    }
    assert fates(done) == {"accepted": 2, "rejected:zero": 3}


@pytest.mark.parametrize("content", [{"bpm": "85"}, {"bpm": True}, {"bpm": 10**300}, {"bpm": [85]}])
def test_a_value_that_is_no_number_is_rejected(tmp_path: Path, content: dict[str, Any]) -> None:
    readings, rejected, done = Export(tmp_path).add(FITNESS, fitness("heart_rate", T, content)).run()
    assert readings == []
    assert [(r["reason"], r["field"]) for r in rejected] == [("not_a_number", "bpm")]
    assert fates(done) == {"rejected:not_a_number": 1}


def test_what_is_no_metric_is_counted_by_why(tmp_path: Path) -> None:
    export = Export(tmp_path)
    export.add(
        AGGREGATED,
        report("steps", DAY, {"has_data": True}, tag="daily_mark"),
        report("goal", DAY, {"goal_items": []}, tag="daily_fitness"),
        report("stress", DAY, {"avg_stress": 22}),
        report("steps", DAY, {"steps": 35052}, tag="weekly_report"),
    )
    export.add(
        FITNESS, fitness("stress", T, {"stress": 32}), fitness("heart_rate", T, {"x": 1}), fitness("heart_rate", 5, {"bpm": 1})
    )
    export.add(SPORT, ["123", BAND, "outdoor_running", str(T), "running", "{}", "1"])
    export.add(OLDER, older("weekly_statistics", "fitness_report", T, {"x": 1}))
    readings, rejected, done = export.run()
    assert readings == []
    assert sorted(r["reason"] for r in rejected) == ["bad_time", "no_measurement"]
    assert fates(done) == {
        "rejected:no_measurement": 1,
        "unused:daily_mark": 1,
        "unused:invalid_record": 1,
        "unused:key_not_a_metric": 4,
        "unused:older_layer": 1,
        "unused:sport": 1,
    }


def test_a_daily_mark_never_becomes_a_day_of_nothing(tmp_path: Path) -> None:
    rows = [report("steps", DAY, {"has_data": True}, tag="daily_mark"), report("steps", DAY, {"steps": 900})]
    readings, _, _ = Export(tmp_path).add(AGGREGATED, *rows).run()
    assert [r["value"] for r in readings] == [900.0]


def test_devices_are_called_by_name_and_stay_two_when_named_alike(tmp_path: Path) -> None:
    export = Export(tmp_path)
    export.add(FITNESS, fitness("heart_rate", T, {"bpm": 60}), fitness("heart_rate", T, {"bpm": 61}, sid="huami.2"))
    export.add(SOURCES, *(["123", sid, "x", "m", "Band 8", "", "1", "1700000000000000000", "1"] for sid in (BAND, "huami.2")))
    readings, _, done = export.run()
    assert sorted(r["device"] for r in readings) == ["Band 8 [huami.2]", f"Band 8 [{BAND}]"]
    assert fates(done) == {"accepted": 2, "device_name": 2}


@pytest.mark.parametrize("reverse", [False, True])
def test_of_two_revisions_the_newer_counts_whatever_came_first(tmp_path: Path, reverse: bool) -> None:
    rows = [fitness("heart_rate", T, {"bpm": 60}, update=T + 9), fitness("heart_rate", T, {"bpm": 61}, update=T + 10)]
    readings, _, done = Export(tmp_path).add(FITNESS, *(rows[::-1] if reverse else rows)).run()
    assert [r["value"] for r in readings] == [61.0]
    assert fates(done) == {"accepted": 1, "superseded": 1}


def test_equal_revisions_are_settled_by_content_and_order_leaves_no_trace(tmp_path: Path) -> None:
    rows = [fitness("heart_rate", T + i // 2, {"bpm": 60 + i}, update=T) for i in range(8)]
    tables = []
    for order in (rows, rows[::-1], rows[3:] + rows[:3]):
        readings, _, _ = Export(tmp_path).add(FITNESS, *order).run()
        tables.append(json.dumps(readings, default=str))
    assert len(set(tables)) == 1


def test_the_same_night_told_four_times_comes_out_once(tmp_path: Path) -> None:
    export = Export(tmp_path).add(AGGREGATED, report("sleep", DAY, SLEEP_DAY))
    export.add(
        FITNESS,
        fitness("watch_night_sleep", DAY, NIGHT | {"date_time": DAY, "awake_count": 1}),
        fitness("sleep", NIGHT["wake_up_time"], NIGHT | {"protoTime": 1}),
    )
    export.add(
        OLDER,
        older("days", "watch_sleep_report", DAY, {k: v for k, v in NIGHT.items() if k != "duration"} | {"night_duration": 496}),
    )
    readings, rejected, done = export.run()
    nights = [r for r in readings if r["scope"] == "session" and r["start"] == datetime.fromtimestamp(NIGHT["bedtime"], UTC)]
    assert by_metric(nights) == {
        "sleep_duration": 496.0,
        "sleep_deep": 101.0,
        "sleep_light": 329.0,
        "sleep_rem": 66.0,
        "sleep_awake": 9.0,
    }
    assert len(nights) == 5
    assert {(r["end"], r["raw_id"], r["local_date"]) for r in nights} == {
        (
            datetime.fromtimestamp(NIGHT["wake_up_time"], UTC),
            f"hlth_center_fitness_data/123/{BAND}/sleep/{NIGHT['wake_up_time']}",
            date(2025, 12, 8),
        )
    }
    assert (
        sum(r["value"] for r in readings if r["metric"] == "sleep_duration") == 570.0
    )  # the night and the nap, no day total beside them
    assert [(r["metric"], r["value"]) for r in readings if r["scope"] == "day"] == [("sleep_score", 78.0)]
    assert rejected == []
    assert fates(done) == {"accepted": 2, "duplicate": 2}


def test_the_teller_with_stages_wins_over_one_without(tmp_path: Path) -> None:
    vague = {
        "bedtime": NIGHT["bedtime"] - 600,
        "wake_up_time": NIGHT["wake_up_time"] + 900,
        "duration": 400,
        "sleep_deep_duration": 0,
        "sleep_light_duration": 0,
        "sleep_awake_duration": 113,
        "items": [{"start_time": NIGHT["bedtime"], "end_time": NIGHT["bedtime"] + 600, "state": 6}],
    }
    rows = [fitness("sleep", NIGHT["wake_up_time"], vague), fitness("watch_night_sleep", DAY, NIGHT)]
    readings, _, done = Export(tmp_path).add(FITNESS, *rows).run()
    assert by_metric(readings)["sleep_duration"] == 496.0
    assert fates(done) == {"accepted": 1, "duplicate": 1}


def test_stages_that_are_all_zero_beside_sleep_are_unknown_not_nought(tmp_path: Path) -> None:
    content = {"bedtime": T, "wake_up_time": T + 358 * 60, "duration": 245, "sleep_deep_duration": 0, "sleep_light_duration": 0}
    readings, _, _ = Export(tmp_path).add(FITNESS, fitness("sleep", T, content | {"sleep_awake_duration": 113})).run()
    assert by_metric(readings) == {"sleep_duration": 245.0, "sleep_awake": 113.0}


def test_stages_come_from_items_where_totals_are_missing(tmp_path: Path) -> None:
    states = [(3, 30), (2, 40), (4, 20), (5, 10), (6, 5), (3, 60)]
    items, clock = [], T
    for state, minutes in states:
        items.append({"start_time": clock, "end_time": clock + minutes * 60, "state": state})
        clock += minutes * 60
    content = {"bedtime": T, "wake_up_time": clock, "items": items}
    readings, _, _ = Export(tmp_path).add(FITNESS, fitness("watch_night_sleep", T, content)).run()
    assert by_metric(readings) == {
        "sleep_duration": 150.0,
        "sleep_deep": 40.0,
        "sleep_light": 90.0,
        "sleep_rem": 20.0,
        "sleep_awake": 10.0,
    }


def test_a_daytime_row_without_times_gives_a_nap_per_run_of_items(tmp_path: Path) -> None:
    content = {
        "bedtime": 0,
        "wake_up_time": 0,
        "duration": 0,
        "date_time": 1_765_238_400,
        "timezone": 32,
        "items": [
            {"start_time": 1_765_278_840, "end_time": 1_765_280_040, "state": 3},
            {"start_time": 1_765_240_380, "end_time": 1_765_242_380, "state": 3},
            {"start_time": 1_765_242_380, "end_time": 1_765_242_980, "state": 2},
        ],
    }
    readings, _, done = Export(tmp_path).add(FITNESS, fitness("watch_daytime_sleep", 1_765_238_400, content)).run()
    naps = [r for r in readings if r["metric"] == "sleep_duration"]
    assert [(r["start"], r["value"]) for r in naps] == [
        (datetime.fromtimestamp(1_765_240_380, UTC), pytest.approx(2600 / 60)),
        (datetime.fromtimestamp(1_765_278_840, UTC), 20.0),
    ]
    assert {tuple(r["flags"]) for r in readings} == {("nap",)}
    assert fates(done) == {"accepted": 1}


def test_a_nap_keeps_its_name_when_a_richer_teller_does_not_know_it(tmp_path: Path) -> None:
    nap = {
        "items": [{"start_time": NAP["bedtime"], "end_time": NAP["wake_up_time"], "state": 6}],
        "bedtime": 0,
        "wake_up_time": 0,
    }
    export = (
        Export(tmp_path).add(AGGREGATED, report("sleep", DAY, SLEEP_DAY)).add(FITNESS, fitness("watch_daytime_sleep", DAY, nap))
    )
    readings, _, _ = export.run()
    sessions = {(r["start"], tuple(r["flags"])) for r in readings if r["metric"] == "sleep_duration"}
    assert sessions == {
        (datetime.fromtimestamp(NIGHT["bedtime"], UTC), ()),
        (datetime.fromtimestamp(NAP["bedtime"], UTC), ("nap",)),
    }


def test_totals_stand_in_where_segments_know_no_stages(tmp_path: Path) -> None:
    bare = {k: NIGHT[k] for k in ("bedtime", "wake_up_time", "duration")}
    readings, _, _ = Export(tmp_path).add(AGGREGATED, report("sleep", DAY, SLEEP_DAY | {"segment_details": [bare]})).run()
    assert {(r["metric"], r["scope"], r["value"]) for r in readings} == {
        ("sleep_duration", "session", 496.0),
        ("sleep_deep", "day", 113.0),
        ("sleep_light", "day", 391.0),
        ("sleep_rem", "day", 66.0),
        ("sleep_awake", "day", 9.0),
        ("sleep_score", "day", 78.0),
    }


def test_a_report_without_segments_gives_the_day(tmp_path: Path) -> None:
    readings, _, _ = Export(tmp_path).add(AGGREGATED, report("sleep", DAY, {"total_duration": 570, "sleep_score": 0})).run()
    assert [(r["metric"], r["scope"], r["value"]) for r in readings] == [("sleep_duration", "day", 570.0)]


def test_an_empty_report_is_rejected_not_a_night_of_nothing(tmp_path: Path) -> None:
    content = {"total_duration": 0, "sleep_score": 0, "segment_details": [], "avg_hr": 0}
    readings, rejected, done = Export(tmp_path).add(AGGREGATED, report("sleep", DAY, content)).run()
    assert readings == []
    assert [(r["reason"], r["field"]) for r in rejected] == [("zero", "sleep_score")]
    assert fates(done) == {"rejected:zero": 1}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"bedtime": T, "wake_up_time": T}, "bad_sleep_window"),
        ({"bedtime": T, "wake_up_time": T - 60, "duration": 5}, "bad_sleep_window"),
        ({"bedtime": T, "wake_up_time": T + 90_000, "duration": 5}, "bad_sleep_window"),
        ({"bedtime": 0, "wake_up_time": 0, "items": []}, "no_sleep_window"),
        ({"bedtime": "x", "wake_up_time": None, "items": "y"}, "no_sleep_window"),
        ({"bedtime": T, "wake_up_time": T + 3600, "duration": 0}, "no_sleep"),
    ],
)
def test_a_session_that_cannot_be_is_rejected(tmp_path: Path, content: dict[str, Any], reason: str) -> None:
    readings, rejected, done = Export(tmp_path).add(FITNESS, fitness("sleep", T, content)).run()
    assert readings == []
    assert [r["reason"] for r in rejected] == [reason]
    assert fates(done) == {f"rejected:{reason}": 1}


def test_one_bad_segment_is_listed_and_the_night_stays(tmp_path: Path) -> None:
    content = {"segment_details": [NIGHT, {"bedtime": T, "wake_up_time": T}, "x"]}
    readings, rejected, done = Export(tmp_path).add(AGGREGATED, report("sleep", DAY, content)).run()
    assert by_metric(readings)["sleep_duration"] == 496.0
    assert [(r["reason"], r["field"]) for r in rejected] == [
        ("bad_sleep_window", "segment_details.1"),
        ("no_sleep_window", "segment_details.2"),
    ]
    assert fates(done) == {"accepted": 1}


def test_a_night_counts_for_the_day_of_waking_in_the_zone_it_states(tmp_path: Path) -> None:
    content = {"bedtime": at("2025-06-01 22:00", "UTC"), "wake_up_time": at("2025-06-02 03:30", "UTC"), "duration": 300}
    for quarters, wakes, offset in (
        (32, date(2025, 6, 2), 28800),
        (-20, date(2025, 6, 1), -18000),
        (-300, date(2025, 6, 1), -18000),
    ):
        (reading,), _, _ = Export(tmp_path, WARSAW).add(FITNESS, fitness("sleep", T, content | {"timezone": quarters})).run()
        assert (reading["local_date"], reading["utc_offset"]) == (wakes, offset)
    (reading,), _, _ = Export(tmp_path, WARSAW).add(FITNESS, fitness("sleep", T, content)).run()
    assert (reading["local_date"], reading["utc_offset"]) == (date(2025, 6, 2), 7200)


def test_the_persons_travel_override_beats_what_the_band_states(tmp_path: Path) -> None:
    zones = {
        "timezone": "Europe/Warsaw",
        "timezone_overrides": [{"from": "2025-05-30", "to": "2025-06-05", "timezone": "Asia/Tokyo"}],
    }
    content = {
        "bedtime": at("2025-06-01 22:00", "UTC"),
        "wake_up_time": at("2025-06-02 03:30", "UTC"),
        "duration": 300,
        "timezone": 8,
    }
    (reading,), _, _ = Export(tmp_path, zones).add(FITNESS, fitness("sleep", T, content)).run()
    assert reading["utc_offset"] == 32400


@pytest.mark.parametrize(("day", "asleep"), [("2025-03-30", 420), ("2025-10-26", 540)])
def test_a_night_on_which_clocks_change_is_as_long_as_it_was(tmp_path: Path, day: str, asleep: int) -> None:
    wake = at(f"{day} 07:00")
    bed = at((date.fromisoformat(day) - timedelta(days=1)).isoformat() + " 23:00")
    (reading,), _, _ = Export(tmp_path, WARSAW).add(FITNESS, fitness("sleep", wake, {"bedtime": bed, "wake_up_time": wake})).run()
    assert (reading["value"], reading["local_date"].isoformat()) == (asleep, day)


def test_the_score_of_a_session_is_used_only_where_the_day_has_none(tmp_path: Path) -> None:
    night = fitness("watch_night_sleep", DAY, NIGHT | {"total_score": 60})
    alone, _, _ = Export(tmp_path).add(FITNESS, night).run()
    assert [(r["value"], r["scope"]) for r in alone if r["metric"] == "sleep_score"] == [(60.0, "session")]
    both, _, _ = Export(tmp_path).add(FITNESS, night).add(AGGREGATED, report("sleep", DAY, SLEEP_DAY)).run()
    assert [(r["value"], r["scope"]) for r in both if r["metric"] == "sleep_score"] == [(78.0, "day")]


def test_nothing_in_gives_nothing_out(tmp_path: Path) -> None:
    readings, rejected, done = Export(tmp_path).add(FITNESS).run()
    assert (readings, rejected, fates(done)) == ([], [], {})


@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        (32, 28800),
        (22, 19800),
        (-48, -43200),
        (56, 50400),
        (57, 3420),
        (480, 28800),
        (-840, -50400),
        (841, None),
        (None, None),
        (True, None),
    ],
)
def test_time_zone_fields_in_quarters_or_minutes(field: Any, seconds: int | None) -> None:
    assert stated_offset(field) == seconds


_CLOCK = st.integers(T, T + 200_000)
_JUNK = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5))
_ITEM = st.fixed_dictionaries(
    {}, optional={"start_time": _CLOCK | _JUNK, "end_time": _CLOCK | _JUNK, "state": st.integers(0, 7) | _JUNK}
)
_ROW = st.fixed_dictionaries(
    {},
    optional={
        "bedtime": _CLOCK | _JUNK,
        "wake_up_time": _CLOCK | _JUNK,
        "duration": st.integers(0, 900) | _JUNK,
        "sleep_deep_duration": st.integers(0, 300) | _JUNK,
        "sleep_light_duration": st.integers(0, 300) | _JUNK,
        "sleep_awake_duration": st.integers(0, 300) | _JUNK,
        "timezone": _JUNK,
        "score": _JUNK,
        "items": st.lists(_ITEM, max_size=6) | _JUNK,
    },
)


@examples(max_examples=300, deadline=None)
@given(st.lists(_ROW, max_size=6), st.randoms())
def test_any_sleep_rows_give_sessions_that_never_clash_whatever_their_order(rows: list[dict[str, Any]], random: Any) -> None:
    told: list[Session] = []
    reasons: set[str] = set()
    for row in rows:
        try:
            told += sessions_of(row, 0, 1, nap=False)
        except NoSessionError as none:
            reasons.add(str(none))
    assert reasons <= {"no_sleep_window", "bad_sleep_window", "no_sleep"}
    kept, again = choose(told)
    assert len(kept) + len(again) == len(told)
    for one, other in itertools.combinations(kept, 2):
        assert min(one.end, other.end) - max(one.start, other.start) <= 5 * 60_000_000
    random.shuffle(told)
    assert {(s.start, s.end) for s in choose(told)[0]} == {(s.start, s.end) for s in kept}
