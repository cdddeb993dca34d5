"""A measure with one figure a day: its points, the mean of seven days, gaps as gaps, and the words that go with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from serving.charts import base, days, marks, theme, words
from serving.charts.legend import LINE, legend
from serving.charts.panel import Panel

if TYPE_CHECKING:
    import pandas as pd

    from serving.gold import Gold
    from serving.view import View

_TOP, _HEIGHT = 24, 200


class Measure(NamedTuple):
    """One figure a day, and how it is told."""

    name: str
    title: str
    column: str
    unit: str
    color: str
    shape: str
    step: float
    """To which multiples of the unit the axis reaches."""
    within: str
    """The words inside a sentence."""
    digits: int = 1
    last: bool = False
    """The day's figure is its last reading, not the mean of them."""


def panel(gold: Gold, view: View, measure: Measure) -> Panel:
    """The measure on every day of the view; weeks of a long range show the mean of their days."""
    view = days.clipped(gold, view)
    column = measure.column
    told = days.calendar(gold, view, {"value": f"avg({column})", "n": f"count({column})"})
    week = days.step_of(view) == "week"
    told = told.merge(days.trend(gold, view, column), on="date", how="left")
    rows = told.loc[told["n"] > 0, ["date", "value", "trend"]]
    rows = rows.assign(date=base.iso(rows["date"])).set_axis(
        [
            "Week from" if week else "Day",
            f"{measure.title} ({measure.unit})",
            f"{'30' if week else '7'}-day mean ({measure.unit})",
        ],
        axis="columns",
    )
    if rows.empty:
        return Panel(measure.name, measure.title, "", None, rows, words.nothing(gold, view, measure.within, column))
    said = _said(gold, view, measure)
    return Panel(measure.name, measure.title, said, _chart(told, view, measure, said), rows, day=not week)


def _said(gold: Gold, view: View, measure: Measure) -> str:
    column = measure.column
    wanted = {
        "mean": f"avg({column})",
        "n": f"count({column})",
        "lowest": f"min({column})",
        "highest": f"max({column})",
        "latest": f"arg_max({column}, date) FILTER (WHERE {column} IS NOT NULL)",
        "latest_on": f"max(date) FILTER (WHERE {column} IS NOT NULL)",
    }
    now, earlier = days.summary(gold, view, wanted), days.summary(gold, view, wanted, before=True)
    n = int(now["n"])

    def figure(value: float) -> str:
        return f"{words.figure(value, measure.digits)} {measure.unit}"

    latest = f"Latest {figure(now['latest'])} on {words.on(now['latest_on'])}"
    if n == 1:
        return f"{latest}, the only day with one in this range."
    said = f"{latest}; average {figure(now['mean'])} on {words.of(n, view.days)}"
    if view.preset != "all" and min(n, earlier["n"]) >= days.LEAST_TO_COMPARE:
        said += f", {words.changed(now['mean'], earlier['mean'], view.days, digits=measure.digits)}"
    return f"{said}; between {words.figure(now['lowest'], measure.digits)} and {figure(now['highest'])}."


def _chart(told: pd.DataFrame, view: View, measure: Measure, said: str) -> Any:
    import altair as alt

    week = days.step_of(view) == "week"
    data = _worded(told, measure, week)
    lane = base.Lane(_TOP, _HEIGHT, *base.span(told["value"], told["trend"], step=measure.step))
    chart = alt.Chart(data).encode(x=base.x(view.first, view.last))
    points = chart.mark_point(
        filled=True, shape=measure.shape, size=45 if len(data) <= 120 else 16, color=measure.color, opacity=0.8
    )
    return base.finished(
        [
            base.heading(lane, f"{measure.title}, {measure.unit}"),
            base.reading(data, lane, "spoken"),
            points.encode(y=lane.y("value:Q", axis=True, form=",.1~f")),
            marks.trend(chart, lane, "trend", theme.ORANGE),
            legend(
                [
                    (
                        "Mean of the week" if week else "Last of the day" if measure.last else "Mean of the day",
                        measure.color,
                        measure.shape,
                    ),
                    ("30-day mean" if week else "7-day mean", theme.ORANGE, LINE),
                ]
            ),
            *base.crosshair(data, view.first, view.last, _TOP + _HEIGHT, _tooltip(measure, week), days=not week),
        ],
        _TOP + _HEIGHT,
        said,
    )


def _worded(told: pd.DataFrame, measure: Measure, week: bool) -> pd.DataFrame:
    def said(row: Any) -> str:
        day = ("Week from " if week else "") + words.on(row.date)
        return f"{day}: {words.figure(row.value, measure.digits)} {measure.unit}" if row.n else f"{day}: no {measure.within}"

    return (
        told[["value", "trend"]]
        .round(2)
        .assign(
            date=base.iso(told["date"]),
            called=[words.on(day) for day in told["date"]],
            spoken=[said(row) for row in told.itertuples()],
            value_said=words.column(told["value"], measure.digits),
            trend_said=words.column(told["trend"], measure.digits),
        )
    )


def _tooltip(measure: Measure, week: bool) -> list[Any]:
    import altair as alt

    return [
        alt.Tooltip("called:N", title="Week from" if week else "Day"),
        alt.Tooltip("value_said:N", title=f"{measure.title} ({measure.unit})"),
        alt.Tooltip("trend_said:N", title="30-day mean" if week else "7-day mean"),
    ]
