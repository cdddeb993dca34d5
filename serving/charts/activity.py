"""Steps of every day against the person's goal, with the mean of seven days and how often the goal was reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from serving.charts import base, days, marks, theme, words
from serving.charts.legend import BAND, LINE, legend
from serving.charts.panel import Panel

if TYPE_CHECKING:
    import pandas as pd

    from serving.gold import Gold
    from serving.view import View

_TITLE = "Steps"
_RESTING = "Resting energy a day (kcal)"
_TOP, _HEIGHT = 24, 220
_COLUMNS = {
    "steps": "avg(steps)",
    "worn": "count(steps)",
    "reached": "count(*) FILTER (WHERE steps >= (SELECT steps_goal FROM meta))",
    "distance": "avg(distance) / 1000",
    "energy": "avg(active_energy)",
    "resting": "avg(basal_energy)",
}


def panel(gold: Gold, view: View) -> Panel:
    """Steps a day; weeks of a long range show the mean of their days."""
    view = days.clipped(gold, view)
    told = days.calendar(gold, view, _COLUMNS)
    goal = int(days.first_row(gold, "SELECT steps_goal FROM meta")["steps_goal"])
    week = days.step_of(view) == "week"
    rows = told.loc[told["worn"] > 0, ["date", "steps", "distance", "energy", "reached", "resting"]]
    rows = rows.assign(date=base.iso(rows["date"])).set_axis(
        [
            "Week from" if week else "Day",
            "Steps a day",
            "Distance a day (km)",
            "Active energy a day (kcal)",
            "Days that reached the goal",
            _RESTING,
        ],
        axis="columns",
    )
    rows = rows if rows[_RESTING].notna().any() else rows.drop(columns=_RESTING)
    if rows.empty:
        return Panel("activity", _TITLE, "", None, rows, words.nothing(gold, view, "steps", "steps", thing="day with steps"))
    said = _said(gold, view, goal)
    told = told.merge(days.trend(gold, view, "steps"), on="date", how="left")
    return Panel("activity", _TITLE, said, _chart(told, view, goal, said), rows, day=not week)


def _said(gold: Gold, view: View, goal: int) -> str:
    now, earlier = days.summary(gold, view, _COLUMNS), days.summary(gold, view, _COLUMNS, before=True)
    worn = int(now["worn"])
    if worn == 1:
        verdict = "reached" if now["reached"] else "not reached"
        return f"{words.whole(now['steps'])} steps on {words.of(1, view.days)}; the goal of {words.whole(goal)} was {verdict}."
    said = f"Average {words.whole(now['steps'])} steps a day on {words.of(worn, view.days)}"
    if view.preset != "all" and min(worn, earlier["worn"]) >= days.LEAST_TO_COMPARE:
        said += f", {words.changed(now['steps'], earlier['steps'], view.days, more='more fewer')}"
    reached = int(now["reached"])
    of = f"{words.of(reached, worn)} reached" if reached else "no day reached"
    return f"{said}; {of} the goal of {words.whole(goal)}."


def _chart(told: pd.DataFrame, view: View, goal: int, said: str) -> Any:
    import altair as alt

    week = days.step_of(view) == "week"
    data, resting = _worded(told, goal, week), bool(told["resting"].notna().any())
    lane = base.Lane(_TOP, _HEIGHT, 0, base.span(told["steps"], told["trend"], step=2000, include=[goal * 1.1])[1])
    chart = alt.Chart(data).encode(x=base.x(view.first, view.last))
    bars = chart.mark_bar(size=base.bar_size(len(data)), cornerRadiusEnd=1.5).encode(
        y=lane.y("steps:Q", axis=True),
        y2=alt.Y2Datum(0),
        color=alt.condition(f"datum.steps >= {goal}", alt.value(theme.STEPS), alt.value(theme.STEPS + "73")),
    )
    return base.finished(
        [
            base.heading(lane, f"{'Mean of the week, steps' if week else 'Steps'} a day (dashed: goal {words.whole(goal)})"),
            base.reading(data, lane, "spoken"),
            bars,
            *base.thresholds(lane, [(goal, "")]),
            marks.trend(chart, lane, "trend", theme.ORANGE),
            legend(
                [
                    ("Goal reached", theme.STEPS, BAND),
                    ("Below the goal", theme.STEPS + "73", BAND),
                    ("30-day mean" if week else "7-day mean", theme.ORANGE, LINE),
                ],
                columns=3,
            ),
            *base.crosshair(data, view.first, view.last, _TOP + _HEIGHT, _tooltip(week, resting), days=not week),
        ],
        _TOP + _HEIGHT,
        said,
    )


def _worded(told: pd.DataFrame, goal: int, week: bool) -> pd.DataFrame:
    def said(row: Any) -> str:
        day = ("Week from " if week else "") + words.on(row.date)
        if not row.worn:
            return f"{day}: no steps counted"
        return f"{day}: {words.whole(row.steps)} steps{', goal reached' if row.steps >= goal else ''}"

    return (
        told[["steps", "trend"]]
        .round(0)
        .assign(
            date=base.iso(told["date"]),
            called=[words.on(day) for day in told["date"]],
            spoken=[said(row) for row in told.itertuples()],
            steps_said=words.column(told["steps"], missing="none counted"),
            trend_said=words.column(told["trend"]),
            distance=words.column(told["distance"], 1),
            energy=words.column(told["energy"]),
            resting=words.column(told["resting"]),
        )
    )


def _tooltip(week: bool, resting: bool) -> list[Any]:
    import altair as alt

    shown = [
        alt.Tooltip("called:N", title="Week from" if week else "Day"),
        alt.Tooltip("steps_said:N", title="Steps"),
        alt.Tooltip("trend_said:N", title="30-day mean" if week else "7-day mean"),
        alt.Tooltip("distance:N", title="Distance (km)"),
        alt.Tooltip("energy:N", title="Active energy (kcal)"),
    ]
    return [*shown, alt.Tooltip("resting:N", title="Resting energy (kcal)")] if resting else shown
