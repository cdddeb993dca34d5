"""Properties of the merge: one fate per reading, no trace of the order of arrival, every day by itself."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from config.metrics import METRICS
from config.tables import READINGS
from processing.aggregators import windows
from processing.aggregators.daily_metrics import choose, merge
from processing.readings import load
from tests.readings_bench import SETTINGS, WARSAW, Row, blood_pressure, by_kind, night, reading, table_rows
from tests.stage_bench import StageBench, as_file


class Merged:
    def __init__(self, folder: Path, rows: list[Row]) -> None:
        self.report, self.folder = StageBench(folder).run(merge, by_kind(folder, rows), SETTINGS)
        self.days = [row["date"] for row in table_rows(self.folder / "parquet")]
        self.choices = table_rows(self.folder / "choices")
        self.fates = {fate: n for fate, n in self.report["balance"]["fates"].items() if n}


_MOMENTS = st.integers(0, 6 * 1440).map(
    lambda minute: (datetime(2025, 3, 28, tzinfo=UTC) + timedelta(minutes=minute)).astimezone(WARSAW)
)
_MORE = st.fixed_dictionaries(
    {
        "source": st.sampled_from(["google_sheets", "bp_csv", "mi_fitness", "zzz"]),
        "device": st.sampled_from(["x", "y", None]),
        "raw_id": st.sampled_from([f"r{i}" for i in range(20)]),
    }
)
_SCENES = st.one_of(
    st.builds(
        lambda t, s, d, p, more: blood_pressure(t, s, d, p, **more),
        _MOMENTS,
        st.integers(118, 122),
        st.just(80),
        st.sampled_from([60, None]),
        _MORE,
    ),
    st.builds(
        lambda t, length, score, more: night(t, t + timedelta(minutes=length), length, score=score, **more),
        _MOMENTS,
        st.integers(30, 500),
        st.just(70),
        _MORE,
    ),
    st.builds(
        lambda metric, t, value, length, scope, more: [
            reading(metric, value, t, t + timedelta(minutes=length * (scope == "interval")), scope=scope, **more)
        ],
        st.sampled_from(
            [
                "steps",
                "distance",
                "heart_rate",
                "heart_rate_mean",
                "resting_heart_rate",
                "weight",
                "spo2",
                "sleep_score",
                "hrv_sdnn",
                "hrv_rmssd",
                "basal_energy",
                "body_fat",
                "respiratory_rate",
                "body_temperature",
            ]
        ),
        _MOMENTS,
        st.integers(0, 200),
        st.integers(0, 90),
        st.sampled_from(["instant", "interval", "day"]),
        _MORE,
    ),
)


@settings(max_examples=6, deadline=None)  # a merge takes as long for ten scenes as for one
@given(st.lists(_SCENES, max_size=28), st.randoms(use_true_random=False), st.integers(1, 30))
def test_every_reading_has_one_fate_and_neither_order_nor_how_many_are_read_at_once_leaves_a_trace(
    tmp_path_factory: Any, scenes: list[list[Row]], random: Any, at_once: int
) -> None:
    folder = tmp_path_factory.mktemp("merge")
    rows = [row for scene in scenes for row in scene]
    one = Merged(folder / "1", rows)
    with patch.object(windows, "READINGS_AT_ONCE", at_once):
        other = Merged(folder / "2", random.sample(rows, len(rows)))
    assert one.report == other.report
    for role in ("csv", "parquet", "protocol", "by_source", "choices"):
        assert (one.folder / role).read_bytes() == (other.folder / role).read_bytes()
    assert one.days == sorted({row["local_date"] for row in rows})

    told = [json.dumps([str(row[name]) for name in READINGS.names if name != "flags"]) for row in rows]
    chosen = [
        json.dumps([str(({**row, "flags": []})[name]) for name in READINGS.names if name != "flags"]) for row in one.choices
    ]
    assert Counter(told) == Counter(chosen)
    assert one.report["balance"]["came"] == len(rows)
    assert Counter(c["fate"] for c in one.choices) == one.fates


@settings(max_examples=4, deadline=None)
@given(st.lists(_SCENES, min_size=4, max_size=24))
def test_a_days_fates_follow_from_that_days_readings_alone(tmp_path_factory: Any, scenes: list[list[Row]]) -> None:
    folder = tmp_path_factory.mktemp("local")
    rows = [row for scene in scenes for row in scene]
    whole = Merged(folder / "whole", rows)
    day = rows[0]["local_date"]
    tables = {
        kind: load([as_file(path)], {name for name, metric in METRICS.items() if metric.kind == kind})
        for kind, path in by_kind(folder / "day", [row for row in rows if row["local_date"] == day]).items()
    }
    chosen = choose(tables, SETTINGS)
    fates = Counter(fate for frame in chosen.frames.values() for fate in frame["fate"])
    assert fates == Counter(c["fate"] for c in whole.choices if c["local_date"] == day)
