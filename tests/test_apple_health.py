"""Apple Health exports come out right: every trap of the format, and the whole way into the daily table."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from ingestion.apple_health import lines, types
from ingestion.apple_health.columns import FULL
from ingestion.apple_health.records import parse, parse_blocks
from ingestion.apple_health.stamps import read_column, read_stamp
from ingestion.blocks import Block, Seen, hashes
from ingestion.records import Record
from processing.normalizers.apple_health import _instant
from processing.normalizers.apple_health_units import PRESSURES, QUANTITIES
from tests.apple_health_exports import (
    BROKEN_DTD,
    WARSAW,
    WINTER,
    Run,
    export,
    heart,
    pressure,
    printed,
    record,
    sleep,
    zipped,
)
from tests.stage_bench import as_file

SAMPLE = Path(__file__).parent / "samples/apple_health/export.xml"
NIGHT = [
    sleep("AsleepCore", "2024-01-10 23:00", "2024-01-11 02:00"),
    sleep("AsleepDeep", "2024-01-11 02:00", "2024-01-11 03:00"),
    sleep("Awake", "2024-01-11 03:00", "2024-01-11 03:10"),
    sleep("AsleepREM", "2024-01-11 03:10", "2024-01-11 05:00"),
]


def test_the_public_sample_is_read(tmp_path: Path) -> None:
    run = Run(tmp_path, SAMPLE)
    assert run.fates == {"accepted": 3, "unused:element_not_read": 1, "unused:header": 2, "unused:type_not_read": 1}
    assert sorted(run.unread()) == ["HKQuantityTypeIdentifierBodyMassIndex", "Workout"]
    assert [(r["metric"], r["value"], r["scope"], r["device"]) for r in run.readings] == [
        ("active_energy", 590.252, "day", None),
        ("active_energy", 323.513, "day", None),
        ("heart_rate", 72.0, "instant", "Apple\u00a0Watch"),
    ]


def test_every_type_that_is_read_means_something() -> None:
    known = {types.short(name) for name in types.READ}
    assert known == QUANTITIES.keys() | PRESSURES.keys() | {"SleepAnalysis"}


def test_a_record_keeps_what_the_export_says(tmp_path: Path) -> None:
    run = Run(tmp_path, export(heart(72, "2024-01-10 07:00", metadata={"HKMetadataKeyHeartRateMotionContext": "0"})))
    (row,) = run.records
    assert row["raw"] == {
        "type": "HKQuantityTypeIdentifierHeartRate",
        "sourceName": "Apple Watch",
        "sourceVersion": "9.1",
        "unit": "count/min",
        "table": "Record",
        "creationDate": "2024-01-10 09:00:00 +0200",
        "startDate": "2024-01-10 09:00:00 +0200",
        "endDate": "2024-01-10 09:00:00 +0200",
        "value": "72",
        "metadata": {"HKMetadataKeyHeartRateMotionContext": "0"},
    }
    assert (row["time_text"], row["utc_offset"], row["position"]) == ("2024-01-10 09:00:00 +0200", 7200, "line 12")
    assert row["source_timestamp"].isoformat() == "2024-01-10T07:00:00+00:00"


@pytest.mark.parametrize("name", ["apple_health_export/export.xml", "apple_health_export/导出.xml", "eksport/Eksport.xml"])
def test_the_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    others = {"apple_health_export/export_cda.xml": b"<?xml version='1.0'?>\n<ClinicalDocument xmlns='urn:hl7-org:v3'/>"}
    others["apple_health_export/workout-routes/route_1.gpx"] = b"<?xml version='1.0'?><gpx/>"
    run = Run(tmp_path, zipped(tmp_path / "in.zip", export(heart(72, "2024-01-10 07:00")), name, **others))
    assert run.values("heart_rate") == [72.0]
    assert sorted(run.unread()) == ["export_cda.xml", "workout-routes/*.gpx"]


# time


def test_the_printed_offset_is_that_of_the_export_and_never_the_persons_day(tmp_path: Path) -> None:
    """In Warsaw 22:30 UTC of a January day is 23:30 of that day; an export made in summer prints 00:30 of the next."""
    run = Run(tmp_path, export(heart(72, "2024-01-10 22:30")))
    assert run.records[0]["raw"]["startDate"].startswith("2024-01-11 00:30")
    (reading,) = run.readings
    assert (str(reading["local_date"]), reading["utc_offset"]) == ("2024-01-10", 3600)


def test_exports_made_in_summer_and_in_winter_repeat_each_other(tmp_path: Path) -> None:
    def made(offset: str, pointer: str) -> str:
        device = f"<<HKDevice: {pointer}>, name:Apple Watch, manufacturer:Apple>"
        one = heart(72, "2024-01-10 07:00", offset=offset, device=device)
        odd = sleep("AsleepCore", "2024-01-10 23:00", "2024-01-11 02:00", offset=offset, device=device)
        return export(one, odd, offset=offset)

    run = Run(tmp_path, made("+0200", "0x3012772a0"), made(WINTER, "0x282a45810"))
    assert run.fates == {"accepted": 2, "duplicate": 2, "unused:header": 2}


def test_the_zone_a_record_names_is_where_the_person_was(tmp_path: Path) -> None:
    metadata = {"HKTimeZone": "America/Los_Angeles"}
    run = Run(tmp_path, export(heart(72, "2024-01-11 05:00", metadata=metadata)))
    assert (str(run.readings[0]["local_date"]), run.readings[0]["utc_offset"]) == ("2024-01-10", -8 * 3600)


def test_a_dated_override_is_stronger_than_the_zone_a_record_names(tmp_path: Path) -> None:
    settings = {
        "timezone": "Europe/Warsaw",
        "timezone_overrides": [{"from": "2024-01-01", "to": "2024-01-31", "timezone": "Asia/Tokyo"}],
    }
    run = Run(tmp_path, export(heart(72, "2024-01-11 05:00", metadata={"HKTimeZone": "Europe/London"})), settings=settings)
    assert run.readings[0]["utc_offset"] == 9 * 3600


def test_an_unknown_zone_falls_back_to_the_persons(tmp_path: Path) -> None:
    run = Run(tmp_path, export(heart(72, "2024-01-11 05:00", metadata={"HKTimeZone": "Mars/Base"})))
    assert run.readings[0]["utc_offset"] == 3600


def test_a_night_on_which_clocks_change_has_its_true_length_and_wake_day(tmp_path: Path) -> None:
    run = Run(tmp_path, export(sleep("AsleepCore", "2024-03-30 22:00", "2024-03-31 04:00")))
    day = run.days()["2024-03-31"]
    assert (day["total_duration"], day["bed_time"], day["wake_time"]) == (
        360.0,
        "2024-03-30T23:00:00+01:00",
        "2024-03-31T06:00:00+02:00",
    )


def test_a_phone_on_a_12_hour_clock_is_understood(tmp_path: Path) -> None:
    text = export(heart(72, "2024-01-10 19:05")).replace("2024-01-10 21:05:00 +0200", "2024-01-10 9:05:00\u202fPM +0200")
    run = Run(tmp_path, text)
    assert run.readings[0]["start"].isoformat() == "2024-01-10T19:05:00+00:00"


def test_a_record_without_a_readable_time_is_kept_and_invalid(tmp_path: Path) -> None:
    text = export(heart(72, "2024-01-10 07:00"), heart(73, "2024-01-10 07:01").replace("2024-01-10", "yesterday"))
    run = Run(tmp_path, text)
    assert run.fates == {"accepted": 1, "rejected:bad_date": 1, "unused:header": 1}
    assert run.values("heart_rate") == [72.0]


# counted once


def test_a_blood_pressure_in_records_and_correlation_counts_once(tmp_path: Path) -> None:
    run = Run(tmp_path, export(pressure("128", "82", "2024-01-10 07:00")))
    assert run.read == {"accepted": 1, "duplicate": 2}
    assert (run.values("systolic"), run.values("diastolic")) == ([128.0], [82.0])
    assert run.days()["2024-01-10"]["bp_readings"] == 1


def test_pressures_without_a_correlation_are_paired_by_source_and_instant(tmp_path: Path) -> None:
    two = pressure("128", "82", "2024-01-10 07:00", correlated=False) + pressure(
        "140", "90", "2024-01-10 07:00", correlated=False, source="Cuff"
    )
    run = Run(tmp_path, export(two))
    ids = {r["raw_id"]: [] for r in run.readings}  # type: ignore[var-annotated]
    for r in run.readings:
        ids[r["raw_id"]].append(r["value"])
    assert sorted(sorted(v) for v in ids.values()) == [[82.0, 128.0], [90.0, 140.0]]


def test_two_measurements_of_one_minute_stay_the_pairs_they_were(tmp_path: Path) -> None:
    first = pressure("128", "82", "2024-01-10 07:00")
    second = pressure("118", "92", "2024-01-10 07:00").replace(
        'creationDate="2024-01-10 09:00:00', 'creationDate="2024-01-10 09:00:40'
    )
    run = Run(tmp_path, export(first, second))
    assert run.read == {"accepted": 2, "duplicate": 4}
    by_id: dict[str, list[float]] = {}
    for r in run.readings:
        by_id.setdefault(r["raw_id"], []).append(r["value"])
    assert sorted(sorted(v) for v in by_id.values()) == [[82.0, 128.0], [92.0, 118.0]]


def test_a_measurement_that_another_app_copied_counts_once(tmp_path: Path) -> None:
    copies = pressure("128", "82", "2024-01-10 07:00", source="OMRON") + pressure("128", "82", "2024-01-10 07:00", source="Diary")
    run = Run(tmp_path, export(copies))
    assert run.read == {"accepted": 1, "duplicate": 5}
    assert run.days()["2024-01-10"]["bp_readings"] == 1


def test_half_a_blood_pressure_is_refused(tmp_path: Path) -> None:
    run = Run(tmp_path, export(record("BloodPressureSystolic", "128", "2024-01-10 07:00", unit="mmHg")))
    assert run.read == {"rejected:partner_missing": 1}


def test_steps_of_phone_and_watch_are_not_summed(tmp_path: Path) -> None:
    watch = record("StepCount", "1000", "2024-01-10 10:00", "2024-01-10 10:10", unit="count")
    phone = record("StepCount", "900", "2024-01-10 10:01", "2024-01-10 10:09", unit="count", source="iPhone")
    alone = record("StepCount", "300", "2024-01-10 12:00", "2024-01-10 12:10", unit="count", source="iPhone")
    run = Run(tmp_path, export(watch, phone, alone, heart(72, "2024-01-10 10:00")))
    assert run.days()["2024-01-10"]["steps"] == 1300


def test_the_same_record_twice_in_one_export_counts_once(tmp_path: Path) -> None:
    run = Run(tmp_path, export(heart(72, "2024-01-10 07:00"), heart(72, "2024-01-10 07:00")))
    assert run.fates["duplicate"] == 1
    assert run.values("heart_rate") == [72.0]


def test_a_person_who_changes_the_unit_does_not_walk_twice(tmp_path: Path) -> None:
    when = ("2024-01-10 07:00", "2024-01-10 07:30")
    miles = export(record("DistanceWalkingRunning", "1", *when, unit="mi"), exported="2024-02-01 08:00")
    kilometres = export(record("DistanceWalkingRunning", "1.609344", *when, unit="km"), exported="2024-03-01 08:00")
    run = Run(tmp_path, kilometres, miles)
    assert run.read == {"accepted": 1, "superseded": 1}
    assert run.values("distance") == [1609.344]


def test_the_days_rings_of_a_later_export_replace_those_of_the_running_day(tmp_path: Path) -> None:
    def rings(energy: str) -> str:
        return f' <ActivitySummary dateComponents="2024-01-10" activeEnergyBurned="{energy}" activeEnergyBurnedUnit="kJ"/>\n'

    run = Run(tmp_path, export(rings("4184"), exported="2024-02-01 08:00"), export(rings("418.4"), exported="2024-01-10 10:00"))
    assert run.values("active_energy") == [1000.0]
    assert run.read == {"accepted": 1, "superseded": 1}


def test_empty_rings_and_those_of_1969_are_refused(tmp_path: Path) -> None:
    empty = ' <ActivitySummary dateComponents="2024-01-10" activeEnergyBurned="0" activeEnergyBurnedUnit="kcal"/>\n'
    run = Run(tmp_path, export(empty, empty.replace("2024-01-10", "1969-12-30")))
    assert run.read == {"rejected:no_such_day": 1, "rejected:zero": 1}


# sleep


def test_a_night_of_stages_is_one_session_of_the_wake_day(tmp_path: Path) -> None:
    day = Run(tmp_path, export(*NIGHT)).days()["2024-01-11"]
    assert day["total_duration"] == 350.0
    stages = [day[f"sleep_{s}_duration"] for s in ("deep", "light", "rem", "awake")]
    assert stages == [60.0, 180.0, 110.0, 10.0]
    assert (day["bed_time"], day["wake_time"]) == ("2024-01-11T00:00:00+01:00", "2024-01-11T06:00:00+01:00")


def test_time_in_bed_around_a_night_is_no_sleep_but_says_how_long_the_person_lay(tmp_path: Path) -> None:
    bed = sleep("InBed", "2024-01-10 22:30", "2024-01-11 05:30", source="iPhone")
    run = Run(tmp_path, export(bed, *NIGHT))
    day = run.days()["2024-01-11"]
    assert (day["total_duration"], day["bed_time"]) == (350.0, "2024-01-10T23:30:00+01:00")
    assert round(day["sleep_efficiency"], 1) == 83.3
    assert run.read == {"accepted": 4, "unused:in_bed": 1}


def test_time_in_bed_alone_is_no_sleep(tmp_path: Path) -> None:
    run = Run(tmp_path, export(sleep("InBed", "2024-01-10 22:30", "2024-01-11 05:30")))
    assert (run.readings, run.read) == ([], {"rejected:in_bed_only": 1})


def test_of_several_sleep_apps_the_one_with_stages_counts(tmp_path: Path) -> None:
    app = sleep("AsleepUnspecified", "2024-01-10 22:50", "2024-01-11 05:10", source="AutoSleep")
    run = Run(tmp_path, export(app, *NIGHT))
    assert run.values("sleep_duration") == [350.0]
    assert run.read == {"accepted": 4, "duplicate": 1}


def test_a_minute_told_twice_by_one_app_is_slept_once(tmp_path: Path) -> None:
    twice = sleep("AsleepUnspecified", "2024-01-10 23:00", "2024-01-11 05:00")
    run = Run(tmp_path, export(twice, *NIGHT))
    assert run.values("sleep_duration") == [360.0]  # the ten minutes awake are told as sleep, too


def test_the_old_word_for_asleep_and_a_nap_of_its_own(tmp_path: Path) -> None:
    night = sleep("Asleep", "2019-01-10 23:00", "2019-01-11 05:00")
    nap = sleep("Asleep", "2019-01-11 13:00", "2019-01-11 13:40")
    day = Run(tmp_path, export(night, nap)).days()["2019-01-11"]
    assert (day["total_duration"], day["nap_duration"]) == (400.0, 40.0)


# values and units


@pytest.mark.parametrize(
    ("type_", "value", "unit", "metric", "expected"),
    [
        ("OxygenSaturation", "0.97", "%", "spo2", 97.0),
        ("OxygenSaturation", "97", "%", "spo2", 97.0),
        ("OxygenSaturation", "0.57", "%", "spo2", 57.0),
        ("BodyFatPercentage", "0.224", "%", "body_fat", 22.4),
        ("BodyMass", "176.37", "lb", "weight", 80.000086),
        ("BodyMass", "80.5", "kg", "weight", 80.5),
        ("BodyTemperature", "98.6", "degF", "body_temperature", 37.0),
        ("BodyTemperature", "36.6", "degC", "body_temperature", 36.6),
        ("DistanceWalkingRunning", "0.5", "mi", "distance", 804.672),
        ("DistanceWalkingRunning", "0.5", "km", "distance", 500.0),
        ("ActiveEnergyBurned", "418.4", "kJ", "active_energy", 100.0),
        ("ActiveEnergyBurned", "100", "Cal", "active_energy", 100.0),
        ("ActiveEnergyBurned", "100000", "cal", "active_energy", 100.0),
        ("BasalEnergyBurned", "70", "kcal", "basal_energy", 70.0),
        ("HeartRateVariabilitySDNN", "45.2", "ms", "hrv_sdnn", 45.2),
        ("RespiratoryRate", "15.5", "count/min", "respiratory_rate", 15.5),
        ("RestingHeartRate", "52", "count/min", "resting_heart_rate", 52.0),
    ],
)
def test_a_value_comes_in_the_unit_of_the_catalogue(
    tmp_path: Path, type_: str, value: str, unit: str, metric: str, expected: float
) -> None:
    run = Run(tmp_path, export(record(type_, value, "2024-01-10 07:00", unit=unit)))
    assert [(r["metric"], r["value"]) for r in run.readings] == [(metric, expected)]


@pytest.mark.parametrize(
    ("value", "unit", "fate"),
    [
        ("72", "furlong", "unknown_unit"),
        ("0", "count/min", "zero"),
        ("n/a", "count/min", "not_a_number"),
        ("nan", "count/min", "not_a_number"),
    ],
)
def test_what_cannot_be_a_heart_rate_is_refused_with_a_reason(tmp_path: Path, value: str, unit: str, fate: str) -> None:
    run = Run(tmp_path, export(record("HeartRate", value, "2024-01-10 07:00", unit=unit)))
    assert run.read == {f"rejected:{fate}": 1}


def test_pressures_in_kilopascal_are_converted(tmp_path: Path) -> None:
    run = Run(tmp_path, export(pressure("17.1", "10.9", "2024-01-10 07:00", unit="kPa")))
    assert (run.values("systolic"), run.values("diastolic")) == ([128.260602], [81.756758])


def test_what_a_person_typed_in_is_marked(tmp_path: Path) -> None:
    typed = record("BodyMass", "80", "2024-01-10 07:00", unit="kg", metadata={"HKWasUserEntered": "1"})
    assert Run(tmp_path, export(typed)).readings[0]["flags"] == ["user_entered"]


# damaged and hostile


@pytest.mark.parametrize("dtd", [BROKEN_DTD, "", '<!DOCTYPE HealthData SYSTEM "http://127.0.0.1/x.dtd">\n'])
def test_a_broken_or_missing_dtd_does_not_matter(tmp_path: Path, dtd: str) -> None:
    run = Run(tmp_path, export(heart(72, "2024-01-10 07:00"), dtd=dtd))
    assert (run.values("heart_rate"), run.letters) == ([72.0], [])


def test_forbidden_characters_are_dropped_raw_and_as_references(tmp_path: Path) -> None:
    text = export(heart(72, "2024-01-10 07:00", source="My\x0bWatch&#11;&#x0B;\x01")).replace("&amp;#", "&#")
    run = Run(tmp_path, text)
    assert (run.readings[0]["device"], run.letters) == ("MyWatch", [])


def test_an_entity_bomb_does_nothing(tmp_path: Path) -> None:
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    dtd = f'<!DOCTYPE HealthData [<!ENTITY l0 "lol">{levels}]>\n'
    run = Run(tmp_path, export(heart(72, "2024-01-10 07:00").replace("Watch", "&l11;"), heart(73, "2024-01-10 07:05"), dtd=dtd))
    assert run.values("heart_rate") == [73.0]
    assert [x["reason"] for x in run.letters] == ["damaged_xml"]


def test_damage_in_the_middle_costs_one_record_and_is_told_with_its_line(tmp_path: Path) -> None:
    rows = [heart(60 + n, f"2024-01-10 07:{n:02}") for n in range(6)]
    rows[2] = rows[2].replace('unit="', "unit=<")
    run = Run(tmp_path, export(*rows))
    assert run.values("heart_rate") == [60.0, 61.0, 63.0, 64.0, 65.0]
    assert [(x["reason"], x["position"]) for x in run.letters] == [("damaged_xml", "line 14")]
    assert [r["position"] for r in run.records] == [f"line {n}" for n in (12, 13, 15, 16, 17)]


def test_a_file_that_ends_in_the_middle_gives_what_it_holds(tmp_path: Path) -> None:
    text = export(heart(72, "2024-01-10 07:00"), heart(73, "2024-01-10 07:05"))
    run = Run(tmp_path, text[: text.rindex("value=")])
    assert run.values("heart_rate") == [72.0]
    assert [x["reason"] for x in run.letters] == ["truncated"]


def test_an_element_of_many_megabytes_is_stepped_over(tmp_path: Path) -> None:
    huge = heart(72, "2024-01-10 07:00", source="x" * (18 << 20))
    run = Run(tmp_path, export(huge, heart(73, "2024-01-10 07:05")))
    assert run.values("heart_rate") == [73.0]
    assert [x["reason"] for x in run.letters] == ["too_big"]


def test_a_comment_of_many_megabytes_is_not_held_in_memory(tmp_path: Path) -> None:
    comment = "<!-- " + "x < y " * (3 << 20) + "-->"
    run = Run(tmp_path, export(heart(72, "2024-01-10 07:00"), comment, heart(73, "2024-01-10 07:05")))
    assert run.values("heart_rate") == [72.0, 73.0]
    assert [x["reason"] for x in run.letters] == ["too_big"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<!DOCTYPE html><html></html>", "html"),
        (b"\x89PNG\r\n\x1a\n", "unknown_format"),
        (export().encode("utf-16"), "encoding"),
        (("<HealthData>" + "<a>" * 500).encode(), "too_deep"),
    ],
)
def test_what_is_no_export_is_refused_with_a_reason(tmp_path: Path, data: bytes, reason: str) -> None:
    assert [x["reason"] for x in Run(tmp_path, data, export(heart(72, "2024-01-10 07:00"))).letters] == [reason]


def test_an_empty_file_is_counted(tmp_path: Path) -> None:
    assert Run(tmp_path, b" \n").fates == {"unused:empty_file": 1}


def test_types_elements_and_attributes_that_are_not_read_are_told_by_name(tmp_path: Path) -> None:
    beats = heart(72, "2024-01-10 07:00").replace(
        "/>",
        "><HeartRateVariabilityMetadataList><InstantaneousBeatsPerMinute bpm='70'/></HeartRateVariabilityMetadataList></Record>",
    )
    noise = record("HeadphoneAudioExposure", "70", "2024-01-10 07:00", unit="dBASPL")
    new = heart(73, "2024-01-10 07:05", mood="fine")
    run = Run(tmp_path, export(beats, noise, noise, " <Workout><WorkoutEvent/></Workout>\n", new))
    names = sorted(run.unread())
    assert names == ["HKQuantityTypeIdentifierHeadphoneAudioExposure", "HeartRateVariabilityMetadataList", "Workout"]
    assert run.fates["unused:type_not_read"] == 2
    drift = [f for f in run.report["findings"] if f["code"] == "schema_drift"]
    assert "mood of Record" in str(drift[0]["message"])
    assert run.values("heart_rate") == [72.0, 73.0]


# the fast way and the slow way


TWO = st.integers(0, 99).map(lambda n: f"{n:02}")
WRITTEN = st.builds(
    lambda y, mo, d, h, mi, s, half, sign, zh, zm: f"{y}-{mo}-{d} {h}:{mi}:{s}{half} {sign}{zh}{zm}",
    *(st.sampled_from(["1899", "1969", "2024", "2100", "9999"]), TWO, TWO, TWO | st.just("7"), TWO, TWO),
    *(st.sampled_from(["", "", " AM", "\u202fpm"]), st.sampled_from("+-"), TWO, TWO),
)
PLAIN = st.datetimes(datetime(1901, 1, 1), datetime(2099, 12, 30)).map(lambda d: d.strftime("%Y-%m-%d %H:%M:%S +0545"))


@given(WRITTEN | PLAIN)
def test_a_time_means_the_same_wherever_it_is_read(text: str) -> None:
    stamp, column = read_stamp(text), read_column(pa.array([text]))
    if stamp is not None:
        assert _instant(text) == stamp.utc
    if column is not None:
        assert stamp is not None
        assert (column[0][0], column[1][0]) == (stamp.seconds, stamp.offset)


TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
ROW = st.fixed_dictionaries(
    {
        "bpm": st.sampled_from(["72", "60.5", "1e2", "-1", "", "x", "7" * 30, '"']),
        "source": st.sampled_from(["Watch", "Anna’s iPhone", 'a "b" \\ c', "\u2028", "&#10;"]),
        "start": st.sampled_from(
            ["2024-01-10 07:00:00 +0200", "2024-02-30 07:00:00 +0200", "2024-01-10 7:00:00 AM +0100", "?", ""]
        ),
        "metadata": st.dictionaries(TEXT, TEXT, max_size=2),
    }
)


@examples(max_examples=60, deadline=None)
@given(st.lists(ROW, max_size=8))
def test_a_record_is_the_same_however_it_was_made(tmp_path_factory: Any, rows: list[dict[str, Any]]) -> None:
    def element(row: dict[str, Any], new: str) -> str:
        text = record(
            "HeartRate", row["bpm"], "2024-01-10 07:00", unit="count/min", source=row["source"], metadata=row["metadata"]
        )
        return text.replace(printed("2024-01-10 07:00"), row["start"]).replace("<Record ", f"<Record {new}")

    folder = tmp_path_factory.mktemp("ways")

    def made(name: str, new: str) -> list[Any]:
        path = folder / name
        path.write_text(export(*(element(row, new) for row in rows)), encoding="utf-8")
        return [item for item in parse(as_file(path), WARSAW) if hasattr(item, "raw_id")]

    fast, slow = made("fast.xml", ""), made("slow.xml", 'odd="1" ')
    with patch.object(lines, "SHORTEST", 1):
        fastest = made("fastest.xml", "")

    def plain(items: list[Any]) -> list[Any]:
        kept = [i._replace(raw={k: v for k, v in i.raw.items() if k != "odd"}, volatile=()) for i in items]
        return sorted(kept, key=lambda i: (int(i.position.rsplit(" ", 1)[1]), json.dumps(i.raw, sort_keys=True)))

    assert plain(fast) == plain(slow) == plain(fastest)


USUAL = heart(72, "2024-01-10 07:00")
NOTED = heart(73, "2024-01-10 07:01", metadata={"HKMetadataKeyHeartRateMotionContext": "0"})
SPELLED = st.sampled_from(
    [
        USUAL,
        NOTED,
        USUAL.replace("72", "7&#50;"),
        USUAL.replace(" 07:00", "T07:00"),
        USUAL.replace("/>", "></Record>"),
        USUAL.replace("/>", ">\n </Record>"),
        USUAL.replace(" <Record", "  <Record"),
        USUAL.replace("\n", ""),
        NOTED.replace("/>", '/>\n  <MetadataEntry key="HKTimeZone" value="Asia/Tokyo"/>'),
        NOTED.replace("/>", '/>\n  <MetadataEntry key="HKMetadataKeyHeartRateMotionContext" value="later"/>'),
        NOTED.replace('"0"', '"&lt;0"'),
        NOTED.replace('"0"', '"0" odd="1"'),
        NOTED.replace("\n </Record>", "</Record>"),
        NOTED.replace("\n </Record>", "\n text </Record>"),
        NOTED.replace("\n </Record>", "\n  <Other/>\n </Record>"),
        sleep("AsleepCore", "2024-01-10 23:00", "2024-01-11 02:00"),
        "<!--\n",
        "-->\n",
        "<![CDATA[\n",
        "]]>\n",
        " <Workout>\n",
        " </Workout>\n",
        *(" </Record>\n", '  <MetadataEntry key="a" value="b"/>\n'),
    ]
)
SLIP = st.tuples(st.integers(0, 5_000), st.sampled_from(["", *'"<>&/\n\t\r= 0\x0b\u20ac']))


@examples(max_examples=120, deadline=None)
@given(st.lists(SPELLED | st.just(USUAL), min_size=1, max_size=8), st.lists(SLIP, max_size=2))
def test_lines_read_without_the_parser_say_what_the_parser_says(
    tmp_path_factory: Any, pieces: list[str], slips: list[tuple[int, str]]
) -> None:
    text = export(*pieces)
    begin = export("@").index("@")
    for place, slip in slips:
        at = begin + place % (len(text) - begin)
        text = text[:at] + slip + text[at + 1 :]
    path = tmp_path_factory.mktemp("spelled") / "export.xml"
    path.write_text(text, encoding="utf-8", newline="")

    def told(shortest: int) -> list[str]:
        with patch.object(lines, "SHORTEST", shortest):
            return sorted(
                repr(item._replace(volatile=()) if isinstance(item, Record) else item) for item in parse(as_file(path), WARSAW)
            )

    assert told(1) == told(10**9)


def test_lines_that_stand_elsewhere_than_below_the_root_are_left_to_the_parser(tmp_path: Path) -> None:
    rows = "".join(heart(60 + n, f"2024-01-10 07:{n:02}") for n in range(40))
    pair = pressure("128", "82", "2024-01-10 07:00").replace("<Record", rows + " <Record", 1)
    text = export(f"<!--\n{rows}-->\n", f"<![CDATA[\n{rows}]]>\n", f"<Workout>\n{rows}</Workout>\n", pair, rows)
    run = Run(tmp_path, text)
    assert run.values("heart_rate") == [float(60 + n) for n in range(40)]
    assert run.fates == {"accepted": 43, "unused:element_not_read": 1, "unused:header": 1}
    found = sorted(int(r["position"].removeprefix("line ")) for r in run.records if "HeartRate" in r["raw"]["type"])
    whole = text.splitlines()
    assert found == list(range(found[0], found[0] + 40))
    assert whole[found[0] - 1] == rows.splitlines()[0]


@given(st.lists(st.lists(st.integers(-5, 40), max_size=12), max_size=8))
def test_a_hash_is_new_once(batches: list[list[int]]) -> None:
    seen, known = Seen(), set()
    for batch in batches:
        fresh = seen.new(np.array(batch, dtype=np.int64))
        expected = []
        for value in batch:
            expected.append(value not in known)
            known.add(value)
        assert fresh.tolist() == expected


@given(st.lists(st.text(max_size=20), max_size=6), st.integers(0, 3))
def test_a_text_has_one_hash_wherever_it_stands(words: list[str], skipped: int) -> None:
    found = hashes(pa.array(words, pa.string()).slice(skipped)).tolist()
    alone = [hashes(pa.array([word]))[0] for word in words[skipped:]]
    assert found == alone
    assert len(set(found)) == len(set(words[skipped:]))


def test_a_stranger_who_makes_up_a_beginning_for_every_line_is_left_to_the_parser(tmp_path: Path) -> None:
    path = tmp_path / "export.xml"
    path.write_text(export(*(heart(60, f"2024-01-10 07:{n % 60:02}", source=f"Watch {n}") for n in range(600))))
    with (
        patch.object(lines, "_MOST", 100),
        patch("ingestion.xml_stream._CHUNK", 1 << 14),
        patch.object(lines, "_parsed") as parsed,
    ):
        parsed.return_value = None
        assert sum(len(i.raw_ids) for i in parse_blocks(as_file(path), WARSAW) if isinstance(i, Block)) == 600
    assert 100 < parsed.call_count < 300


def test_an_export_is_handed_on_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "export.xml"
    rows = [heart(60 + n % 60, f"2024-01-{1 + n // 1440:02} {n // 60 % 24:02}:{n % 60:02}") for n in range(3 * FULL)]
    path.write_text(export(*rows))
    sizes = [len(item.raw_ids) for item in parse_blocks(as_file(path), WARSAW) if isinstance(item, Block)]
    assert sum(sizes) == 3 * FULL
    assert max(sizes) < 2 * FULL


def test_usual_quantities_take_the_fast_way(tmp_path: Path) -> None:
    path = tmp_path / "export.xml"
    path.write_text(export(*(heart(60 + n, f"2024-01-10 07:{n:02}") for n in range(50))))
    blocks = [item for item in parse_blocks(as_file(path), WARSAW) if isinstance(item, Block)]
    assert [len(block.raw_ids) for block in blocks] == [50]
