"""The same night, hour, walk and measurement told by several sources: once in the daily table, by a priority a person can set, and
what lost is kept with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from config.metrics import SOURCE_PRIORITY
from config.sources import SOURCES
from tests.readings_bench import Row, at, blood_pressure, night, reading, whole_day
from tests.test_daily_metrics import DAY, NOON, Merged

WATCHES = ("apple_health", "fitbit", "gadgetbridge")


@pytest.fixture
def merged(tmp_path: Path) -> Any:
    numbers: Iterator[int] = iter(range(100))
    return lambda rows, **settings: Merged(tmp_path / str(next(numbers)), rows, **settings)


def fates(found: Merged, metric: str) -> dict[str, set[str]]:
    """Source → what became of its readings of a metric."""
    told: dict[str, set[str]] = {}
    for choice in found.choices:
        if choice["metric"] == metric:
            told.setdefault(choice["source"], set()).add(choice["fate"])
    return told


def told_by(maker: Any) -> list[Row]:
    """The same of every watch, each with an identity of its own."""
    return [row for number, source in enumerate(WATCHES) for row in maker(number, source)]


def test_every_source_has_its_place_in_the_order() -> None:
    assert set(SOURCES) <= set(SOURCE_PRIORITY)
    assert len(set(SOURCE_PRIORITY)) == len(SOURCE_PRIORITY)


def test_one_night_of_three_watches_is_one_night(merged: Any) -> None:
    begin, end = at(f"{DAY} 00:00"), at(f"{DAY} 07:00")
    rows = told_by(lambda n, s: night(begin + timedelta(minutes=n), end, 400 + n, deep=60 + n, source=s, raw_id=s))
    found = merged(rows)
    assert (found.day()["total_duration"], found.day()["sleep_deep_duration"]) == (400, 60)
    assert fates(found, "sleep_duration")["apple_health"] == {"accepted"}
    assert not any("accepted" in fates(found, "sleep_duration")[source] for source in WATCHES[1:])
    again = merged(rows, source_priority={"sleep": ["gadgetbridge"]})
    assert again.day()["total_duration"] == 402


def test_one_hour_of_heart_rate_is_that_of_the_source_believed_first(merged: Any) -> None:
    rows = told_by(
        lambda n, s: [reading("heart_rate", 60 + n, NOON + timedelta(minutes=m), source=s, raw_id=f"{s}{m}") for m in range(60)]
    )
    found = merged(rows)
    assert (found.day()["avg_hr"], found.day()["hr_samples"]) == (60, 60)
    assert fates(found, "heart_rate") == {
        "apple_health": {"accepted"},
        "fitbit": {"unused:lower_priority"},
        "gadgetbridge": {"unused:lower_priority"},
    }
    assert merged(rows, source_priority={"heart_rate": ["fitbit"]}).day()["avg_hr"] == 61


def test_steps_of_several_sources_are_never_summed_and_the_priority_of_one_metric_is_its_own(merged: Any) -> None:
    rows = told_by(lambda n, s: [whole_day(m, 1000 * (n + 1), DAY, source=s, raw_id=f"{s}{m}") for m in ("steps", "distance")])
    assert merged(rows).day()["steps"] == 1000
    found = merged(rows, source_priority={"steps": ["gadgetbridge"]})
    assert (found.day()["steps"], found.day()["distance"]) == (3000, 1000)


def test_one_measurement_told_by_a_person_the_cuff_and_two_stores_counts_once(merged: Any) -> None:
    sources = ("google_sheets", "omron", "health_connect", "apple_health")
    rows = [
        row
        for number, source in enumerate(sources)
        for row in blood_pressure(NOON + timedelta(seconds=20 * number), 128, 82, 61, source=source, raw_id=source)
    ]
    found = merged(rows)
    assert found.day()["bp_readings"] == 1
    assert fates(found, "systolic") == {"google_sheets": {"accepted"}, **{s: {"duplicate"} for s in sources[1:]}}
    first = merged(rows, source_priority={"blood_pressure": ["omron"]})
    assert fates(first, "systolic")["omron"] == {"accepted"}


@pytest.mark.parametrize(
    ("metric", "column"),
    [
        ("hrv_sdnn", "hrv_sdnn"),
        ("hrv_rmssd", "hrv_rmssd"),
        ("respiratory_rate", "respiration_avg"),
        ("body_temperature", "body_temperature"),
        ("spo2", "spo2_avg"),
    ],
)
def test_a_mean_is_that_of_the_samples_of_one_source_else_its_own_figure(merged: Any, metric: str, column: str) -> None:
    low = {"spo2": 90, "body_temperature": 36}.get(metric, 14)
    rows = [
        reading(metric, low, NOON, source="apple_health", raw_id="a"),
        reading(metric, low + 1, NOON + timedelta(hours=1), source="apple_health", raw_id="b"),
        whole_day(metric, low + 3, DAY, source="apple_health", raw_id="c"),
        reading(metric, low + 4, NOON, source="fitbit", raw_id="d"),
        whole_day(metric, low + 2, "2025-03-11", source="fitbit", raw_id="e"),
    ]
    found = merged(rows)
    assert (found.day()[column], found.day("2025-03-11")[column]) == (low + 0.5, low + 2)
    assert (found.fate("c"), found.fate("d")) == ("unused:superseded_by_samples", "unused:lower_priority")


def test_the_two_measures_of_variability_are_never_mixed(merged: Any) -> None:
    rows = [reading("hrv_sdnn", 40, NOON, source="apple_health"), reading("hrv_rmssd", 30, NOON, source="fitbit", raw_id="r")]
    found = merged(rows)
    assert (found.day()["hrv_sdnn"], found.day()["hrv_rmssd"]) == (40, 30)


def test_body_fat_is_the_last_of_the_day_and_resting_energy_the_days_total(merged: Any) -> None:
    rows = [reading("body_fat", 20 + n, NOON + timedelta(hours=n), raw_id=f"f{n}") for n in range(3)]
    rows += [whole_day("basal_energy", 1500, DAY), reading("basal_energy", 60, NOON, scope="interval", raw_id="i")]
    found = merged(rows)
    assert (found.day()["body_fat"], found.day()["basal_energy"]) == (22, 1500)


@pytest.mark.parametrize("metric", ["weight", "body_fat", "body_temperature", "basal_energy"])
def test_what_a_scale_a_thermometer_or_a_formula_gives_is_no_sign_that_a_band_was_worn(merged: Any, metric: str) -> None:
    value = 36.6 if metric == "body_temperature" else 60
    found = merged([reading(metric, value, NOON, source="fitbit", raw_id="m"), whole_day("steps", 0, DAY, source="fitbit")])
    assert found.day()["steps"] is None
