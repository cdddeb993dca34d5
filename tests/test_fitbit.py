"""A Fitbit export is read right: both Takeout roots, JSON and CSV twins, three date styles, sentinels, copies from Health Connect."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.stamps import Stamps, offset_of
from config.timezones import PersonZones
from ingestion.fitbit.tables import stem, table_of
from tests.vendor_bench import Read, VendorBench

SAMPLES = Path(__file__).parent / "samples" / "fitbit"
GLOBAL, GOOGLE, FITNESS = "Global Export Data", "Physical Activity_GoogleData", "Health Fitness Data_GoogleData"
WATCH = "Google Fitbit Air"


@pytest.fixture
def bench(tmp_path: Path) -> VendorBench:
    return VendorBench("fitbit", tmp_path)


def csv(header: str, *rows: str) -> str:
    return "\n".join([header, *rows, ""])


def heart(*samples: tuple[str, int, int]) -> list[dict[str, Any]]:
    return [{"dateTime": at, "value": {"bpm": bpm, "confidence": sure}} for at, bpm, sure in samples]


def series(*values: tuple[str, str]) -> list[dict[str, Any]]:
    return [{"dateTime": at, "value": value} for at, value in values]


def night(log: int, start: str, minutes: int, **more: Any) -> dict[str, Any]:
    return {
        "logId": log,
        "dateOfSleep": "2026-03-02",
        "startTime": start,
        "endTime": start,
        "duration": minutes * 60_000,
        "minutesAsleep": minutes - 30,
        "minutesAwake": 30,
        "type": "classic",
        "mainSleep": True,
        "levels": {"summary": {"restless": {"count": 1, "minutes": 27}, "awake": {"count": 1, "minutes": 3}}},
    } | more


def test_the_shared_sample_is_read_whole(bench: VendorBench) -> None:
    read = bench.read({f"{GLOBAL}/{p.name}": p.read_bytes() for p in SAMPLES.iterdir() if p.suffix != ".txt"})
    assert read.fates == {"accepted": 11, "unused:file_not_read": 6, "unused:header": 1}
    assert read.ends == {"accepted": 11}
    assert read.values("distance") == [41.1, 43.4, 34.9, 8.5, 0]
    assert [round(v, 2) for v in read.values("resting_heart_rate")] == [59.42, 58.3]
    assert read.days("sleep_duration") == ["2018-02-02", "2018-02-03"]
    assert read.values("sleep_duration") == [452, 312]
    assert (read.values("sleep_deep"), read.values("sleep_light"), read.values("sleep_rem")) == ([137], [209], [106])
    assert read.values("sleep_awake") == [34, 198]
    assert read.values("sleep_score") == [82, 75]
    assert {f["message"].rsplit(": ")[1] for f in read.findings} >= {"exercise.json.", "sedentary_minutes.json."}


def test_the_vendors_efficiency_is_not_taken_for_minutes_asleep_in_bed(bench: VendorBench) -> None:
    read = bench.read({"sleep-2018-02-02.json": (SAMPLES / "sleep.json").read_bytes()})
    assert 68 not in read.values("sleep_score")
    assert {r["metric"] for r in read.readings} == {"sleep_duration", "sleep_deep", "sleep_light", "sleep_rem", "sleep_awake"}


@pytest.mark.parametrize("root", ["Takeout/Fitbit", "Takeout/Google Health", "Takeout/Google Health/Physical/Steps", ""])
def test_any_root_and_any_depth_is_read_as_tree_and_as_zip(bench: VendorBench, root: str) -> None:
    files = {f"{root}/{GLOBAL}/steps-2026-03-01.json".lstrip("/"): series(("03/01/26 08:00:00", "12"))}
    for artifacts in (bench.tree(files), bench.tree(files, zipped="takeout-20260909T182813Z-1-001.zip")):
        assert bench.read(artifacts).values("steps") == [12]


def test_json_is_the_persons_clock_and_csv_is_utc(bench: VendorBench) -> None:
    read = bench.read(
        {
            "heart_rate-2026-03-01.json": heart(("03/01/26 08:00:02", 70, 3)),
            "heart_rate_2026-03-02.csv": csv("timestamp,beats per minute", "2026-03-02T08:00:02Z,71.0"),
        }
    )
    assert read.starts("heart_rate") == ["2026-03-01T07:00:02", "2026-03-02T08:00:02"]
    assert [r["utc_offset"] for r in read.records] == [3600, 0]


def test_a_travel_zone_applies_to_json_of_its_days(bench: VendorBench) -> None:
    trip = [{"from": "2026-03-01", "to": "2026-03-03", "timezone": "Asia/Tokyo"}]
    read = bench.read({"heart_rate-1.json": heart(("03/01/26 08:00:02", 70, 3))}, timezone_overrides=trip)
    assert read.starts("heart_rate") == ["2026-02-28T23:00:02"]


def test_a_heart_rate_of_no_confidence_is_a_guess_and_not_used(bench: VendorBench) -> None:
    read = bench.read({"heart_rate-1.json": heart(("03/01/26 08:00:02", 70, 0), ("03/01/26 08:00:07", 72, 1))})
    assert read.values("heart_rate") == [72]
    assert read.ends == {"accepted": 1, "unused:low_confidence": 1}


def test_of_the_twins_of_a_day_the_csv_counts_and_the_json_stands_in_where_there_is_none(bench: VendorBench) -> None:
    read = bench.read(
        {
            f"{GLOBAL}/steps-2026-03-01.json": series(("03/01/26 08:00:00", "100"), ("03/02/26 08:00:00", "40")),
            f"{GOOGLE}/steps_2026-03-01.csv": csv("timestamp,steps,data source", f"2026-03-01T07:00:00Z,100,{WATCH}"),
        }
    )
    assert read.values("steps") == [100, 40]
    assert read.ends == {"accepted": 2, "duplicate": 1}


def test_the_copy_from_health_connect_counts_only_where_nothing_else_tells_the_day(bench: VendorBench) -> None:
    read = bench.read(
        {
            "steps_2026-03-01.csv": csv(
                "timestamp,steps,data source",
                "2026-03-01T07:00:00Z,1000,MobileTrack",
                "2026-03-01T07:00:00Z,1000,Fit Health Connect",
                "2026-03-02T07:00:00Z,500,Phone Health Connect",
            ),
            "weight.csv": csv("timestamp,weight grams,data source", "2026-03-01T05:00:00.000000Z,70500,Fit Health Connect"),
        }
    )
    assert read.values("steps") == [1000, 500]
    assert read.values("weight") == [70.5]
    assert read.ends == {"accepted": 3, "duplicate": 1}


def test_phone_and_watch_stay_two_devices_for_the_merge_never_a_sum(bench: VendorBench) -> None:
    read = bench.read(
        {
            "steps_1.csv": csv(
                "timestamp,steps,data source", "2026-03-01T07:00:00Z,30,MobileTrack", f"2026-03-01T07:00:00Z,28,{WATCH}"
            )
        }
    )
    assert {(r["device"], r["value"]) for r in read.readings} == {("MobileTrack", 30), (WATCH, 28)}


def test_days_without_a_resting_heart_rate_are_filled_with_nought_and_give_none(bench: VendorBench) -> None:
    nothing = {"date": None, "value": 0.0, "error": 0.0}
    there = {"date": "03/02/26", "value": 59.42, "error": 6.78}
    read = bench.read(
        {
            "resting_heart_rate-2026-01-01.json": [
                {"dateTime": "03/01/26 00:00:00", "value": nothing},
                {"dateTime": "03/02/26 00:00:00", "value": there},
            ]
        }
    )
    assert (read.days("resting_heart_rate"), read.values("resting_heart_rate")) == (["2026-03-02"], [59.42])
    assert read.reasons() == {"zero": 1}


def test_a_daily_csv_names_the_local_day_although_it_says_midnight_utc(bench: VendorBench) -> None:
    text = csv("timestamp,beats per minute,data source", f"2026-03-01T00:00:00Z,61.2,{WATCH}")
    for zone in ("America/Los_Angeles", "Pacific/Auckland"):
        assert bench.read({"daily_resting_heart_rate.csv": text}, timezone=zone).days("resting_heart_rate") == ["2026-03-01"]


def test_daily_and_sampled_heart_rates_share_a_header_and_are_told_apart_by_name(bench: VendorBench) -> None:
    text = csv("timestamp,beats per minute,data source", f"2026-03-01T00:00:00Z,61.2,{WATCH}")
    read = bench.read({"daily_resting_heart_rate.csv": text, "heart_rate_2026-03-01.csv": text})
    assert {(r["metric"], r["scope"]) for r in read.readings} == {("resting_heart_rate", "day"), ("heart_rate", "instant")}


def test_files_of_nothing_and_files_of_other_things_give_no_record_and_are_told(bench: VendorBench) -> None:
    read = bench.read(
        {
            "Biometrics/Glucose 202609.csv": "no data",
            "Biometrics/Glucose 202610.csv": "",
            f"{FITNESS}/UserActivityProbabilities_2026-09-01.csv": csv("timestamp,steps,data source", "2026-03-01T07:00:00Z,7,x"),
            f"{GLOBAL}/estimated_oxygen_variation-2026-03-01.csv": csv(
                "timestamp,Infrared to Red Signal Ratio", "03/01/26 08:00:00,9"
            ),
            f"{GOOGLE}/calories_2026-03-01.csv": csv("timestamp,calories", "2026-03-01T07:00:00Z,1.2"),
        }
    )
    assert read.fates == {"unused:no_data": 1, "unused:empty_file": 1, "unused:file_not_read": 3}
    told = {f["message"].rsplit(": ")[1] for f in read.findings}
    assert told == {"useractivityprobabilities.csv.", "estimated_oxygen_variation.csv.", "calories.csv."}


def test_spo2_minutes_of_exactly_fifty_are_no_measurement(bench: VendorBench) -> None:
    read = bench.read(
        {
            "Minute SpO2 - 2026-03-01.csv": csv("timestamp,value", "2026-03-01T02:00:00Z,94.3", "2026-03-01T02:02:00Z,50.0"),
            "Daily SpO2 - 2026-03-01-2026-05-01.csv": csv(
                "timestamp,average_value,lower_bound,upper_bound", "2026-03-01T00:00:00Z,95.1,93,97"
            ),
        }
    )
    assert read.values("spo2") == [95.1, 94.3]
    assert read.reasons() == {"sentinel": 1}


def test_hrv_respiration_and_body_are_read_in_their_units(bench: VendorBench) -> None:
    read = bench.read(
        {
            "Heart Rate Variability/Heart Rate Variability Details - 2026-03-01.csv": csv(
                "timestamp,rmssd,coverage,low_frequency,high_frequency", "2026-03-01T02:00:00,41.5,0.9,1,1"
            ),
            "Heart Rate Variability/Daily Heart Rate Variability Summary - 2026-03-(01).csv": csv(
                "timestamp,rmssd,nremhr,entropy", "2026-03-01T00:00:00,44.2,55,2.9"
            ),
            f"{GOOGLE}/daily_heart_rate_variability.csv": csv(
                "timestamp,average heart rate variability milliseconds,data source", f"2026-03-01T00:00:00Z,44.2,{WATCH}"
            ),
            "Daily Respiratory Rate Summary - 2026-03-01.csv": csv(
                "timestamp,daily_respiratory_rate", "2026-03-01T00:00:00,14.5"
            ),
            f"{GOOGLE}/body_fat_2026-03-01.csv": csv(
                "timestamp,body fat percentage,data source", "2026-03-01T05:00:00Z,21.5,Scale"
            ),
            f"{GOOGLE}/body_temperature_2026-03-01.csv": csv("timestamp,temperature celsius", "2026-03-01T05:00:00Z,33.1"),
        }
    )
    assert read.starts("hrv_rmssd") == ["2026-02-28T23:00:00", "2026-03-01T01:00:00"]
    assert read.ends == {"accepted": 4, "duplicate": 1}
    assert (read.values("respiratory_rate"), read.values("body_fat")) == ([14.5], [21.5])
    assert read.values("body_temperature") == []  # the wrist's skin


def test_a_weight_whose_unit_nobody_states_gives_none(bench: VendorBench) -> None:
    log = {"logId": 1, "weight": 178.2, "bmi": 25.1, "fat": 20.1, "date": "03/01/26", "time": "07:15:00", "source": "API"}
    read = bench.read({"weight-2026-03-01.json": [log]})
    assert (read.values("weight"), read.values("body_fat"), read.reasons()) == ([], [20.1], {"unknown_unit": 1})
    assert read.starts("body_fat") == ["2026-03-01T06:15:00"]


SLEEPS = (
    "sleep_id,sleep_type,minutes_in_sleep_period,minutes_asleep,minutes_awake,start_utc_offset,sleep_start,end_utc_offset,"
    "sleep_end,data_source"
)
STAGES = "sleep_id,sleep_stage_id,sleep_stage_type,start_utc_offset,sleep_stage_start,end_utc_offset,sleep_stage_end"


def test_a_night_told_by_both_layouts_under_two_ids_comes_out_once_with_stages_and_score(bench: VendorBench) -> None:
    read = bench.read(
        {
            f"{GLOBAL}/sleep-2026-03-01.json": [night(11, "2026-03-01T22:00:00.000", 480)],
            f"{FITNESS}/UserSleeps_2026-03-01.csv": csv(
                SLEEPS, "9111,STAGES,480,450,30,+01:00,2026-03-01T21:00:00Z,+01:00,2026-03-02T05:00:00Z,X"
            ),
            f"{FITNESS}/UserSleepStages_2026-03-01.csv": csv(
                STAGES,
                "9111,1,LIGHT,+01:00,2026-03-01T21:00:00Z,+01:00,2026-03-02T01:00:00Z",
                "9111,2,DEEP,+01:00,2026-03-02T01:00:00Z,+01:00,2026-03-02T02:30:00Z",
                "9111,3,REM,+01:00,2026-03-02T02:30:00Z,+01:00,2026-03-02T04:30:00Z",
                "9111,4,AWAKE,+01:00,2026-03-02T04:30:00Z,+01:00,2026-03-02T05:00:00Z",
                "77,1,REM,+01:00,2026-03-05T02:30:00Z,+01:00,2026-03-05T04:30:00Z",
            ),
            "Sleep Score/sleep_score.csv": csv("sleep_log_entry_id,timestamp,overall_score", "11,2026-03-02T05:00:00Z,81"),
        }
    )
    assert read.days("sleep_duration") == ["2026-03-02"]
    assert (read.values("sleep_duration"), read.values("sleep_light"), read.values("sleep_deep")) == ([450], [240], [90])
    assert (read.values("sleep_rem"), read.values("sleep_awake"), read.values("sleep_score")) == ([120], [30], [81])
    assert read.ends == {"accepted": 6, "duplicate": 1, "unused:stage_without_session": 1}
    assert {tuple(r["flags"]) for r in read.readings if r["metric"] == "sleep_duration"} == {("main",)}


def test_a_score_stands_in_two_files_and_counts_once(bench: VendorBench) -> None:
    head = "sleep_id,sleep_score_id,data_source,score_utc_offset,score_time,overall_score"
    files = {
        f"{FITNESS}/UserSleepScores_2026-03-01.csv": csv(
            head, "9,21,DERIVED,+01:00,2026-03-02T05:00:00Z,81.4", "10,22,DERIVED,+01:00,2026-03-03T05:00:00Z,70.2"
        ),
        "Sleep Score/sleep_score.csv": csv("sleep_log_entry_id,timestamp,overall_score", "11,2026-03-02T05:00:00Z,81"),
    }
    read = bench.read(files)
    assert (read.values("sleep_score"), read.ends) == ([81, 70.2], {"accepted": 2, "duplicate": 1})


def test_a_nap_is_a_session_of_its_own_and_its_score_is_not_the_days(bench: VendorBench) -> None:
    read = bench.read(
        {
            "sleep-1.json": [
                night(1, "2026-03-01T22:00:00.000", 480),
                night(2, "2026-03-02T14:00:00.000", 60, mainSleep=False),
            ],
            "sleep_score.csv": csv("sleep_log_entry_id,timestamp,overall_score", "2,2026-03-02T14:00:00Z,55"),
        }
    )
    assert read.days("sleep_duration") == ["2026-03-02", "2026-03-02"]
    assert sorted(tuple(r["flags"]) for r in read.readings if r["metric"] == "sleep_duration") == [("main",), ("nap",)]
    assert read.values("sleep_score") == []


def test_a_night_on_which_clocks_change_is_as_long_as_it_was(bench: VendorBench) -> None:
    spring = night(1, "2026-03-28T23:00:00.000", 420, endTime="2026-03-29T07:00:00.000")
    autumn = night(2, "2026-10-24T23:00:00.000", 480, endTime="2026-10-25T06:00:00.000")
    read = bench.read({"sleep-1.json": [spring, autumn]})
    lengths = [(r["end"] - r["start"]).total_seconds() / 60 for r in read.readings if r["metric"] == "sleep_duration"]
    assert lengths == [420, 480]
    assert read.days("sleep_duration") == ["2026-03-29", "2026-10-25"]


def test_the_hour_told_twice_in_autumn_is_two_hours_in_a_series(bench: VendorBench) -> None:
    times = ["02:30:00", "02:59:00", "02:00:00", "02:30:00", "03:00:00"]
    read = bench.read({"heart_rate-1.json": heart(*[(f"10/25/26 {at}", 60 + n, 3) for n, at in enumerate(times)])})
    assert [s[11:16] for s in read.starts("heart_rate")] == ["00:30", "00:59", "01:00", "01:30", "02:00"]
    assert read.values("heart_rate") == [60, 61, 62, 63, 64]


def test_overlapping_exports_count_once_and_the_newer_export_wins(bench: VendorBench) -> None:
    old = {"Takeout/Fitbit/sleep-1.json": [night(1, "2026-03-01T22:00:00.000", 480)]}
    new = {"Takeout/Google Health/sleep-1.json": [night(1, "2026-03-01T22:00:00.000", 470)]}
    same = {"Takeout/Google Health/sleep-2.json": [night(1, "2026-03-01T22:00:00.000", 470)]}
    exports = [
        *bench.tree(new, zipped="takeout-20260909T182813Z-1-001.zip"),
        *bench.tree(old, zipped="takeout-20260301T000000Z-1-001.zip"),
        *bench.tree(same, zipped="takeout-20260909T182813Z-1-002.zip"),
    ]
    for order in (exports, exports[::-1]):
        read = bench.read(order)
        assert read.values("sleep_duration") == [440]
        assert (read.fates["accepted"], read.fates["duplicate"], read.ends["superseded"]) == (2, 1, 1)


def test_one_odd_file_of_an_archive_is_refused_with_its_reason_and_the_others_are_read(bench: VendorBench) -> None:
    files = {
        "a/steps_1.csv": "a,b\n1,2\n",
        "a/steps_2.csv": csv("timestamp,steps", "2026-03-01T07:00:00Z,5", "2026-03-01T07:01:00Z", "yesterday,5"),
        "a/heart_rate-1.json": '[{"dateTime": "03/01/26 08:00:02", "value": {"bpm": 70, "confidence": 2}}, 7, {"dateTime"',
        "archive_browser.html": "<!DOCTYPE html><html></html>",
    }
    read = bench.read(bench.tree(files, zipped="x.zip"))
    assert (read.values("steps"), read.values("heart_rate")) == ([5], [70])
    assert sorted(d["reason"] for d in read.dead_letters) == ["json_truncated", "missing_column", "no_object", "short_row"]
    assert read.fates["rejected:bad_time"] == 1


def test_a_web_page_dropped_as_an_export_is_refused(bench: VendorBench) -> None:
    read = bench.read({"steps-1.json": "<html>Sign in</html>"})
    assert [d["reason"] for d in read.dead_letters] == ["html"]


def test_a_field_nobody_knows_is_told_by_name(bench: VendorBench) -> None:
    read = bench.read({"steps_1.csv": csv("timestamp,steps,wrist", "2026-03-01T07:00:00Z,5,left")})
    assert any(f["code"] == "schema_drift" and "wrist" in f["message"] for f in read.findings)
    assert read.values("steps") == [5]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Takeout/Fitbit/Global Export Data/heart_rate-2026-03-01.json", "heart_rate.json"),
        ("heart_rate-2026-03-01 (1).json", "heart_rate.json"),
        ("HEART_RATE_2026-03-01.CSV", "heart_rate.csv"),
        ("Daily Heart Rate Variability Summary - 2020-11-(15).csv", "daily heart rate variability summary.csv"),
        ("Daily SpO2 - 2020-09-01-2020-12-09.csv", "daily spo.csv"),
        ("weight.csv", "weight.csv"),
    ],
)
def test_dates_numbers_and_copies_in_a_name_do_not_count(name: str, kind: str) -> None:
    assert stem(name) == kind
    assert table_of(name) is not None


@given(
    st.text(max_size=40) | st.from_regex(r"[0-9]{2}/[0-9]{2}/[0-9]{2} [0-9:]{0,8}", fullmatch=True) | st.none() | st.integers()
)
def test_no_stamp_can_stop_the_reading(text: Any) -> None:
    stamps = Stamps(PersonZones("Europe/Warsaw"))
    for by_day in (False, True):
        found = stamps.read(text, by_day=by_day, series=True)
        assert (found.utc is None) == (found.error is not None)
    offset_of(text)


@given(st.lists(st.integers(0, 3 * 86_400), max_size=30), st.sampled_from([(2026, 3, 28), (2026, 10, 24), (2026, 7, 1)]))
def test_a_sample_among_others_is_read_as_it_is_read_alone(seconds: list[int], first: tuple[int, int, int]) -> None:
    zones = PersonZones("Europe/Warsaw")
    stamps, begin = Stamps(zones), datetime(*first)
    for second in sorted(seconds):
        text = (begin + timedelta(seconds=second)).strftime("%m/%d/%y %H:%M:%S")
        assert stamps.read(text, series=True) == Stamps(zones).read(text)


def test_every_kind_of_record_says_which_metrics_it_speaks_of(bench: VendorBench) -> None:
    from processing.normalizers.fitbit import metrics_of

    read: Read = bench.read({f"{GLOBAL}/{p.name}": p.read_bytes() for p in SAMPLES.iterdir() if p.suffix != ".txt"})
    by_record = {r["raw_id"]: r["raw"] for r in read.records}
    assert all(r["metric"] in metrics_of(by_record[r["raw_id"]], None) for r in read.readings)
