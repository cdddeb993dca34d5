"""Two ways to one number: the merge's columns and the single day made again with pen and paper agree on any readings."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from processing.aggregators.columns import COLUMNS
from processing.aggregators.fates import ACCEPTED
from processing.aggregators.remaking import Choice, agrees, remake, why
from tests.readings_bench import Row, at, night, reading, table_rows
from tests.test_merge_properties import _MOMENTS, _MORE, _SCENES, Merged

_ASLEEP = st.builds(
    lambda t, length, deep, light, stated, more: night(
        t, t + timedelta(minutes=length), length if stated else None, deep=deep, light=light, awake=3, **more
    ),
    _MOMENTS,
    st.integers(60, 500),
    st.integers(0, 30),
    st.integers(0, 30),
    st.booleans(),
    _MORE,
)
_STEPS = st.builds(
    lambda t, value, length, device: [
        reading("steps", value, t, t + timedelta(minutes=length), scope="interval", device=device, raw_id=f"{t}{device}{length}")
    ],
    _MOMENTS,
    st.integers(1, 900),
    st.integers(0, 200),
    st.sampled_from(["x", "y"]),
)


def differing(merged: Merged) -> list[tuple[Any, ...]]:
    """(day, column, cell, made again) wherever the two differ; every reading that lost has a sentence."""
    choices = [
        Choice(**row | {name: int(row[name].timestamp() * 1_000_000) for name in ("start", "end")}) for row in merged.choices
    ]
    found: list[tuple[Any, ...]] = []
    for row in table_rows(merged.folder / "parquet"):
        for column in COLUMNS:
            mine = [c for c in choices if c.local_date == row["date"] and (not column.metrics or c.metric in column.metrics)]
            made = remake(column.name, mine, row)
            assert all(c.fate == ACCEPTED for c in made.used)
            assert all(why(c, column) for c in mine if c not in made.used)
            if not agrees(row[column.name], made.value):
                found.append((row["date"], column.name, row[column.name], made.value))
    return found


@settings(max_examples=10, deadline=None)  # a merge takes as long for ten scenes as for one
@given(st.lists(st.one_of(_SCENES, _ASLEEP, _STEPS), min_size=6, max_size=60))
def test_every_cell_of_any_table_comes_out_the_same(tmp_path_factory: Any, scenes: list[list[Row]]) -> None:
    rows = [row for scene in scenes for row in scene]
    assert differing(Merged(tmp_path_factory.mktemp("again"), rows)) == []


def test_a_cell_that_says_something_else_is_noticed() -> None:
    start = int(at("2025-03-01T08:00").timestamp() * 1_000_000)
    day = at("2025-03-01T08:00").date()
    choice = Choice(day, "systolic", start, start, "instant", 120.0, "mm[Hg]", 3600, "bp_csv", None, "a", ACCEPTED, "morning")
    made = remake("systolic", [choice, choice._replace(value=121.0)], {})
    assert agrees(120.5, made.value)
    assert not agrees(120.52, made.value)
    assert not agrees(None, made.value)
    assert remake("systolic_evening", [choice], {}).value is None


def test_devices_are_never_summed_and_a_row_is_shared_by_time() -> None:
    hour = int(at("2025-03-01T08:00").timestamp() * 1_000_000)
    minute = 60_000_000
    day = at("2025-03-01T08:00").date()
    whole = Choice(
        day, "steps", hour, hour + 60 * minute, "interval", 600.0, "{steps}", 3600, "mi_fitness", "x", "a", ACCEPTED, None
    )
    other = whole._replace(device="y", raw_id="b", end=hour + 30 * minute, value=400.0)
    assert remake("steps", [whole, other], {}).value == 400 + 300


def test_a_gap_makes_the_mean_heart_rate_weighted() -> None:
    first = int(at("2025-03-01T08:00").timestamp() * 1_000_000)
    day = at("2025-03-01T08:00").date()
    sample = Choice(day, "heart_rate", first, first, "instant", 60.0, "/min", 3600, "mi_fitness", "x", "a", ACCEPTED, None)
    later = [sample._replace(start=first + minutes * 60_000_000, value=90.0) for minutes in (60, 61)]
    weights = (600, 330, 330)  # seconds: five minutes to either side, half a minute between the last two
    mean = (60 * weights[0] + 90 * weights[1] + 90 * weights[2]) / sum(weights)
    assert agrees(round(mean, 2), remake("avg_hr", [sample, *later], {}).value)
    assert agrees(sum(weights) / 60, remake("hr_coverage_minutes", [sample, *later], {}).value)
