"""Garmin exports are read right: the account export, Garmin Connect's answers and FIT files, each thing once, every trap met."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.garmin.documents import units
from processing.normalizers import subjects
from tests.vendor_bench import VendorBench

SAMPLES = Path(__file__).parent / "samples" / "garmin"
TABLES = [
    "daily",
    "daily_steps",
    "resting_heart_rate",
    "heart_rate",
    "respiration",
    "spo2",
    "hrv",
    "sleep",
    "nap",
    "steps",
    "blood_pressure",
    "weight",
    "biometrics",
]
TABLES += [
    "health_status",
    "fit_record",
    "fit_monitoring",
    "fit_monitoring_hr_data",
    "fit_weight_scale",
    "fit_hrv_value",
    "fit_hrv_status_summary",
]
PERSON = {"timezone": "Europe/Warsaw", "timezone_overrides": []}
WELLNESS = "DI_CONNECT/DI-Connect-Wellness/"
NIGHT = {
    "sleepStartTimestampGMT": "2025-03-01T22:33:00.0",
    "sleepEndTimestampGMT": "2025-03-02T05:33:00.0",
    "calendarDate": "2025-03-02",
    "sleepWindowConfirmationType": "ENHANCED_CONFIRMED_FINAL",
    "deepSleepSeconds": 6000,
    "lightSleepSeconds": 14400,
    "remSleepSeconds": 3600,
    "awakeSleepSeconds": 900,
    "unmeasurableSeconds": 300,
    "averageRespiration": 14.0,
    "sleepScores": {"overallScore": 83, "qualityScore": 80},
}


@pytest.fixture
def bench(tmp_path: Path) -> VendorBench:
    return VendorBench("garmin", tmp_path)


def epoch(text: str) -> int:
    return int(datetime.fromisoformat(text + "+00:00").timestamp() * 1000)


def summary(day: str, **more: Any) -> dict[str, Any]:
    return {
        "userProfilePK": 1234567,
        "calendarDate": day,
        "totalSteps": 8000,
        "totalDistanceMeters": 6100.0,
        "activeKilocalories": 410.0,
        "bmrKilocalories": 1650.0,
        "wellnessStartTimeGmt": f"{day}T00:00:00.0",
        "wellnessEndTimeGmt": f"{day}T23:00:00.0",
        "minHeartRate": 48,
        "maxHeartRate": 141,
        "restingHeartRate": 52,
        **more,
    }


def curve(day: str, *pairs: list[Any], **more: Any) -> dict[str, Any]:
    return {"userProfilePK": 1234567, "calendarDate": day, "heartRateValues": list(pairs), **more}


def test_a_night_of_the_account_export_is_its_stages_for_the_day_of_waking(bench: VendorBench) -> None:
    read = bench.read({WELLNESS + "2025-02-01_2025-05-12_104034066_sleepData.json": [NIGHT]})
    assert read.values("sleep_duration") == [400]
    assert (read.values("sleep_deep"), read.values("sleep_awake"), read.values("sleep_score")) == ([100], [15], [83])
    assert (read.starts("sleep_duration"), read.days("sleep_duration")) == (["2025-03-01T22:33:00"], ["2025-03-02"])


def test_garmin_connects_night_says_its_offset_by_the_local_clock_beside_gmt(bench: VendorBench) -> None:
    start, end = epoch("2025-03-02T03:30:00"), epoch("2025-03-02T04:30:00")
    night = {
        "calendarDate": "2025-03-01",
        "sleepTimeSeconds": 3300,
        "sleepStartTimestampGMT": start,
        "sleepEndTimestampGMT": end,
        "sleepStartTimestampLocal": start - 5 * 3_600_000,
        "sleepEndTimestampLocal": end - 5 * 3_600_000,
        "deepSleepSeconds": 0,
        "lightSleepSeconds": 0,
        "remSleepSeconds": 0,
        "sleepScores": {"overall": {"value": 71}},
    }
    read = bench.read({"sleep.json": {"dailySleepDTO": night, "sleepMovement": [{"x": 1}], "avgOvernightHrv": 44.0}})
    assert (read.values("sleep_duration"), read.values("sleep_deep"), read.values("hrv_rmssd")) == ([55], [], [44])
    (slept,) = [r for r in read.readings if r["metric"] == "sleep_duration"]
    assert (slept["start"].isoformat()[:16], slept["utc_offset"]) == ("2025-03-02T03:30", -5 * 3600)
    assert str(slept["local_date"]) == "2025-03-01"
    assert [f["message"] for f in read.findings] == ["The export holds what is not read here: sleepMovement."]


def test_a_night_over_the_change_of_clocks_lasts_what_it_lasted_and_days_have_23_or_25_hours(bench: VendorBench) -> None:
    night = {
        **NIGHT,
        "calendarDate": "2025-03-30",
        "sleepStartTimestampGMT": "2025-03-29T22:00:00.0",
        "sleepEndTimestampGMT": "2025-03-30T05:00:00.0",
    }
    read = bench.read({"s_sleepData.json": [night], "UDSFile_1.json": [summary("2025-03-30"), summary("2025-10-26")]})
    (slept,) = [r for r in read.readings if r["metric"] == "sleep_duration"]
    assert ((slept["end"] - slept["start"]).total_seconds(), slept["utc_offset"]) == (7 * 3600, 3600)
    days = [(r["end"] - r["start"]).total_seconds() / 3600 for r in read.readings if r["metric"] == "steps"]
    assert days == [23, 25]


def test_naps_are_sessions_of_their_own(bench: VendorBench) -> None:
    nap = {
        "napTimeSec": 1500,
        "calendarDate": "2025-03-02",
        "napStartTimestampGMT": "2025-03-02T13:00:00.0",
        "napEndTimestampGMT": "2025-03-02T13:30:00.0",
    }
    read = bench.read({"s_sleepData.json": [{**NIGHT, "napList": [nap]}]})
    assert read.values("sleep_duration") == [400, 25]
    assert [r["flags"] for r in read.readings if r["value"] == 25] == [["nap"]]
    wrapped = bench.read({"sleep.json": {"dailySleepDTO": {"calendarDate": "2025-03-02"}, "dailyNapDTOS": [nap]}})
    assert wrapped.values("sleep_duration") == [25]
    assert wrapped.fates == {"accepted": 1, "unused:night_without_sleep": 1}


def test_a_night_without_sleep_is_counted_and_a_night_told_twice_counts_once(bench: VendorBench) -> None:
    empty = {"calendarDate": "2025-03-03", "sleepWindowConfirmationType": "UNCONFIRMED", "retro": False}
    again = {**NIGHT, "calendarDate": "2025-03-03", "sleepStartTimestampGMT": "2025-03-01T22:40:00.0"}
    read = bench.read({"s_sleepData.json": [NIGHT, empty, again]})
    assert read.fates == {"accepted": 2, "unused:night_without_sleep": 1}
    assert len(read.values("sleep_duration")) == 1
    assert read.ends == {"accepted": 1, "duplicate": 1}


def test_a_night_that_was_looked_at_again_replaces_the_one_that_ended_earlier(bench: VendorBench) -> None:
    early = {**NIGHT, "sleepEndTimestampGMT": "2025-03-02T04:33:00.0", "lightSleepSeconds": 20000}
    late = {**NIGHT, "sleepStartTimestampGMT": "2025-03-01T22:50:00.0"}
    read = bench.read(
        bench.tree({"s_sleepData.json": [late]}, zipped="a.zip") + bench.tree({"s_sleepData.json": [early]}, zipped="b.zip")
    )
    assert (read.values("sleep_duration"), read.starts("sleep_duration")) == ([400], ["2025-03-01T22:50:00"])
    assert read.ends == {"accepted": 1, "superseded": 1}


def test_a_day_summary_gives_the_days_figures(bench: VendorBench) -> None:
    day = summary("2025-03-02", averageSpo2Value=96.0, respiration={"avgWakingRespirationValue": 15.0})
    read = bench.read({"DI_CONNECT/DI-Connect-Aggregator/UDSFile_2025-03-01_2025-06-09.json": [day]})
    found = {metric: read.values(metric) for metric in ("steps", "distance", "active_energy", "basal_energy")}
    assert found == {"steps": [8000], "distance": [6100], "active_energy": [410], "basal_energy": [1650]}
    assert (read.values("resting_heart_rate"), read.values("heart_rate_min")) == ([52], [48])
    assert (read.values("spo2"), read.values("respiratory_rate")) == ([96], [15])
    assert {r["scope"] for r in read.readings} == {"day"}


def test_an_older_calendar_date_in_words_is_the_same_day(bench: VendorBench) -> None:
    read = bench.read({"UDSFile_1.json": [summary("2025-03-02", calendarDate={"date": "Mar 2, 2025 12:00:00 AM"})]})
    assert read.days("steps") == ["2025-03-02"]


def test_figures_that_several_files_tell_of_a_day_count_once(bench: VendorBench) -> None:
    files = {
        "UDSFile_1.json": [summary("2025-03-02")],
        "steps.json": [{"calendarDate": "2025-03-02", "totalSteps": 7900, "totalDistance": 6000, "stepGoal": 9000}],
        "rhr.json": {
            "allMetrics": {"metricsMap": {"WELLNESS_RESTING_HEART_RATE": [{"value": 53.0, "calendarDate": "2025-03-02"}]}}
        },
        "hr.json": curve("2025-03-02", restingHeartRate=54, minHeartRate=47, maxHeartRate=150),
    }
    read = bench.read(files)
    assert (read.values("steps"), read.values("resting_heart_rate"), read.values("heart_rate_max")) == ([8000], [52], [141])
    assert read.ends == {"accepted": 1, "duplicate": 3}


def test_a_day_that_was_still_running_gives_way_to_the_later_export(bench: VendorBench) -> None:
    early = summary("2025-03-02", totalSteps=3000, wellnessEndTimeGmt="2025-03-02T12:00:00.0")
    late = bench.tree({"UDSFile_1.json": [summary("2025-03-02", totalSteps=2990)]}, zipped="a.zip")  # some were taken back
    read = bench.read(late + bench.tree({"UDSFile_1.json": [early]}, zipped="b.zip"))
    assert read.values("steps") == [2990]
    assert read.ends == {"accepted": 1, "superseded": 1}
    assert len(read.records) == 2


def test_a_gap_in_a_curve_is_no_value_and_nought_and_255_are_none(bench: VendorBench) -> None:
    t = epoch("2025-03-02T08:00:00")
    pairs: list[list[Any]] = [
        [t, 60],
        [t + 120_000, None],
        [t + 240_000, 0],
        [t + 360_000, 255],
        [t + 480_000, -1],
        [t + 600_000, 62],
    ]
    read = bench.read({"hr.json": curve("2025-03-02", *pairs)})
    assert read.values("heart_rate") == [60, 62]
    assert read.starts("heart_rate") == ["2025-03-02T08:00:00", "2025-03-02T08:10:00"]
    assert read.reasons() == {"device_sentinel": 2, "zero": 1}


def test_below_nought_means_nothing_was_measured(bench: VendorBench) -> None:
    t = epoch("2025-03-02T08:00:00")
    answer = {
        "calendarDate": "2025-03-02",
        "avgWakingRespirationValue": -1.0,
        "respirationValuesArray": [[t, 14.0], [t + 120_000, -2.0]],
    }
    read = bench.read({"resp.json": answer, "UDSFile_1.json": [summary("2025-03-03", restingHeartRate=0, totalSteps=-1)]})
    assert (read.values("respiratory_rate"), read.values("resting_heart_rate"), read.values("steps")) == ([14], [], [])
    assert read.reasons() == {"device_sentinel": 3, "zero": 1}


def test_blood_pressures_inside_summaries_are_found_and_gmt_is_believed(bench: VendorBench) -> None:
    one = {
        "version": 1_700_000_000_000,
        "systolic": 121,
        "diastolic": 79,
        "pulse": 61,
        "sourceType": "INDEX_BPM",
        "measurementTimestampLocal": "2025-03-02T07:30:00.0",
        "measurementTimestampGMT": "2025-03-02T12:30:00.0",
    }
    local = {key: value for key, value in one.items() if key != "measurementTimestampGMT"}
    local |= {"measurementTimestampLocal": "2025-07-02T07:30:00.0", "systolic": 125}
    answer = {"from": "2025-03-01", "measurementSummaries": [{"startDate": "2025-03-02", "measurements": [one, local]}]}
    read = bench.read({"bp.json": answer})
    assert (read.values("systolic"), read.values("diastolic"), read.values("pulse")) == ([121, 125], [79, 79], [61, 61])
    assert read.starts("systolic") == ["2025-03-02T12:30:00", "2025-07-02T05:30:00"]


def test_weights_are_grams_and_a_date_in_milliseconds_is_the_local_clock(bench: VendorBench) -> None:
    local = epoch("2025-07-02T07:30:00")
    entry = {"samplePk": 5, "date": local, "calendarDate": "2025-07-02", "weight": 81419.0, "bodyFat": 21.5, "timestampGMT": None}
    bio = {
        "version": 3,
        "metaData": {"calendarDate": "2025-07-18T00:00:00.0"},
        "weight": {"weight": 80000.0, "timestampGMT": "2025-07-18T18:01:21.0"},
    }
    read = bench.read({"w.json": {"dateWeightList": [entry]}, WELLNESS + "104034066_userBioMetrics.json": [bio]})
    assert (read.values("weight"), read.values("body_fat")) == ([81.419, 80.0], [21.5])
    assert read.starts("weight") == ["2025-07-02T05:30:00", "2025-07-18T18:01:21"]


def test_health_status_and_overnight_variability_are_rmssd(bench: VendorBench) -> None:
    status = {
        "calendarDate": "2025-09-18",
        "createTimestampUTC": "2025-09-18T16:54:56.716",
        "metrics": [
            {"type": "HRV", "value": 72.0},
            {"type": "HR", "value": 58.0},
            {"type": "SPO2", "value": 0.0},
            {"type": "RESPIRATION", "value": 12.6},
            {"type": "SKIN_TEMP_C"},
        ],
    }
    hrv = {
        "hrvSummary": {"calendarDate": "2025-09-19", "lastNightAvg": 41},
        "hrvReadings": [{"hrvValue": 44, "readingTimeGMT": "2025-09-19T01:00:00.0"}],
    }
    read = bench.read({WELLNESS + "1_healthStatusData.json": [status], "hrv.json": hrv})
    assert read.values("hrv_rmssd") == [72, 41, 44]
    assert (read.values("respiratory_rate"), read.values("body_temperature"), read.values("heart_rate")) == ([12.6], [], [])
    assert read.reasons() == {"zero": 1}


def test_quarter_hours_of_steps_are_intervals(bench: VendorBench) -> None:
    entry = {"startGMT": "2025-03-02T05:00:00.0", "endGMT": "2025-03-02T05:15:00.0", "steps": 250, "pushes": 0}
    read = bench.read({"steps.json": [entry]})
    assert [(r["value"], r["scope"], (r["end"] - r["start"]).total_seconds()) for r in read.readings] == [(250, "interval", 900)]


def test_a_days_answers_of_garmin_connect_are_read_under_any_name(bench: VendorBench) -> None:
    """As python-garminconnect gives them; each function's answer saved as it is."""
    night, noon, day = 1_740_866_400_000, 1_740_916_800_000, {"userProfilePK": 7, "calendarDate": "2025-03-02"}
    sleep = {"sleepStartTimestampGMT": night, "sleepEndTimestampGMT": night + 25_200_000, "sleepTimeSeconds": 24_000}
    sleep |= {"sleepStartTimestampLocal": night + 3_600_000, "sleepEndTimestampLocal": night + 28_800_000}
    measured = {"systolic": 121, "diastolic": 79, "pulse": 60, "measurementTimestampGMT": "2025-03-02T06:30:00.0"}
    answers = {
        "get_stats": day | {"totalKilocalories": 2100.0, "totalSteps": 8000, "restingHeartRate": 52},
        "get_heart_rates": day | {"restingHeartRate": 52, "heartRateValues": [[noon, 61], [noon + 120_000, None]]},
        "get_sleep_data": {"dailySleepDTO": day | sleep, "restlessMomentsCount": 12},
        "get_rhr_day": {
            "allMetrics": {"metricsMap": {"WELLNESS_RESTING_HEART_RATE": [{"value": 52.0, "calendarDate": "2025-03-02"}]}}
        },
        "get_daily_steps": [{"calendarDate": "2025-03-02", "totalSteps": 8000, "totalDistance": 6100, "stepGoal": 9000}],
        "get_spo2_data": day
        | {"averageSpO2": 95.0, "lowestSpO2": 88, "spO2HourlyAverages": [[night, 96], [night + 3_600_000, None]]},
        "get_respiration_data": day | {"respirationValuesArray": [[night, 14.0]]},
        "get_hrv_data": {"hrvSummary": {"calendarDate": "2025-03-02", "lastNightAvg": 41}, "hrvReadings": []},
        "get_blood_pressure": {"from": "2025-03-01", "measurementSummaries": [{"measurements": [measured]}]},
        "get_body_composition": {
            "dateWeightList": [{"samplePk": 1, "date": noon, "calendarDate": "2025-03-02", "weight": 80_100.0}]
        },
    }
    read = bench.read({f"{name}.json": answer for name, answer in answers.items()})
    told = {metric: read.values(metric) for metric in sorted({r["metric"] for r in read.readings})}
    assert told == {
        "diastolic": [79],
        "distance": [6100],
        "heart_rate": [61],
        "hrv_rmssd": [41],
        "pulse": [60],
        "respiratory_rate": [14],
        "resting_heart_rate": [52],
        "sleep_duration": [400],
        "spo2": [96, 95],
        "steps": [8000],
        "systolic": [121],
        "weight": [80.1],
    }
    assert not read.dead_letters
    assert set(read.days("steps")) | set(read.days("sleep_duration")) == {"2025-03-02"}


def test_another_accounts_days_are_refused(bench: VendorBench) -> None:
    days = [summary("2025-03-02"), summary("2025-03-03"), summary("2025-03-04", userProfilePK=7654321)]
    read = bench.read({"UDSFile_1.json": days})
    assert read.days("steps") == ["2025-03-02", "2025-03-03"]
    assert read.ends["rejected:other_user"] == 1
    assert bench.read({"UDSFile_1.json": days}, own_users={"garmin": ["7654321"]}).days("steps") == ["2025-03-04"]


def test_overlapping_exports_nested_in_zips_are_idempotent(bench: VendorBench, tmp_path: Path) -> None:
    inner = bench.tree({"77_1.fit": (SAMPLES / "garmin-fenix-5-walk.fit").read_bytes()}, zipped="inner.zip")
    files = {
        "DI_CONNECT/DI-Connect-Uploaded-Files/UploadedFiles_0-_Part1.zip": Path(inner[0].path).read_bytes(),
        "DI_CONNECT/DI-Connect-Aggregator/UDSFile_2025.json": [summary("2025-03-02")],
        WELLNESS + "someone@example.com_104034066_sleepData.json": [NIGHT],
        "DI_CONNECT/DI-Connect-Fitness/someone@example.com_0_summarizedActivities.json": [{"summarizedActivitiesExport": [{}]}],
        "DI_CONNECT/DI-Connect-User/someone@example.com_user_settings.json": {"userData": {"weight": 1}},
    }
    once = bench.read(bench.tree(files, zipped="export.zip"))
    twice = bench.read(bench.tree(files, zipped="export.zip") + bench.tree(files))
    assert twice.readings == once.readings
    assert twice.fates["accepted"] == once.fates["accepted"] == 19
    assert twice.fates["duplicate"] == 19
    told = " ".join(f["message"] for f in once.findings)
    assert "summarizedActivities.json" in told
    assert "user_settings.json" in told or "userData" in told
    assert "example.com" not in told


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('[{"calendarDate": "2025-03-02", "totalSteps": 1', "json_truncated"),
        ("<!DOCTYPE html><html>sign in</html>", "html"),
        ("lat,lon\n1,2\n", "unknown_file"),
        ('[{"calendarDate": "2025-03-02", "totalSteps": NaN}]', "not_json"),
        ('[{"calendarDate":"2025-03-02","totalSteps":5,"table":"x"}]', "unknown_object"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason(bench: VendorBench, content: str, reason: str) -> None:
    read = bench.read({"a.json": content})
    assert [x["reason"] for x in read.dead_letters] == [reason]


def test_files_of_other_kinds_in_an_unpacked_export_are_named_not_refused(bench: VendorBench) -> None:
    files = {
        "DI_CONNECT/DI-Connect-User/picture.jpg": b"\xff\xd8\xff",
        "DI_CONNECT/a.gpx": "<gpx/>",
        "DI_CONNECT/b/UDSFile_1.json": [summary("2025-03-02")],
    }
    read = bench.read(files)
    assert read.fates == {"accepted": 1, "unused:file_not_read": 2}
    assert sorted(f["message"].rpartition(" ")[2] for f in read.findings) == [".gpx.", ".jpg."]


def test_a_new_field_is_told_as_drift(bench: VendorBench) -> None:
    read = bench.read({"UDSFile_1.json": [summary("2025-03-02", moodScore=3)]})
    assert [f["message"].split(".")[0] for f in read.findings] == ["A field is new: moodScore of daily"]


def test_any_time_that_is_none_makes_the_record_invalid(bench: VendorBench) -> None:
    days = [summary(day) for day in ("2025-02-30", "1899-01-01", "soon", "2025-03-02")]
    nights = [
        {**NIGHT, "sleepStartTimestampGMT": stamp, "calendarDate": f"2025-04-{n + 1:02d}"}
        for n, stamp in enumerate((-1, "x", None))
    ]
    read = bench.read({"UDSFile_1.json": days, "s_sleepData.json": nights})
    assert read.days("steps") == ["2025-03-02"]
    assert read.fates["rejected:bad_time"] == 6


_KEYS = "dailySleepDTO calendarDate heartRateValues hrvSummary metrics weight metaData systolic diastolic allMetrics metricsMap napList"
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["2025-03-02", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS.split()), inner, max_size=5),
    max_leaves=15,
)


@settings(max_examples=60)
@given(_JSON)
def test_any_json_is_records_or_reasons_and_readings_or_refusals(tmp_path_factory: pytest.TempPathFactory, document: Any) -> None:
    assert all(isinstance(found, tuple) for found in units(document, "x"))
    VendorBench("garmin", tmp_path_factory.mktemp("any")).read({"a.json": document})


def test_a_refused_part_says_which_metrics_it_speaks_of() -> None:
    assert subjects.metrics_of("garmin", {"table": "daily"}, "restingHeartRate") == {"resting_heart_rate"}
    assert subjects.metrics_of("garmin", {"table": "heart_rate"}, "curve") == {"heart_rate"}
    assert subjects.metrics_of("garmin", {"table": "fit_weight_scale"}, "user_profile_index") == {"weight", "body_fat"}
    assert all(subjects.metrics_of("garmin", {"table": table}, None) for table in TABLES)
