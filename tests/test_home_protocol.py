"""The home blood pressure protocol: which readings of a measuring week are averaged, and when the week is enough."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from config.errors import SettingsError
from processing.aggregators.daily_metrics import merge
from tests.readings_bench import SETTINGS, Row, at, blood_pressure, by_kind, table_rows
from tests.stage_bench import StageBench

START = at("2025-03-03 07:00")


def day(index: int, hours: tuple[float, ...] = (0, 0.03, 13, 13.03), systolic: float = 130, diastolic: float = 80) -> list[Row]:
    """A day's readings, by default two in the morning and two in the evening."""
    moments = [START + timedelta(days=index, hours=hour) for hour in hours]
    return [row for i, when in enumerate(moments) for row in blood_pressure(when, systolic, diastolic, 60, raw_id=f"{index}.{i}")]


@pytest.fixture
def weeks(tmp_path: Path):  # type: ignore[no-untyped-def]
    def run(rows: list[Row], preset: str = "esh_2021", **settings: Any) -> list[Row]:
        folder = tmp_path / preset
        _, out = StageBench(folder).run(merge, by_kind(folder, rows), {**SETTINGS, "home_bp_protocol": preset, **settings})
        return table_rows(out / "protocol")

    return run


def rows_of(*days: list[Row]) -> list[Row]:
    return [row for one in days for row in one]


def test_a_full_week_averages_days_two_to_seven(weeks: Any) -> None:
    (week,) = weeks(rows_of(day(0, systolic=180), *(day(i, systolic=120 + i, diastolic=70 + i) for i in range(1, 7))))
    assert (week["start"], week["end"]) == (START.date(), (START + timedelta(days=6)).date())
    assert (week["n_readings"], week["n_discarded"], week["n_sittings"], week["n_days"], week["n_full_days"]) == (24, 4, 12, 6, 6)
    assert (week["systolic"], week["diastolic"], week["pulse"]) == (123.5, 73.5, 60)
    assert (week["valid"], week["reason"], week["category"], week["protocol"]) == (True, None, "elevated", "esh_2021")


def test_mean_of_readings_and_mean_of_days_are_both_given(weeks: Any) -> None:
    days = [day(0), day(1, (0, 0.03, 0.06, 13, 13.03), 140), day(2, systolic=120), day(3, systolic=120)]
    (week,) = weeks(rows_of(*days))
    assert week["systolic"] == round((5 * 140 + 8 * 120) / 13, 2)
    assert week["systolic_of_days"] == round((140 + 120 + 120) / 3, 2)


@pytest.mark.parametrize(
    ("days", "reason"),
    [
        ([day(i) for i in range(4)], None),
        ([day(i) for i in range(3)], "too_few_days"),
        ([day(i, (0, 13)) for i in range(6)], "too_few_readings"),
        ([day(i, (0, 13)) for i in range(7)], None),
        ([day(i, (0, 0.03, 0.06)) for i in range(7)], "too_few_days_with_morning_and_evening"),
    ],
)
def test_a_week_is_valid_from_twelve_readings_on_three_whole_days(weeks: Any, days: list[list[Row]], reason: str | None) -> None:
    (week,) = weeks(rows_of(*days))
    assert (week["valid"], week["reason"]) == (reason is None, reason)
    assert (week["category"] is None) == (reason is not None)


def test_readings_of_neither_morning_nor_evening_do_not_count(weeks: Any) -> None:
    (week,) = weeks(rows_of(*(day(i, (0, 0.03, 7, 13, 13.03)) for i in range(7))))
    assert (week["n_readings"], week["n_discarded"]) == (24, 4 + 7)


@pytest.mark.parametrize(
    ("preset", "n_readings", "category"),
    [
        ("esh_2021", 36, "elevated"),
        ("esc_2024", 36, "elevated"),
        ("chep_2017", 36, "elevated"),
        ("aha_2020", 42, "stage_1"),
        ("jabfm", 20, "elevated"),
    ],
)
def test_presets_differ_in_what_they_leave_out_and_their_thresholds(
    weeks: Any, preset: str, n_readings: int, category: str
) -> None:
    """Three readings a sitting, two sittings a day, seven days."""
    (week,) = weeks(rows_of(*(day(i, (0, 0.03, 0.06, 13, 13.03, 13.06)) for i in range(7))), preset)
    assert (week["n_readings"], week["category"], week["valid"]) == (n_readings, category, True)


def test_a_new_week_starts_after_seven_days_and_after_a_pause(weeks: Any) -> None:
    found = weeks(rows_of(*(day(i) for i in range(9)), *(day(i) for i in (12, 14, 17))))
    starts = [(week["start"] - START.date()).days for week in found]
    assert starts == [0, 7, 12, 17]
    assert [(week["end"] - START.date()).days for week in found] == [6, 8, 14, 17]


def test_readings_within_a_quarter_of_an_hour_are_one_sitting(weeks: Any) -> None:
    (week,) = weeks(rows_of(day(0), day(1, (0, 0.25, 0.51, 13))))
    assert week["n_sittings"] == 3


def test_half_hours_of_the_morning_are_a_setting(weeks: Any) -> None:
    (week,) = weeks(rows_of(*(day(i) for i in range(7))), morning_hours=["04:00", "07:01"])
    assert week["n_readings"] == 18


def test_no_blood_pressure_gives_no_week(weeks: Any) -> None:
    assert weeks([]) == []


def test_an_unknown_preset_names_the_known_ones(weeks: Any) -> None:
    with pytest.raises(SettingsError, match="esh_2021"):
        weeks([], "who")


def test_a_pulse_alone_is_no_blood_pressure(weeks: Any) -> None:
    when: datetime = START + timedelta(days=1)
    (week,) = weeks(rows_of(day(0), day(1), blood_pressure(when + timedelta(hours=1), None, None, 99)))
    assert (week["n_readings"], week["pulse"]) == (4, 60)
