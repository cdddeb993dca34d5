"""Charts of heart, sleep, activity, body, relations and quality: what they say, show, leave out, and how large they become."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from serving.charts import (
    activity,
    base,
    bed_times,
    body,
    correlation,
    days,
    heart,
    medication,
    quality,
    reasons,
    sleep,
    student,
    variability,
    weekdays,
    words,
)
from serving.charts.panel import Panel
from serving.gold import Gold, demo, open_file
from serving.view import View
from tests.gold_bench import GAP, LAST, build, changed_year

PANELS: dict[str, Callable[[Gold, View], Panel]] = {
    "heart": heart.panel,
    "sleep": sleep.panel,
    "bed_times": bed_times.panel,
    "activity": activity.panel,
    "weight": body.weight,
    "oxygen": body.oxygen,
    "weekdays": weekdays.panel,
    "weekdays_sleep": partial(weekdays.panel, metric="total_duration"),
    "medication": medication.panel,
    "medication_sleep": partial(medication.panel, metric="total_duration", window_days=90),
    "correlation": correlation.panel,
    "coverage": quality.coverage,
    "rejections": quality.rejections,
    "freshness": quality.freshness,
}
TOLD_BY_FEW: dict[str, tuple[Callable[[Gold, View], Panel], str]] = {
    "hrv_sdnn": (variability.sdnn, "heart rate variability as SDNN"),
    "hrv_rmssd": (variability.rmssd, "heart rate variability as RMSSD"),
    "body_fat": (body.fat, "body fat"),
    "respiration_avg": (body.respiration, "respiration"),
    "body_temperature": (body.temperature, "body temperature"),
}
"""Column → its panel and its words in a sentence; on the pages where a source tells it, so not in the shipped example."""
OF_THE_RANGE = ("heart", "sleep", "bed_times", "activity", "weight", "oxygen", "coverage")
"""Panels that say when the range has nothing; the others look at all data, or say it in their own words."""


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gold]:
    with open_file(str(build(tmp_path_factory.mktemp("gold") / "gold.duckdb", 1))) as gold:
        yield gold


@pytest.fixture(scope="module")
def decade(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gold]:
    with open_file(str(build(tmp_path_factory.mktemp("gold") / "gold.duckdb", 10))) as gold:
        yield gold


@pytest.fixture
def changed(tmp_path: Path) -> Iterator[Callable[..., Gold]]:
    """A year of gold in which statements have changed something."""
    opened: list[Gold] = []

    def make(*statements: str) -> Gold:
        opened.append(changed_year(tmp_path / f"gold{len(opened)}.duckdb", *statements))
        return opened[-1]

    yield make
    for gold in opened:
        gold.close()


def last_days(count: int, **others: Any) -> View:
    return View(LAST - timedelta(days=count - 1), LAST, str(count), **others)


def spec(panel: Panel) -> dict[str, Any]:
    """The chart as Vega-Lite, validated against its schema."""
    assert panel.chart is not None
    told: dict[str, Any] = panel.chart.to_dict(validate=True)
    return told


def datasets(panel: Panel) -> list[list[dict[str, Any]]]:
    return list(spec(panel)["datasets"].values())


def drawn(panel: Panel, *columns: str) -> pd.DataFrame:
    """The dataset of the chart that has these columns, by day."""
    found = next(rows for rows in datasets(panel) if {"date", *columns} <= set(rows[0]))
    return pd.DataFrame(found).set_index("date")


def between(gold: Gold, column: str, first: date, last: date) -> pd.Series:
    rows = gold.table("SELECT * FROM daily")
    chosen: pd.Series = rows.loc[rows["date"].between(pd.Timestamp(first), pd.Timestamp(last)), column].dropna()
    return chosen


def half_up(value: float) -> int:
    return math.floor(value + 0.5)


# --- what every panel keeps ---


@pytest.mark.parametrize("name", PANELS)
@pytest.mark.parametrize("count", [1, 7, 14, 30, 90, 365])
def test_every_panel_draws_a_valid_chart_or_says_why_not(name: str, count: int, year: Gold) -> None:
    panel = PANELS[name](year, last_days(count))
    if panel.chart is None:
        assert panel.empty.endswith(".")
        assert not panel.said
        return
    told = spec(panel)
    assert panel.said.endswith(".")
    assert not panel.empty
    assert told["description"] == panel.said
    assert told["config"]["background"] == "transparent"
    assert len(panel.rows) > 0
    assert not any("_" in column for column in panel.rows.columns)


@pytest.mark.parametrize("name", PANELS)
def test_the_shipped_example_can_be_drawn_whole(name: str) -> None:
    with demo() as gold:
        meta = gold.table("SELECT first_date, last_date FROM meta").iloc[0]
        panel = PANELS[name](gold, View(meta["first_date"].date(), meta["last_date"].date(), "all"))
    assert "nan" not in panel.said.lower()
    assert spec(panel)


@pytest.mark.parametrize("name", OF_THE_RANGE)
def test_a_range_without_data_gets_a_sentence_and_no_chart(name: str, year: Gold) -> None:
    panel = PANELS[name](year, View(*GAP, "custom"))
    assert panel.chart is None
    assert panel.rows.empty
    assert "between 10 and 21 November 2025" in panel.empty


@pytest.mark.parametrize("name", PANELS)
@pytest.mark.parametrize(
    "span", [(date(1, 1, 1), date(9999, 12, 31)), (date(1, 1, 1), date(1, 1, 1)), (date(9999, 1, 1), date(9999, 12, 31))]
)
def test_no_range_is_too_long_or_too_far_away(name: str, span: tuple[date, date], year: Gold) -> None:
    panel = PANELS[name](year, View(*span, "custom"))
    assert panel.said or panel.empty
    if panel.chart is not None:
        assert sum(len(rows) for rows in datasets(panel)) <= 5_000


@pytest.mark.parametrize("name", PANELS)
@pytest.mark.parametrize("count", [400, 3_653])
def test_ten_years_stay_below_5000_points_a_chart(name: str, count: int, decade: Gold) -> None:
    panel = PANELS[name](decade, last_days(count))
    assert sum(len(rows) for rows in datasets(panel)) <= 5_000


@pytest.mark.parametrize("name", PANELS)
def test_a_panel_says_truly_whether_a_click_chooses_a_day(name: str, year: Gold, decade: Gold) -> None:
    for panel in (PANELS[name](year, last_days(90)), PANELS[name](decade, last_days(3_650))):
        names = [parameter["name"] for parameter in spec(panel).get("params", [])]
        assert (base.DAY in names) == panel.day
        assert len(names) == len(set(names))


@pytest.mark.parametrize("name", ["heart", "activity", "oxygen"])
def test_a_gap_is_shown_as_a_gap(name: str, year: Gold) -> None:
    value = {"heart": "mean", "activity": "steps", "oxygen": "value"}[name]
    told = drawn(PANELS[name](year, last_days(90)), value)
    gap = [(GAP[0] + timedelta(days=n)).isoformat() for n in range((GAP[1] - GAP[0]).days + 1)]
    assert len(told) == 90
    assert told.loc[gap, value].isna().all()
    if "trend" in told:
        assert told.loc[gap[2:], "trend"].isna().all()
        assert told["trend"].notna().sum() > 60


# --- heart ---


def test_the_heart_is_said_in_whole_beats_and_compared_with_as_many_days_before(year: Gold) -> None:
    now = between(year, "avg_hr", LAST - timedelta(days=29), LAST)
    before = between(year, "avg_hr", LAST - timedelta(days=59), LAST - timedelta(days=30))
    low = between(year, "min_hr", LAST - timedelta(days=29), LAST).min()
    high = between(year, "max_hr", LAST - timedelta(days=29), LAST).max()
    resting = between(year, "resting_hr", LAST - timedelta(days=29), LAST)
    change = half_up(abs(now.mean() - before.mean()))
    compared = f"{change} {'higher' if now.mean() > before.mean() else 'lower'} than" if change else "the same as"
    assert heart.panel(year, last_days(30)).said == (
        f"Average {half_up(now.mean())} beats/min on {len(now)} of 30 days, {compared} the 30 days before; lowest {half_up(low)}, "
        f"highest {half_up(high)}. Resting {half_up(resting.mean())} as the device reports it ({len(resting)} days)."
    )


def test_a_resting_rate_is_never_derived(changed: Callable[..., Gold]) -> None:
    panel = heart.panel(changed("UPDATE daily SET resting_hr = NULL"), last_days(30))
    assert "Resting" not in panel.said
    assert panel.rows["Resting, reported by the device (beats/min)"].isna().all()


def test_two_weeks_are_drawn_by_the_hour_and_three_by_the_day(year: Gold) -> None:
    hours = drawn_hours(heart.panel(year, last_days(14)))
    assert len(hours) == 14 * 24
    assert hours["mean"].isna().sum() == 24 * (14 - len(between(year, "avg_hr", LAST - timedelta(days=13), LAST)))
    assert drawn_hours(heart.panel(year, last_days(21))).empty


def test_the_hours_of_the_merged_days_are_of_the_source_that_counts(changed: Callable[..., Gold]) -> None:
    gold = changed(
        "INSERT INTO heart_rate_hourly SELECT * REPLACE ('other' AS source, 190 AS mean, 190 AS min, 190 AS max, false AS used) "
        "FROM heart_rate_hourly"
    )
    assert drawn_hours(heart.panel(gold, last_days(7)))["high"].max() < 190


def drawn_hours(panel: Panel) -> pd.DataFrame:
    return pd.DataFrame(next((rows for rows in datasets(panel) if "hour" in rows[0]), []))


def test_one_source_alone_tells_its_own_heart(changed: Callable[..., Gold]) -> None:
    gold = changed(
        "UPDATE daily SET avg_hr = 111",
        "UPDATE daily_by_source SET avg_hr = 66 WHERE source = 'mi_fitness' AND avg_hr IS NOT NULL",
    )
    assert heart.panel(gold, last_days(90)).said.startswith("Average 111 beats/min")
    assert heart.panel(gold, last_days(90, source="mi_fitness")).said.startswith("Average 66 beats/min")
    none = heart.panel(gold, last_days(90, source="google_sheets"))
    assert none.chart is None
    assert none.empty.startswith("No heart rate from google_sheets between 3 October and 31 December 2025")


def test_rolling_figures_of_one_source_follow_the_windows_of_gold(changed: Callable[..., Gold]) -> None:
    gold = changed(
        "DELETE FROM daily_by_source", "INSERT INTO daily_by_source BY NAME SELECT 'mi_fitness' AS source, * FROM daily"
    )
    merged, alone = (days.rolling(gold, last_days(200, source=source), "avg_hr") for source in ("", "mi_fitness"))
    pd.testing.assert_frame_equal(merged, alone)
    assert merged["baseline_low"].notna().sum() > 150


# --- sleep ---


def test_sleep_is_said_in_hours_with_target_naps_and_regularity(changed: Callable[..., Gold]) -> None:
    gold = changed(
        "UPDATE daily SET total_duration = 440, nap_duration = 0 WHERE total_duration IS NOT NULL",
        "UPDATE daily SET total_duration = 470, nap_duration = 30 WHERE date IN (DATE '2025-12-30', DATE '2025-12-31')",
        "DELETE FROM daily WHERE date = DATE '2025-12-27'",
    )
    slept = len(between(gold, "total_duration", LAST - timedelta(days=6), LAST))
    said = sleep.panel(gold, last_days(7)).said
    mean = (440 * (slept - 2) + 470 * 2) / slept
    assert said == (
        f"Average {words.span(mean)} asleep on {slept} of 7 days (naps on 2 days included), {half_up(mean - 440)} min more than the "
        f"7 days before; 2 of {slept} days reached the target of 7 h 30 min."
    )


def test_stages_pile_up_to_the_whole_night_and_what_has_none_is_said_so(changed: Callable[..., Gold]) -> None:
    gold = changed(
        "UPDATE daily SET sleep_deep_duration = NULL, sleep_light_duration = NULL, sleep_rem_duration = NULL, total_duration = 420 "
        "WHERE date = DATE '2025-12-30'"
    )
    told = drawn(sleep.panel(gold, last_days(30)), "awake_top")
    slept = gold.table("SELECT date, total_duration + sleep_awake_duration AS whole FROM daily WHERE date > DATE '2025-12-01'")
    for row in slept.dropna().itertuples():
        assert told.loc[f"{row.date:%Y-%m-%d}", "awake_top"] == pytest.approx(row.whole / 60, abs=0.01)
    assert told.loc["2025-12-30", "unstaged"] == "7 h 0 min"
    assert told.loc["2025-12-29", "unstaged"] == "–"


def test_the_night_the_clocks_change_stands_at_the_hours_the_wall_clock_showed(changed: Callable[..., Gold]) -> None:
    night = "date = DATE '2025-03-30'"
    gold = changed(
        f"DELETE FROM sleep_sessions WHERE {night}",
        """INSERT INTO sleep_sessions (date, source, main, used, start, "end", bed, wake, asleep) VALUES (DATE '2025-03-30',
        'mi_fitness', true, true, '2025-03-29 22:00Z', '2025-03-30 05:00Z', '2025-03-29 23:00', '2025-03-30 07:00', 410)""",
    )
    panel = bed_times.panel(gold, View(date(2025, 3, 20), date(2025, 4, 5), "custom"))
    told = drawn(panel, "bed_at", "wake_at").loc["2025-03-30"]
    assert (told["bed_at"], told["wake_at"]) == (11 * 60, 19 * 60)
    assert told["lasted"] == "7 h 0 min (the clocks changed)"
    row = panel.rows.set_index("Day of waking").loc["2025-03-30"]
    assert list(row[["Sleep began (local time)", "Sleep ended (local time)", "From begin to end (min)"]]) == [
        "23:00",
        "07:00",
        420,
    ]


def test_a_source_alone_tells_its_nights_though_another_one_s_count(changed: Callable[..., Gold]) -> None:
    night = "TIMESTAMP '2025-12-30 22:00', TIMESTAMP '2025-12-31 06:30'"
    gold = changed(
        f"""INSERT INTO sleep_sessions (date, source, main, used, start, "end", bed, wake, asleep) SELECT DATE '2025-12-31', 'other',
        false, false, bed AT TIME ZONE 'Etc/GMT-1', wake AT TIME ZONE 'Etc/GMT-1', bed, wake, 480 FROM (VALUES ({night})) AS of(bed, wake)
        UNION ALL SELECT DATE '2025-12-31', 'other', false, false, '2025-12-31 13:00Z', '2025-12-31 13:30Z', '2025-12-31 14:00',
        '2025-12-31 14:30', 25""",
        """INSERT INTO daily_by_source (date, source, total_duration, bed_time, wake_time) VALUES
        (DATE '2025-12-31', 'other', 505, '2025-12-30T22:00:00+01:00', '2025-12-31T06:30:00+01:00')""",
    )
    panel = bed_times.panel(gold, last_days(7, source="other"))
    assert panel.said == "Sleep from 22:00 to 06:30 (1 night): too few to tell what is usual."
    merged = bed_times.panel(gold, last_days(7))
    assert "22:00" not in set(merged.rows["Sleep began (local time)"])


def test_nights_that_are_all_alike_begin_at_one_time(changed: Callable[..., Gold]) -> None:
    gold = changed("UPDATE sleep_sessions SET bed = date - INTERVAL 1 HOUR, wake = date + INTERVAL 7 HOUR")
    assert "; 8 of 10 nights begin at 23:00." in bed_times.panel(gold, last_days(27)).said


def test_the_typical_night_is_the_median_on_the_clock(year: Gold) -> None:
    nights = year.table("SELECT bed, wake FROM sleep_sessions WHERE main AND used AND date > DATE '2025-12-01'")
    noon = nights["wake"].dt.normalize() - pd.Timedelta(hours=12)
    bed, wake = (((nights[name] - noon).dt.total_seconds() / 60) for name in ("bed", "wake"))
    early, late = (words.clock(np.quantile(bed, share)) for share in (0.1, 0.9))
    assert bed_times.panel(year, last_days(30)).said == (
        f"Sleep usually runs from {words.clock(bed.median())} to {words.clock(wake.median())} (medians of {len(nights)} nights); "
        f"8 of 10 nights begin between {early} and {late}. On weekends its middle is 12 min later (by whole months)."
    )


def test_two_nights_are_not_called_usual(changed: Callable[..., Gold]) -> None:
    gold = changed("DELETE FROM sleep_sessions WHERE date < DATE '2025-12-30'")
    assert bed_times.panel(gold, last_days(30)).said.startswith("Sleep from ")
    assert "(2 nights): too few to tell what is usual." in bed_times.panel(gold, last_days(30)).said


# --- activity and body ---


def test_steps_are_counted_against_the_goal(changed: Callable[..., Gold]) -> None:
    gold = changed(
        "DELETE FROM daily WHERE date > DATE '2025-12-18'",
        "INSERT INTO daily (date, steps) VALUES (DATE '2025-12-26', 12000), (DATE '2025-12-28', 8000), (DATE '2025-12-29', 7999), "
        "(DATE '2025-12-23', 5000), (DATE '2025-12-21', 5000), (DATE '2025-12-19', 5000)",
    )
    assert activity.panel(gold, last_days(7)).said == (
        "Average 9\u202f333 steps a day on 3 of 7 days, 4\u202f333 more than the 7 days before; 2 of 3 days reached the goal of 8\u202f000."
    )


def test_a_range_of_weeks_shows_means_of_days_and_chooses_no_day(decade: Gold) -> None:
    panel = activity.panel(decade, last_days(3_653))
    assert not panel.day
    week = decade.table("SELECT avg(steps) AS steps FROM daily WHERE date BETWEEN DATE '2025-12-15' AND DATE '2025-12-21'")
    assert panel.rows.set_index("Week from").loc["2025-12-15", "Steps a day"] == pytest.approx(week["steps"].iloc[0])
    assert 520 < len(drawn(panel, "steps")) < 525


def test_weight_is_the_latest_with_its_day_and_the_span(changed: Callable[..., Gold]) -> None:
    gold = changed(
        "UPDATE daily SET weight = NULL",
        "UPDATE daily SET weight = 80.25 WHERE date = (SELECT min(date) FROM daily WHERE date > DATE '2025-12-20')",
    )
    day = gold.table("SELECT date FROM daily WHERE weight IS NOT NULL")["date"].iloc[0]
    assert body.weight(gold, last_days(30)).said == f"Latest 80.3 kg on {words.on(day)}, the only day with one in this range."


# --- what few devices tell ---


@pytest.mark.parametrize("column", TOLD_BY_FEW)
def test_what_few_devices_tell_is_drawn_said_and_listed_like_a_weight(column: str, year: Gold) -> None:
    make, within = TOLD_BY_FEW[column]
    panel = make(year, last_days(90))
    values = between(year, column, LAST - timedelta(days=89), LAST)
    told = drawn(panel, "value", "value_said", "trend_said")
    assert list(told["value"].dropna()) == pytest.approx(list(values.round(2)), abs=0.011)
    assert spec(panel)["description"] == panel.said
    assert panel.said.startswith("Latest ")
    assert f"on {len(values)} of 90 days" in panel.said
    assert len(panel.rows) == len(values)
    assert panel.day
    none = make(year, View(*GAP, "custom"))
    assert none.chart is None
    assert none.empty.startswith(f"No {within} between 10 and 21 November 2025; the last reading before is of ")


def test_variability_is_said_in_whole_milliseconds_each_measure_by_itself(changed: Callable[..., Gold]) -> None:
    gold = changed(
        "UPDATE daily SET hrv_sdnn = NULL, hrv_rmssd = NULL",
        "INSERT INTO daily (date, hrv_sdnn, hrv_rmssd) SELECT DATE '2026-01-01', 48.5, 31.2",
        "UPDATE meta SET last_date = DATE '2026-01-01'",
    )
    view = View(date(2025, 12, 26), date(2026, 1, 1), "7")
    assert variability.sdnn(gold, view).said == "Latest 49 ms on 1 January 2026, the only day with one in this range."
    assert variability.rmssd(gold, view).said == "Latest 31 ms on 1 January 2026, the only day with one in this range."


def test_what_no_source_tells_has_no_panel_no_choice_and_no_row(changed: Callable[..., Gold], year: Gold) -> None:
    columns = [*TOLD_BY_FEW, "basal_energy"]
    nobody = changed(f"UPDATE daily SET {', '.join(f'{name} = NULL' for name in columns)}")
    assert days.told(year, ["steps", *columns]) == ["steps", *columns]
    assert days.told(nobody, ["steps", *columns]) == ["steps"]
    assert [name for name in weekdays.menu(year) if name not in weekdays.menu(nobody)] == [
        *("hrv_sdnn", "hrv_rmssd", "respiration_avg", "body_temperature", "body_fat", "basal_energy"),
    ]
    listed = [set(quality.coverage(gold, last_days(90)).rows["Metric"]) for gold in (year, nobody)]
    assert {"Body fat", "Resting energy", "Respiration"} <= listed[0] - listed[1]
    energy = "Resting energy a day (kcal)"
    assert activity.panel(year, last_days(30)).rows[energy].notna().any()
    bare = activity.panel(nobody, last_days(30))
    assert energy not in bare.rows
    assert "Resting energy" not in str(spec(bare))


# --- relations ---


def test_the_interval_of_a_weekday_is_students(year: Gold) -> None:
    rows = weekdays.panel(year, last_days(365)).rows.set_index("Weekday")
    mondays = year.table("SELECT systolic FROM daily WHERE weekday = 1 AND systolic IS NOT NULL AND date > DATE '2024-12-31'")[
        "systolic"
    ]
    with duckdb.connect() as connection:
        connection.execute((Path(__file__).parent.parent / "warehouse/gold/sql/macros.sql").read_text())
        margin = connection.execute("SELECT mean_margin($n, $sd)", {"n": len(mondays), "sd": mondays.std()}).fetchall()[0][0]
        exact = dict(connection.execute("SELECT df, student_t_quantile(0.975, df) FROM range(1, 400) AS t(df)").fetchall())
    assert rows.loc["Monday", "Days"] == len(mondays)
    assert rows.loc["Monday", "Mean (mmHg)"] == pytest.approx(mondays.mean())
    assert rows.loc["Monday", "95 % CI from (mmHg)"] == pytest.approx(mondays.mean() - margin, abs=0.01)
    assert {df: student.t_975(df) for df in exact} == pytest.approx(exact, abs=0.001)


def test_weekdays_are_compared_only_when_every_one_has_three_values(year: Gold) -> None:
    assert "too few to compare weekdays; every weekday needs 3" in weekdays.panel(year, last_days(14)).said
    panel = weekdays.panel(year, last_days(365))
    means = panel.rows.set_index("Weekday")["Mean (mmHg)"]
    assert panel.said.startswith(f"Highest on {means.idxmax()}s ({half_up(means.max())} mmHg), lowest on {means.idxmin()}s")


def test_a_correlation_is_that_of_the_pairs_in_range(year: Gold) -> None:
    pairs = year.table(
        "SELECT x / 60 AS x, y FROM correlation_pairs WHERE name = 'sleep_systolic_morning' AND date > DATE '2025-10-02'"
    )
    r, ranks = pairs["x"].corr(pairs["y"]), pairs["x"].rank().corr(pairs["y"].rank())
    low, high = (math.tanh(math.atanh(r) + side * 1.959964 / math.sqrt(len(pairs) - 3)) for side in (-1, 1))
    figures = [words.figure(value, 2) for value in (r, low, high, ranks)]
    assert low < 0 < high
    panel = correlation.panel(year, last_days(90))
    assert panel.said == (
        f"No clear link between sleep and systolic pressure in the morning over {len(pairs)} days: r = {figures[0]} "
        f"(95 % CI {figures[1]} to {figures[2]}), by ranks (Spearman) {figures[3]}."
    )
    line = pd.DataFrame(next(rows for rows in datasets(panel) if "low" in rows[0]))
    slope, start = np.polyfit(pairs["x"], pairs["y"], 1)
    assert list(line["mean"]) == pytest.approx(list(start + slope * line["x"]))


def test_a_clear_correlation_is_said_per_unit_and_proves_no_cause(changed: Callable[..., Gold]) -> None:
    gold = changed("UPDATE correlation_pairs SET y = 180 - x / 10 + (epoch(date) / 86400) % 5")
    said = correlation.panel(gold, last_days(90)).said
    assert said.startswith("More sleep went strongly with lower systolic pressure in the morning: 6.")
    assert "mmHg per hour over" in said
    assert said.endswith("A link is no proof of cause.")


def test_too_few_pairs_are_drawn_and_not_judged(year: Gold, changed: Callable[..., Gold]) -> None:
    n = len(year.table("SELECT 1 FROM correlation_pairs WHERE date > DATE '2025-12-24'"))
    panel = correlation.panel(year, last_days(7))
    assert panel.said == f"Too few pairs: {n} days with both figures, 10 are needed to say how they go together."
    assert "layer" not in spec(panel)
    still = correlation.panel(changed("UPDATE correlation_pairs SET y = 120"), last_days(90))
    assert still.said.startswith("One of the two figures is the same on all ")


def test_pairs_on_one_line_are_not_taken_for_a_figure_that_never_varies(changed: Callable[..., Gold]) -> None:
    gold = changed("UPDATE correlation_pairs SET x = 301 + 7 * epoch(date) / 86400, y = 111.1 + 1.1 * epoch(date) / 86400")
    for view in map(last_days, range(14, 90, 4)):
        assert "r = 1.00 (95 % CI 1.00 to 1.00)" in correlation.panel(gold, view).said


@pytest.mark.parametrize("name", correlation.NAMES)
def test_every_correlation_can_be_drawn(name: str) -> None:
    with demo() as gold:
        meta = gold.table("SELECT first_date, last_date FROM meta").iloc[0]
        panel = correlation.panel(gold, View(meta["first_date"].date(), meta["last_date"].date(), "all"), name)
        told = gold.table("SELECT n, r FROM correlations WHERE name = $name", {"name": name}).iloc[0]
    assert f"over {told['n']:.0f} days" in panel.said
    assert f"r = {words.figure(told['r'], 2)} (" in panel.said


_COMPARED = "UPDATE medication_comparison SET n_before = 28, n_after = 30, mean_before = 136, mean_after = 130, "


def test_before_and_after_is_said_honestly(changed: Callable[..., Gold]) -> None:
    gold = changed(
        _COMPARED
        + "difference = -6.2, ci_low = -9.4, ci_high = -3.1, effect_size = -0.91, effect_low = -1.4, effect_high = -0.42"
    )
    assert medication.panel(gold, last_days(90)).said == (
        "After “New medication” systolic pressure was 6 mmHg lower (95 % CI 3 to 9 lower; 28 days before, 30 after; Hedges' g −0.9 "
        "(−1.4 to −0.4), large). This is a comparison, not a proof of cause."
    )


def test_an_interval_that_holds_zero_is_called_no_difference(changed: Callable[..., Gold]) -> None:
    gold = changed(
        _COMPARED + "difference = -1.2, ci_low = -4.4, ci_high = 2.1, effect_size = -0.1, effect_low = -0.6, effect_high = 0.4"
    )
    assert medication.panel(gold, last_days(90)).said == (
        "After “New medication” systolic pressure was 1 mmHg lower (95 % CI 4 lower to 2 higher; 28 days before, 30 after; Hedges' g −0.1 "
        "(−0.6 to 0.4), very small). The interval holds zero, so there may be no difference. This is a comparison, not a proof of cause."
    )


def test_too_few_days_around_an_event_are_not_compared(changed: Callable[..., Gold]) -> None:
    gold = changed(
        "UPDATE medication_comparison SET n_before = 1, n_after = 12, ci_low = NULL, ci_high = NULL, effect_size = NULL"
    )
    said = medication.panel(gold, last_days(90)).said
    assert (
        said
        == "Too few days around “New medication” to compare systolic pressure: 1 day before, 12 after; each side needs 2 that differ."
    )


def test_a_difference_that_rounds_to_nothing_has_no_direction(changed: Callable[..., Gold]) -> None:
    gold = changed("UPDATE medication_comparison SET difference = -0.2, ci_low = -2.1, ci_high = 1.7")
    said = medication.panel(gold, last_days(90)).said
    assert said.startswith("After “New medication” systolic pressure was the same (95 % CI 2 lower to 2 higher;")


def test_the_days_around_the_event_are_shown_with_its_marker_whatever_the_range(year: Gold) -> None:
    day = medication.events(year)[0][0]
    panel = medication.panel(year, last_days(7), "diastolic", 90)
    told = drawn(panel, "value")
    assert (told.index[0], told.index[-1]) == ((day - timedelta(days=90)).isoformat(), (day + timedelta(days=89)).isoformat())
    assert "New medication" in str(spec(panel))


def test_without_an_event_the_panel_tells_how_to_mark_one(changed: Callable[..., Gold]) -> None:
    gold = changed("DELETE FROM events", "DELETE FROM medication_comparison")
    panel = medication.panel(gold, last_days(90))
    assert panel.chart is None
    assert "MED_START_DATE" in panel.empty
    assert medication.events(gold) == []


# --- quality ---


def test_the_shares_of_whole_months_are_those_of_gold(year: Gold) -> None:
    told = quality.coverage(year, View(date(2025, 1, 1), LAST, "all")).rows
    expected = year.table("SELECT * FROM coverage WHERE metric = 'steps' AND month > DATE '2024-12-31' ORDER BY month")
    steps = told[told["Metric"] == "Steps"]
    assert list(steps["Days with data"]) == list(expected["days_with_data"])
    assert list(steps["Days"]) == list(expected["days"])
    assert steps.set_index("Month from").loc["2025-11-01", "Share (%)"] == half_up(100 * expected["share"].iloc[10])


def test_coverage_names_the_longest_gap(year: Gold) -> None:
    said = quality.coverage(year, last_days(90)).said
    assert said.startswith("Blood pressure on ")
    assert "Longest gap: 12 days without" in said
    assert "from 10 November 2025" in said


def test_a_single_source_is_held_to_its_own_days(year: Gold) -> None:
    panel = quality.coverage(year, last_days(90, source="google_sheets"))
    assert "no heart rate and no sleep and no steps" in panel.said
    assert panel.rows.groupby("Metric")["Days with data"].sum()["Sleep"] == 0


def test_refusals_are_counted_by_reason_and_undated_ones_in_every_range(changed: Callable[..., Gold]) -> None:
    gold = changed(
        "DELETE FROM rejected",
        "INSERT INTO rejected (date, source, kind, stage, reason) VALUES (DATE '2025-12-30', 'bp_csv', 'blood_pressure', 'validation', "
        "'device_sentinel'), (DATE '2025-12-29', 'bp_csv', 'blood_pressure', 'validation', 'device_sentinel'), (NULL, 'google_sheets', "
        "'blood_pressure', 'record', 'summary_row'), (DATE '2025-01-05', 'bp_csv', 'blood_pressure', 'normalization', 'zero')",
    )
    assert quality.rejections(gold, last_days(30)).said == (
        "3 records and readings refused; most often: a device's code for “nothing measured” (2). 1 of them carries no date, so every "
        "range counts it."
    )
    assert list(quality.rejections(gold, last_days(30, source="google_sheets")).rows["How many"]) == [1]
    nothing = quality.rejections(gold, last_days(30, source="mi_fitness"))
    assert nothing.chart is None
    assert nothing.empty.startswith("Nothing was refused in this range")


def test_freshness_says_how_long_before_the_end_of_the_data_a_source_fell_silent(changed: Callable[..., Gold]) -> None:
    gold = changed("UPDATE freshness SET last_date = CASE source WHEN 'bp_csv' THEN DATE '2025-12-28' ELSE DATE '2025-12-31' END")
    panel = quality.freshness(gold, last_days(90))
    assert panel.said == (
        "1 of 2 feeds reaches the end of the data, 31 December 2025. Furthest behind: Blood pressure CSV of any tool, last reading 3 days "
        "before the end of the data."
    )
    alone = quality.freshness(gold, last_days(90, source="google_sheets"))
    assert alone.said == "The source reaches the end of the data, 31 December 2025."


def test_every_reason_code_has_words() -> None:
    from config.daily import REASONS
    from ingestion import archives, inbox
    from ingestion.mi_fitness import records

    codes = {*REASONS, *archives._WHY, *inbox._WHY, *records._WHY, "zero", "half_reading", "summary_row", "future", "duplicate"}
    assert {
        code for code in codes if reasons.said(code) == code.replace("_", " ") and "_" in code and code != "not_a_number"
    } == set()
    assert reasons.said("a_new_code") == "a new code"


# --- words ---


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (words.figure(0.045, 1), "0.0"),
        (words.figure(-0.25, 1), "−0.3"),
        (words.figure(-0.04, 1), "0.0"),
        (words.figure(8412.5), "8\u202f413"),
        (words.span(432), "7 h 12 min"),
        (words.span(59.5), "1 h 0 min"),
        (words.span(45), "45 min"),
        (words.clock(674), "23:14"),
        (words.clock(720), "00:00"),
        (words.clock(1439.6), "12:00"),
        (words.of(3, 3), "all 3 days"),
        (words.of(1, 1), "the one day"),
        (words.of(1, 7), "1 of 7 days"),
        (words.changed(70.4, 70, 30), "the same as the 30 days before"),
        (words.changed(64, 70, 30), "6 lower than the 30 days before"),
        (words.changed(440, 422, 7, minutes=True, more="more less"), "18 min more than the 7 days before"),
        (words.changed(70, 69, 1), "1 higher than the day before"),
    ],
)
def test_figures_are_said_as_people_say_them(told: str, expected: str) -> None:
    assert told == expected


def test_tables_round_half_up_as_sentences_do() -> None:
    table = base.plain(pd.DataFrame({"a": [124.25, -0.25, 124.24, math.nan], "n": [1, 2, 3, 4], "word": list("wxyz")}))
    assert table["a"].tolist()[:3] == [124.3, -0.3, 124.2]
    assert math.isnan(table["a"][3])
    assert (table["n"].tolist(), table["word"].tolist(), list(table)) == ([1, 2, 3, 4], list("wxyz"), ["a", "n", "word"])


def test_figures_of_whole_months_are_told_of_a_month_and_longer_only(year: Gold) -> None:
    assert sleep.panel(year, last_days(28)).said.endswith(
        " Sleep Regularity Index 78 by whole months (100 = asleep and awake at the same times every day)."
    )
    assert "Regularity" not in sleep.panel(year, last_days(27)).said
    assert "weekends" in bed_times.panel(year, last_days(28)).said
    assert "weekends" not in bed_times.panel(year, last_days(27)).said


def test_stages_of_a_week_add_up_to_its_sleep_though_some_nights_have_none(
    changed: Callable[..., Gold], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(days, "LONGEST_BY_DAY", 30)
    stages = ", ".join(f"sleep_{stage}_duration = NULL" for stage in ("deep", "light", "rem", "awake"))
    whole = "sleep_deep_duration = 100, sleep_light_duration = 350, sleep_rem_duration = 150"
    gold = changed(
        f"UPDATE daily SET {stages}, total_duration = 420 WHERE total_duration IS NOT NULL",
        f"UPDATE daily SET {whole}, total_duration = 600 WHERE total_duration IS NOT NULL AND isodow(date) = 3",
    )
    panel = sleep.panel(gold, last_days(90))
    total = panel.rows.set_index("Week from")["Asleep, naps included (min)"]
    top = drawn(panel, "unstaged_top").loc[total.index, "unstaged_top"]
    assert len(total) > 10
    assert (top * 60 - total).abs().max() < 0.1


def test_a_single_day_is_no_average(changed: Callable[..., Gold]) -> None:
    gold = changed(
        "DELETE FROM daily WHERE date > DATE '2025-12-20'",
        "INSERT INTO daily (date, steps, total_duration) VALUES (DATE '2025-12-26', 7999, 450)",
    )
    assert activity.panel(gold, last_days(7)).said == "7\u202f999 steps on 1 of 7 days; the goal of 8\u202f000 was not reached."
    assert sleep.panel(gold, last_days(7)).said == "7 h 30 min asleep on 1 of 7 days; the target of 7 h 30 min was reached."


@pytest.mark.parametrize("name", ["medication", "correlation"])
def test_what_no_source_alone_can_tell_says_so(name: str, year: Gold) -> None:
    chosen, merged = (PANELS[name](year, last_days(90, source=source)) for source in ("mi_fitness", ""))
    assert chosen.said == f"{merged.said} Of all sources together."


@pytest.mark.parametrize("name", ["heart", "sleep", "bed_times", "activity", "oxygen", "medication"])
def test_a_tooltip_never_says_null(name: str, year: Gold) -> None:
    panel = PANELS[name](year, last_days(90))
    tips = next(layer["encoding"]["tooltip"] for layer in spec(panel)["layer"] if "tooltip" in layer.get("encoding", {}))
    told = drawn(panel, *(tip["field"] for tip in tips))
    assert {tip["type"] for tip in tips} == {"nominal"}
    assert told[[tip["field"] for tip in tips]].map(lambda cell: isinstance(cell, str) and bool(cell)).all(axis=None)
