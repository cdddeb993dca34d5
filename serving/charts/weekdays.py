"""The week of a person: the mean of every weekday with its 95 % confidence interval, for a metric that can be chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from serving.charts import days, theme, words
from serving.charts.metrics import METRICS as NAMED
from serving.charts.metrics import TOLD_BY_FEW, Named, named, scale
from serving.charts.panel import Panel
from serving.charts.student import half_width

if TYPE_CHECKING:
    import pandas as pd

    from serving.gold import Gold
    from serving.view import View

METRICS: Mapping[str, str] = {
    name: NAMED[name].words
    for name in (
        "systolic",
        "diastolic",
        "pulse",
        "avg_hr",
        "resting_hr",
        "total_duration",
        "sleep_efficiency",
        "steps",
        "weight",
        "spo2_avg",
        *TOLD_BY_FEW,
    )
}
"""Metric → its words, in the order of a menu."""

LEAST = 3
"""Values a weekday needs to be compared and to have an interval."""
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def menu(gold: Gold) -> list[str]:
    """Those of `METRICS` that there is something to choose for."""
    return days.told(gold, METRICS)


def panel(gold: Gold, view: View, metric: str = "systolic") -> Panel:
    """The weekdays of one of `METRICS` over the days of the view; KeyError for another one."""
    view = days.clipped(gold, view)
    of = named(metric)
    week = _week(gold, view, metric)
    low, high = f"95 % CI from ({of.unit})", f"95 % CI to ({of.unit})"
    rows = week[["weekday", "n", "mean", "low", "high"]].set_axis(
        ["Weekday", "Days", f"Mean ({of.unit})", low, high], axis="columns"
    )
    title = f"{METRICS[metric]} by weekday"
    name = f"weekdays_{metric}"
    if not len(week):
        return Panel(name, title, "", None, rows, words.nothing(gold, view, of.within, metric))
    said = _said(week, of, metric)
    return Panel(name, title, said, _chart(week, of, said), rows)


def _week(gold: Gold, view: View, metric: str) -> pd.DataFrame:
    table, parameters = days.daily(view)
    week = gold.table(
        f"""
        SELECT isodow(date) AS number, count(value) AS n, avg(value) AS mean, stddev_samp(value) AS sd
        FROM (SELECT date, {metric} / $scale AS value FROM {table} WHERE date BETWEEN $first AND $last)
        WHERE value IS NOT NULL GROUP BY 1 ORDER BY 1
        """,
        {**parameters, "first": view.first, "last": view.last, "scale": scale(metric)},
    )
    half = [half_width(sd, n) if n >= LEAST else None for n, sd in zip(week["n"], week["sd"], strict=True)]
    week["half"] = [float("nan") if width is None else width for width in half]
    return week.assign(
        weekday=[_DAYS[number - 1] for number in week["number"]],
        low=week["mean"] - week["half"],
        high=week["mean"] + week["half"],
    )


def _said(week: pd.DataFrame, of: Named, metric: str) -> str:
    def figure(value: float) -> str:
        return words.span(value * 60) if metric == "total_duration" else f"{words.figure(value, of.digits)} {of.unit}"

    n = int(week["n"].sum())
    if len(week) < 7 or week["n"].min() < LEAST:
        fewest = week["n"].min() if len(week) == 7 else 0
        return f"{of.words} on {words.count(n, 'day')}: too few to compare weekdays; every weekday needs {LEAST}, the rarest has {fewest}."
    lowest, *_, highest = week.sort_values("mean").to_dict("records")
    more, less = ("Longest", "shortest") if metric == "total_duration" else ("Highest", "lowest")
    apart = highest["low"] > lowest["high"]
    verdict = "their 95 % intervals lie apart" if apart else "their 95 % intervals overlap, so the difference may be chance"
    return (
        f"{more} on {highest['weekday']}s ({figure(highest['mean'])}), {less} on {lowest['weekday']}s ({figure(lowest['mean'])}), "
        f"over {n} days; {verdict}."
    )


def _chart(week: pd.DataFrame, of: Named, said: str) -> Any:
    import altair as alt

    form = f",.{of.digits}f"
    base = alt.Chart(week).encode(
        x=alt.X(
            "weekday:N",
            sort=list(_DAYS),
            title=None,
            scale=alt.Scale(domain=list(_DAYS)),
            axis=alt.Axis(labelAngle=0, labelExpr="slice(datum.label, 0, 3)"),
        ),
        tooltip=[
            alt.Tooltip("weekday:N", title="Weekday"),
            alt.Tooltip("mean:Q", title=f"Mean ({of.unit})", format=form),
            alt.Tooltip("low:Q", title="95 % CI from", format=form),
            alt.Tooltip("high:Q", title="95 % CI to", format=form),
            alt.Tooltip("n:Q", title="Days"),
        ],
    )
    scale = alt.Scale(zero=False, nice=True, padding=12)
    bars = base.mark_rule(strokeWidth=3, color=theme.BLUE, opacity=0.45, strokeCap="round").encode(
        y=alt.Y("low:Q", title=of.titled, scale=scale), y2="high:Q"
    )
    dots = base.mark_point(filled=True, size=90, color=theme.BLUE, opacity=1).encode(
        y=alt.Y("mean:Q", title=of.titled, scale=scale)
    )
    every = (week["mean"] * week["n"]).sum() / week["n"].sum()
    middle = (
        alt.Chart(week.iloc[:1].assign(mean=every))
        .mark_rule(color=theme.GREY, strokeDash=[4, 4])
        .encode(y="mean:Q", tooltip=[alt.Tooltip("mean:Q", title=f"Mean of all days ({of.unit})", format=form)])
    )
    return theme.dressed((middle + bars + dots).properties(height=280, width="container"), said)
