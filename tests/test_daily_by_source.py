"""The day as each source alone tells it: what the merge makes of that source's readings when there are no others."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from processing.aggregators.columns import BY_SOURCE
from processing.aggregators.daily_metrics import merge
from tests.readings_bench import SETTINGS, Row, at, blood_pressure, by_kind, night, reading, table_rows, whole_day
from tests.stage_bench import StageBench
from tests.test_merge_properties import _SCENES

NOON = at("2025-03-10 12:00")


def merged(folder: Path, rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """(the daily table, the table by source)."""
    _, out = StageBench(folder).run(merge, by_kind(folder, rows), SETTINGS)
    assert pq.read_schema(out / "by_source") == BY_SOURCE
    return table_rows(out / "parquet"), table_rows(out / "by_source")


def alone(folder: Path, rows: list[Row]) -> list[Row]:
    """By a merge of its own for every source."""
    found: list[Row] = []
    for source in sorted({row["source"] for row in rows}):
        daily, _ = merged(folder / source, [row for row in rows if row["source"] == source])
        found += [{"source": source, **day} for day in daily]
    return found


def test_each_source_tells_its_own_day_whoever_is_believed_first(tmp_path: Path) -> None:
    rows = [
        *blood_pressure(NOON, 120, 80, source="google_sheets"),
        *blood_pressure(NOON, 120, 80, 61, source="bp_csv"),
        *blood_pressure(NOON + timedelta(hours=7), 140, 90, source="bp_csv"),
        reading("heart_rate", 60, NOON),
        reading("weight", 80, NOON, source="bp_csv"),
        reading("weight", 82, NOON),
    ]
    _, found = merged(tmp_path / "all", rows)
    assert [(row["source"], row["systolic"], row["pulse"], row["weight"]) for row in found] == [
        ("bp_csv", 130, 61, 80),
        ("google_sheets", 120, None, None),
        ("mi_fitness", None, None, 82),
    ]
    assert found == alone(tmp_path / "alone", rows)


def test_a_source_that_only_gives_a_daily_average_of_pressure_has_a_day_without_one(tmp_path: Path) -> None:
    rows = [*blood_pressure(NOON, 128, 82), whole_day("systolic", 150, "2025-03-10"), whole_day("diastolic", 99, "2025-03-10")]
    _, found = merged(tmp_path, rows)
    assert [(row["source"], row["systolic"]) for row in found] == [("bp_csv", 128), ("mi_fitness", None)]


def test_signs_of_wear_are_the_sources_own(tmp_path: Path) -> None:
    rows = [
        whole_day("steps", 0, "2025-03-10"),
        whole_day("steps", 900, "2025-03-10", source="zzz"),
        reading("heart_rate", 60, NOON),
    ]
    _, found = merged(tmp_path / "all", rows)
    assert [(row["source"], row["steps"]) for row in found] == [("mi_fitness", 0), ("zzz", 900)]
    assert found == alone(tmp_path / "alone", rows)


def test_days_of_nothing_but_a_lost_clock_and_no_readings_at_all_give_no_rows(tmp_path: Path) -> None:
    assert merged(tmp_path / "none", []) == ([], [])
    rows = blood_pressure(NOON, 120, 80, flags=["clock_reset"])
    assert merged(tmp_path / "lost", rows) == ([], [])


@settings(max_examples=8, deadline=None)  # a merge takes as long for ten scenes as for one
@given(st.lists(_SCENES, min_size=10, max_size=36))
def test_it_equals_a_merge_of_each_source_by_itself(tmp_path_factory: Any, scenes: list[list[Row]]) -> None:
    folder = tmp_path_factory.mktemp("by_source")
    rows = [row for scene in scenes for row in scene]
    assert json.dumps(merged(folder / "all", rows)[1], default=str) == json.dumps(alone(folder / "alone", rows), default=str)


def test_a_night_told_by_two_sources_is_told_by_each(tmp_path: Path) -> None:
    start, end = at("2025-03-29 23:00"), at("2025-03-30 07:00")
    rows = [*night(start, end, 420, score=80), *night(start, end, 400, source="zzz")]
    _, found = merged(tmp_path / "all", rows)
    assert [(row["source"], row["total_duration"], row["wake_time"]) for row in found] == [
        ("mi_fitness", 420, "2025-03-30T07:00:00+02:00"),
        ("zzz", 400, "2025-03-30T07:00:00+02:00"),
    ]
