"""A Samsung Health export is read right: metadata first, trailing commas, UTC beside an offset, merged steps, minutes in JSON files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.samsung_health.tables import bins_of, short_names, type_in_name, type_of
from tests.vendor_bench import VendorBench

ROOT = "samsunghealth_ann_20260921101500"
WATCH, PHONE = "watch-uuid", "phone-uuid"
HR = "com.samsung.health.heart_rate."
BP = "com.samsung.health.blood_pressure."


@pytest.fixture
def bench(tmp_path: Path) -> VendorBench:
    return VendorBench("samsung_health", tmp_path)


def table(kind: str, columns: str, *rows: str, prefix: str = "") -> dict[str, bytes]:
    """A CSV as the app writes it: byte-order mark, metadata, header, and a comma more at the end of every line."""
    header = ",".join(prefix + name for name in columns.split(","))
    text = "\r\n".join([f"{kind},6230004,3", header, *[f"{row}," for row in rows], ""])
    return {f"{ROOT}/{kind}.20260921101500.csv": b"\xef\xbb\xbf" + text.encode()}


def pressure(
    *rows: str, prefix: str = BP, columns: str = "start_time,time_offset,systolic,diastolic,pulse,datauuid"
) -> dict[str, bytes]:
    return table("com.samsung.shealth.blood_pressure", columns, *rows, prefix=prefix)


def steps(*rows: str) -> dict[str, bytes]:
    return table("com.samsung.shealth.step_daily_trend", "source_type,count,distance,day_time,deviceuuid", *rows)


def sleep(*rows: str) -> dict[str, bytes]:
    return table(
        "com.samsung.shealth.sleep",
        "start_time,end_time,time_offset,datauuid,sleep_duration,sleep_score,pkg_name",
        *rows,
        prefix="com.samsung.health.sleep.",
    )


def stages(*rows: str) -> dict[str, bytes]:
    return table("com.samsung.health.sleep_stage", "start_time,end_time,time_offset,stage,sleep_id,datauuid", *rows)


def test_the_metadata_line_and_the_trailing_comma_do_not_shift_the_columns(bench: VendorBench) -> None:
    read = bench.read(pressure("2026-09-20 18:00:00.000,UTC+0200,132.0,89.0,71,u1"))
    assert (read.values("systolic"), read.values("diastolic"), read.values("pulse")) == ([132], [89], [71])
    assert read.fates == {"accepted": 1, "unused:header": 1, "unused:metadata": 1}
    assert read.records[0]["raw"]["datauuid"] == "u1"


def test_times_are_utc_and_the_offset_says_where_the_person_was(bench: VendorBench) -> None:
    read = bench.read(pressure("2026-09-20 23:30:00.000,UTC+0900,132,89,71,u1"))
    assert read.starts("systolic") == ["2026-09-20T23:30:00"]
    assert (read.days("systolic"), read.readings[0]["utc_offset"]) == (["2026-09-21"], 32400)


@pytest.mark.parametrize("offset", ["UTC-0330", "UTC+0545"])
def test_offsets_of_less_than_an_hour_are_read(bench: VendorBench, offset: str) -> None:
    seconds = {"UTC-0330": -12600, "UTC+0545": 20700}[offset]
    assert bench.read(pressure(f"2026-09-20 12:00:00.000,{offset},132,89,71,u1")).readings[0]["utc_offset"] == seconds


def test_a_pressure_of_nought_is_a_failed_measurement(bench: VendorBench) -> None:
    read = bench.read(pressure("2026-09-20 19:00:00.000,UTC+0200,0.0,0.0,71,u1", "2026-09-20 19:05:00.000,UTC+0200,130,85,0,u2"))
    assert (read.values("systolic"), read.values("pulse")) == ([130], [])
    assert read.reasons() == {"zero": 3}
    assert read.ends == {"accepted": 1, "rejected:zero": 1}


def test_both_prefixes_and_none_at_all_name_the_same_columns(bench: VendorBench) -> None:
    rows = ("2026-09-20 18:00:00.000,UTC+0200,132,89,71,u1",)
    for prefix in (BP, "com.samsung.shealth.blood_pressure.", ""):
        assert bench.read(pressure(*rows, prefix=prefix)).values("systolic") == [132]
    other = {
        "x/com.samsung.health.blood_pressure.1.csv": pressure(*rows)[
            f"{ROOT}/com.samsung.shealth.blood_pressure.20260921101500.csv"
        ]
    }
    assert bench.read(other).values("systolic") == [132]


def test_one_measurement_written_by_two_apps_counts_once(bench: VendorBench) -> None:
    read = bench.read(
        pressure("2026-09-20 18:00:00.000,UTC+0200,132,89,71,u1", "2026-09-20 18:00:31.000,UTC+0200,132.0,89.0,71,u2")
    )
    assert read.values("systolic") == [132]
    assert read.ends == {"accepted": 1, "duplicate": 1}


def test_of_a_days_steps_the_merged_row_counts_never_the_sum(bench: VendorBench) -> None:
    day = "2026-09-20 00:00:00.000"
    read = bench.read(steps(f"-2,7445,5200,{day},VfS0", f"10,7445,5200,{day},{PHONE}", f"0,7100,5000,{day},{WATCH}"))
    assert (read.values("steps"), read.values("distance")) == ([7445], [5200])
    assert read.ends == {"accepted": 1, "duplicate": 2}


def test_without_a_merged_row_the_devices_go_to_the_merge_apart(bench: VendorBench) -> None:
    read = bench.read(steps(f"10,5000,1,2026-09-20 00:00:00.000,{PHONE}", f"0,7100,1,2026-09-20 00:00:00.000,{WATCH}"))
    assert {(r["device"], r["value"]) for r in read.readings if r["metric"] == "steps"} == {(PHONE, 5000), (WATCH, 7100)}


def test_the_older_summary_of_a_day_stands_in_where_there_is_no_trend(bench: VendorBench) -> None:
    older = table(
        "com.samsung.shealth.tracker.pedometer_day_summary",
        "day_time,step_count,distance,deviceuuid,datauuid",
        f"1789862400000,100,1,{PHONE},a",
        f"1789948800000,250,1,{PHONE},b",
    )
    read = bench.read({**older, **steps("-2,7445,5200,1789862400000,VfS0")})
    assert (read.days("steps"), read.values("steps")) == (["2026-09-20", "2026-09-21"], [7445, 250])


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Europe/Warsaw", "Pacific/Auckland"])
@pytest.mark.parametrize("day", ["1789862400000", "2026-09-20 00:00:00.000"])
def test_a_day_is_midnight_utc_of_the_local_day_as_number_or_text(bench: VendorBench, day: str, zone: str) -> None:
    assert bench.read(steps(f"-2,7445,5200,{day},VfS0"), timezone=zone).days("steps") == ["2026-09-20"]


def test_energy_is_split_into_active_and_basal(bench: VendorBench) -> None:
    read = bench.read(
        table(
            "com.samsung.shealth.calories_burned.details",
            "day_time,active_calorie,rest_calorie,tef_calorie,datauuid",
            "2026-09-20 00:00:00.000,412.5,1510,0,u",
            prefix="com.samsung.shealth.calories_burned.",
        )
    )
    assert (read.values("active_energy"), read.values("basal_energy")) == ([412.5], [1510])


def heart(*rows: str) -> dict[str, bytes]:
    columns = "start_time,end_time,time_offset,heart_rate,min,max,binning_data,datauuid"
    return table("com.samsung.shealth.tracker.heart_rate", columns, *rows, prefix=HR)


BINS = "abc.com.samsung.health.heart_rate.binning_data.json"
MINUTES = [
    {"heart_rate": 52.0, "heart_rate_min": 50.0, "heart_rate_max": 55.0, "start_time": 1788508800000, "end_time": 1788508859999},
    {"heart_rate": 61.0, "heart_rate_min": 58.0, "heart_rate_max": 66.0, "start_time": 1788508860000, "end_time": 1788508919999},
]


def test_minutes_in_the_json_file_count_and_the_rows_mean_of_them_does_not(bench: VendorBench) -> None:
    read = bench.read(
        {
            **heart(
                f"2026-09-04 08:00:00.000,2026-09-04 08:59:59.000,UTC+0200,57,50,66,{BINS},u1",
                "2026-09-04 10:00:00.000,2026-09-04 10:00:00.000,UTC+0200,88,88,88,,u2",
            ),
            f"{ROOT}/jsons/com.samsung.shealth.tracker.heart_rate/a/{BINS}": MINUTES,
        }
    )
    assert read.values("heart_rate") == [52, 61, 88]
    assert read.starts("heart_rate") == ["2026-09-04T08:00:00", "2026-09-04T08:01:00", "2026-09-04T10:00:00"]
    assert read.ends == {"accepted": 3, "duplicate": 1}


def test_a_row_whose_json_file_is_not_there_counts_itself(bench: VendorBench) -> None:
    read = bench.read(heart(f"2026-09-04 08:00:00.000,2026-09-04 08:59:59.000,UTC+0200,57,50,66,{BINS},u1"))
    assert read.values("heart_rate") == [57]


def test_breaths_stand_by_the_minute_in_json_files_and_as_a_mean_of_the_night(bench: VendorBench) -> None:
    name = "r.binning_data.json"
    minutes = [
        {"respiratory_rate": rate, "start_time": 1788508800000 + 60_000 * n, "end_time": 1788508859999 + 60_000 * n}
        for n, rate in enumerate((14.2, 0.0, 13.8))
    ]
    read = bench.read(
        {
            **table(
                "com.samsung.health.respiratory_rate",
                "start_time,end_time,time_offset,average,binning_data,datauuid",
                f"2026-09-04 08:00:00.000,2026-09-04 08:03:00.000,UTC+0200,14.0,{name},u1",
                "2026-09-05 01:00:00.000,2026-09-05 07:00:00.000,UTC+0200,15.5,,u2",
            ),
            f"{ROOT}/jsons/com.samsung.health.respiratory_rate/r/{name}": minutes,
        }
    )
    assert read.values("respiratory_rate") == [14.2, 13.8, 15.5]
    assert read.ends == {"accepted": 3, "duplicate": 1, "rejected:zero": 1}
    assert not read.findings


def test_variability_stands_in_json_files_only(bench: VendorBench) -> None:
    value = {"sdnn": 41.2, "rmssd": 38.4, "start_time": 1788508800000, "end_time": 1788509100000}
    read = bench.read(
        {
            **table(
                "com.samsung.health.hrv",
                "start_time,end_time,binning_data,datauuid",
                "2026-09-04 08:00:00.000,x,f.binning_data.json,u",
            ),
            f"{ROOT}/jsons/com.samsung.health.hrv/f/f.binning_data.json": [value],
        }
    )
    assert (read.values("hrv_sdnn"), read.values("hrv_rmssd")) == ([41.2], [38.4])
    assert read.fates["unused:points_to_json"] == 1


def test_oxygen_respiration_and_body_are_read(bench: VendorBench) -> None:
    oxygen = table(
        "com.samsung.shealth.tracker.oxygen_saturation",
        "start_time,end_time,time_offset,spo2,datauuid",
        "2026-09-04 02:00:00.000,2026-09-04 02:00:00.000,UTC+0200,96,o1",
        "2026-09-04 03:00:00.000,2026-09-04 03:00:00.000,UTC+0200,0,o2",
        prefix="com.samsung.health.oxygen_saturation.",
    )
    breath = table(
        "com.samsung.health.respiratory_rate",
        "start_time,end_time,time_offset,average,datauuid",
        "2026-09-04 00:00:00.000,2026-09-04 06:00:00.000,UTC+0200,14.2,r1",
    )
    scale = table(
        "com.samsung.health.weight",
        "start_time,weight,body_fat,time_offset,datauuid",
        "2026-09-21 05:13:52.268,81.54,21.3,UTC+0300,w1",
    )
    skin = table("com.samsung.health.skin_temperature", "start_time,temperature", "2026-09-04 00:00:00.000,33.1")
    read = bench.read({**oxygen, **breath, **scale, **skin})
    assert (read.values("spo2"), read.values("respiratory_rate")) == ([96], [14.2])
    assert (read.values("weight"), read.values("body_fat"), read.values("body_temperature")) == ([81.54], [21.3], [])
    assert read.reasons() == {"zero": 1}
    assert any(f["message"].endswith("skin_temperature.") for f in read.findings)


NIGHT = "2026-09-03 21:00:00.000,2026-09-04 05:00:00.000,UTC+0200,s1,450,81,com.sec.android.app.shealth"
STAGED = (
    "2026-09-03 21:00:00.000,2026-09-03 21:30:00.000,UTC+0200,40001,s1,a",
    "2026-09-03 21:30:00.000,2026-09-04 01:30:00.000,UTC+0200,40002,s1,b",
    "2026-09-04 01:30:00.000,2026-09-04 03:00:00.000,UTC+0200,40003,s1,c",
    "2026-09-04 03:00:00.000,2026-09-04 05:00:00.000,UTC+0200,40004,s1,d",
)


def test_a_night_has_its_stages_its_score_and_the_day_of_waking(bench: VendorBench) -> None:
    read = bench.read({**sleep(NIGHT), **stages(*STAGED)})
    assert (read.days("sleep_duration"), read.values("sleep_duration")) == (["2026-09-04"], [450])
    assert (read.values("sleep_awake"), read.values("sleep_light"), read.values("sleep_deep"), read.values("sleep_rem")) == (
        [30],
        [240],
        [90],
        [120],
    )
    assert read.values("sleep_score") == [81]
    assert read.ends == {"accepted": 5}


def test_of_two_apps_that_tell_one_night_the_staged_one_counts_and_a_nap_stays_apart(bench: VendorBench) -> None:
    other = "2026-09-03 20:50:00.000,2026-09-04 05:10:00.000,UTC+0200,s2,,,com.urbandroid.sleep"
    nap = "2026-09-04 12:00:00.000,2026-09-04 12:40:00.000,UTC+0200,s3,38,,com.sec.android.app.shealth"
    read = bench.read({**sleep(other, NIGHT, nap), **stages(*STAGED)})
    assert read.values("sleep_duration") == [450, 38]
    assert read.ends == {"accepted": 6, "duplicate": 1}


def test_of_two_apps_without_stages_samsungs_own_is_believed(bench: VendorBench) -> None:
    other = "2026-09-03 20:50:00.000,2026-09-04 05:10:00.000,UTC+0200,s2,490,,com.urbandroid.sleep"
    assert bench.read(sleep(other, NIGHT)).values("sleep_duration") == [450]


def test_the_combined_nights_are_the_same_nights_again_and_not_read(bench: VendorBench) -> None:
    read = bench.read({**sleep(NIGHT), **table("com.samsung.shealth.sleep_combined", "start_time,end_time", "a,b")})
    assert read.values("sleep_duration") == [450]
    assert read.fates["unused:table_not_read"] == 1


def test_a_newer_export_wins_by_the_vendors_update_time_in_any_order(bench: VendorBench) -> None:
    columns = "start_time,time_offset,systolic,diastolic,pulse,datauuid,update_time"
    old = bench.tree(pressure("2026-09-20 18:00:00.000,UTC+0200,132,89,71,u1,2026-09-20 18:01:00.000", columns=columns))
    new = bench.tree(
        pressure("2026-09-20 18:00:00.000,UTC+0200,128,85,70,u1,2026-09-22 09:00:00.000", columns=columns), zipped="b.zip"
    )
    for artifacts in (old + new, new + old, new + old + [new[0]._replace(name="c.zip")]):
        read = bench.read(artifacts)
        assert read.values("systolic") == [128]
        assert read.ends == {"accepted": 1, "superseded": 1}


def test_what_cannot_be_read_is_told_and_the_rest_goes_on(bench: VendorBench) -> None:
    files = {
        **pressure(
            "2026-09-20 18:00:00.000,UTC+0200,132,89,71,u1", "soon,UTC+0200,132,89,71,u2", "2026-09-20 18:00:00.000,UTC+0200"
        ),
        f"{ROOT}/com.samsung.health.weight.1.csv": "com.samsung.health.weight,1,1\nstart_time,fat,\n",
        f"{ROOT}/strange.csv": "a,b\n1,2\n",
        f"{ROOT}/jsons/com.samsung.shealth.tracker.heart_rate/a/{BINS}": "[1, {",
        f"{ROOT}/jsons/com.samsung.shealth.exercise/a/x.live_data.json": "[]",
        f"{ROOT}/files/photo.jpg": b"\xff\xd8\xff",
        f"{ROOT}/com.samsung.shealth.badge.1.csv": "",
    }
    read = bench.read(bench.tree(files, zipped="x.zip"))
    assert read.values("systolic") == [132]
    reasons = sorted(d["reason"] for d in read.dead_letters)
    assert reasons == ["json_truncated", "missing_column", "no_object", "short_row", "unknown_table"]
    assert read.fates["rejected:bad_time"] == 1
    told = {f["message"].rsplit(": ")[1] for f in read.findings if f["code"] == "not_read"}
    assert told == {"exercise live_data.json.", ".jpg."}


def test_columns_and_files_are_named_whatever_the_version_of_the_app() -> None:
    assert type_of("com.samsung.shealth.tracker.heart_rate") == "tracker.heart_rate"
    assert type_in_name("a/com.samsung.health.weight.20260921101500 (1).csv") == "weight"
    assert type_in_name("a/notes.csv") is None
    assert bins_of("jsons/com.samsung.health.hrv/f/f.binning_data.json") == ("hrv", "binning_data")
    assert bins_of(f"hr_bins/{BINS}") == ("heart_rate", "binning_data")
    assert short_names([HR + "start_time", HR + "comment", "comment"]) == ["start_time", HR + "comment", "comment"]


@given(st.text(max_size=60), st.lists(st.text(max_size=20), max_size=5))
def test_no_name_can_stop_the_reading(path: str, columns: list[str]) -> None:
    bins_of(path)
    type_in_name(path)
    names = short_names(list(dict.fromkeys(columns)))
    assert len(set(names)) == len(names)


def test_every_kind_of_record_says_which_metrics_it_speaks_of(bench: VendorBench) -> None:
    from processing.normalizers.samsung_health import metrics_of

    files: dict[str, Any] = {**sleep(NIGHT), **stages(*STAGED), **steps("-2,7,1,2026-09-20 00:00:00.000,V")}
    read = bench.read({**files, **pressure("2026-09-20 18:00:00.000,UTC+0200,132,89,71,u1")})
    by_record = {r["raw_id"]: r["raw"] for r in read.records}
    assert all(r["metric"] in metrics_of(by_record[r["raw_id"]], None) | {"sleep_score"} for r in read.readings)
