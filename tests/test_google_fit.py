"""A Google Fit export is read right: nanoseconds as text, several streams of one measurement, quarter hours, days and sleep."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.google_fit.records import _integer, _nanos
from tests.vendor_bench import VendorBench

SAMPLES = Path(__file__).parent / "samples" / "google_fit"
DATA, DAILY = "Takeout/Fit/All Data", "Takeout/Fit/Daily activity metrics"
STEPS, HEART, SLEEP = "com.google.step_count.delta", "com.google.heart_rate.bpm", "com.google.sleep.segment"


@pytest.fixture
def bench(tmp_path: Path) -> VendorBench:
    return VendorBench("google_fit", tmp_path)


def nanos(text: str) -> str:
    return f"{int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())}000000000"


def point(kind: str, start: str, end: str, *values: float, **more: Any) -> dict[str, Any]:
    given = [{"value": {"intVal" if isinstance(v, int) else "fpVal": v}} for v in values]
    return {
        "fitValue": given,
        "originDataSourceId": "raw:x:Acme:Watch",
        "startTimeNanos": nanos(start),
        "endTimeNanos": nanos(end),
        "dataTypeName": kind,
        "modifiedTimeMillis": "1709700000000",
    } | more


def stream(source: str, *points: dict[str, Any]) -> dict[str, Any]:
    return {"Data Source": source, "Data Points": list(points)}


MERGED = f"derived:{STEPS}:com.google.android.gms:merge_step_deltas"
RAW = f"raw:{STEPS}:com.google.android.apps.fitness:Acme:Phone"


def test_the_shared_samples_are_read(bench: VendorBench) -> None:
    read = bench.read({f"{DATA}/{p.name}": p.read_bytes() for p in SAMPLES.iterdir() if p.suffix != ".txt"})
    assert read.fates == {"accepted": 14, "unused:type_not_read": 9}
    assert read.ends == {"accepted": 9, "superseded": 2, "unused:no_sleep": 3}
    assert [round(v, 1) for v in read.values("weight")] == [72.1, 72, 75.8]
    assert read.values("heart_rate") == [54, 58]
    assert read.values("steps") == [4146, 0, 17, 184]
    asleep = bench.read({"x.json": (SAMPLES / "googlefit-merge-activity-segments-only-sleep.json").read_bytes()})
    assert (asleep.values("sleep_duration"), asleep.days("sleep_duration")) == ([30], ["2015-07-07"])
    told = {f["message"].rsplit(": ")[1] for f in read.findings}
    assert told == {f"com.google.{name}." for name in ("calories.expended", "height", "location.sample", "speed")}


def test_stamps_are_nanoseconds_as_text_or_number(bench: VendorBench) -> None:
    one = point(HEART, "2024-03-05T07:00:00", "2024-03-05T07:00:00", 72.0)
    other = one | {"startTimeNanos": int(nanos("2024-03-05T07:00:05")), "endTimeNanos": int(nanos("2024-03-05T07:00:05"))}
    read = bench.read({f"{DATA}/x.json": stream(f"raw:{HEART}:a", one, other)})
    assert read.starts("heart_rate") == ["2024-03-05T07:00:00", "2024-03-05T07:00:05"]


def test_of_merged_and_raw_streams_the_merged_counts_and_the_raw_stands_in_on_other_days(bench: VendorBench) -> None:
    same = ("2024-03-05T07:00:00", "2024-03-05T07:10:00", 400)
    read = bench.read(
        {
            f"{DATA}/derived_merge.json": stream(MERGED, point(STEPS, *same)),
            f"{DATA}/raw.json": stream(RAW, point(STEPS, *same), point(STEPS, "2024-03-06T07:00:00", "2024-03-06T07:10:00", 90)),
        }
    )
    assert read.values("steps") == [400, 90]
    assert read.ends == {"accepted": 2, "duplicate": 1}


DAYS = "Date,Calories (kcal),Distance (m),Average heart rate (bpm),Max heart rate (bpm),Min heart rate (bpm),Step count,Average weight (kg)"
WINDOWS = "Start time,End time,Distance (m),Step count,Average heart rate (bpm)"
LATE = "23:30:00.000+01:00,23:45:00.000+01:00,,120,\n23:45:00.000+01:00,00:00:00.000+01:00,,30,"


def test_days_and_quarter_hours_stand_in_where_no_stream_tells(bench: VendorBench) -> None:
    read = bench.read(
        {
            f"{DATA}/merge.json": stream(MERGED, point(STEPS, "2024-03-05T07:00:00", "2024-03-05T07:10:00", 400)),
            f"{DAILY}/Daily activity metrics.csv": f"{DAYS}\n2024-03-05,2310,300,71.2,110,52,8123,80.4\n2024-03-06,2100,,,,,5000,\n",
            f"{DAILY}/2024-03-06.csv": f"{WINDOWS}\n{LATE}\n",
        }
    )
    assert read.values("steps") == [400, 120, 30]
    assert (read.values("distance"), read.values("weight"), read.values("heart_rate_max")) == ([300], [80.4], [110])
    last = max((r for r in read.readings if r["metric"] == "steps"), key=lambda r: r["start"])
    assert ((last["end"] - last["start"]).total_seconds(), str(last["local_date"])) == (900, "2024-03-06")
    assert read.ends == {"accepted": 4, "duplicate": 1}


def test_a_day_is_the_local_day_it_names(bench: VendorBench) -> None:
    text = f"{DAYS}\n2024-03-05,,,,,,8123,\n"
    for zone in ("America/Los_Angeles", "Pacific/Auckland"):
        assert bench.read({"Daily activity metrics.csv": text}, timezone=zone).days("steps") == ["2024-03-05"]


def test_a_blood_pressure_has_both_its_numbers_or_none(bench: VendorBench) -> None:
    kind = "com.google.blood_pressure"
    good = point(kind, "2024-03-05T07:00:00", "2024-03-05T07:00:00", 121.0, 79.0, 1, 3)
    bad = point(kind, "2024-03-05T08:00:00", "2024-03-05T08:00:00", 121.0, 0.0)
    read = bench.read({"a.json": stream(f"raw:{kind}:x", good, bad)})
    assert (read.values("systolic"), read.values("diastolic"), read.reasons()) == ([121], [79], {"zero": 1})


def test_segments_are_put_together_to_a_night_and_a_nap(bench: VendorBench) -> None:
    parts = [("22:00", "23:00", 4), ("23:00", "23:30", 1), ("23:30", "23:50", 3)]
    night = [point(SLEEP, f"2024-03-04T{a}:00", f"2024-03-04T{b}:00", state) for a, b, state in parts]
    night += [
        point(SLEEP, "2024-03-04T23:50:00", "2024-03-05T02:00:00", 5),
        point(SLEEP, "2024-03-05T02:00:00", "2024-03-05T05:00:00", 6),
        point(SLEEP, "2024-03-05T13:00:00", "2024-03-05T13:40:00", 2),
    ]
    session = {
        "fitnessActivity": "sleep",
        "startTime": "2024-03-04T22:00:00Z",
        "endTime": "2024-03-05T05:00:00Z",
        "duration": "25200s",
    }
    read = bench.read(
        {
            f"{DATA}/derived_sleep.json": stream(f"derived:{SLEEP}:com.google.android.gms:merged", *night),
            "Takeout/Fit/All Sessions/2024-03-04T22_00_00Z_SLEEP.json": session,
            "Takeout/Fit/All Sessions/2024-03-04T18_00_00Z_RUNNING.json": session | {"fitnessActivity": "running"},
        }
    )
    assert (read.values("sleep_duration"), read.days("sleep_duration")) == ([370, 40], ["2024-03-05", "2024-03-05"])
    assert (read.values("sleep_light"), read.values("sleep_deep"), read.values("sleep_rem")) == ([60], [130], [180])
    assert read.values("sleep_awake") == [30]
    assert read.ends == {"accepted": 5, "duplicate": 1, "unused:no_sleep": 1}
    assert read.fates["unused:file_not_read"] == 1


def test_a_session_in_bed_counts_where_there_are_no_segments(bench: VendorBench) -> None:
    session = {"fitnessActivity": "sleep", "startTime": "2024-03-04T22:00:00Z", "endTime": "2024-03-05T05:00:00Z"}
    assert bench.read({"x_SLEEP.json": session}).values("sleep_duration") == [420]


def test_segments_without_stages_still_say_more_than_a_session_in_bed(bench: VendorBench) -> None:
    asleep = point(SLEEP, "2024-03-04T22:30:00", "2024-03-05T04:30:00", 2)
    session = {"fitnessActivity": "sleep", "startTime": "2024-03-04T22:00:00Z", "endTime": "2024-03-05T05:00:00Z"}
    read = bench.read({"a.json": stream(f"derived:{SLEEP}:x", asleep), "x_SLEEP.json": session})
    assert (read.values("sleep_duration"), read.ends) == ([360], {"accepted": 1, "duplicate": 1})


def test_overlapping_exports_count_once_and_the_newer_point_wins(bench: VendorBench) -> None:
    at = ("2024-03-05T07:00:00", "2024-03-05T07:10:00")
    old = bench.tree({"a.json": stream(MERGED, point(STEPS, *at, 400))})
    new = bench.tree({"b.json": stream(MERGED, point(STEPS, *at, 390, modifiedTimeMillis="1709800000000"))}, zipped="b.zip")
    for artifacts in (old + new, new + old):
        read = bench.read(artifacts)
        assert (read.values("steps"), read.ends) == ([390], {"accepted": 1, "superseded": 1})


def test_what_cannot_be_read_is_told_and_the_rest_goes_on(bench: VendorBench) -> None:
    good = point(STEPS, "2024-03-05T07:00:00", "2024-03-05T07:10:00", 400)
    files = {
        "Fit/All Data/a.json": '{"Data Source": "'
        + MERGED
        + '", "Data Points": [7, '
        + str(good).replace("'", '"')
        + ', {"fitValue": NaN}]}',
        "Fit/All Data/b.json": stream(RAW, good | {"startTimeNanos": "0"}, good | {"fitValue": "much"}),
        "Fit/Activities/run.tcx": "<x/>",
        "Fit/Daily activity metrics/odd.csv": "a,b\n1,2\n",
        "Fit/All Data/c.json": "",
    }
    read = bench.read(bench.tree(files, zipped="takeout.zip"))
    assert read.values("steps") == [400]
    assert sorted(d["reason"] for d in read.dead_letters) == ["no_object", "not_json"]
    assert read.fates == {
        "accepted": 1,
        "rejected:bad_time": 1,
        "rejected:no_object": 1,
        "rejected:not_json": 1,
        "rejected:schema:fitValue:type": 1,
        "unused:empty_file": 1,
        "unused:file_not_read": 2,
    }


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text())
def test_no_stamp_can_stop_the_reading(value: Any) -> None:
    found = _nanos(value)
    assert found is None or found > 0
    _integer(value)


def test_every_kind_of_record_says_which_metrics_it_speaks_of(bench: VendorBench) -> None:
    from processing.normalizers.google_fit import metrics_of

    read = bench.read({p.name: p.read_bytes() for p in SAMPLES.iterdir() if p.suffix == ".json"})
    by_record = {r["raw_id"]: r["raw"] for r in read.records}
    assert all(r["metric"] in metrics_of(by_record[r["raw_id"]], None) for r in read.readings)
