"""A heatmap of the days, weeks across and weekdays down; of years across weeks where the view is too long for days."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from serving.charts import base, theme, words
from serving.charts.days import calendar, clipped, step_of
from serving.charts.panel import Panel

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

    from serving.gold import Gold
    from serving.view import View

NAME = "calendar"
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_WEEKS_WITH_NUMBERS = 18
_MONTH_STARTS = ["00", "05", "09", "13", "18", "22", "26", "31", "35", "39", "44", "48"]
"""Weeks of the year, as `%W` counts them, in whose first days a month is young."""


class Metric(NamedTuple):
    """A column of the daily table as the calendar shows it."""

    title: str
    expression: str
    """SQL aggregate over the days of a cell."""
    unit: str
    missing: str
    """What there is nothing of, in the sentence of an empty range."""


METRICS: dict[str, Metric] = {
    "systolic": Metric("Systolic", "sum(systolic * bp_readings) / sum(bp_readings)", "mmHg", "blood pressure"),
    "diastolic": Metric("Diastolic", "sum(diastolic * bp_readings) / sum(bp_readings)", "mmHg", "blood pressure"),
    "resting_hr": Metric("Resting heart rate", "avg(resting_hr)", "per minute", "resting heart rate"),
    "total_duration": Metric("Sleep", "avg(total_duration)", "minutes", "sleep"),
    "steps": Metric("Steps", "avg(steps)", "a day", "steps"),
}
"""What the calendar can show, by column of the daily table."""


def panel(gold: Gold, view: View, metric: str = "systolic") -> Panel:
    """One cell per day (per week in long views) coloured by the metric, one of METRICS; days without a value stay empty."""
    chosen, view = view, clipped(gold, view)
    shown = METRICS[metric]
    title = f"Calendar: {shown.title.lower()}"
    rows = calendar(gold, view, {"value": shown.expression})
    step = step_of(view)
    table = _readable(rows, shown, step)
    if not rows["value"].notna().any():
        return Panel(NAME, title, "", None, table, words.nothing(gold, chosen, shown.missing, metric))
    sentence = _said(rows, shown, step)
    return Panel(NAME, title, sentence, _drawn(rows, shown, step, sentence), table, day=step == "day")


def _said(rows: pd.DataFrame, shown: Metric, step: str) -> str:
    """`80 of 90 days have a value; highest 145 on 24 June 2025, lowest 125 on …; the longest gap is 12 days.`"""
    there = rows["value"].notna()
    known = rows[there]
    total = words.count(len(rows), step)
    if len(known) == 1:
        return f"1 of {total} has a value: {words.whole(known['value'].iloc[0])} {shown.unit} {_at(known.iloc[0], step)}."
    high, low = known.iloc[int(known["value"].argmax())], known.iloc[int(known["value"].argmin())]
    begin = f"{words.whole(len(known))} of {total} {'has' if len(known) == 1 else 'have'} a value"
    ends = f"highest {words.whole(high['value'])} {_at(high, step)}, lowest {words.whole(low['value'])} {_at(low, step)}"
    longest = int((~there).groupby(there.cumsum()).sum().max())
    gap = f"; the longest gap is {words.count(longest, step)}" if longest else ""
    return f"{begin}; {ends} ({shown.unit}){gap}."


def _at(row: pd.Series, step: str) -> str:
    day = row["date"].date()
    return f"on {words.on(day)}" if step == "day" else f"in the week from {words.on(day)}"


def _readable(rows: pd.DataFrame, shown: Metric, step: str) -> pd.DataFrame:
    names = {"date": "Date" if step == "day" else "Week from", "value": f"{shown.title} ({shown.unit})"}
    return base.plain(rows.dropna(subset=["value"]).rename(columns=names)[list(names.values())])


def _drawn(rows: pd.DataFrame, shown: Metric, step: str, sentence: str) -> Any:
    import altair as alt
    import pandas as pd

    days = [stamp.date() for stamp in rows["date"]]
    by_day = step == "day"
    data = pd.DataFrame(
        {
            "date": base.iso(rows["date"]),
            "column": [base.week_of(day).isoformat() if by_day else f"{day:%W}" for day in days],
            "row": [_WEEKDAYS[day.weekday()] if by_day else str(day.year) for day in days],
            "value": rows["value"].round(2),
            "when": [words.when(day, step) for day in days],
            "text": [words.shown(value) for value in rows["value"]],
            "told": [f"{words.whole(value)} {shown.unit}" if words.known(value) else "no value" for value in rows["value"]],
        }
    )
    columns = sorted(set(data["column"])) if by_day else [f"{week:02d}" for week in range(54)]
    lines = list(_WEEKDAYS) if by_day else sorted(set(data["row"]))
    values = data["value"].dropna()
    low, high = float(values.min()), float(values.max())
    chart = alt.Chart(data).encode(
        x=alt.X("column:O", scale=alt.Scale(domain=columns, padding=0.06), axis=_across(columns, by_day)),
        y=alt.Y("row:O", scale=alt.Scale(domain=lines, padding=0.06), axis=alt.Axis(title=None, labelOverlap=False)),
        tooltip=[alt.Tooltip("when:N", title=step.capitalize()), alt.Tooltip("told:N", title=shown.title)],
    )
    color = alt.Color(
        "value:Q",
        scale=alt.Scale(scheme=theme.SEQUENCE, domain=[low, high if high > low else low + 1]),
        legend=alt.Legend(
            title=f"{shown.title}, {shown.unit}", gradientLength=160, gradientThickness=10, format=",d", tickCount=4
        ),
    )
    outline = chart.mark_rect(fillOpacity=0, stroke=theme.GREY, strokeOpacity=0.25, strokeWidth=0.5)
    cells = chart.transform_filter("isValid(datum.value)").mark_rect(cornerRadius=2).encode(color=color)
    if by_day:
        outline = outline.add_params(alt.selection_point(name=base.DAY, on="click", fields=["date"], empty=False))
    layers: list[Any] = [cells]
    if by_day and len(columns) <= _WEEKS_WITH_NUMBERS and high < 1_000:
        light = alt.when(f"datum.value > {(low + high) / 2}").then(alt.value("#111111")).otherwise(alt.value("#ffffff"))
        layers.append(chart.mark_text(fontSize=10).encode(text=alt.Text("text:N"), color=light))
    height = (26 if by_day else 24) * len(lines)
    whole = alt.layer(*layers, outline).properties(height=max(height, 60), width="container")
    return theme.dressed(whole, sentence)


def _across(columns: list[str], by_day: bool) -> alt.Axis:
    import altair as alt

    if not by_day:
        month = "utcFormat(utc(2025, 0, 1 + 7 * toNumber(datum.value)), '%b')"
        return alt.Axis(title=None, labelAngle=0, labelExpr=month, values=_MONTH_STARTS, labelOverlap="greedy")
    every = -(-len(columns) // 14)
    return alt.Axis(
        title=None,
        labelAngle=0,
        labelExpr="utcFormat(toDate(datum.value), '%-d %b')",
        values=columns[::every],
        labelOverlap="greedy",
    )
