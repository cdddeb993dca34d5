"""A day's heart rates taken at once are the records they are one by one, and a file with anything unusual in it is read one by one."""

from __future__ import annotations

import io
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.timezones import PersonZones
from ingestion.blocks import expanded
from ingestion.export_files import ExportFile
from ingestion.fitbit import heart
from ingestion.fitbit.records import parse
from tests.stage_bench import as_file
from tests.vendor_bench import SETTINGS, VendorBench

TRIP = [{"from": "2024-05-01", "to": "2024-05-02", "timezone": "America/St_Johns"}]
ZONES = PersonZones("Europe/Warsaw", TRIP)


def sample(at: datetime, bpm: Any = 70, confidence: Any = 2) -> dict[str, Any]:
    return {"dateTime": at.strftime("%m/%d/%y %H:%M:%S"), "value": {"bpm": bpm, "confidence": confidence}}


def one_by_one(tmp_path: Path, data: bytes) -> list[Any]:
    path = tmp_path / "heart_rate-2024-05-01.json"
    path.write_bytes(data)
    given = {**SETTINGS, "timezone_overrides": TRIP}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heart, "block", lambda *_: None)
        return list(parse(as_file(path), given))


DAYS = st.sampled_from(["2024-02-29", "2024-03-31", "2024-04-30", "2024-05-02", "2024-07-01", "2024-12-31"]).map(
    datetime.fromisoformat
)


@settings(max_examples=20, deadline=None)
@given(day=DAYS, indent=st.sampled_from([None, 1]), draw=st.data())
def test_a_day_at_once_is_the_same_records_as_one_by_one(
    tmp_path_factory: Any, day: datetime, indent: int | None, draw: Any
) -> None:
    seconds = draw.draw(st.lists(st.integers(0, 86_399), min_size=1, max_size=60))
    found = [sample(day + timedelta(seconds=s), 20 + s % 231, s % 4) for s in seconds]
    data = json.dumps(found, indent=indent).encode()
    block = heart.block(ExportFile("heart_rate-1.json", "", io.BytesIO(data)), ZONES, 1)
    assert block is not None
    rows = one_by_one(tmp_path_factory.mktemp("day"), data)
    assert [record._replace(revision=0) for record in expanded(block, ())] == [record._replace(revision=0) for record in rows]
    assert block.runs == [(rows[0].raw, len(rows))]


NOON = datetime(2024, 5, 1, 12)


@pytest.mark.parametrize(
    "found",
    [
        [],
        [sample(NOON), 5],
        [sample(NOON, 300)],
        [sample(NOON, 70.5)],
        [sample(NOON, 70, None)],
        [sample(NOON) | {"more": 1}],
        [sample(NOON) | {"dateTime": "02/30/24 12:00:00"}],
        [sample(NOON) | {"dateTime": "2024-05-01T12:00:00Z"}],
        [sample(datetime(2024, 10, 27, 2, 30))],
    ],
)
def test_a_file_with_anything_unusual_is_left_to_be_read_one_by_one(found: list[Any]) -> None:
    part = ExportFile("heart_rate-1.json", "", io.BytesIO(json.dumps(found).encode()))
    assert heart.block(part, ZONES, 1) is None
    assert part.file.tell() == 0


def test_a_file_cut_off_in_a_sample_gives_the_samples_before_it(tmp_path: Path) -> None:
    data = json.dumps([sample(NOON + timedelta(seconds=5 * n)) for n in range(9)]).encode()[:-9]
    read = VendorBench("fitbit", tmp_path).read({"heart_rate-2024-05-01.json": data})
    assert (read.fates["accepted"], len(read.dead_letters)) == (8, 1)


def test_a_day_that_two_exports_hold_is_told_once_and_a_changed_sample_counts_as_the_newer_says(tmp_path: Path) -> None:
    bench = VendorBench("fitbit", tmp_path)
    day = [sample(NOON + timedelta(seconds=5 * n)) for n in range(9)]
    newer = [*day[:8], sample(NOON + timedelta(seconds=40), 99), sample(NOON + timedelta(seconds=45))]
    exports = bench.tree({"heart_rate-2024-05-01.json": day}, zipped="takeout-20240501T130000Z-001.zip")
    exports += bench.tree({"heart_rate-2024-05-01.json": newer}, zipped="takeout-20240502T130000Z-001.zip")
    read = bench.read(exports)
    assert read.fates == {"accepted": 11, "duplicate": 8}
    assert read.ends == {"accepted": 10, "superseded": 1}
    assert read.values("heart_rate") == [70] * 8 + [99, 70]
