"""Charts of blood pressure and the overview: what they say, show, leave out, and how large they become."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from serving.charts import (
    base,
    blood_pressure,
    calendar,
    categories,
    overview,
    parts_of_day,
    protocol,
    scatter,
    schemes,
    theme,
    words,
)
from serving.charts.panel import Panel
from serving.gold import Gold, open_file
from serving.view import SCHEMES, View
from tests.gold_bench import GAP, LAST, build, changed_year

MODULES = (overview, blood_pressure, parts_of_day, scatter, categories, calendar, protocol)
NAMES = [module.NAME for module in MODULES]


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gold]:
    with open_file(str(build(tmp_path_factory.mktemp("gold") / "gold.duckdb", 1))) as gold:
        yield gold


@pytest.fixture(scope="module")
def decade(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gold]:
    with open_file(str(build(tmp_path_factory.mktemp("gold") / "gold.duckdb", 10))) as gold:
        yield gold


def last_days(count: int, **others: Any) -> View:
    return View(LAST - timedelta(days=count - 1), LAST, str(count), **others)


def spec(panel: Panel) -> dict[str, Any]:
    """The chart as Vega-Lite, validated against its schema."""
    assert panel.chart is not None
    told: dict[str, Any] = panel.chart.to_dict(validate=True)
    return told


def datasets(told: dict[str, Any]) -> list[list[dict[str, Any]]]:
    return list(told["datasets"].values())


def half_up(value: float) -> int:
    return int(value + 0.5)


def expected_mean(gold: Gold, first: date, last: date) -> pd.Series:
    rows = gold.table("SELECT date, systolic, diastolic FROM bp_readings WHERE used")
    return rows[rows["date"].between(pd.Timestamp(first), pd.Timestamp(last))][["systolic", "diastolic"]].mean()


# --- what every panel keeps ---


@pytest.mark.parametrize("module", MODULES, ids=NAMES)
@pytest.mark.parametrize("days", [1, 90])
def test_every_panel_draws_a_valid_chart_with_words_and_rows_beside_it(module: Any, days: int, year: Gold) -> None:
    panel = module.panel(year, last_days(days))
    told = spec(panel)
    assert panel.said.endswith(".")
    assert told["description"] == panel.said
    assert told["config"]["background"] == "transparent"
    assert len(panel.rows) > 0
    assert not panel.empty


@pytest.mark.parametrize("module", MODULES[:-1], ids=NAMES[:-1])
def test_a_range_without_data_gets_a_sentence_and_no_chart(module: Any, year: Gold) -> None:
    panel = module.panel(year, View(*GAP, "custom"))
    assert panel.chart is None
    assert panel.rows.empty
    assert "between 10 and 21 November 2025" in panel.empty
    assert "of 9 November 2025" in panel.empty


@pytest.mark.parametrize("module", MODULES, ids=NAMES)
def test_a_panel_says_truly_whether_a_click_chooses_a_day(module: Any, year: Gold, decade: Gold) -> None:
    for panel in (module.panel(year, last_days(90)), module.panel(decade, last_days(3_650))):
        names = [parameter["name"] for parameter in spec(panel).get("params", [])]
        assert (base.DAY in names) == panel.day
        assert len(names) == len(set(names))


@pytest.mark.parametrize("module", MODULES, ids=NAMES)
def test_ten_years_stay_below_5000_points_a_chart(module: Any, decade: Gold) -> None:
    assert max(len(rows) for rows in datasets(spec(module.panel(decade, last_days(3_653, scheme="aha_2017"))))) <= 1_500
    told = spec(module.panel(decade, last_days(400)))
    assert sum(len(rows) for rows in datasets(told)) <= 5_000


@pytest.mark.parametrize("days", [365, 400, 3_653])
def test_the_page_of_blood_pressure_stays_below_a_megabyte(days: int, decade: Gold) -> None:
    charts = [module.panel(decade, last_days(days)).chart for module in MODULES]
    assert sum(len(json.dumps(chart.to_dict())) for chart in charts if chart is not None) < 1_000_000


@pytest.mark.parametrize("module", MODULES, ids=NAMES)
def test_charts_carry_days_as_text_on_a_utc_scale(module: Any, year: Gold) -> None:
    told = spec(module.panel(year, last_days(30)))
    dates = [row["date"] for rows in datasets(told) for row in rows if "date" in row]
    assert all(isinstance(day, str) and len(day) == 10 for day in dates)
    assert all(channel["scale"]["type"] == "utc" for channel in _dicts(told) if channel.get("type") == "temporal")


def _dicts(node: Any) -> Iterator[dict[str, Any]]:
    """Every object within a specification, data left out."""
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _dicts(child)


# --- sentences ---


def test_the_average_is_of_the_readings_and_is_compared_with_as_many_days_before(year: Gold) -> None:
    now, past = (
        expected_mean(year, LAST - timedelta(days=29), LAST),
        expected_mean(year, LAST - timedelta(days=59), LAST - timedelta(days=30)),
    )
    difference = now["systolic"] - past["systolic"]
    amount, word = half_up(abs(difference)), "higher" if difference > 0 else "lower"
    counts = year.table(
        "SELECT count(*) AS n, count(DISTINCT date) AS days FROM bp_readings WHERE used AND date > DATE '2025-12-01'"
    )
    said = blood_pressure.panel(year, last_days(30)).said
    assert amount
    assert said == (
        f"Average {half_up(now['systolic'])}/{half_up(now['diastolic'])} over 30 days, {amount} {word} than the 30 days before "
        f"({counts['n'].iloc[0]} readings on {counts['days'].iloc[0]} days)."
    )


def test_all_the_data_are_compared_with_nothing(year: Gold) -> None:
    said = blood_pressure.panel(year, View(date(2025, 1, 1), LAST, "all")).said
    assert "before" not in said
    assert said.startswith("Average 1")


def test_few_readings_are_called_few_and_not_compared(tmp_path: Path) -> None:
    keep = "date NOT BETWEEN DATE '2025-12-25' AND DATE '2025-12-31'"
    gold = changed_year(
        tmp_path / "gold.duckdb",
        f"DELETE FROM daily WHERE NOT ({keep}) AND date <> DATE '2025-12-28'",
        "UPDATE daily SET systolic = 127.5, diastolic = 79.4999, bp_readings = 3 WHERE date = DATE '2025-12-28'",
    )
    with gold:
        assert blood_pressure.panel(gold, last_days(7)).said == "3 readings only, average 128/79: too few to compare."


def test_a_single_reading_is_no_average(tmp_path: Path) -> None:
    gold = changed_year(
        tmp_path / "gold.duckdb",
        "DELETE FROM daily WHERE date > DATE '2025-12-24' AND date <> DATE '2025-12-28'",
        "UPDATE daily SET systolic = 127, diastolic = 79, bp_readings = 1 WHERE date = DATE '2025-12-28'",
    )
    with gold:
        assert blood_pressure.panel(gold, last_days(7)).said == "1 reading only, 127/79: too few to compare."


def test_parts_of_the_day_are_told_apart_in_words(year: Gold) -> None:
    rows = year.table(
        "SELECT part, systolic, diastolic FROM bp_readings WHERE used AND part IS NOT NULL AND date > DATE '2025-10-02'"
    )
    means, counts = rows.groupby("part")[["systolic", "diastolic"]].mean(), rows["part"].value_counts()
    difference = half_up(means["systolic"]["morning"]) - half_up(means["systolic"]["evening"])
    assert difference > 0
    morning, evening = (
        f"{half_up(means['systolic'][part])}/{half_up(means['diastolic'][part])}" for part in ("morning", "evening")
    )
    assert parts_of_day.panel(year, last_days(90)).said == (
        f"Morning {morning}, evening {evening}: systolic {difference} higher in the morning"
        f" ({counts['morning']} and {counts['evening']} readings)."
    )


def test_one_part_of_the_day_alone_is_said(tmp_path: Path) -> None:
    with changed_year(tmp_path / "gold.duckdb", "UPDATE bp_readings SET part = NULL WHERE part = 'evening'") as gold:
        assert parts_of_day.panel(gold, last_days(30)).said.endswith(", no reading in the evening.")


def test_the_newest_complete_measuring_week_is_told(tmp_path: Path) -> None:
    gold = changed_year(
        tmp_path / "gold.duckdb",
        """UPDATE protocol_weeks SET valid = true, systolic = 131.5, diastolic = 82.49, n_readings = 22, n_days = 6, reason = NULL,
           "end" = DATE '2025-12-07' WHERE start = DATE '2025-12-01'""",
        "UPDATE protocol_weeks SET valid = false, reason = 'too_few_days' WHERE start <> DATE '2025-12-01'",
    )
    with gold:
        panel = protocol.panel(gold, View(date(2025, 12, 1), LAST, "custom"))
    assert panel.said == (
        "The newest complete week, 1 to 7 December 2025, averages 132/82 (22 readings on 6 days, ESH 2021). 1 of 5 weeks is complete."
    )
    assert list(panel.rows["Complete"]) == ["yes", "no", "no", "no", "no"]
    assert list(panel.rows["Why not complete"])[1] == "readings on too few days"


def test_without_a_complete_week_the_reason_and_the_way_are_told(tmp_path: Path) -> None:
    with changed_year(tmp_path / "gold.duckdb", "UPDATE protocol_weeks SET valid = false, reason = 'too_few_readings'") as gold:
        said = protocol.panel(gold, View(date(2025, 12, 1), LAST, "custom")).said
    assert said == (
        "None of 5 measuring weeks is complete, most often for too few readings. Measure for 7 days, morning and evening, twice each."
    )


def test_the_calendar_tells_the_ends_and_the_longest_gap(year: Gold) -> None:
    days = year.table("SELECT date, systolic FROM daily WHERE date >= DATE '2025-11-01' AND systolic IS NOT NULL")
    high, low = days.loc[days["systolic"].idxmax()], days.loc[days["systolic"].idxmin()]
    said = calendar.panel(year, View(date(2025, 11, 1), LAST, "custom")).said
    assert said == (
        f"{len(days)} of 61 days have a value; highest {half_up(high['systolic'])} on {words.on(high['date'].date())}, "
        f"lowest {half_up(low['systolic'])} on {words.on(low['date'].date())} (mmHg); the longest gap is 12 days."
    )


@pytest.mark.parametrize("metric", calendar.METRICS)
def test_the_calendar_shows_other_metrics_too(metric: str, year: Gold) -> None:
    assert spec(calendar.panel(year, last_days(60), metric))


def test_a_range_without_measuring_weeks_tells_the_last_day_measured(year: Gold) -> None:
    panel = protocol.panel(year, View(date(2026, 2, 1), date(2026, 2, 7), "custom"))
    assert panel.chart is None
    assert panel.rows.empty
    assert panel.empty.startswith("No measuring week between 1 and 7 February 2026; the last reading before is of ")


def test_measuring_weeks_are_of_all_sources_whichever_is_chosen_and_say_so(year: Gold) -> None:
    assert protocol.panel(year, last_days(90, source="bp_csv")).said == (
        f"{protocol.panel(year, last_days(90)).said} Of all sources together."
    )
    empty = View(date(2026, 2, 1), date(2026, 2, 7), "custom", source="mi_fitness")
    assert protocol.panel(year, empty).empty == protocol.panel(year, replace(empty, source="")).empty


def test_empty_ranges_tell_the_nearest_reading(year: Gold) -> None:
    before = View(date(2024, 3, 1), date(2024, 3, 7), "custom")
    first = year.table("SELECT min(date) AS day FROM daily WHERE systolic IS NOT NULL")["day"].iloc[0].date()
    assert blood_pressure.panel(year, before).empty == (
        f"No blood pressure between 1 and 7 March 2024; the first reading is of {words.on(first)}."
    )
    after = View(date(2026, 12, 30), date(2027, 1, 2), "custom")
    last = year.table("SELECT max(date) AS day FROM daily WHERE systolic IS NOT NULL")["day"].iloc[0].date()
    assert scatter.panel(year, after).empty == (
        f"No blood pressure between 30 December 2026 and 2 January 2027; the last reading before is of {words.on(last)}."
    )
    assert categories.panel(year, last_days(30, source="mi_fitness")).empty == (
        "No blood pressure from mi_fitness between 2 and 31 December 2025, nor at any other time; choose another source."
    )


@pytest.mark.parametrize("module", MODULES, ids=NAMES)
def test_a_range_far_wider_than_the_data_is_drawn_as_wide_as_the_data(module: Any, year: Gold) -> None:
    wide = module.panel(year, View(date.min, date.max, "custom"))
    whole = module.panel(year, View(date(2025, 1, 1), LAST, "custom"))
    assert spec(wide)["layer"] == spec(whole)["layer"]
    assert wide.said == whole.said


# --- what is drawn ---


def test_a_gap_is_rows_of_nulls_so_no_line_crosses_it(year: Gold) -> None:
    for panel, column in (
        (overview.panel(year, last_days(90)), "systolic"),
        (blood_pressure.panel(year, last_days(90)), "systolic_mean"),
    ):
        (rows,) = [rows for rows in datasets(spec(panel)) if column in rows[0]]
        by_day = {row["date"]: row[column] for row in rows}
        assert len(by_day) == 90
        gap = [(GAP[0] + timedelta(days=n)).isoformat() for n in range(12)]
        assert [by_day[day] for day in gap] == [None] * 12
        assert by_day["2025-12-01"] is not None


def test_a_source_alone_is_drawn_from_its_own_readings(year: Gold) -> None:
    view = last_days(365, source="bp_csv")
    own = year.table("SELECT systolic, diastolic FROM bp_readings WHERE source = 'bp_csv'")
    said = blood_pressure.panel(year, view).said
    assert f"Average {half_up(own['systolic'].mean())}/{half_up(own['diastolic'].mean())} over 365 days" in said
    assert f"({len(own)} readings" in said
    for module in (scatter, categories):
        assert module.panel(year, view).rows["Readings"].sum() == len(own)


def test_a_reading_of_a_source_that_another_one_repeats_counts_once_for_it_and_never_in_the_merge(tmp_path: Path) -> None:
    gold = changed_year(
        tmp_path / "gold.duckdb",
        "UPDATE bp_readings SET used = false, fate = 'duplicate' WHERE source = 'bp_csv'",
        "INSERT INTO bp_readings SELECT * REPLACE (raw_id || '-again' AS raw_id) FROM bp_readings WHERE source = 'bp_csv'",
        "INSERT INTO bp_readings SELECT * REPLACE ('unused:clock_reset' AS fate, local_start + INTERVAL 1 HOUR AS local_start) "
        "FROM bp_readings WHERE source = 'bp_csv'",
    )
    with gold:
        once = gold.table(
            "SELECT count(DISTINCT local_start) AS n FROM bp_readings WHERE source = 'bp_csv' AND fate = 'duplicate'"
        )
        merged = gold.table("SELECT count(*) AS n FROM bp_readings WHERE used")
        assert scatter.panel(gold, last_days(365, source="bp_csv")).rows["Readings"].sum() == once["n"].iloc[0]
        assert scatter.panel(gold, last_days(365)).rows["Readings"].sum() == merged["n"].iloc[0]


def test_the_person_s_events_are_marked(year: Gold) -> None:
    event = year.table("SELECT date, label FROM events").iloc[0]
    day = event["date"].date()
    rows = datasets(spec(blood_pressure.panel(year, View(day - timedelta(days=30), day + timedelta(days=30), "custom"))))
    assert [{"date": day.isoformat(), "label": "New medication"}] == [
        {"date": row["date"], "label": row["label"]} for table in rows for row in table if "line" in row
    ]
    assert not [row for table in datasets(spec(blood_pressure.panel(year, last_days(30)))) for row in table if "line" in row]


def test_shares_of_a_month_make_a_whole_and_name_how_many(year: Gold) -> None:
    panel = categories.panel(year, last_days(365, scheme="esc_2024_home"))
    assert panel.rows.groupby("Month")["Share (%)"].sum().between(99.7, 100.3).all()
    shown = year.table("SELECT sum(readings) AS n FROM category_shares WHERE scheme = 'esc_2024_home'")["n"].iloc[0]
    assert panel.rows["Readings"].sum() == shown
    assert f"Of {words.whole(shown)} readings" in panel.said


def test_long_views_are_drawn_by_week_from_the_same_readings(decade: Gold) -> None:
    view = last_days(3_653)
    rows = blood_pressure.panel(decade, view).rows
    assert 500 < len(rows) < 530
    assert rows["Readings"].sum() == decade.table("SELECT count(*) AS n FROM bp_readings WHERE used")["n"].iloc[0]


def test_morning_and_evening_lose_no_week_of_a_long_view(decade: Gold) -> None:
    panel = parts_of_day.panel(decade, last_days(3_653))
    (rows,) = [rows for rows in datasets(spec(panel)) if "morning_systolic" in rows[0]]
    for part in ("morning", "evening"):
        drawn = sum(row[f"{part}_systolic"] is not None for row in rows)
        assert drawn == (panel.rows["Part of the day"] == part).sum() > 500


# --- schemes ---


def test_the_drawn_schemes_are_the_ones_that_decide() -> None:
    from processing.aggregators.categories import SCHEMES as rules

    drawn = {name: [tuple(step) for step in steps] for name, steps in schemes.SCHEMES.items()}
    assert drawn == {name: [tuple(grade) for grade in grades] for name, grades in rules.items()}
    assert set(drawn) == set(SCHEMES)
    assert {step.name for steps in schemes.SCHEMES.values() for step in steps} == set(theme.CATEGORIES)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_rectangles_cover_the_plane_once_and_agree_with_the_rule(scheme: str) -> None:
    from processing.aggregators.categories import category

    for systolic in range(60, 250):
        for diastolic in range(40, 150, 3):
            at = [
                r.category
                for r in schemes.rectangles(scheme)
                if r.diastolic_from <= diastolic + 0.5 < r.diastolic_to and r.systolic_from <= systolic + 0.5 < r.systolic_to
            ]
            assert at == [category(systolic + 0.5, diastolic + 0.5, scheme)]


@pytest.mark.parametrize(
    ("scheme", "bounds"),
    [
        ("aha_2017", ["Elevated 120", "Stage 1 130", "Stage 2 140", "Stage 1 80", "Stage 2 90"]),
        ("esc_2024_office", ["Elevated 120", "Hypertension 140", "Elevated 70", "Hypertension 90"]),
        ("esc_2024_home", ["Elevated 120", "Hypertension 135", "Elevated 70", "Hypertension 85"]),
    ],
)
def test_the_thresholds_are_those_of_the_chosen_scheme(scheme: str, bounds: list[str], year: Gold) -> None:
    told = spec(blood_pressure.panel(year, last_days(365, scheme=scheme)))
    labels = {row["label"] for rows in datasets(told) for row in rows if "at" in row}
    assert labels == set(bounds)


# --- words and looks ---


@pytest.mark.parametrize(
    ("value", "said"), [(124.5, "125"), (124.4999, "124"), (-5.5, "−6"), (0.4, "0"), (-0.4, "0"), (8412, "8\u202f412")]
)
def test_numbers_are_rounded_half_up(value: float, said: str) -> None:
    assert words.whole(value) == said


@pytest.mark.parametrize(
    "color", [theme.SYSTOLIC, theme.DIASTOLIC, theme.HEART, theme.STEPS, theme.MORNING, theme.EVENING, theme.GREY]
)
@pytest.mark.parametrize("ground", ["#ffffff", "#12171d"])
def test_lines_and_points_stand_out_on_light_and_dark(color: str, ground: str) -> None:
    light, dark = sorted((_luminance(color), _luminance(ground)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 3


def _luminance(color: str) -> float:
    channels = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_categories_of_a_scheme_differ_in_shape_as_well_as_colour() -> None:
    for steps in schemes.SCHEMES.values():
        assert (
            len({theme.look(step.name).shape for step in steps})
            == len({theme.look(step.name).color for step in steps})
            == len(steps)
        )


@pytest.mark.parametrize(
    ("event", "chosen"),
    [
        ({"selection": {"day": [{"date": 1_740_787_200_000}]}}, date(2025, 3, 1)),
        ({"selection": {"day": [{"date": "2025-03-01"}]}}, date(2025, 3, 1)),
        ({"selection": {"day": {}}}, None),
        ({"selection": {}}, None),
        (None, None),
    ],
)
def test_the_clicked_day_is_read_from_what_streamlit_returns(event: Any, chosen: date | None) -> None:
    assert base.chosen_day(event) == chosen


def test_charts_import_nothing_of_the_private_side() -> None:
    import ast

    for path in (Path(base.__file__).parent).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.partition(".")[0] for name in names} & {
                "scripts",
                "pipeline",
                "warehouse",
                "processing",
                "ingestion",
            }, path
            assert "config.settings" not in names, path
