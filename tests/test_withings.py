"""Withings exports are read right: the Health Mate archive and the API's answers, each measurement once, every trap met."""

from __future__ import annotations

import contextlib
import io
import json
import tracemalloc
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.errors import SourceRefused
from ingestion.withings import api
from ingestion.withings.records import parse
from processing.normalizers import subjects
from tests.stage_bench import as_file
from tests.vendor_bench import VendorBench

SAMPLES = Path(__file__).parent / "samples" / "withings"
BP = 'Date,"Heart rate",Systolic,Diastolic,Comments\n'
WEIGHT = 'Date,"Weight (kg)","Fat mass (kg)","Bone mass (kg)","Muscle mass (kg)","Hydration (kg)",Comments\n'
SLEEP = (
    'from,to,"light (s)","deep (s)","rem (s)","awake (s)","wake up","Duration to sleep (s)","Duration to wake up (s)",'
    '"Snoring (s)","Snoring episodes","Average heart rate","Heart rate (min)","Heart rate (max)","Night events"\n'
)
RAW = "start,duration,value\n"
TABLES = [
    "bp",
    "weight",
    "sleep",
    "sleep_state",
    "sleep_summary",
    "measure",
    "activity",
    "intraday",
    "raw_tracker_hr",
    "aggregates_steps",
]
PERSON = {"timezone": "Europe/Warsaw", "timezone_overrides": []}


@pytest.fixture
def bench(tmp_path: Path) -> VendorBench:
    return VendorBench("withings", tmp_path)


def night(start: str, end: str, light: int, deep: int, rem: int = 0, awake: int = 0) -> str:
    return f"{start},{end},{light},{deep},{rem},{awake},1,300,120,0,0,55,48,70,\n"


def group(number: int, *measures: tuple[int, int, int], **more: Any) -> dict[str, Any]:
    kinds = [{"type": kind, "value": value, "unit": unit} for kind, value, unit in measures]
    return {"grpid": number, "attrib": 0, "date": 1_690_525_667, "category": 1, "measures": kinds, **more}


def body(**of: Any) -> str:
    return json.dumps({"status": 0, "body": of})


def test_the_shared_samples_give_these_readings(bench: VendorBench) -> None:
    read = bench.read([as_file(path) for path in sorted(SAMPLES.glob("*.json"))], timezone="America/Los_Angeles")
    assert read.fates == {"accepted": 21}
    assert read.ends == {"accepted": 18, "unused:goal": 1, "unused:no_measurement": 2}
    assert len(read.readings) == 44
    assert (read.values("systolic"), read.values("diastolic"), read.values("pulse")) == ([104], [68], [41])
    assert read.values("weight") == [74.128, 74.126]
    assert read.values("body_temperature") == [37]
    assert read.values("sleep_duration") == [43, 186, 495]
    assert read.days("sleep_duration") == ["2014-12-02", "2017-09-02", "2017-09-04"]
    assert read.findings == []


def test_a_pulse_without_pressures_is_a_heart_rate_and_no_blood_pressure(bench: VendorBench) -> None:
    read = bench.read({"bp.csv": BP + '"2023-07-28 06:27:47",56,,,\n"2023-07-28 06:30:00",61,121,79,"after tea"\n'})
    assert (read.values("heart_rate"), read.values("pulse")) == ([56], [61])
    assert (read.values("systolic"), read.values("diastolic")) == ([121], [79])


def test_cuff_and_scale_write_the_persons_own_clock_without_a_zone(bench: VendorBench) -> None:
    rows = '"2023-07-28 06:27:47",56,120,80,\n"2023-01-28 06:27:47",57,120,80,\n'
    read = bench.read({"bp.csv": BP + rows})
    assert read.starts("systolic") == ["2023-01-28T05:27:47", "2023-07-28T04:27:47"]
    away = [{"from": "2023-07-20", "to": "2023-07-30", "timezone": "America/New_York"}]
    assert bench.read({"bp.csv": BP + rows}, timezone_overrides=away).starts("systolic")[1] == "2023-07-28T10:27:47"


def test_a_clock_time_that_exists_twice_or_never_is_flagged(bench: VendorBench) -> None:
    read = bench.read({"bp.csv": BP + '"2023-10-29 02:30:00",56,120,80,\n"2023-03-26 02:30:00",56,120,80,\n'})
    assert read.starts("systolic") == ["2023-03-26T01:30:00", "2023-10-29T00:30:00"]
    assert sorted({flag for r in read.readings for flag in r["flags"]}) == ["dst_gap", "dst_overlap"]


def test_the_second_style_of_headers_is_read_too(bench: VendorBench) -> None:
    text = "Date,Systolic (mmHg),Diastolic (mmHg),Heart rate (bpm)\n2023-07-28 06:30:00,121,79,61\n"
    read = bench.read({"bp.csv": text})
    assert (read.values("systolic"), read.values("diastolic"), read.values("pulse")) == ([121], [79], [61])


def test_nought_is_no_measurement(bench: VendorBench) -> None:
    read = bench.read(
        {
            "bp.csv": BP + '"2023-07-28 06:30:00",0,0,0,\n',
            "raw_tracker_hr.csv": RAW + "2023-08-02T11:24:46+02:00,[60],[0]\n",
        }
    )
    assert read.readings == []
    assert read.ends == {"rejected:zero": 2}
    assert read.reasons() == {"zero": 4}


def test_values_of_a_raw_row_begin_where_the_durations_before_them_end(bench: VendorBench) -> None:
    rows = '2023-08-02T11:24:46+02:00,"[65,120,60]","[10,20,30]"\n'
    read = bench.read({"raw_tracker_steps.csv": RAW + rows, "raw_hr_hr.csv": RAW + rows.replace("[10,20,30]", "[70,71,72]")})
    assert read.starts("steps") == ["2023-08-02T09:24:46", "2023-08-02T09:25:51", "2023-08-02T09:27:51"]
    assert [(r["end"] - r["start"]).total_seconds() for r in read.readings if r["metric"] == "steps"] == [65, 120, 60]
    assert read.starts("heart_rate") == read.starts("steps")
    assert read.values("heart_rate") == [70, 71, 72]


@pytest.mark.parametrize("row", ['2023-08-02T11:24:46+02:00,"[65","[72]"', '2023-08-02T11:24:46+02:00,[65],"[72,NaN]"'])
def test_a_cell_that_is_no_list_of_numbers_is_a_dead_letter(bench: VendorBench, row: str) -> None:
    read = bench.read({"raw_hr_hr.csv": RAW + row + "\n2023-08-02T11:30:46+02:00,[60],[72]\n"})
    assert [(x["reason"], x["position"]) for x in read.dead_letters] == [("bad_array", "line 2")]
    assert read.values("heart_rate") == [72]


def test_lists_of_different_lengths_are_refused(bench: VendorBench) -> None:
    read = bench.read({"raw_hr_hr.csv": RAW + '2023-08-02T11:24:46+02:00,[60],"[70,71]"\n'})
    assert (read.readings, read.ends) == ([], {"rejected:bad_array": 1})


def test_what_a_raw_file_measures_is_told_by_its_name_only(bench: VendorBench) -> None:
    row = "2023-08-02T11:24:46+02:00,[60],[72]\n"
    read = bench.read({"Health/raw_tracker_hr (1).csv": RAW + row, "raw_location_latitude.csv": RAW + row})
    assert read.values("heart_rate") == [72]
    assert read.fates == {"accepted": 1, "unused:header": 2, "unused:table_not_read": 1}
    assert [f["message"] for f in read.findings] == ["The export holds what is not read here: raw_location_latitude."]


def test_the_same_second_in_two_raw_files_counts_once(bench: VendorBench) -> None:
    row = "2023-08-02T11:24:46+02:00,[60],[72]\n"
    read = bench.read({"raw_tracker_hr.csv": RAW + row, "raw_hr_hr.csv": RAW + row})
    assert read.values("heart_rate") == [72]
    assert read.ends == {"accepted": 1, "duplicate": 1}


def test_the_archive_and_the_api_tell_one_measurement_once(bench: VendorBench) -> None:
    groups = [group(1, (10, 120, 0), (9, 80, 0), (11, 60, 0), date=1_690_525_667), group(2, (1, 7412, -2), date=1_690_525_667)]
    read = bench.read(
        {
            "answer.json": body(measuregrps=groups),
            "bp.csv": BP + '"2023-07-28 08:27:47",60,120,80,\n',
            "weight.csv": WEIGHT + '"2023-07-28 08:27:47",74.12,,,,,\n',
        }
    )
    assert (read.values("systolic"), read.values("pulse"), read.values("weight")) == ([120], [60], [74.12])
    assert read.ends == {"accepted": 2, "duplicate": 2}


def test_fat_mass_becomes_the_share_of_the_weight_and_pounds_become_kilograms(bench: VendorBench) -> None:
    pounds = WEIGHT.replace("(kg)", "(lb)") + '"2023-07-29 08:00:00",200,40,,,,\n'
    read = bench.read({"weight.csv": WEIGHT + '"2023-07-28 08:00:00",80,20,,,,\n', "2/weight.csv": pounds})
    assert read.values("weight") == [80, 90.718474]
    assert read.values("body_fat") == [25, 20]


def test_a_night_counts_for_the_day_of_waking_at_the_offset_it_was_written_with(bench: VendorBench) -> None:
    rows = night("2023-07-27T23:36:00-04:00", "2023-07-28T00:36:00-04:00", 3000, 600)
    read = bench.read({"sleep.csv": SLEEP + rows})
    assert read.values("sleep_duration") == [60]
    assert read.starts("sleep_duration") == ["2023-07-28T03:36:00"]
    assert [(str(r["local_date"]), r["utc_offset"]) for r in read.readings][:1] == [("2023-07-28", -14400)]


def test_a_night_over_the_change_of_clocks_lasts_what_it_lasted(bench: VendorBench) -> None:
    rows = night("2023-10-28T23:00:00+02:00", "2023-10-29T07:00:00+01:00", 20000, 8000, 4000, 400)
    read = bench.read({"sleep.csv": SLEEP + rows})
    (slept,) = [r for r in read.readings if r["metric"] == "sleep_duration"]
    assert (slept["end"] - slept["start"]).total_seconds() == 9 * 3600
    assert (str(slept["local_date"]), slept["utc_offset"]) == ("2023-10-29", 7200)


def test_a_localized_sleep_table_is_read(bench: VendorBench) -> None:
    text = "von,bis,leicht (s),tief (s),rem (s),wach (s),Aufwachen\n"
    text += "2023-07-27T23:00:00+02:00,2023-07-28T07:00:00+02:00,9000,9000,3600,600,2\n"
    read = bench.read({"sleep.csv": text})
    assert (read.values("sleep_duration"), read.values("sleep_awake")) == ([360], [10])


def test_summary_table_and_states_tell_one_night_once(bench: VendorBench) -> None:
    start = 1_690_495_200  # 2023-07-28T00:00+02:00
    states = [{"startdate": start + i * 3600, "enddate": start + (i + 1) * 3600, "state": i % 3 + 1} for i in range(6)]
    summary = {
        "id": 7,
        "timezone": "Europe/Warsaw",
        "startdate": start,
        "enddate": start + 6 * 3600,
        "date": "2023-07-28",
        "data": {"lightsleepduration": 7200, "deepsleepduration": 7200, "remsleepduration": 3600, "sleep_score": 81},
        "modified": start + 90000,
    }
    rows = night("2023-07-28T00:00:00+02:00", "2023-07-28T06:00:00+02:00", 7000, 7000, 3600, 0)
    read = bench.read({"a.json": body(series=[summary]), "b.json": body(series=states), "sleep.csv": SLEEP + rows})
    assert (read.values("sleep_duration"), read.values("sleep_score")) == ([300], [81])
    assert read.ends == {"accepted": 1, "duplicate": 7}
    alone = bench.read({"b.json": body(series=states)})
    assert (alone.values("sleep_duration"), alone.values("sleep_rem")) == ([360], [120])
    assert alone.ends == {"accepted": 6}


def test_a_row_with_no_stage_at_all_is_no_sleep(bench: VendorBench) -> None:
    rows = night("2023-07-27T23:00:00+02:00", "2023-07-27T23:00:00+02:00", 1, 1)
    rows += night("2023-07-28T23:00:00+02:00", "2023-07-29T07:00:00+02:00", 0, 0)
    read = bench.read({"sleep.csv": SLEEP + rows})
    assert read.ends == {"rejected:bad_sleep_window": 1, "rejected:no_sleep": 1}


def test_a_days_total_that_was_still_growing_gives_way_to_the_later_one(bench: VendorBench) -> None:
    first = bench.tree({"aggregates_steps.csv": "date,value\n2023-07-28,4000\n2023-07-27,900\n"}, zipped="data_1.zip")
    later = bench.tree({"aggregates_steps.csv": "date,value\n2023-07-28,11000\n2023-07-27,900\n"}, zipped="data_0.zip")
    read = bench.read(first + later)
    assert read.values("steps") == [900, 11000]
    assert read.fates["duplicate"] == 1
    assert read.ends == {"accepted": 2, "superseded": 1}


def test_a_day_has_the_hours_the_clocks_give_it(bench: VendorBench) -> None:
    read = bench.read({"aggregates_steps.csv": "date,value\n2023-03-26,1\n2023-10-29,1\n"})
    assert [(r["end"] - r["start"]).total_seconds() / 3600 for r in read.readings] == [23, 25]


def test_values_of_the_api_are_scaled_by_a_power_of_ten(bench: VendorBench) -> None:
    groups = [group(1, (1, 74126, -3), (6, 215, -1)), group(2, (71, 3710, -2), (54, 97, 0), date=1_690_526_000)]
    read = bench.read({"answer.json": body(measuregrps=groups)})
    assert (read.values("weight"), read.values("body_fat")) == ([74.126], [21.5])
    assert (read.values("body_temperature"), read.values("spo2")) == ([37.1], [97])


def test_minus_a_thousand_at_a_thousandth_is_nothing(bench: VendorBench) -> None:
    read = bench.read({"answer.json": body(measuregrps=[group(1, (1, -1000, -3), (11, 51, 0))])})
    assert (read.values("weight"), read.values("heart_rate")) == ([], [51])
    assert read.reasons() == {"device_sentinel": 1}


def test_goals_are_no_measurements_even_under_the_same_number(bench: VendorBench) -> None:
    groups = [group(1, (1, 70, 0)), group(1, (1, 60, 0), category=2)]
    read = bench.read({"answer.json": body(measuregrps=groups)})
    assert read.values("weight") == [70]
    assert read.ends == {"accepted": 1, "unused:goal": 1}


def test_what_may_be_another_users_is_refused_and_what_was_typed_in_counts(bench: VendorBench) -> None:
    groups = [group(n, (1, 70 + n, 0), attrib=attrib, date=1_690_525_667 + n) for n, attrib in enumerate((0, 1, 2, 4, 8))]
    read = bench.read({"answer.json": body(measuregrps=groups)})
    assert read.values("weight") == [70, 72, 73, 74]
    assert read.ends == {"accepted": 4, "rejected:ambiguous_user": 1}
    assert [r["flags"] for r in read.readings if r["value"] == 74] == [["ambiguous_user"]]


def test_a_group_that_was_changed_later_wins_and_the_older_stays(bench: VendorBench) -> None:
    old = bench.tree({"z.json": body(measuregrps=[group(1, (1, 71, 0), modified=1_690_600_000)])})
    new = bench.tree({"a.json": body(measuregrps=[group(1, (1, 70, 0), modified=1_690_700_000)])})
    read = bench.read(old + new)
    assert read.values("weight") == [70]
    assert len(read.records) == 2
    assert read.ends == {"accepted": 1, "superseded": 1}


def test_an_error_of_the_api_is_no_data(bench: VendorBench) -> None:
    read = bench.read({"a.json": {"status": 401, "body": {}, "error": "x"}, "b.json": "[1]", "c.json": body(devices=[])})
    assert sorted(x["reason"] for x in read.dead_letters) == ["api_error", "not_an_answer"]
    assert read.fates["unused:type_not_read"] == 1


def test_overlapping_exports_in_zips_and_trees_are_idempotent(bench: VendorBench) -> None:
    files = {
        "bp.csv": BP + '"2023-07-28 06:30:00",61,121,79,\n',
        "raw_tracker_steps.csv": RAW + "2023-08-02T11:24:46+02:00,[60],[20]\n",
        "account.csv": "Email\nx\n",
        "README.txt": "hello",
    }
    once = bench.read(bench.tree(files, zipped="data.zip"))
    twice = bench.read(bench.tree(files, zipped="data.zip") + bench.tree({k: v for k, v in files.items() if k != "README.txt"}))
    assert [r["raw_id"] for r in twice.records] == [r["raw_id"] for r in once.records]
    assert twice.fates["duplicate"] == 2
    assert twice.readings == once.readings
    assert {f["message"].rpartition(": ")[2] for f in once.findings} == {"account.", ".txt."}


def test_one_damaged_file_does_not_cost_the_archive(bench: VendorBench) -> None:
    files: dict[str, str | bytes] = {
        "bp.csv": BP + '"2023-07-28 06:30:00",61,121,79,\n"2023-07-28 06:31:00",61\n"not a date",61,121,79,\n',
        "weight.csv": WEIGHT + '"2023-07-28 08:00:00,80\n',
        "sleep.csv": "<!DOCTYPE html><html>sign in</html>",
        "x.json": '{"status":0,"body":{"measuregrps":[',
        "raw_hr_hr.csv": "",
        "height.csv": b"Date,\xff\n",
    }
    read = bench.read(bench.tree(files, zipped="data.zip"))
    assert read.values("systolic") == [121]
    assert {x["reason"] for x in read.dead_letters} == {"short_row", "broken_quotes", "html", "json_truncated", "encoding"}
    assert read.fates["rejected:bad_time"] == 1
    assert read.fates["unused:empty_file"] == 1


def test_numbers_no_device_can_mean_are_refused_and_the_rest_goes_on(bench: VendorBench) -> None:
    read = bench.read(
        {
            "a.json": body(measuregrps=[group(1, (1, 10**400, -3), (11, 60, 10**9), (54, 97, 0))]),
            "raw_hr_hr.csv": RAW + "2023-08-02T11:24:46+02:00,[99999999999999],[72]\n",
            "aggregates_steps.csv": "date,value\n2023-07-28,1e300\n2023-07-29,nan\n2023-07-30,12\n",
            "b.json": body(activities=[{"date": "2023-1-5", "steps": 1}, {"date": 20230105, "steps": 2}]),
        }
    )
    assert (read.values("spo2"), read.values("steps"), read.values("heart_rate")) == ([97], [12], [])


@pytest.mark.parametrize("name", ["holiday.csv", "picture.png", "notes.txt"])
def test_a_file_of_something_else_is_refused_whole(bench: VendorBench, name: str) -> None:
    read = bench.read({name: "a,b\n1,2\n"})
    assert (read.records, [x["reason"] for x in read.dead_letters]) == ([], ["unknown_table"])


def test_files_of_other_kinds_in_an_unpacked_archive_are_named_not_refused(bench: VendorBench) -> None:
    read = bench.read(
        {"data/README.txt": "hello", "data/newthing.csv": "a,b\n1,2\n", "data/bp.csv": BP + '"2023-07-28 06:30:00",61,121,79,\n'}
    )
    assert read.fates == {"accepted": 1, "unused:file_not_read": 1, "unused:header": 2, "unused:table_not_read": 1}
    assert read.dead_letters == []


def test_a_new_column_is_told_as_drift(bench: VendorBench) -> None:
    read = bench.read({"bp.csv": BP.replace("Comments", "Comments,Arm") + '"2023-07-28 06:30:00",61,121,79,,left\n'})
    assert read.values("systolic") == [121]
    assert [f["message"] for f in read.findings] == [
        "A field is new: Arm of bp. It is kept in the records, but nothing reads it."
    ]


def test_memory_stays_small_however_long_a_raw_file_is(tmp_path: Path) -> None:
    rows = "".join(f"2023-08-02T11:{n // 60 % 60:02d}:{n % 60:02d}+02:00,[60],[72]\n" for n in range(3600))
    path = tmp_path / "big.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as packed:
        packed.writestr("raw_hr_hr.csv", RAW + rows * 4)
    file = as_file(path, "big.zip")
    tracemalloc.start()
    try:
        count = sum(1 for _ in parse(file, PERSON))
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert count == 4 * 3600 + 1


@settings(max_examples=200)
@given(st.text(max_size=40), st.text(max_size=20))
def test_any_row_is_a_record_or_a_reason(tmp_path_factory: pytest.TempPathFactory, stamp: str, cell: str) -> None:
    path = tmp_path_factory.getbasetemp() / "raw_hr_hr.csv"
    text = io.StringIO()
    text.write(RAW)
    text.write(",".join('"' + value.replace('"', '""') + '"' for value in (stamp, cell, cell)) + "\n")
    path.write_bytes(text.getvalue().encode("utf-8", "surrogatepass"))
    with contextlib.suppress(SourceRefused):
        list(parse(as_file(path, "raw_hr_hr.csv"), PERSON))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["body", "measuregrps", "series", "date", "startdate", "data", "activities", "grpid", "modified"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150)
@given(_JSON)
def test_any_json_is_records_or_reasons(document: Any) -> None:
    for found in api.answer(document, "answer"):
        assert isinstance(found, tuple)


def test_the_time_of_a_record_is_an_instant_of_this_era() -> None:
    (record,) = api.answer({"measuregrps": [group(1, date=12)]}, "answer")
    assert record.errors == ("bad_time",)  # type: ignore[union-attr]
    (record,) = api.answer({"measuregrps": [group(1)]}, "answer")
    assert record.timestamp == datetime(2023, 7, 28, 6, 27, 47, tzinfo=UTC)  # type: ignore[union-attr]


def test_a_refused_part_says_which_metrics_it_speaks_of(bench: VendorBench) -> None:
    read = bench.read({"bp.csv": BP + '"2023-07-28 06:30:00",0,0,0,\n', "answer.json": body(measuregrps=[group(1, (1, 0, 0))])})
    raws = {record["raw_id"]: record["raw"] for record in read.records}
    found = [subjects.metrics_of("withings", raws[r["raw_id"]], r["field"]) for r in read.rejected]
    assert [sorted(metrics) for metrics in found] == [["diastolic", "heart_rate", "pulse", "systolic"]] * 3 + [["weight"]]
    assert all(subjects.metrics_of("withings", {"table": table}, None) for table in TABLES)
