"""Garmin's FIT files are read right: damage, 16-bit times, counts that begin at midnight, several users, repeats of a curve."""

from __future__ import annotations

import contextlib
import csv
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.errors import SourceRefused
from ingestion.garmin.records import parse
from tests.fit_files import file_id, fit, fit_time, message
from tests.stage_bench import as_file
from tests.vendor_bench import VendorBench

SAMPLES = Path(__file__).parent / "samples" / "garmin"
PERSON = {"timezone": "Europe/Warsaw", "timezone_overrides": []}


@pytest.fixture
def bench(tmp_path: Path) -> VendorBench:
    return VendorBench("garmin", tmp_path)


def epoch(text: str) -> int:
    return int(datetime.fromisoformat(text + "+00:00").timestamp() * 1000)


def test_the_shared_fit_files_give_these_readings(bench: VendorBench) -> None:
    read = bench.read([as_file(path) for path in sorted(SAMPLES.glob("*.fit"))], timezone="America/Los_Angeles")
    assert [(x["raw_artifact"], x["reason"]) for x in read.dead_letters] == [
        ("activity-filecrc.fit", "damaged_fit"),
        ("activity-settings-corruptheader.fit", "damaged_fit"),
        ("activity-unexpected-eof.fit", "damaged_fit"),
    ]
    assert read.fates["accepted"] == 2365
    assert read.fates["rejected:no_time"] == 3
    assert read.ends == {"accepted": 2284, "rejected:other_user": 1, "unused:invalid_record": 3, "unused:running_count": 80}
    assert len(read.readings) == 2287
    assert read.values("steps") == [3142 + 31]


def test_heart_rates_of_a_walk_are_those_another_tool_read(bench: VendorBench) -> None:
    read = bench.read([as_file(SAMPLES / "garmin-fenix-5-walk.fit")])
    with open(SAMPLES / "garmin-fenix-5-walk-records.csv") as text:
        rows = list(csv.DictReader(text))
    local = [datetime.strptime(row["timestamp"].replace(" PDT", ""), "%a %b %d %H:%M:%S %Y") for row in rows]
    assert read.starts("heart_rate") == [(t + timedelta(hours=7)).isoformat() for t in local]
    assert read.values("heart_rate") == [int(row["heart_rate"]) for row in rows]


def test_of_a_scales_two_users_the_first_is_meant_unless_told_otherwise(bench: VendorBench) -> None:
    files = [as_file(SAMPLES / "WeightScaleMultiUser.fit")]
    assert bench.read(files).values("weight") == [75.8]
    assert bench.read(files, own_users={"garmin": ["1"]}).values("weight") == [58.2]


def test_a_cuffs_fit_file_is_a_blood_pressure_and_ff_is_nothing(bench: VendorBench) -> None:
    t = fit_time("2025-03-02T06:30:00")
    whole = message(51, (253, "I", t), (0, "H", 121), (1, "H", 79), (6, "B", 61), (9, "H", 0))
    half = message(51, (253, "I", t + 60), (0, "H", 0xFFFF), (1, "H", 0xFFFF), (6, "B", 0xFF))
    read = bench.read({"bp.fit": fit(file_id(), whole, half)})
    assert (read.values("systolic"), read.values("diastolic"), read.values("pulse")) == ([121], [79], [61])
    assert read.starts("systolic") == ["2025-03-02T06:30:00"]
    assert read.fates["unused:no_measurement"] == 1


def test_sixteen_bits_of_time_go_on_from_the_last_whole_time_and_wrap_round(bench: VendorBench) -> None:
    t = (fit_time("2025-03-02T06:30:00") & ~0xFFFF) + 0xFFF0
    info = message(103, (253, "I", t), (0, "I", t + 3600))
    later = [message(55, (26, "H", (t + after) & 0xFFFF), (27, "B", 60 + n)) for n, after in enumerate((8, 60, 120))]
    read = bench.read({"monitor.fit": fit(file_id(kind=32), info, *later)})
    first, *rest = [r["start"].timestamp() for r in sorted(read.readings, key=lambda r: r["start"])]
    assert [moment - first for moment in rest] == [52, 112]
    assert read.values("heart_rate") == [60, 61, 62]


def test_steps_are_counted_up_from_the_watchs_midnight_and_that_of_midnight_ends_the_day(bench: VendorBench) -> None:
    zero = fit_time("2025-03-02T05:00:00")  # midnight in New York
    info = message(103, (253, "I", zero), (0, "I", zero - 5 * 3600))

    def count(at: int, kind: int, steps: int) -> Any:
        return message(55, (253, "I", at), (5, "E", kind), (3, "I", steps))

    day = [count(zero + 3600, 6, 1000), count(zero + 7200, 6, 2500), count(zero + 7200, 1, 40), count(zero + 86_400, 6, 3000)]
    next_day = [count(zero + 90_000, 6, 70)]
    read = bench.read({"monitor.fit": fit(file_id(kind=32), info, *day, *next_day)})
    found = {str(r["local_date"]): r["value"] for r in read.readings if r["metric"] == "steps"}
    assert found == {"2025-03-02": 3040, "2025-03-03": 70}


def test_a_cycle_is_two_steps(bench: VendorBench) -> None:
    at = fit_time("2025-03-02T12:00:00")
    walked = message(55, (253, "I", at), (3, "I", 2500), (24, "B", 6 | 2 << 5))
    read = bench.read({"monitor.fit": fit(file_id(kind=32), walked)})
    assert [r["raw"].get("cycles") for r in read.records] == [1250]
    assert read.values("steps") == [2500]


def test_an_activity_does_not_tell_again_what_the_all_day_curve_told(bench: VendorBench) -> None:
    start = "2025-03-02T08:00:00"
    seconds = [message(20, (253, "I", fit_time(start) + n), (3, "B", 150)) for n in range(0, 400, 20)]
    activity = {"run.fit": fit(file_id(), *seconds)}
    assert len(bench.read(activity).values("heart_rate")) == 20
    t = epoch(start)
    read = bench.read({**activity, "hr.json": {"calendarDate": "2025-03-02", "heartRateValues": [[t, 149], [t + 120_000, 151]]}})
    assert len(read.values("heart_rate")) == 2 + 8
    assert read.ends == {"accepted": 9, "duplicate": 12}


def test_a_watch_without_a_clock_gives_records_without_a_time(bench: VendorBench) -> None:
    read = bench.read({"run.fit": fit(file_id(), message(20, (253, "I", 4000), (3, "B", 150)))})
    assert (read.readings, read.fates["rejected:no_time"]) == ([], 1)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.fit", fit(file_id(), message(20, (253, "I", 1_100_000_000), (3, "B", 150)))[:-5]),
        ("a.fit", fit(file_id())[:-1] + b"\x00"),
        ("a.fit", b"not a FIT file at all, but called one"),
        ("a.bin", fit(file_id())[:20]),
    ],
)
def test_a_damaged_fit_file_is_refused_whole_and_the_archive_goes_on(bench: VendorBench, name: str, content: bytes) -> None:
    good = fit(file_id(), message(20, (253, "I", fit_time("2025-03-02T08:00:00")), (3, "B", 150)))
    read = bench.read(bench.tree({name: content, "b.fit": good}, zipped="export.zip"))
    assert [(x["reason"], x["position"]) for x in read.dead_letters] == [("damaged_fit", name)]
    assert read.values("heart_rate") == [150]


def test_a_fit_file_is_known_by_its_bytes_whatever_its_name(bench: VendorBench) -> None:
    good = fit(file_id(), message(20, (253, "I", fit_time("2025-03-02T08:00:00")), (3, "B", 150)))
    assert bench.read({"activity.json": good}).values("heart_rate") == [150]


@settings(max_examples=150)
@given(st.data())
def test_a_fit_file_with_any_bytes_changed_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray((SAMPLES / "WeightScaleMultiUser.fit").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "any.fit"
    path.write_bytes(bytes(content))
    with contextlib.suppress(SourceRefused):
        list(parse(as_file(path), PERSON))
