"""The days of a view as a table without holes: one row per calendar day, or per week where a day is too narrow to see.

A day without a value is a row of nulls, so that a chart shows a gap as a gap.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from serving.charts.metrics import TOLD_BY_FEW

if TYPE_CHECKING:
    import pandas as pd

    from serving.gold import Gold
    from serving.view import View

LONGEST_BY_DAY = 400
"""Longer views are drawn week by week."""
LEAST_OF_WEEK = 3
"""Days with a value that a 7-day mean needs to be drawn; it also ends two days into a gap, never to be drawn across one."""
LEAST_OF_MONTH = 28
"""Days of a view that may be told by figures made for whole months."""
LEAST_TO_COMPARE = 3
"""Days with a value that each of two ranges needs before one is said to be higher than the other."""
_BEFORE = 31
"""Days before the view that its 30-day figures look back to."""


def step_of(view: View) -> str:
    """`day`, or `week` (Monday to Sunday) for a view longer than `LONGEST_BY_DAY`."""
    return "day" if view.days <= LONGEST_BY_DAY else "week"


def clipped(gold: Gold, view: View) -> View:
    """The view without the days before the first and after the last of all data; as it is when nothing of it would be left."""
    ends = first_row(gold, "SELECT first_date, last_date FROM meta")
    first, last = max(view.first, ends["first_date"].date()), min(view.last, ends["last_date"].date())
    return replace(view, first=first, last=last) if first <= last else view


def told(gold: Gold, columns: Iterable[str]) -> list[str]:
    """These columns of the daily table without those of `TOLD_BY_FEW` that no day has."""
    counts = first_row(gold, f"SELECT {', '.join(f'count({name}) AS {name}' for name in TOLD_BY_FEW)} FROM daily")
    return [name for name in columns if counts.get(name, 1)]


def daily(view: View) -> tuple[str, dict[str, object]]:
    """SQL that stands for the daily table of the chosen source, and its parameters."""
    if view.source:
        return "(SELECT * FROM daily_by_source WHERE source = $source)", {"source": view.source}
    return "daily", {}


def calendar(gold: Gold, view: View, columns: Mapping[str, str]) -> pd.DataFrame:
    """One row per step of the view: `date` (its first day), `until` (its last), `days` with a row, and the columns.

    Days before the first or after the last of all data are left out, however far the view reaches.


    Args:
        columns: name → SQL aggregate over the daily rows of a step, `{"mean": "avg(avg_hr)"}`; written here, never by a person.
    """
    table, parameters = daily(view)
    wanted = ", ".join(f"{expression} AS {name}" for name, expression in columns.items())
    return gold.table(
        f"""
        WITH calendar AS (
            SELECT unnest(generate_series(greatest($first, first_date)::TIMESTAMP, least($last, last_date), INTERVAL 1 DAY))::DATE AS day
            FROM meta
        )
        SELECT greatest(date_trunc('{step_of(view)}', day), $first::DATE)::DATE AS date, max(day) AS until, count(told.date) AS days,
               {wanted}
        FROM calendar LEFT JOIN {table} AS told ON told.date = day
        GROUP BY 1 ORDER BY 1
        """,
        {**parameters, "first": view.first, "last": view.last},
    )


def summary(gold: Gold, view: View, columns: Mapping[str, str], *, before: bool = False) -> dict[str, Any]:
    """The columns over the whole view as one row; with `before`, over as many days right before it."""
    table, parameters = daily(view)
    back = timedelta(days=min(view.days, (view.first - date.min).days)) if before else timedelta(0)
    wanted = ", ".join(f"{expression} AS {name}" for name, expression in columns.items())
    return first_row(
        gold,
        f"SELECT {wanted} FROM {table} WHERE date BETWEEN $first AND $last",
        {**parameters, "first": view.first - back, "last": view.last - back},
    )


def first_row(gold: Gold, query: str, parameters: Mapping[str, object] | None = None) -> dict[str, Any]:
    """The first row of an answer, column → value; IndexError when it has none."""
    return {str(name): value for name, value in gold.table(query, parameters).iloc[0].items()}


def rolling(gold: Gold, view: View, metric: str) -> pd.DataFrame:
    """Per day of the view: `date`, `mean_7` (null under `LEAST_OF_WEEK` days), `mean_30`, `baseline_low`, `baseline_high`.

    From the table `rolling`; for a single source, which that table does not tell, by the same windows over its own days.
    The baseline looks at the 30 days before a day and is null where fewer than 10 of them have a value.
    """
    parameters: dict[str, object] = {"first": view.first, "last": view.last}
    if view.source:
        table = _rolling_of_source(metric)
        parameters |= {"source": view.source, "from": view.first - min(timedelta(days=_BEFORE), view.first - date.min)}
    else:
        table, parameters["metric"] = "(SELECT * FROM rolling WHERE metric = $metric)", metric
    return gold.table(
        f"""
        SELECT * EXCLUDE (near) FROM (
            SELECT date, count(value) OVER (ORDER BY date RANGE BETWEEN INTERVAL 2 DAY PRECEDING AND CURRENT ROW) AS near,
                   CASE WHEN near > 0 AND n_7 >= {LEAST_OF_WEEK} THEN mean_7 END AS mean_7,
                   CASE WHEN near > 0 AND n_30 >= 10 THEN mean_30 END AS mean_30, baseline_low, baseline_high
            FROM {table}
        ) WHERE date BETWEEN $first AND $last ORDER BY date
        """,
        parameters,
    )


def trend(gold: Gold, view: View, metric: str) -> pd.DataFrame:
    """Per step of the view: `date` and `trend`, the 7-day mean on that day, or the 30-day mean at the end of that week."""
    usual = rolling(gold, view, metric)
    if step_of(view) == "day":
        return usual[["date", "mean_7"]].rename(columns={"mean_7": "trend"})
    return stepped(usual, "mean_30").rename(columns={"mean_30": "trend"})


def stepped(told: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The last values a week has in these columns, by the week's first day in the table; nulls where it has none."""
    import pandas as pd

    monday = told["date"] - pd.to_timedelta(told["date"].dt.day_of_week, unit="D")
    first = monday.clip(lower=told["date"].min()).rename("date")
    return told[list(columns)].groupby(first).last().reset_index()


def _rolling_of_source(metric: str) -> str:
    return f"""(
        SELECT date, value, avg(value) OVER seven AS mean_7, count(value) OVER seven AS n_7,
               avg(value) OVER thirty AS mean_30, count(value) OVER thirty AS n_30,
               CASE WHEN count(value) OVER past >= 10 THEN quantile_cont(value, 0.1) OVER past END AS baseline_low,
               CASE WHEN count(value) OVER past >= 10 THEN quantile_cont(value, 0.9) OVER past END AS baseline_high
        FROM (
            SELECT day AS date, told.{metric} AS value
            FROM (SELECT unnest(generate_series($from::TIMESTAMP, $last::TIMESTAMP, INTERVAL 1 DAY))::DATE AS day)
            LEFT JOIN (SELECT * FROM daily_by_source WHERE source = $source) AS told ON told.date = day
        )
        WINDOW seven AS (ORDER BY date RANGE BETWEEN INTERVAL 6 DAY PRECEDING AND CURRENT ROW),
               thirty AS (ORDER BY date RANGE BETWEEN INTERVAL 29 DAY PRECEDING AND CURRENT ROW),
               past AS (ORDER BY date RANGE BETWEEN INTERVAL 30 DAY PRECEDING AND INTERVAL 1 DAY PRECEDING)
    )"""
