"""Readings a stretch at a time: the same rows in the same order as all at once, and the same verdicts byte for byte."""

from __future__ import annotations

import math
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from config.metrics import METRICS
from config.stage import File
from config.tables import READINGS, READINGS_ORDER
from processing.readings import load, stream
from processing.validators import readings as validators
from tests.readings_bench import Row, at, reading
from tests.stage_bench import StageBench, as_file

NOON = at("2025-03-10 12:00")
KINDS = {"heart_rate": validators.validate_heart_rate, "activity": validators.validate_activity, "body": validators.validate_body}


def rows_of(draw: random.Random, metrics: list[str], many: int, source: str) -> list[Row]:
    """Readings of few starts and few values, some of them impossible, in disorder."""
    made = []
    for _ in range(many):
        name = draw.choice(metrics)
        low, high = METRICS[name].reject
        start = NOON + timedelta(days=draw.choice([0, 0, 0, -7000, -5547])) + timedelta(minutes=draw.randint(0, many // 3))
        made.append(
            reading(
                name,
                draw.choice([low, low, high, high, (low + high) / 2, 0.0, -1.0, 255.0]),
                start,
                start + timedelta(minutes=draw.choice([0, 0, 0, 1, -1])),
                source=draw.choice([source, source, "zzz"]),
                raw_id=f"r{draw.randint(0, many)}",
                device=draw.choice([None, "x", source]),
                flags=draw.choice([[], [], ["dst_gap"], ["a", "b"]]),
                unit=draw.choice([None] * 20 + ["kPa"]),
            )
        )
    return made


def save_in_groups(path: Path, rows: list[Row], group: int, *, in_order: bool = True, **how: Any) -> Path:
    """A table of readings in row groups of so many."""
    table = pa.Table.from_pylist(rows, schema=READINGS)
    pq.write_table(table.sort_by(READINGS_ORDER) if in_order else table, path, row_group_size=group, **how)
    return path


def many_files(folder: Path, draw: random.Random, metrics: list[str], *, in_order: bool) -> list[Path]:
    folder.mkdir(exist_ok=True)
    some = [(name, draw.choice([0, 1, 7, 60, 150]), draw.choice([1, 2, 5, 16])) for name in "abcd"]
    return [
        save_in_groups(folder / name, rows_of(draw, metrics, many, name), group, in_order=in_order) for name, many, group in some
    ]


def files_of(paths: list[Path]) -> list[File]:
    return [as_file(path) for path in paths]


@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize("rows", [1, 10, 100, 10_000])
@pytest.mark.parametrize("seed", range(3))
def test_tables_of_a_stream_are_what_is_loaded_at_once(tmp_path: Path, seed: int, rows: int, in_order: bool) -> None:
    draw = random.Random(seed)
    files = files_of(
        many_files(tmp_path, draw, ["body_fat", "heart_rate", "spo2", "steps", "weight", "weight"], in_order=in_order)
    )
    for metrics, whole in (
        ({"body_fat", "weight", "spo2"}, {"weight"}),
        ({"steps"}, set()),
        (set(METRICS), {"heart_rate", "spo2"}),
    ):
        at_once = load(files, metrics).to_pylist()
        tables = [table.to_pylist() for table in stream(files, metrics, whole, rows)]
        assert [row for table in tables for row in table] == at_once
        assert all(tables)
        for keys in (
            [{(row["metric"], row["start"]) for row in table} for table in tables],
            [{row["metric"] for row in table} & whole for table in tables],
        ):
            assert sum(map(len, keys)) == len(set().union(*keys))  # in no two of them
        assert len(tables) > 1 or rows > 10 or len(at_once) <= 20 or metrics == {"steps"} or not in_order


def test_equal_starts_over_the_borders_of_row_groups_stay_together(tmp_path: Path) -> None:
    rows = [reading("heart_rate", 60 + i, NOON + timedelta(minutes=i // 7), raw_id=f"{i:02}") for i in range(35)]
    files = [as_file(save_in_groups(tmp_path / name, rows, 2)) for name in "ab"]
    assert [table.num_rows for table in stream(files, {"heart_rate"}, rows=1)] == [14] * 5


def test_what_the_order_does_not_tell_apart_comes_in_the_order_of_the_files(tmp_path: Path) -> None:
    """A zero and a minus zero are equal, though their bytes are not."""
    later = [reading("steps", 5, NOON + timedelta(minutes=minute)) for minute in range(1, 4)]
    one = save_in_groups(tmp_path / "one", [reading("steps", 0.0, NOON), *later], 10)
    other = save_in_groups(
        tmp_path / "other", [reading("steps", 5, NOON - timedelta(minutes=1)), reading("steps", -0.0, NOON)], 10
    )
    third = save_in_groups(tmp_path / "third", [reading("steps", 5, NOON + timedelta(minutes=9))], 10)
    for files in (files_of([one, other]), files_of([one, other, third])):  # at the end, and before
        values = [repr(value) for table in stream(files, {"steps"}, rows=6) for value in table["value"].to_pylist()]
        assert values == [repr(value) for value in load(files, {"steps"})["value"].to_pylist()]
        assert values[1:3] == ["0.0", "-0.0"]


def test_tables_stay_as_small_as_asked_for(tmp_path: Path) -> None:
    rows = [reading(name, 60, NOON + timedelta(minutes=i)) for name in ("steps", "heart_rate") for i in range(1000)]
    files = [as_file(save_in_groups(tmp_path / str(i), rows[i::3], 10)) for i in range(3)]
    sizes = [table.num_rows for table in stream(files, {"heart_rate", "steps"}, rows=100)]
    assert sum(sizes) == 2000
    assert max(sizes) <= 100 + 2 * 3 * 10


@pytest.mark.parametrize("kept", [False, ["value"], ["metric"], ["start"]])
def test_files_without_statistics_give_the_same(tmp_path: Path, kept: Any) -> None:
    rows = rows_of(random.Random(5), ["heart_rate", "steps", "weight"], 200, "a")
    bare = as_file(save_in_groups(tmp_path / "bare", rows, 9, write_statistics=kept))
    full = as_file(save_in_groups(tmp_path / "full", rows[::2], 9))
    for metrics in ({"heart_rate", "weight"}, {"systolic"}):
        tables = [table.to_pylist() for table in stream([bare, full], metrics, {"weight"}, 10)]
        assert [row for table in tables for row in table] == load([full, bare], metrics).to_pylist()


def test_no_readings_give_no_table(tmp_path: Path) -> None:
    empty = as_file(save_in_groups(tmp_path / "empty", [], 5))
    other = as_file(save_in_groups(tmp_path / "other", [reading("steps", 5, NOON)], 5))
    assert not list(stream([], {"heart_rate"}))
    assert not list(stream([empty, other], {"heart_rate"}))


@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", KINDS)
def test_verdicts_do_not_depend_on_the_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, seed: int, in_order: bool
) -> None:
    draw = random.Random(seed)
    metrics = [name for name, metric in METRICS.items() if metric.kind == kind]
    paths: list[str | Path] = [*many_files(tmp_path / "in", draw, [*metrics, "systolic"], in_order=in_order)]
    odd = [reading(metrics[0], value, NOON) for value in (math.nan, math.inf, 0.0, -0.0)]
    paths += [save_in_groups(tmp_path / "odd", odd + rows_of(draw, metrics, 90, "zzz"), 4)]
    outcomes = []
    for window in (10**9, 1, 20):
        monkeypatch.setattr(validators, "WINDOW", window)
        report, out = StageBench(tmp_path / str(window)).run(KINDS[kind], {"a": paths[:2], "b": paths[2:]}, {"plausibility": {}})
        fates, findings = list(report["balance"]["fates"].items()), report["findings"]
        outcomes.append((report, fates, findings, (out / "readings").read_bytes(), (out / "rejected").read_bytes()))
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert len(fates) > 4
    assert [fate for fate, _ in fates] == ["accepted", "duplicate", *sorted(fate for fate, _ in fates[2:])]
    assert [finding["code"] for finding in findings] == sorted(finding["code"] for finding in findings)
    assert findings


def test_a_weight_is_compared_with_the_one_before_it_however_far_apart_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [reading("weight", 70 + 10 * (i % 2), NOON + timedelta(hours=i)) for i in range(20)]
    monkeypatch.setattr(validators, "WINDOW", 1)
    report, _ = StageBench(tmp_path).run(
        validators.validate_body, {"a": save_in_groups(tmp_path / "a", rows, 1)}, {"plausibility": {}}
    )
    assert [(finding["code"], finding["count"]) for finding in report["findings"]] == [("weight_jump", 19)]
