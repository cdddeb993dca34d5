"""The daily table: which readings make a day's numbers, and what became of the others."""

from __future__ import annotations

from datetime import UTC, date, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from config.errors import UsageError
from processing.aggregators.columns import COLUMNS, SCHEMA, behind
from processing.aggregators.daily_metrics import merge
from processing.aggregators.spreadsheet import cell
from tests.readings_bench import (
    NEW_YORK,
    SETTINGS,
    WARSAW,
    Row,
    at,
    blood_pressure,
    by_kind,
    csv_rows,
    night,
    reading,
    table_rows,
    whole_day,
)
from tests.stage_bench import StageBench

NOON = at("2025-03-10 12:00")
DAY = "2025-03-10"
CONTRACT = """
date systolic diastolic pulse systolic_min systolic_max systolic_morning diastolic_morning systolic_evening diastolic_evening
bp_readings map pulse_pressure bp_category avg_hr min_hr max_hr hr_samples resting_hr total_duration nap_duration
sleep_deep_duration sleep_light_duration sleep_rem_duration sleep_awake_duration sleep_efficiency sleep_score bed_time wake_time
steps distance active_energy weight spo2_avg sources missing_data_flag
"""


class Merged:
    def __init__(self, folder: Path, rows: list[Row], **settings: Any) -> None:
        self.rows = rows
        self.report, self.folder = StageBench(folder).run(merge, by_kind(folder, rows), {**SETTINGS, **settings})
        self.days = {row["date"].isoformat(): row for row in table_rows(self.folder / "parquet")}
        self.choices = table_rows(self.folder / "choices")
        self.fates = {fate: n for fate, n in self.report["balance"]["fates"].items() if n}

    def day(self, day: str = DAY) -> Row:
        return self.days[day]

    def fate(self, raw_id: str, metric: str | None = None) -> str:
        (fate,) = {c["fate"] for c in self.choices if c["raw_id"] == raw_id and metric in (None, c["metric"])}
        return str(fate)


@pytest.fixture
def merged(tmp_path: Path):  # type: ignore[no-untyped-def]
    runs = iter(range(100))
    return lambda rows, **settings: Merged(tmp_path / str(next(runs)), rows, **settings)


# --- the table


def test_columns_are_the_contract_in_its_order_with_new_ones_at_the_end() -> None:
    assert [c.name for c in COLUMNS][: len(CONTRACT.split())] == CONTRACT.split()


def test_csv_and_parquet_hold_the_same_rows(merged: Any) -> None:
    found = merged(
        [
            *blood_pressure(NOON, 121, 80, 60),
            *blood_pressure(NOON + timedelta(hours=1), 122, 81),
            reading("heart_rate", 60.456, NOON),
        ]
    )
    assert pq.read_schema(found.folder / "parquet") == SCHEMA
    assert [list(row) for row in csv_rows(found.folder / "csv")] == [[c.name for c in COLUMNS]]
    for text, row in zip(csv_rows(found.folder / "csv"), table_rows(found.folder / "parquet"), strict=True):
        assert text == {name: cell(value) for name, value in row.items()}


def test_numbers_are_written_short_with_two_decimals_and_whole_ones_whole(merged: Any) -> None:
    rows = [
        *blood_pressure(NOON, 121, 80),
        *blood_pressure(NOON + timedelta(hours=1), 122, 81),
        *blood_pressure(NOON + timedelta(hours=2), 122, 79),
    ]
    found = merged([*rows, whole_day("steps", 8000, DAY)])
    text = (found.folder / "csv").read_bytes()
    assert text.count(b"\r") == 0
    assert text.endswith(b"\n")
    (row,) = csv_rows(found.folder / "csv")
    want = {
        "date": DAY,
        "systolic": "121.67",
        "diastolic": "80",
        "map": "93.89",
        "bp_readings": "3",
        "steps": "8000",
        "avg_hr": "",
    }
    assert {name: row[name] for name in want} == want
    assert row["missing_data_flag"] == "true"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (128.0, "128"), (128.5, "128.5"), (0.1, "0.1"), (-3.0, "-3"), (7, "7"), (None, ""), (True, "true"), (False, "false"),
        (date(2025, 3, 9), "2025-03-09"), ("=1+1", "'=1+1"), ("+1", "'+1"), ("-1", "'-1"), ("@x", "'@x"), ("\tx", "'\tx"),
        ("\rx", "'\rx"), ("a=b", "a=b"),
    ],
)  # fmt: skip
def test_cells(value: Any, text: str) -> None:
    assert cell(value) == text


def test_days_are_those_with_readings_and_no_others(merged: Any) -> None:
    found = merged([reading("heart_rate", 60, NOON), reading("steps", 0, NOON + timedelta(days=3), scope="day")])
    assert list(found.days) == ["2025-03-10", "2025-03-13"]


def test_a_clock_that_was_reset_makes_no_day(merged: Any) -> None:
    lost = at("2010-01-01 00:05")
    rows = [*blood_pressure(lost, 120, 80, flags=["clock_reset"]), reading("heart_rate", 60, lost, flags=["clock_reset"])]
    found = merged([*rows, reading("heart_rate", 60, NOON)])
    assert list(found.days) == [DAY]
    assert found.fates == {"accepted": 1, "unused:clock_reset": 3}
    assert table_rows(found.folder / "protocol") == []


def test_nothing_at_all_gives_a_header(merged: Any) -> None:
    found = merged([])
    assert (found.folder / "csv").read_text() == ",".join(c.name for c in COLUMNS) + "\n"
    assert found.report["balance"] == {"unit": "reading", "came": 0, "fates": {"accepted": 0}}


def test_missing_data_flag_wants_pressure_heart_rate_sleep_and_steps(merged: Any) -> None:
    whole = [
        *blood_pressure(NOON, 120, 80),
        reading("heart_rate", 60, NOON),
        *night(at("2025-03-09 23:00"), at("2025-03-10 07:00"), 450),
        whole_day("steps", 900, DAY),
    ]
    assert merged(whole).day()["missing_data_flag"] is False
    for metric in ("systolic", "heart_rate", "sleep_duration", "steps"):
        assert (
            merged([r for r in whole if r["metric"] not in (metric, "diastolic" if metric == "systolic" else "")]).day()[
                "missing_data_flag"
            ]
            is True
        )


def test_events_stand_on_their_day_and_never_become_formulas(merged: Any) -> None:
    events = [{"date": DAY, "label": "=HYPERLINK(1)", "kind": "note"}, {"date": "2025-01-01", "label": "x", "kind": "note"}]
    found = merged([reading("heart_rate", 60, NOON)], events=events, med_start_date=DAY)
    assert found.day()["event"] == "medication start; =HYPERLINK(1)"
    assert (
        merged([reading("heart_rate", 60, NOON)], events=events).folder.joinpath("csv").read_text().count(",'=HYPERLINK(1),") == 1
    )
    assert [(f["code"], f["count"]) for f in found.report["findings"]] == [("event_without_day", 1)]


def test_sources_say_who_gave_what(merged: Any) -> None:
    rows = [
        *blood_pressure(NOON, 120, 80),
        *blood_pressure(NOON + timedelta(hours=2), 130, 85, source="google_sheets"),
        whole_day("steps", 900, DAY),
        whole_day("distance", 600, DAY),
        reading("weight", 80, NOON, source="scale"),
    ]
    want = "blood_pressure=bp_csv/instant+google_sheets/instant;steps=mi_fitness/day;distance=mi_fitness/day;weight=scale/instant"
    assert merged(rows).day()["sources"] == want


# --- blood pressure


def test_a_days_pressure_is_the_mean_of_its_measurements(merged: Any) -> None:
    rows = [*blood_pressure(at(f"{DAY} 07:00"), 140, 90, 60), *blood_pressure(at(f"{DAY} 07:02"), 130, 86, 64)]
    rows += [*blood_pressure(at(f"{DAY} 15:00"), 150, 95), *blood_pressure(at(f"{DAY} 19:00"), 120, 75, 70)]
    want = {
        "systolic": 135,
        "diastolic": 86.5,
        "pulse": 64.67,
        "systolic_min": 120,
        "systolic_max": 150,
        "diastolic_min": 75,
        "diastolic_max": 95,
        "systolic_morning": 135,
        "diastolic_morning": 88,
        "systolic_evening": 120,
        "diastolic_evening": 75,
        "bp_readings": 4,
        "map": 102.67,
        "pulse_pressure": 48.5,
        "bp_category": "stage_1",
        "bp_scheme": "aha_2017",
    }
    day = merged(rows).day()
    assert {name: day[name] for name in want} == want
    assert merged(rows, bp_scheme="esc_2024_home").day()["bp_category"] == "hypertension"


@pytest.mark.parametrize(
    ("clock", "part"),
    [
        ("03:59", None),
        ("04:00", "morning"),
        ("11:59", "morning"),
        ("12:00", None),
        ("17:59", None),
        ("18:00", "evening"),
        ("23:59", "evening"),
    ],
)
def test_morning_and_evening_follow_the_local_clock(merged: Any, clock: str, part: str | None) -> None:
    found = merged(blood_pressure(at(f"2025-07-10 {clock}"), 120, 80))
    assert [c["part"] for c in found.choices] == [part, part]
    assert (found.day("2025-07-10")["systolic_morning"] is not None) == (part == "morning")
    assert (found.day("2025-07-10")["systolic_evening"] is not None) == (part == "evening")


def test_an_evening_may_end_after_midnight(merged: Any) -> None:
    found = merged(blood_pressure(at(f"{DAY} 01:00"), 120, 80), evening_hours=["20:00", "02:00"])
    assert found.day()["systolic_evening"] == 120


def test_the_category_is_that_of_the_mean_as_written(merged: Any) -> None:
    rows = [r for i, value in enumerate((129, 130, 130)) for r in blood_pressure(NOON + timedelta(hours=i), value, 70)]
    assert (merged(rows).day()["systolic"], merged(rows).day()["bp_category"]) == (129.67, "elevated")


def test_the_same_measurement_of_two_sources_counts_once(merged: Any) -> None:
    log = blood_pressure(NOON, 128, 82, source="google_sheets", raw_id="log")
    cuff = blood_pressure(NOON + timedelta(minutes=2), 128, 82, 61, source="bp_csv", raw_id="cuff")
    found = merged([*log, *cuff])
    assert found.day()["bp_readings"] == 1
    assert (found.fate("log"), found.fate("cuff", "systolic"), found.fate("cuff", "pulse")) == (
        "accepted",
        "duplicate",
        "accepted",
    )
    assert found.day()["pulse"] == 61  # the log has none
    first = merged([*log, *cuff], source_priority={"blood_pressure": ["bp_csv"]})
    assert (first.fate("cuff"), first.fate("log")) == ("accepted", "duplicate")


@pytest.mark.parametrize(("systolic", "diastolic"), [(128.26, 81.76), (128.5, 82.5), (127.5, 82)])
def test_twins_may_be_rounded_differently(merged: Any, systolic: float, diastolic: float) -> None:
    rows = [*blood_pressure(NOON, 128, 82), *blood_pressure(NOON, systolic, diastolic, source="google_sheets")]
    assert merged(rows).day()["bp_readings"] == 1


@pytest.mark.parametrize(
    "other",
    [
        blood_pressure(NOON + timedelta(seconds=121), 128, 82, 60, source="google_sheets"),
        blood_pressure(NOON, 128, 83, 60, source="google_sheets"),
        blood_pressure(NOON, 128, 82, 65, source="google_sheets"),
        blood_pressure(NOON + timedelta(minutes=1), 128, 82, 60, source="bp_csv"),
    ],
)
def test_what_is_not_the_same_measurement_counts_too(merged: Any, other: list[Row]) -> None:
    assert merged([*blood_pressure(NOON, 128, 82, 60), *other]).day()["bp_readings"] == 2


def test_two_equal_readings_a_minute_apart_in_two_sources_stay_two(merged: Any) -> None:
    rows = [
        r
        for source in ("google_sheets", "bp_csv")
        for i in (0, 1)
        for r in blood_pressure(NOON + timedelta(minutes=i), 128, 82, source=source)
    ]
    found = merged(rows)
    assert found.day()["bp_readings"] == 2
    assert found.fates == {"accepted": 4, "duplicate": 4}


def test_one_measurement_has_one_twin_in_another_source(merged: Any) -> None:
    rows = blood_pressure(NOON, 128, 82, source="google_sheets")
    rows += [row for i in (0, 1) for row in blood_pressure(NOON + timedelta(minutes=i), 128, 82, source="bp_csv")]
    assert merged(rows).day()["bp_readings"] == 2


def test_a_vendors_average_of_the_day_is_no_measurement(merged: Any) -> None:
    rows = [
        *blood_pressure(NOON, 128, 82),
        whole_day("systolic", 150, DAY, raw_id="average"),
        whole_day("diastolic", 99, DAY, raw_id="average"),
    ]
    found = merged(rows)
    assert found.day()["systolic"] == 128
    assert found.fate("average") == "unused:not_in_daily_metrics"


# --- heart rate


def test_heart_rate_comes_from_samples_and_never_makes_a_resting_one(merged: Any) -> None:
    rows = [reading("heart_rate", value, NOON + timedelta(minutes=i)) for i, value in enumerate((60, 70, 95))]
    rows += [
        whole_day("heart_rate_mean", 99, DAY, raw_id="d"),
        whole_day("heart_rate_min", 1, DAY, raw_id="d"),
        whole_day("heart_rate_max", 200, DAY, raw_id="d"),
    ]
    found = merged(rows)
    want = {"avg_hr": 75, "min_hr": 60, "max_hr": 95, "hr_samples": 3, "resting_hr": None, "hr_coverage_minutes": 12}
    assert {name: found.day()[name] for name in want} == want
    assert found.fate("d") == "unused:superseded_by_samples"


def test_without_samples_the_sources_daily_figures_stand(merged: Any) -> None:
    rows = [
        whole_day("heart_rate_mean", 72, DAY),
        whole_day("heart_rate_min", 50, DAY),
        whole_day("heart_rate_max", 130, DAY),
        whole_day("resting_heart_rate", 58, DAY),
    ]
    day = merged(rows).day()
    want = {"avg_hr": 72, "min_hr": 50, "max_hr": 130, "hr_samples": None, "resting_hr": 58, "hr_coverage_minutes": None}
    assert {name: day[name] for name in want} == want


def test_after_a_long_gap_the_mean_is_weighted_by_time(merged: Any) -> None:
    """Ten minutes at 60, sampled by the minute, then one sample of 120 alone: five minutes to either side of everything."""
    rows = [reading("heart_rate", 60, NOON + timedelta(minutes=i)) for i in range(11)]
    lone = reading("heart_rate", 120, NOON + timedelta(hours=2))
    assert merged([*rows, lone]).day()["avg_hr"] == round((20 * 60 + 10 * 120) / 30, 2)
    assert merged([*rows, lone]).day()["hr_coverage_minutes"] == 30
    beyond = reading("heart_rate", 120, NOON + timedelta(minutes=21))
    assert merged([*rows, beyond]).day()["avg_hr"] == 80
    near = reading("heart_rate", 120, NOON + timedelta(minutes=20))
    assert merged([*rows, near]).day()["avg_hr"] == round((11 * 60 + 120) / 12, 2)


@pytest.mark.parametrize(("day", "hours"), [("2025-03-30", 23), ("2025-10-26", 25), ("2025-06-01", 24)])
@pytest.mark.parametrize("zone", [WARSAW])
def test_a_day_of_changing_clocks_is_covered_for_its_true_length(merged: Any, zone: Any, day: str, hours: int) -> None:
    start = at(day, zone).astimezone(UTC)
    moments = [(start + timedelta(minutes=5 * i)).astimezone(zone) for i in range(12 * hours)]
    found = merged([reading("heart_rate", 60, moment) for moment in moments])
    assert list(found.days) == [day]
    assert found.day(day)["hr_samples"] == 12 * hours
    assert found.day(day)["hr_coverage_minutes"] == 60 * hours


def test_heart_rate_is_of_one_source_by_priority(merged: Any) -> None:
    rows = [
        reading("heart_rate", 60, NOON, source="mi_fitness", raw_id="mi"),
        reading("heart_rate", 90, NOON, source="alpha", raw_id="al"),
    ]
    assert merged(rows).day()["avg_hr"] == 60  # known sources before unknown ones
    assert merged(rows).fate("al") == "unused:lower_priority"
    assert merged(rows, source_priority={"heart_rate": ["alpha"]}).day()["avg_hr"] == 90
    assert merged(rows, source_priority={"steps": ["alpha"]}).day()["avg_hr"] == 60


def test_the_last_resting_heart_rate_of_a_day_counts_and_the_daily_one_first(merged: Any) -> None:
    rows = [reading("resting_heart_rate", value, NOON + timedelta(hours=i), raw_id=f"r{i}") for i, value in enumerate((58, 57))]
    found = merged(rows)
    assert (found.day()["resting_hr"], found.fate("r0")) == (57, "unused:superseded_by_later")
    assert merged([*rows, whole_day("resting_heart_rate", 55, DAY)]).day()["resting_hr"] == 55


# --- sleep


def test_a_night_belongs_to_the_day_of_waking(merged: Any) -> None:
    rows = night(at("2025-03-09 23:00"), at("2025-03-10 07:00"), 450, deep=90, light=260, rem=100, awake=30, score=81)
    day = merged(rows).day()
    want = {
        "total_duration": 450,
        "nap_duration": 0,
        "sleep_deep_duration": 90,
        "sleep_light_duration": 260,
        "sleep_rem_duration": 100,
        "sleep_awake_duration": 30,
        "sleep_efficiency": 93.75,
        "sleep_score": 81,
        "bed_time": "2025-03-09T23:00:00+01:00",
        "wake_time": "2025-03-10T07:00:00+01:00",
    }
    assert {name: day[name] for name in want} == want


def test_naps_are_told_apart_and_add_to_the_total(merged: Any) -> None:
    rows = [
        *night(at("2025-03-10 00:30"), at("2025-03-10 07:00"), 360, deep=80, score=70, raw_id="night"),
        *night(at("2025-03-10 14:30"), at("2025-03-10 15:30"), 55, deep=10, score=99, raw_id="nap"),
        *night(at("2025-03-10 09:00"), at("2025-03-10 09:30"), 25, raw_id="doze"),
    ]
    found = merged(rows)
    day = found.day()
    assert (day["total_duration"], day["nap_duration"], day["sleep_deep_duration"], day["sleep_score"]) == (440, 80, 90, 70)
    assert day["wake_time"] == "2025-03-10T07:00:00+01:00"
    assert {(c["raw_id"], c["part"]) for c in found.choices} == {("night", "main"), ("nap", "nap"), ("doze", "nap")}
    assert found.fate("nap", "sleep_score") == "unused:not_in_daily_metrics"


@pytest.mark.parametrize(
    ("sessions", "main"),
    [
        ([("00:00", "02:30", 140, ()), ("05:00", "07:00", 110, ())], "05:00"),  # ends in the morning
        ([("00:00", "07:00", 400, ("nap",)), ("09:00", "10:00", 55, ())], "09:00"),  # the device knows better
        ([("00:00", "07:00", 400, ()), ("09:00", "10:00", 55, ("main",))], "09:00"),
        ([("08:00", "15:30", 430, ())], "08:00"),  # work by night
        ([("16:00", "16:40", 35, ())], None),
        ([("13:00", "14:00", 55, ())], "13:00"),
    ],
)
def test_main_sleep(merged: Any, sessions: list[tuple[str, str, float, tuple[str, ...]]], main: str | None) -> None:
    rows = [r for a, b, minutes, flags in sessions for r in night(at(f"{DAY} {a}"), at(f"{DAY} {b}"), minutes, flags=flags)]
    bed = merged(rows).day()["bed_time"]
    assert bed == (main and f"{DAY}T{main}:00+01:00")


def test_one_night_told_twice_counts_once_and_the_fuller_telling_wins(merged: Any) -> None:
    rows = [
        *night(at("2025-03-09 22:50"), at("2025-03-10 07:10"), 480, raw_id="short telling"),
        *night(at("2025-03-09 23:00"), at("2025-03-10 07:00"), 450, deep=90, raw_id="full telling"),
        *night(at("2025-03-10 06:58"), at("2025-03-10 08:00"), 50, raw_id="touches only"),
    ]
    found = merged(rows)
    assert found.day()["total_duration"] == 500
    assert [found.fate(name) for name in ("short telling", "full telling", "touches only")] == [
        "duplicate",
        "accepted",
        "accepted",
    ]


@pytest.mark.parametrize(("start", "total"), [("06:51", 450 + 80), ("06:49", 450)])
def test_sessions_that_share_more_than_a_tenth_of_the_shorter_are_one_night(merged: Any, start: str, total: int) -> None:
    """The shorter one is 90 minutes long."""
    first = at(f"2025-03-10 {start}")
    rows = [*night(at("2025-03-09 23:00"), at("2025-03-10 07:00"), 450), *night(first, first + timedelta(minutes=90), 80)]
    assert merged(rows).day()["total_duration"] == total


def test_sleep_is_of_one_source_by_priority(merged: Any) -> None:
    rows = [
        *night(at("2025-03-09 23:00"), at("2025-03-10 07:00"), 450, raw_id="band"),
        *night(at("2025-03-09 22:00"), at("2025-03-10 08:00"), 550, source="zzz", raw_id="app"),
        *night(at("2025-03-10 15:00"), at("2025-03-10 16:00"), 55, source="zzz", raw_id="app nap"),
    ]
    found = merged(rows)
    assert found.day()["total_duration"] == 450
    assert {found.fate("app"), found.fate("app nap")} == {"unused:lower_priority"}


def test_daily_figures_stand_in_for_what_no_session_says(merged: Any) -> None:
    figures = [
        whole_day("sleep_duration", 470, DAY, raw_id="d"),
        whole_day("sleep_deep", 95, DAY, raw_id="d"),
        whole_day("sleep_score", 77, DAY, raw_id="d"),
    ]
    alone = merged(figures).day()
    assert (alone["total_duration"], alone["nap_duration"], alone["sleep_deep_duration"], alone["sleep_score"]) == (
        470,
        None,
        95,
        77,
    )
    assert (alone["bed_time"], alone["sleep_efficiency"]) == (None, None)
    both = merged([*figures, *night(at("2025-03-09 23:00"), at("2025-03-10 07:00"), 450, raw_id="s")])
    assert (both.day()["total_duration"], both.day()["sleep_deep_duration"], both.day()["sleep_score"]) == (450, 95, 77)
    assert both.fate("d", "sleep_duration") == "unused:superseded_by_sessions"
    assert both.fate("d", "sleep_deep") == "accepted"


def test_a_session_without_a_duration_slept_its_stages_or_says_nothing(merged: Any) -> None:
    staged = merged(night(at("2025-03-09 23:00"), at("2025-03-10 07:00"), deep=90, light=200, rem=80))
    assert staged.day()["total_duration"] == 370
    scored = merged(night(at("2025-03-09 23:00"), at("2025-03-10 07:00"), score=80))
    assert scored.fates == {"unused:not_in_daily_metrics": 1}


@pytest.mark.parametrize(
    ("zone", "name", "start", "end", "hours", "bed", "wake"),
    [
        (WARSAW, "Europe/Warsaw", "2025-10-25 23:00", "2025-10-26 07:00", 9, "+02:00", "+01:00"),
        (WARSAW, "Europe/Warsaw", "2025-03-29 23:00", "2025-03-30 07:00", 7, "+01:00", "+02:00"),
        (NEW_YORK, "America/New_York", "2025-11-01 23:00", "2025-11-02 07:00", 9, "-04:00", "-05:00"),
        (NEW_YORK, "America/New_York", "2025-03-08 23:00", "2025-03-09 07:00", 7, "-05:00", "-04:00"),
    ],
)
def test_nights_of_changing_clocks(
    merged: Any, zone: Any, name: str, start: str, end: str, hours: int, bed: str, wake: str
) -> None:
    rows = night(at(start, zone), at(end, zone), hours * 30)
    day = merged(rows, timezone=name).day(end[:10])
    assert day["sleep_efficiency"] == 50
    assert day["bed_time"] == start.replace(" ", "T") + ":00" + bed
    assert day["wake_time"] == end.replace(" ", "T") + ":00" + wake


def test_a_night_abroad_keeps_the_offset_it_was_slept_at(merged: Any) -> None:
    rows = night(at("2025-03-09 23:30", NEW_YORK), at("2025-03-10 07:00", NEW_YORK), 400)
    day = merged(rows).day()
    assert (day["bed_time"], day["wake_time"]) == ("2025-03-09T23:30:00-04:00", "2025-03-10T07:00:00-04:00")


# --- activity and body


def test_a_daily_total_supersedes_raw_rows_and_sources_are_never_summed(merged: Any) -> None:
    rows = [
        whole_day("steps", 8000, DAY, raw_id="total"),
        reading("steps", 5000, NOON, NOON + timedelta(minutes=10), scope="interval", raw_id="raw"),
        whole_day("steps", 9999, DAY, source="zzz", raw_id="phone"),
        whole_day("steps", 7000, DAY, device="old", raw_id="smaller"),
    ]
    found = merged(rows)
    assert found.day()["steps"] == 8000
    assert [found.fate(name) for name in ("total", "raw", "phone", "smaller")] == [
        "accepted", "unused:superseded_by_daily_total", "unused:lower_priority", "unused:other_device_had_more",
    ]  # fmt: skip


def interval(metric: str, value: float, clock: str, minutes: int, device: str, **more: Any) -> Row:
    start = at(f"{DAY} {clock}")
    raw_id = f"{device} {clock}"
    return reading(
        metric, value, start, start + timedelta(minutes=minutes), scope="interval", device=device, raw_id=raw_id, **more
    )


def test_raw_rows_count_for_one_device_per_half_hour(merged: Any) -> None:
    rows = [
        interval("steps", 300, "08:00", 10, "band"),
        interval("steps", 200, "08:10", 10, "band"),
        interval("steps", 400, "08:05", 20, "phone"),
        interval("steps", 100, "09:00", 10, "band"),
        interval("steps", 150, "09:05", 10, "phone"),
    ]
    found = merged(rows)
    assert found.day()["steps"] == 500 + 150
    assert found.fate("phone 08:05") == found.fate("band 09:00") == "unused:other_device_had_more"
    assert found.day()["sources"] == "steps=mi_fitness/interval"


def test_a_long_row_is_shared_between_its_half_hours(merged: Any) -> None:
    """An hour told by the phone as one row and by the band in two: summing the phone's hour and the band's half would be 900."""
    rows = [
        interval("steps", 600, "08:00", 60, "phone"),
        interval("steps", 290, "08:00", 30, "band"),
        interval("steps", 310, "08:30", 30, "band"),
    ]
    found = merged(rows)
    assert found.day()["steps"] == 610
    assert {c["fate"] for c in found.choices if c["raw_id"] != "band 08:00"} == {"accepted"}


def test_a_row_that_ends_with_its_half_hour_does_not_touch_the_next(merged: Any) -> None:
    found = merged([interval("steps", 100, "08:00", 30, "a"), interval("steps", 200, "08:00", 30, "b")])
    assert (found.day()["steps"], found.fate("a 08:00")) == (200, "unused:other_device_had_more")


def test_the_hour_told_twice_in_autumn_counts_twice(merged: Any) -> None:
    rows = [
        reading(
            "steps",
            100,
            at("2025-10-26 02:10", fold=fold),
            scope="interval",
            raw_id=f"f{fold}",
            device="band",
            day=date(2025, 10, 26),
        )
        for fold in (0, 1)
    ]
    assert rows[0]["start"] != rows[1]["start"]
    assert merged(rows).day("2025-10-26")["steps"] == 200


def test_a_zero_is_only_believed_of_a_device_that_was_worn(merged: Any) -> None:
    zero = whole_day("steps", 0, DAY, raw_id="zero")
    assert merged([zero]).day()["steps"] is None
    assert merged([zero]).fate("zero") == "unused:not_worn"
    assert merged([zero, reading("heart_rate", 60, NOON)]).day()["steps"] == 0
    assert merged([zero, reading("heart_rate", 60, NOON, source="other")]).day()["steps"] is None
    assert merged([zero, whole_day("steps", 500, DAY, source="zzz")]).day()["steps"] == 500


def test_weight_is_the_days_last_and_saturation_its_mean(merged: Any) -> None:
    rows = [reading("weight", value, NOON + timedelta(hours=i), raw_id=f"w{i}") for i, value in enumerate((80.5, 80.1))]
    rows += [reading("spo2", value, NOON + timedelta(hours=i)) for i, value in enumerate((95, 98))]
    found = merged([*rows, whole_day("spo2", 90, DAY, raw_id="day")])
    assert (found.day()["weight"], found.day()["spo2_avg"]) == (80.1, 96.5)
    assert (found.fate("w0"), found.fate("day")) == ("unused:superseded_by_later", "unused:superseded_by_samples")


# --- choices


def test_the_readings_behind_a_cell_can_be_asked(merged: Any) -> None:
    rows = [*blood_pressure(at(f"{DAY} 07:00"), 140, 90, raw_id="m"), *blood_pressure(at(f"{DAY} 19:00"), 120, 80, raw_id="e")]
    found = merged(rows)
    column = behind("systolic_morning")
    used = [c for c in found.choices if c["metric"] in column.metrics and c["part"] == column.part and c["fate"] == "accepted"]
    assert [(c["raw_id"], c["value"], c["unit"]) for c in used] == [("m", 140, "mm[Hg]")]
    for name in ("sources", "nonsense"):
        with pytest.raises(UsageError):
            behind(name)


def test_every_filled_cell_has_readings_behind_it(merged: Any) -> None:
    rows = [
        *blood_pressure(at(f"{DAY} 07:00"), 140, 90, 60),
        *blood_pressure(at(f"{DAY} 19:00"), 120, 80, 60),
        reading("heart_rate", 60, NOON),
        whole_day("resting_heart_rate", 50, DAY),
        *night(at(f"{DAY} 00:30"), at(f"{DAY} 07:00"), 380, deep=60, light=200, rem=90, awake=10, score=70),
        *night(at(f"{DAY} 16:00"), at(f"{DAY} 16:30"), 25),
        whole_day("steps", 9, DAY),
        whole_day("distance", 9, DAY),
        whole_day("active_energy", 9, DAY),
        reading("weight", 80, NOON),
        reading("spo2", 97, NOON),
        reading("hrv_sdnn", 40, NOON),
        reading("hrv_rmssd", 35, NOON),
        whole_day("basal_energy", 1500, DAY),
        reading("body_fat", 20, NOON),
        reading("respiratory_rate", 14, NOON),
        reading("body_temperature", 36.6, NOON),
    ]
    found = merged(rows)
    for column in COLUMNS:
        if column.metrics:
            assert found.day()[column.name] is not None, column.name
            used = [
                c
                for c in found.choices
                if c["metric"] in column.metrics and column.part in (None, c["part"]) and c["fate"] == "accepted"
            ]
            assert used, column.name
