"""The gold stage: nights on which clocks change, nothing at all, one day, revisions, refusals, the file itself."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from config.daily import COLUMNS
from config.stage import File
from tests.gold_building import Built, built, refused_reading
from tests.postgres_bench import letter, record
from tests.readings_bench import NEW_YORK, Row, at, blood_pressure, night, reading, whole_day

NOON = at("2025-03-10 12:00")
TABLES = """
bp_readings catalog category_shares correlation_pairs correlations coverage daily daily_by_source events freshness heart_rate_hourly
medication_comparison meta monthly morning_evening protocol_weeks readings records rejected rejections rolling sleep_regularity
sleep_sessions weekday_profile weekly
""".split()  # noqa: SIM905 - a table reads better than a list
ALWAYS = {"meta", "catalog", "correlations"}
"""Tables with rows whatever there is."""


def counts(gold: Built) -> dict[str, int]:
    return {name: gold.one(f"SELECT count(*) AS n FROM {name}")["n"] for name in TABLES}


def everything(gold: Built) -> dict[str, list[Row]]:
    return {name: gold.rows(f"FROM {name}") for name in TABLES}


def a_life(days: int) -> list[Row]:
    """Blood pressure, nights, samples, totals."""
    rows: list[Row] = []
    for n in range(days):
        morning = NOON + timedelta(days=n, hours=-5)
        rows += blood_pressure(morning, 120 + n % 17, 75 + n % 9, 60 + n % 5)
        rows += blood_pressure(morning + timedelta(hours=13), 125 + n % 7, 80, source="google_sheets")
        rows += night(morning - timedelta(hours=8, minutes=n % 40), morning, 420 - n % 30, deep=90.0, light=250.0, rem=80.0)
        rows += [reading("heart_rate", 55 + (n + m) % 30, morning + timedelta(minutes=17 * m)) for m in range(30)]
        rows.append(whole_day("steps", 6000 + 37 * n, (morning.date()).isoformat()))
        rows.append(reading("weight", 80 - n / 10, morning))
    return rows


# --- nothing, and little


def test_without_any_data_every_table_is_there_and_empty(tmp_path: Path) -> None:
    gold = built(tmp_path, [])
    assert {row["table_name"] for row in gold.rows("SELECT table_name FROM duckdb_tables()")} == set(TABLES)
    assert {name for name, n in counts(gold).items() if n} == ALWAYS
    assert gold.one("FROM meta") | {"version": "1.2.3", "first_date": None, "last_date": None, "synthetic": False} == gold.one(
        "FROM meta"
    )
    assert {row["n"] for row in gold.rows("FROM correlations")} == {0}


def test_types_do_not_depend_on_there_being_data(tmp_path: Path) -> None:
    types = "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal ORDER BY ALL"
    assert built(tmp_path / "none", []).rows(types) == built(tmp_path / "some", a_life(40)).rows(types)


@pytest.mark.parametrize("missing", ["blood_pressure", "sleep", "heart_rate", "activity", "body"])
def test_a_kind_nobody_measures_is_missed_by_no_other(tmp_path: Path, missing: str) -> None:
    from config.metrics import METRICS

    gold = built(tmp_path, [row for row in a_life(20) if METRICS[row["metric"]].kind != missing])
    assert counts(gold)["daily"] == 20
    assert gold.one("SELECT count(*) AS n FROM freshness WHERE kind = $$" + missing + "$$")["n"] == 0
    assert counts(gold)["rolling"] == 200


def test_one_day_has_means_and_no_spread(tmp_path: Path) -> None:
    gold = built(tmp_path, a_life(1))
    week = gold.one("FROM weekly")
    assert (week["days"], week["bp_readings"], week["systolic"], week["systolic_min"]) == (1, 2, 122.5, 120)
    assert gold.one("FROM rolling WHERE metric = 'systolic'") | {"mean_7": 122.5, "n_30": 1, "baseline": None, "n_baseline": 0}
    profile = gold.one("FROM weekday_profile WHERE metric = 'systolic'")
    assert (profile["n"], profile["mean"], profile["sd"], profile["ci_low"]) == (1, 122.5, None, None)
    assert {row["r"] for row in gold.rows("FROM correlations")} == {None}
    regular = gold.one("FROM sleep_regularity")
    assert (regular["nights"], regular["bed_sd"], regular["social_jetlag"], regular["sri"], regular["n_sri"]) == (
        1,
        None,
        None,
        None,
        0,
    )


# --- weeks, gaps, windows


def test_a_gap_is_rows_without_values_and_the_baseline_waits_for_ten_days(tmp_path: Path) -> None:
    rows = [reading("weight", 80 + n, NOON + timedelta(days=n)) for n in range(12)]
    rows.append(reading("weight", 70, NOON + timedelta(days=40)))
    gold = built(tmp_path, rows)
    found = {row["date"]: row for row in gold.rows("FROM rolling WHERE metric = 'weight'")}
    assert len(found) == 41
    tenth, eleventh, later = (found[NOON.date() + timedelta(days=n)] for n in (9, 10, 40))
    assert (tenth["baseline"], tenth["n_baseline"]) == (None, 9)
    assert (eleventh["baseline"], eleventh["n_baseline"], eleventh["value"]) == (84.5, 10, 90)
    assert (eleventh["baseline_low"], eleventh["baseline_high"]) == (80.9, 88.1)
    assert (later["mean_7"], later["n_7"], later["n_baseline"]) == (70, 1, 2)
    empty = gold.one("FROM weekly WHERE week = DATE '2025-03-31'")
    assert (empty["days"], empty["days_with_data"], empty["weight"], empty["bp_readings"]) == (7, 0, None, 0)
    gaps = {row["month"].month: row["longest_gap"] for row in gold.rows("FROM coverage WHERE metric = 'weight'")}
    assert gaps == {3: 10, 4: 18}


def test_what_few_devices_tell_is_followed_once_one_does(tmp_path: Path) -> None:
    values = {"hrv_sdnn": 40, "hrv_rmssd": 30, "respiratory_rate": 14, "body_temperature": 36, "body_fat": 20}
    days = [NOON + timedelta(days=n) for n in range(12)]
    rows = [reading(m, v + n % 2, day, raw_id=f"{m}{n}") for n, day in enumerate(days) for m, v in values.items()]
    rows += [whole_day("basal_energy", 1600 + n % 2, day.date().isoformat()) for n, day in enumerate(days)]
    means = {"hrv_sdnn": 40.5, "hrv_rmssd": 30.5, "respiration_avg": 14.5, "body_temperature": 36.5, "body_fat": 20.5}
    means |= {"basal_energy": 1600.5}
    gold = built(tmp_path / "all", rows)
    month, week = gold.one("FROM monthly"), gold.rows("FROM weekly")[1]
    assert {name: month[name] for name in means} == means
    assert {name: week[name] for name in means} == pytest.approx({name: mean + 0.1 for name, mean in means.items()})
    last = {row["metric"]: row for row in gold.rows("FROM rolling WHERE date = (SELECT max(date) FROM rolling)")}
    assert list(last)[10:] == list(means)
    assert {name: (row["n_7"], row["n_baseline"], row["baseline"]) for name, row in last.items() if name in means} == {
        name: (7, 11, mean - 0.5) for name, mean in means.items()
    }
    assert {row["metric"] for row in gold.rows("FROM coverage WHERE share = 1")} == set(means)
    assert {row["metric"] for row in gold.rows("FROM weekday_profile")} == set(means)
    alone = built(tmp_path / "one", [row for row in rows if row["metric"] == "hrv_rmssd"])
    assert alone.one("SELECT count(DISTINCT metric) AS n FROM rolling")["n"] == 11


def test_the_day_of_the_event_belongs_to_the_days_after(tmp_path: Path) -> None:
    rows = [row for n in range(-40, 40) for row in blood_pressure(NOON + timedelta(days=n), 140 if n < 0 else 130, 80)]
    events = [{"date": "2025-03-10", "label": "New tablets", "kind": "medication"}]
    gold = built(tmp_path, rows, events=events, med_start_date="2025-03-10")
    assert gold.rows("FROM events") == [{"date": date(2025, 3, 10), "label": "New tablets", "kind": "medication"}]
    found = gold.one("FROM medication_comparison WHERE metric = 'systolic' AND window_days = 30")
    assert (found["n_before"], found["n_after"], found["mean_before"], found["mean_after"], found["difference"]) == (
        30,
        30,
        140,
        130,
        -10,
    )
    assert (found["ci_low"], found["effect_size"]) == (None, None)  # nothing varies
    assert gold.one("FROM medication_comparison WHERE metric = 'systolic' AND window_days = 90")["n_before"] == 40


def test_a_medication_start_of_the_settings_is_an_event_of_its_own(tmp_path: Path) -> None:
    gold = built(
        tmp_path, a_life(2), med_start_date="2025-03-11", events=[{"date": "2025-03-11", "label": "Flu", "kind": "illness"}]
    )
    assert [(row["label"], row["kind"]) for row in gold.rows("FROM events")] == [
        ("Flu", "illness"),
        ("medication start", "medication"),
    ]


def test_perfect_and_constant_pairs_have_no_interval(tmp_path: Path) -> None:
    rows: list[Row] = []
    for n in range(6):
        morning = NOON + timedelta(days=n, hours=-4)
        rows += night(morning - timedelta(hours=8), morning - timedelta(hours=1), 400 + 10 * n)
        rows += blood_pressure(morning, 120 + 2 * n, 80)
    found = {row["name"]: row for row in built(tmp_path, rows).rows("FROM correlations")}
    perfect, constant = found["sleep_systolic_morning"], found["sleep_diastolic_morning"]
    assert (perfect["n"], perfect["r"], perfect["ci_low"]) == (6, pytest.approx(1), None)
    assert (perfect["slope"], perfect["intercept"], perfect["spearman"]) == (
        pytest.approx(0.2),
        pytest.approx(40),
        pytest.approx(1),
    )
    assert (constant["n"], constant["r"], constant["slope"]) == (6, None, None)


def test_a_correlation_is_never_beyond_one(tmp_path: Path) -> None:
    rows: list[Row] = []
    for n in range(12):
        day = f"2025-05-{n + 1:02d}"
        rows += [whole_day("steps", 3000 + 700 * n, day), whole_day("sleep_duration", 301 + 7 * n, day)]
        rows += blood_pressure(at(f"{day} 08:00"), 111.1 + 1.1 * n, 80)
    found = built(tmp_path, rows).rows("FROM correlations WHERE n > 0 AND r IS NOT NULL")
    assert len(found) == 2
    assert all(abs(row[name]) <= 1 for row in found for name in ("r", "spearman"))


def test_a_nap_after_the_morning_has_no_part_in_what_sleep_is_held_against(tmp_path: Path) -> None:
    rows: list[Row] = []
    for n in range(1, 5):
        day = f"2025-05-{n:02d}"
        rows += night(at(f"{day} 00:00"), at(f"{day} 07:00"), 400 + n)
        rows += night(at(f"{day} 14:00"), at(f"{day} 14:30"), 30, flags=["nap"])
        rows += [*blood_pressure(at(f"{day} 08:00"), 120 + n, 80), whole_day("steps", 5000 + n, day)]
    rows += night(at("2025-05-05 14:00"), at("2025-05-05 14:30"), 30, flags=["nap"])
    rows += blood_pressure(at("2025-05-05 08:00"), 125, 80)
    gold = built(tmp_path, rows)
    pairs = gold.rows("FROM correlation_pairs WHERE name = 'sleep_systolic_morning'")
    assert [(row["x"], row["y"]) for row in pairs] == [(400 + n, 120 + n) for n in range(1, 5)]
    pairs = gold.rows("FROM correlation_pairs WHERE name = 'steps_sleep_next_night'")
    assert [(row["x"], row["y"]) for row in pairs] == [(5000 + n, 401 + n) for n in range(1, 4)]


def test_hours_of_heart_rate_say_whose_samples_make_the_days_figures(tmp_path: Path) -> None:
    rows = [
        reading("heart_rate", value, at(f"2025-05-0{day} 12:00"), source=source)
        for day, source, value in ((1, "mi_fitness", 60), (1, "zzz", 160), (2, "zzz", 150))
    ]
    gold = built(tmp_path, rows)
    hours = {(row["date"].day, row["source"]): row["used"] for row in gold.rows("FROM heart_rate_hourly")}
    assert hours == {(1, "mi_fitness"): True, (1, "zzz"): False, (2, "zzz"): True}
    assert [row["max_hr"] for row in gold.rows("FROM daily")] == [60, 150]


def test_months_share_categories_and_a_month_without_readings_has_none(tmp_path: Path) -> None:
    rows = [
        *blood_pressure(NOON, 119, 70),
        *blood_pressure(NOON + timedelta(hours=1), 185, 70),
        *blood_pressure(at("2025-05-01 08:00"), 130, 80),
    ]
    found = built(tmp_path, rows).rows("FROM category_shares WHERE scheme = 'aha_2017'")
    assert {row["month"].month for row in found} == {3, 5}
    assert [row["share"] for row in found if row["month"].month == 3] == [0.5, 0, 0, 0, 0.5]
    assert sum(row["readings"] for row in found) == 3


# --- clocks


def test_on_nights_clocks_change_each_end_shows_its_own_clock(tmp_path: Path) -> None:
    rows = [
        *night(at("2025-03-29 23:00"), at("2025-03-30 07:00"), 410),  # seven hours long
        *night(at("2025-10-25 23:00"), at("2025-10-26 07:00"), 530),  # nine hours long
        reading("heart_rate", 60, at("2025-10-26 02:30")),
        reading("heart_rate", 70, at("2025-10-26 02:30", fold=1)),
    ]
    gold = built(tmp_path, rows)
    spring, autumn = gold.rows("FROM sleep_sessions")
    assert (spring["bed"], spring["wake"]) == (datetime(2025, 3, 29, 23), datetime(2025, 3, 30, 7))
    assert (autumn["bed"], autumn["wake"]) == (datetime(2025, 10, 25, 23), datetime(2025, 10, 26, 7))
    assert spring["efficiency"] == pytest.approx(100 * 410 / 420)
    assert autumn["efficiency"] == pytest.approx(100 * 530 / 540)
    assert {row["bed_mean"] for row in gold.rows("FROM sleep_regularity")} == {660}
    hour = gold.one("FROM heart_rate_hourly")
    assert (hour["hour"], hour["samples"], hour["mean"]) == (datetime(2025, 10, 26, 2), 2, 65)


def test_abroad_the_clock_is_that_of_the_place(tmp_path: Path) -> None:
    start, end = at("2025-07-02 23:30", NEW_YORK), at("2025-07-03 07:00", NEW_YORK)
    away = [{"from": "2025-07-01", "to": "2025-07-14", "timezone": "America/New_York"}]
    rows = [*night(start, end, 420), *blood_pressure(at("2025-07-03 08:00", NEW_YORK), 120, 80)]
    gold = built(tmp_path, rows, timezone_overrides=away)
    found = gold.one("FROM sleep_sessions")
    assert (found["bed"], found["wake"]) == (datetime(2025, 7, 2, 23, 30), datetime(2025, 7, 3, 7))
    assert gold.one("FROM bp_readings")["local_start"] == datetime(2025, 7, 3, 8)


def test_the_offset_a_record_states_itself_is_believed(tmp_path: Path) -> None:
    start, end = at("2025-07-02 23:30", NEW_YORK), at("2025-07-03 07:00", NEW_YORK)
    found = built(tmp_path, night(start, end, 420)).one("FROM sleep_sessions")
    assert (found["bed"], found["wake"]) == (datetime(2025, 7, 2, 23, 30), datetime(2025, 7, 3, 7))


def test_a_reading_whose_device_lost_the_clock_sets_no_bounds_and_no_hours(tmp_path: Path) -> None:
    lost = blood_pressure(at("2010-01-01 08:00"), 120, 80, flags=["clock_reset"])
    gold = built(
        tmp_path,
        [*lost, reading("heart_rate", 60, at("2010-01-01 08:00"), flags=["clock_reset"]), *blood_pressure(NOON, 121, 81)],
    )
    assert gold.one("FROM meta")["first_date"] == NOON.date()
    assert counts(gold)["weekly"] == 1
    assert counts(gold)["heart_rate_hourly"] == 0
    assert {row["fate"]: row["used"] for row in gold.rows("FROM bp_readings")} == {"unused:clock_reset": False, "accepted": True}
    fresh = gold.one("FROM freshness WHERE kind = 'blood_pressure'")
    assert (fresh["first_date"], fresh["readings"], fresh["accepted"], fresh["unused"]) == (NOON.date(), 4, 2, 2)


# --- sleep


def test_the_regularity_index_is_100_for_the_same_nights_and_falls_with_the_minutes_that_differ(tmp_path: Path) -> None:
    def nights(shift: int) -> list[Row]:
        rows: list[Row] = []
        for n in range(4):
            later = timedelta(minutes=shift * n)
            rows += night(at(f"2025-05-0{5 + n} 00:00") + later, at(f"2025-05-0{5 + n} 08:00") + later, 450)
        return rows

    assert built(tmp_path / "same", nights(0)).one("FROM sleep_regularity")["sri"] == 100
    shifted = built(tmp_path / "shifted", nights(36)).one("FROM sleep_regularity")
    assert (shifted["sri"], shifted["n_sri"]) == (pytest.approx(200 * (1 - 72 / 1440) - 100), 3)


def test_nights_that_do_not_follow_each_other_are_not_compared(tmp_path: Path) -> None:
    rows = [
        *night(at("2025-05-05 00:00"), at("2025-05-05 08:00"), 450),
        *night(at("2025-05-07 00:00"), at("2025-05-07 08:00"), 450),
    ]
    found = built(tmp_path, rows).one("FROM sleep_regularity")
    assert (found["nights"], found["sri"], found["n_sri"]) == (2, None, 0)


def test_a_nap_counts_as_sleep_but_is_no_night_and_a_night_told_twice_is_used_once(tmp_path: Path) -> None:
    rows = [
        *night(at("2025-05-05 00:00"), at("2025-05-05 08:00"), 450, deep=90.0, score=80),
        *night(at("2025-05-05 00:05"), at("2025-05-05 07:55"), 440, raw_id="again"),
        *night(at("2025-05-05 14:00"), at("2025-05-05 14:30"), 25, flags=["nap"]),
        *night(at("2025-05-05 00:00"), at("2025-05-05 08:00"), 400, source="zzz"),
    ]
    found = {(row["source"], row["asleep"]): row for row in built(tmp_path, rows).rows("FROM sleep_sessions")}
    assert {key: (row["main"], row["used"], row["fate"]) for key, row in found.items()} == {
        ("mi_fitness", 450): (True, True, "accepted"),
        ("mi_fitness", 440): (False, False, "duplicate"),
        ("mi_fitness", 25): (False, True, "accepted"),
        ("zzz", 400): (False, False, "unused:lower_priority"),
    }
    assert (found["mi_fitness", 450]["deep"], found["mi_fitness", 450]["score"], found["zzz", 400]["deep"]) == (90, 80, None)


def test_a_session_without_stated_minutes_slept_the_sum_of_its_stages(tmp_path: Path) -> None:
    found = built(tmp_path, night(at("2025-05-05 00:00"), at("2025-05-05 08:00"), deep=90.0, light=200.0)).one(
        "FROM sleep_sessions"
    )
    assert (found["asleep"], found["efficiency"]) == (290, pytest.approx(100 * 290 / 480))


# --- measurements


def test_a_measurement_told_twice_is_there_twice_and_counts_once(tmp_path: Path) -> None:
    rows = [*blood_pressure(NOON, 120, 80, source="google_sheets"), *blood_pressure(NOON, 120, 80, 61)]
    gold = built(tmp_path, rows)
    assert {row["source"]: (row["used"], row["fate"]) for row in gold.rows("FROM bp_readings")} == {
        "google_sheets": (True, "accepted"),
        "bp_csv": (False, "duplicate"),
    }
    week = gold.one("FROM weekly")
    assert (week["bp_readings"], week["pulse"]) == (1, 61)  # the pulse the kept one lacks


def test_neither_a_vendors_average_nor_a_pulse_alone_is_a_measurement(tmp_path: Path) -> None:
    rows = [
        whole_day("systolic", 150, "2025-03-10"),
        whole_day("diastolic", 99, "2025-03-10"),
        *blood_pressure(at("2025-03-10 08:00"), None, None, 70),
    ]
    gold = built(tmp_path, rows)
    assert counts(gold)["bp_readings"] == counts(gold)["morning_evening"] == 0
    assert gold.one("FROM weekly")["pulse"] == 70


# --- records and refusals


def test_of_a_record_the_newest_usable_revision_is_kept_with_the_artifact_it_lay_in(tmp_path: Path) -> None:
    raw = [File("raw/bp_csv/a.csv", "", "aa", 1, 1, 1_700_000_000.5), File("raw/bp_csv/b.csv", "", "bb", 1, 3, 1_700_000_100.0)]
    rows = [
        record(1, {"v": "old"}, raw_id="r", revision=1, raw_artifact="raw/bp_csv/a.csv", raw_sha256="aa"),
        record(2, {"v": "new"}, raw_id="r", revision=2, raw_artifact="raw/bp_csv/b.csv", raw_sha256="bb", position="line 9"),
        record(3, {"v": "broken"}, raw_id="r", revision=3, raw_artifact="raw/bp_csv/b.csv", raw_sha256="bb", status="invalid"),
        record(4, {"v": "lost"}, raw_id="s", raw_artifact="raw/bp_csv/gone.csv", raw_sha256="cc", status="invalid"),
    ]
    gold = built(tmp_path, blood_pressure(NOON, 120, 80, raw_id="r"), records={"bp_csv": rows}, raw={"bp_csv": raw})
    new, lost = gold.rows("FROM records ORDER BY raw_id")
    assert new == {
        "source": "bp_csv", "raw_id": "r", "raw_artifact": "raw/bp_csv/b.csv", "artifact_version": 3, "raw_sha256": "bb",
        "position": "line 9", "arrived": datetime.fromtimestamp(1_700_000_100, UTC), "status": "valid", "raw": '{"v": "new"}',
    }  # fmt: skip
    assert (lost["raw_id"], lost["status"], lost["artifact_version"], lost["arrived"]) == ("s", "invalid", None, None)


def test_records_that_only_carry_heart_rate_are_left_out_unless_they_were_refused(tmp_path: Path) -> None:
    at_ten = NOON - timedelta(hours=2)
    rows = [reading("heart_rate", 60, NOON, raw_id="sample"), reading("heart_rate_mean", 61, NOON, raw_id="report")]
    rows += [reading("heart_rate", 62, at_ten, raw_id="both"), reading("spo2", 97, at_ten, raw_id="both")]
    refused = [refused_reading(reading("heart_rate", 255, NOON, raw_id="sentinel"), "device_sentinel")]
    records = [record(n, {"id": name}, raw_id=name) for n, name in enumerate(("sample", "report", "both", "sentinel", "silent"))]
    gold = built(tmp_path, rows, refused_readings=refused, records={"mi_fitness": records})
    assert {row["raw_id"] for row in gold.rows("FROM records")} == {"report", "both", "sentinel", "silent"}
    assert gold.one("FROM rejected")["position"] == "line 5"


def test_a_refusal_names_its_stage_its_kind_and_its_local_day(tmp_path: Path) -> None:
    late = datetime(2025, 3, 9, 23, 30, tzinfo=UTC)  # already the tenth in Warsaw
    said = {"raw_artifact": "raw/bp_csv/a.csv", "source": "bp_csv"}
    records = [
        record(0, raw_id="sum", source_timestamp=None, status="invalid", raw_artifact="raw/bp_csv/a.csv"),
        record(1, raw_id="half", source_timestamp=late, raw_artifact="raw/bp_csv/a.csv"),
    ]
    gold = built(
        tmp_path,
        blood_pressure(NOON, 120, 80),
        refused_readings=[refused_reading(blood_pressure(NOON, 300, 80, raw_id="half")[0], "above_reject")],
        refused_records={
            "bp_csv": [
                {"raw_id": "sum", "reason": "summary_row", "field": None, "position": "line 2", **said},
                {"raw_id": "half", "reason": "half_reading", "field": "pulse", "position": "line 3", **said},
            ]
        },
        records={"bp_csv": records},
        letters={"bp_csv": [letter(5, raw_artifact="raw/bp_csv/a.csv")]},
    )
    found = {row["reason"]: row for row in gold.rows("FROM rejected")}
    told = {
        reason: (row["stage"], row["kind"], row["date"], row["metric"], row["raw_id"], row["position"])
        for reason, row in found.items()
    }
    assert told == {
        "above_reject": ("validation", "blood_pressure", date(2025, 3, 10), "systolic", "half", "line 3"),
        "half_reading": ("normalization", "blood_pressure", date(2025, 3, 10), None, "half", "line 3"),
        "summary_row": ("record", "blood_pressure", None, None, "sum", "line 2"),
        "not_json": ("record", None, None, None, None, "line 7"),
    }
    assert found["above_reject"]["value"] == 300
    assert [
        (row["stage"], row["reason"], row["count"], row["last_date"]) for row in gold.rows("FROM rejections ORDER BY reason")
    ] == [
        ("validation", "above_reject", 1, date(2025, 3, 10)),
        ("normalization", "half_reading", 1, date(2025, 3, 10)),
        ("record", "not_json", 1, None),
        ("record", "summary_row", 1, None),
    ]


# --- the file


def test_the_same_inputs_make_the_same_tables(tmp_path: Path) -> None:
    rows = a_life(40)
    assert everything(built(tmp_path / "once", rows)) == everything(built(tmp_path / "again", rows[::-1]))


def test_the_file_is_whole_private_and_alone_and_opens_read_only(tmp_path: Path) -> None:
    gold = built(tmp_path, a_life(3))
    assert stat.S_IMODE(os.stat(gold.path).st_mode) == 0o600
    assert [path.name for path in gold.path.parent.iterdir()] == ["gold"]
    assert gold.report["rows"] == {"gold": sum(counts(gold).values())}
    with duckdb.connect(str(gold.path), read_only=True) as opened, pytest.raises(duckdb.Error):
        opened.execute("CREATE TABLE x (a INTEGER)")


def test_a_stage_that_fails_leaves_no_scratch(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        built(tmp_path, a_life(1), events=[{"date": "2025-03-10"}])
    assert [path.name for path in (tmp_path / "gold").rglob("*") if path.name.endswith(".scratch")] == []


def test_no_extension_is_fetched_or_needed(tmp_path: Path) -> None:
    gold = built(tmp_path, a_life(2))
    assert {row["install_mode"] for row in gold.rows("SELECT install_mode FROM duckdb_extensions() WHERE loaded")} == {
        "STATICALLY_LINKED"
    }


# --- the documentation inside


def test_every_table_and_column_says_what_it_means(tmp_path: Path) -> None:
    gold = built(tmp_path, [])
    columns = {
        (row["table_name"], row["column_name"])
        for row in gold.rows("SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal")
    }
    told = {(row["table_name"], row["column_name"]): row["meaning"] for row in gold.rows("FROM catalog")}
    assert told.keys() == columns | {(name, "") for name in TABLES}
    assert all(meaning.endswith(".") for meaning in told.values())
    assert len(gold.rows("FROM catalog")) == len(told)
    assert {name: told["daily", name] for name in COLUMNS} == {name: column.meaning for name, column in COLUMNS.items()}


def test_the_document_lists_the_catalog(tmp_path: Path) -> None:
    text = (Path(__file__).resolve().parent.parent / "docs" / "gold.md").read_text()
    assert as_document(built(tmp_path, []).rows("FROM catalog")) in text


def as_document(rows: Iterable[dict[str, Any]]) -> str:
    """The catalog as the tables of docs/gold.md; print it to bring the document up to date."""
    lines: list[str] = []
    for row in rows:
        if row["column_name"]:
            lines.append(f"| `{row['column_name']}` | {row['meaning']} |")
        else:
            lines += ["", f"### {row['table_name']}", "", row["meaning"], "", "| column | meaning |", "|---|---|"]
    return "\n".join(lines).strip()
