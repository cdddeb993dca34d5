"""Validation: what is accepted, flagged, refused and recognised as said twice."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.metrics import METRICS
from processing.validators.readings import (
    validate_activity,
    validate_blood_pressure,
    validate_body,
    validate_heart_rate,
    validate_sleep,
)
from tests.readings_bench import Row, at, blood_pressure, night, reading, save, table_rows, whole_day
from tests.stage_bench import StageBench

STAGES = {
    "blood_pressure": validate_blood_pressure,
    "heart_rate": validate_heart_rate,
    "sleep": validate_sleep,
    "activity": validate_activity,
    "body": validate_body,
}
NOON = at("2025-03-10 12:00")


class Verdict:
    def __init__(self, tmp_path: Path, kind: str, rows: list[Row], plausibility: dict[str, Any]) -> None:
        bench = StageBench(tmp_path)
        self.report, out = bench.run(STAGES[kind], {"a": save(tmp_path / "a.parquet", rows)}, {"plausibility": plausibility})
        self.readings, self.rejected = table_rows(out / "readings"), table_rows(out / "rejected")
        self.fates = {fate: n for fate, n in self.report["balance"]["fates"].items() if n}

    @property
    def reasons(self) -> dict[str, str]:
        return {row["metric"]: row["reason"] for row in self.rejected}

    def flags(self, metric: str) -> list[list[str]]:
        return [row["flags"] for row in self.readings if row["metric"] == metric]


@pytest.fixture
def judge(tmp_path: Path):  # type: ignore[no-untyped-def]
    runs = iter(range(1000))

    def run(kind: str, rows: list[Row], plausibility: dict[str, Any] | None = None) -> Verdict:
        return Verdict(tmp_path / str(next(runs)), kind, rows, plausibility or {})

    return run


@pytest.mark.parametrize(
    ("metric", "value", "reason"),
    [
        ("heart_rate", 0, "zero_is_missing"),
        ("heart_rate", 255, "device_sentinel"),
        ("heart_rate", 254, "device_sentinel"),
        ("heart_rate", -1, "device_sentinel"),
        ("heart_rate", 19.9, "below_reject"),
        ("heart_rate", 250.1, "above_reject"),
        ("heart_rate", math.nan, "not_a_number"),
        ("heart_rate", math.inf, "not_a_number"),
        ("heart_rate", -math.inf, "not_a_number"),
        ("resting_heart_rate", 24, "below_reject"),
        ("resting_heart_rate", 131, "above_reject"),
        ("sleep_score", 0, "zero_is_missing"),
        ("sleep_awake", -5, "negative_duration"),
        ("steps", -1, "below_reject"),
        ("steps", 200_001, "above_reject"),
        ("spo2", 0, "zero_is_missing"),
        ("spo2", 49, "below_reject"),
        ("spo2", 255, "device_sentinel"),
        ("weight", 0, "zero_is_missing"),
        ("weight", 401, "above_reject"),
        ("pulse", 0, "zero_is_missing"),
        ("pulse", 255, "device_sentinel"),
    ],
)
def test_what_is_no_measurement_or_impossible_is_refused_with_its_reason(
    judge: Any, metric: str, value: float, reason: str
) -> None:
    verdict = judge(METRICS[metric].kind, [reading(metric, value, NOON)])
    assert verdict.reasons == {metric: reason}
    assert verdict.fates == {f"rejected:{reason}": 1}
    assert verdict.readings == []


@pytest.mark.parametrize("metric", sorted(set(METRICS) - {"systolic", "diastolic"}))
def test_bounds_are_inclusive(judge: Any, metric: str) -> None:
    values = [value for value in METRICS[metric].reject if value or not METRICS[metric].zero_is_missing]
    rows = [whole_day(metric, value, f"2025-03-1{i}") for i, value in enumerate(values)]
    assert not judge(METRICS[metric].kind, rows).rejected


@pytest.mark.parametrize(("systolic", "diastolic"), [(50, 20), (300, 20), (300, 200), (201, 200)])
def test_bounds_of_a_pair_are_inclusive(judge: Any, systolic: float, diastolic: float) -> None:
    assert not judge("blood_pressure", blood_pressure(NOON, systolic, diastolic)).rejected


@pytest.mark.parametrize(
    ("metric", "value", "flags"),
    [
        ("heart_rate", 29, ["warn_low"]),
        ("heart_rate", 30, []),
        ("heart_rate", 220, []),
        ("heart_rate", 221, ["warn_high"]),
        ("spo2", 69, ["warn_low"]),
        ("steps", 100_001, ["warn_high"]),
        ("steps", 0, []),
        ("sleep_awake", 0, []),
    ],
)
def test_what_is_unusual_is_kept_and_flagged(judge: Any, metric: str, value: float, flags: list[str]) -> None:
    verdict = judge(METRICS[metric].kind, [whole_day(metric, value, "2025-03-10")])
    assert verdict.flags(metric) == [flags]
    assert [(f["code"], f["count"]) for f in verdict.report["findings"]] == [(flag, 1) for flag in flags]


def test_a_person_may_move_the_bounds(judge: Any) -> None:
    rows = [reading("spo2", 65, NOON), reading("spo2", 45, NOON + timedelta(hours=1))]
    verdict = judge("body", rows, {"spo2": {"reject": [40, 60], "warn": [50, 100]}})
    assert [(r["value"], r["reason"]) for r in verdict.rejected] == [(65, "above_reject")]
    assert verdict.flags("spo2") == [["warn_low"]]


def test_flags_of_the_normalizer_stay_and_come_first(judge: Any) -> None:
    verdict = judge(
        "heart_rate", [reading("heart_rate", 25, NOON, flags=["dst_gap"]), reading("heart_rate", 60, NOON, flags=["x", "y"])]
    )
    assert sorted(verdict.flags("heart_rate")) == [["dst_gap", "warn_low"], ["x", "y"]]


@pytest.mark.parametrize(
    ("start", "fate"),
    [
        ("2008-12-31 23:59:59", "rejected:before_device_era"),
        ("2009-01-01 00:00:00", "accepted"),
        ("1970-01-01 00:00:00", "rejected:before_device_era"),
    ],
)
def test_times_before_any_device_are_refused(judge: Any, start: str, fate: str) -> None:
    verdict = judge("heart_rate", [reading("heart_rate", 60, datetime.fromisoformat(start).replace(tzinfo=UTC))])
    assert verdict.fates == {fate: 1}


def test_the_day_a_reset_clock_starts_at_is_flagged(judge: Any) -> None:
    days = ["2009-12-31 12:00", "2010-01-01 00:05", "2010-01-02 12:00"]
    assert judge("heart_rate", [reading("heart_rate", 60, at(day)) for day in days]).flags("heart_rate") == [
        [],
        ["clock_reset"],
        [],
    ]


def test_an_end_before_its_start_is_refused(judge: Any) -> None:
    verdict = judge("activity", [reading("steps", 60, NOON, NOON - timedelta(minutes=1), scope="interval")])
    assert verdict.reasons == {"steps": "end_before_start"}


def test_a_unit_that_is_not_the_metrics_own_is_refused(judge: Any) -> None:
    rows = blood_pressure(NOON, 17.1, 10.9, unit="kPa")
    assert judge("blood_pressure", rows).reasons == {"systolic": "unexpected_unit", "diastolic": "unexpected_unit"}


def test_readings_of_other_kinds_are_not_this_nodes(judge: Any) -> None:
    rows = [*blood_pressure(NOON, 120, 80, 60), reading("steps", 5, NOON)]
    assert judge("blood_pressure", rows).report["balance"] == {
        "unit": "reading",
        "came": 3,
        "fates": {"accepted": 3, "duplicate": 0},
    }


@pytest.mark.parametrize(
    ("systolic", "diastolic", "pulse", "reasons"),
    [
        (80, 120, 60, {"systolic": "dia_not_below_sys", "diastolic": "dia_not_below_sys", "pulse": "dia_not_below_sys"}),
        (100, 100, 60, {"systolic": "dia_not_below_sys", "diastolic": "dia_not_below_sys", "pulse": "dia_not_below_sys"}),
        (312, 315, 46, {"systolic": "above_reject", "diastolic": "above_reject", "pulse": "dia_not_below_sys"}),
        (301, 80, 60, {"systolic": "above_reject", "diastolic": "partner_rejected"}),
        (120, 0, 60, {"systolic": "partner_rejected", "diastolic": "zero_is_missing"}),
        (0, 0, 0, {"systolic": "zero_is_missing", "diastolic": "zero_is_missing", "pulse": "zero_is_missing"}),
        (0, 80, 60, {"systolic": "zero_is_missing", "diastolic": "partner_rejected"}),
        (120, 80, 0, {"pulse": "zero_is_missing"}),
        (129, None, 60, {"systolic": "partner_missing"}),
        (None, 80, None, {"diastolic": "partner_missing"}),
        (None, None, 60, {}),
        (120, 80, None, {}),
    ],
)
def test_systolic_and_diastolic_stand_or_fall_together(
    judge: Any, systolic: float | None, diastolic: float | None, pulse: float | None, reasons: dict[str, str]
) -> None:
    assert judge("blood_pressure", blood_pressure(NOON, systolic, diastolic, pulse)).reasons == reasons


def test_a_refused_measurement_leaves_its_neighbours_alone(judge: Any) -> None:
    """Two measurements of one record (a sheet's morning and evening columns) and one of another at the same minute."""
    rows = [
        *blood_pressure(NOON, 80, 120, raw_id="r1"),
        *blood_pressure(NOON + timedelta(hours=8), 121, 81, raw_id="r1"),
        *blood_pressure(NOON, 122, 82, raw_id="r2"),
    ]
    verdict = judge("blood_pressure", rows)
    assert sorted(r["value"] for r in verdict.readings) == [81, 82, 121, 122]


@pytest.mark.parametrize(
    ("systolic", "diastolic", "flags"),
    [
        (120, 111, ["pulse_pressure_low"]),
        (120, 110, []),
        (230, 80, []),
        (231, 80, ["pulse_pressure_high"]),
    ],
)
def test_odd_pulse_pressures_are_flagged_on_the_pair(judge: Any, systolic: float, diastolic: float, flags: list[str]) -> None:
    verdict = judge("blood_pressure", blood_pressure(NOON, systolic, diastolic, 60))
    assert verdict.flags("systolic") == verdict.flags("diastolic") == [flags]
    assert verdict.flags("pulse") == [[]]


def test_an_equal_reading_of_one_source_and_device_is_a_duplicate(judge: Any) -> None:
    rows = [
        reading("heart_rate", 60, NOON, raw_id="b", device="band"),
        reading("heart_rate", 60, NOON, raw_id="a", device="band"),
        reading("heart_rate", 61, NOON, raw_id="c", device="band"),
        reading("heart_rate", 60, NOON, raw_id="d", device="watch"),
        reading("heart_rate", 60, NOON, raw_id="e", device="band", source="bp_csv"),
        reading("heart_rate", 60, NOON, raw_id="f"),
    ]
    verdict = judge("heart_rate", rows)
    assert sorted(r["raw_id"] for r in verdict.readings) == ["a", "c", "d", "e", "f"]
    assert verdict.fates == {"accepted": 5, "duplicate": 1}


def test_measurements_are_duplicates_as_a_whole_or_not_at_all(judge: Any) -> None:
    rows = [
        *blood_pressure(NOON, 120, 80, 60, raw_id="b"),
        *blood_pressure(NOON, 120, 80, 60, raw_id="a"),
        *blood_pressure(NOON, 120, 80, raw_id="0 no pulse"),
        *blood_pressure(NOON, 120, 82, 60, raw_id="c"),
        *blood_pressure(NOON + timedelta(minutes=1), 120, 80, 60, raw_id="d"),
    ]
    verdict = judge("blood_pressure", rows)
    assert Counter(r["raw_id"] for r in verdict.readings) == {"a": 3, "c": 3, "d": 3}
    assert verdict.fates == {"accepted": 9, "duplicate": 5}


def test_nobody_sleeps_longer_than_the_window(judge: Any) -> None:
    start = at("2025-03-10 23:00")
    rows = [
        *night(start, start + timedelta(minutes=400), 402, deep=60, raw_id="too long"),
        *night(start + timedelta(days=1), start + timedelta(days=1, minutes=400), 401, raw_id="rounded"),
        *night(start + timedelta(days=2), start + timedelta(days=2), 0, raw_id="placeholder"),
    ]
    verdict = judge("sleep", rows)
    assert {(r["raw_id"], r["metric"]): r["reason"] for r in verdict.rejected} == {
        ("too long", "sleep_duration"): "exceeds_window",
        ("too long", "sleep_deep"): "partner_rejected",
        ("placeholder", "sleep_duration"): "empty_session",
    }
    assert [r["raw_id"] for r in verdict.readings] == ["rounded"]


def test_a_night_of_changing_clocks_has_its_true_window(judge: Any) -> None:
    """23:00 to 06:00 in autumn is eight hours, in spring six."""
    autumn = night(at("2025-10-25 23:00"), at("2025-10-26 06:00"), 480)
    spring = night(at("2025-03-29 23:00"), at("2025-03-30 06:00"), 365)
    assert not judge("sleep", autumn).rejected
    assert judge("sleep", spring).reasons == {"sleep_duration": "exceeds_window"}


def test_overlapping_sessions_of_one_source_are_flagged(judge: Any) -> None:
    start = at("2025-03-10 22:00")
    hours = [(0, 8, "a"), (1, 3, "b"), (7, 9, "c"), (9, 10, "d"), (30, 31, "e")]
    rows = [r for i, j, name in hours for r in night(start + timedelta(hours=i), start + timedelta(hours=j), 60, raw_id=name)]
    rows += night(start, start + timedelta(hours=8), 60, raw_id="f", source="bp_csv")
    verdict = judge("sleep", rows)
    assert {r["raw_id"] for r in verdict.readings if "overlapping_session" in r["flags"]} == {"a", "b", "c"}


def test_a_nap_is_not_a_short_night(judge: Any) -> None:
    rows = [
        *night(at("2025-03-10 23:00"), at("2025-03-11 07:00"), 450, raw_id="night"),
        *night(at("2025-03-11 13:00"), at("2025-03-11 13:30"), 30, raw_id="nap"),
        *night(at("2025-03-12 01:00"), at("2025-03-12 02:30"), 90, raw_id="short"),
    ]
    verdict = judge("sleep", rows)
    assert {r["raw_id"]: r["flags"] for r in verdict.readings} == {"night": [], "nap": [], "short": ["warn_low"]}


def test_stages_that_exceed_the_sleep_are_flagged(judge: Any) -> None:
    rows = night(at("2025-03-10 23:00"), at("2025-03-11 07:00"), 300, deep=150, light=100, rem=60)
    assert judge("sleep", rows).flags("sleep_duration") == [["stages_exceed_asleep"]]


def test_a_jump_of_weight_within_a_week_is_flagged(judge: Any) -> None:
    weights = [(0, 80), (3, 85), (5, 94), (13, 80), (14, 4.0 + 80)]
    rows = [reading("weight", value, NOON + timedelta(days=day)) for day, value in weights]
    assert judge("body", rows).flags("weight") == [[], [], ["weight_jump"], [], []]


def test_all_sources_go_into_one_table_in_one_order(tmp_path: Path) -> None:
    a = save(
        tmp_path / "a.parquet",
        [reading("heart_rate", 60 + i, NOON - timedelta(minutes=i), source="mi_fitness") for i in range(5)],
    )
    b = save(
        tmp_path / "b.parquet", [reading("heart_rate", 70 + i, NOON - timedelta(minutes=i), source="bp_csv") for i in range(5)]
    )
    one, first = StageBench(tmp_path / "1").run(validate_heart_rate, {"mi_fitness": a, "bp_csv": b}, {"plausibility": {}})
    other, second = StageBench(tmp_path / "2").run(validate_heart_rate, {"bp_csv": b, "mi_fitness": a}, {"plausibility": {}})
    assert one == other
    assert (first / "readings").read_bytes() == (second / "readings").read_bytes()
    rows = table_rows(first / "readings")
    assert len(rows) == 10
    assert [(r["start"], r["source"]) for r in rows] == sorted((r["start"], r["source"]) for r in rows)


def test_empty_inputs_give_empty_tables(tmp_path: Path) -> None:
    for kind, stage in STAGES.items():
        report, out = StageBench(tmp_path / kind).run(stage, {"a": save(tmp_path / kind / "a", [])}, {"plausibility": {}})
        assert report["balance"]["came"] == 0
        assert table_rows(out / "readings") == table_rows(out / "rejected") == []


_VALUES = st.one_of(st.floats(), st.sampled_from([0.0, -1.0, 60.0, 80.0, 120.0, 255.0, 400.0, 1e300]))
_ROWS = st.lists(
    st.builds(
        lambda metric, value, minute, length, raw_id, device, source: reading(
            metric,
            value,
            NOON + timedelta(minutes=minute),
            NOON + timedelta(minutes=minute + length),
            scope="session" if metric.startswith("sleep") else "instant",
            raw_id=raw_id,
            device=device,
            source=source,
        ),
        st.sampled_from(sorted(METRICS)),
        _VALUES,
        st.integers(0, 3),
        st.integers(-1, 400),
        st.sampled_from("ab"),
        st.sampled_from(["x", "y", None]),
        st.sampled_from(["s", "t"]),
    ),
    max_size=60,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=_ROWS, random=st.randoms(use_true_random=False))
def test_every_reading_has_one_fate_and_order_leaves_no_trace(tmp_path_factory: Any, rows: list[Row], random: Any) -> None:
    folder = tmp_path_factory.mktemp("fates")
    shuffled = random.sample(rows, len(rows))
    for kind, stage in STAGES.items():
        own = [r for r in rows if METRICS[r["metric"]].kind == kind]
        (report, one), (again, other) = (
            StageBench(folder / f"{kind}{i}").run(
                stage, {"a": save(folder / f"{kind}{i}.parquet", given_rows)}, {"plausibility": {}}
            )
            for i, given_rows in enumerate((rows, shuffled))
        )
        assert report == again
        for role in ("readings", "rejected"):
            assert (one / role).read_bytes() == (other / role).read_bytes()
        assert report["balance"]["came"] == len(own)
        kept, refused = table_rows(one / "readings"), table_rows(one / "rejected")
        assert len(kept) + len(refused) + report["balance"]["fates"]["duplicate"] == len(own)
        for row in kept:
            low, high = METRICS[row["metric"]].reject
            assert low <= row["value"] <= high
            assert row["end"] >= row["start"]
        pairs = Counter(
            (r["source"], r["device"], r["raw_id"], r["start"], r["end"])
            for r in kept
            if r["metric"] in ("systolic", "diastolic")
        )
        assert all(n >= 2 for n in pairs.values())
