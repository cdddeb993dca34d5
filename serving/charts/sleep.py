"""Sleep credited to the day of waking: its stages one above the other, naps marked, the mean of seven days, the target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from serving.charts import base, days, marks, theme, words
from serving.charts.legend import BAND, LINE, TRIANGLE, legend
from serving.charts.panel import Panel

if TYPE_CHECKING:
    import pandas as pd

    from serving.gold import Gold
    from serving.view import View

_TITLE = "Sleep"
_TOP, _HEIGHT = 24, 250
_COLUMNS = {
    "total": "avg(total_duration)",
    "deep": "sum(sleep_deep_duration) / nullif(count(total_duration), 0)",
    "light": "sum(sleep_light_duration) / nullif(count(total_duration), 0)",
    "rem": "sum(sleep_rem_duration) / nullif(count(total_duration), 0)",
    "awake": "avg(sleep_awake_duration)",
    "nap": "avg(nap_duration) FILTER (WHERE nap_duration > 0)",
    "efficiency": "avg(sleep_efficiency)",
    "slept": "count(total_duration)",
}
"""Stages are per night with sleep, so that with the minutes of no known stage they add up to the whole."""
_STAGES = (
    ("deep", "Deep", theme.BLUE),
    ("light", "Light", theme.SKY),
    ("rem", "REM", theme.PURPLE),
    ("unstaged", "Asleep, stage not known", "#999999"),
    ("awake", "Awake", theme.YELLOW),
)
_LEAST_PAIRS = 5
"""Pairs of days a regularity index needs to be worth a word."""


def panel(gold: Gold, view: View) -> Panel:
    """Hours of sleep a day; weeks of a long range show the mean of their days."""
    view = days.clipped(gold, view)
    told = days.calendar(gold, view, _COLUMNS)
    week = days.step_of(view) == "week"
    told["unstaged"] = (told["total"] - told[["deep", "light", "rem"]].sum(axis=1)).clip(lower=0)
    rows = _rows(told, week)
    if rows.empty:
        return Panel("sleep", _TITLE, "", None, rows, words.nothing(gold, view, "sleep", "total_duration", thing="night"))
    target = int(days.first_row(gold, "SELECT sleep_target_minutes AS target FROM meta")["target"])
    said = _said(gold, view, target)
    told = told.merge(days.trend(gold, view, "total_duration"), on="date", how="left")
    return Panel("sleep", _TITLE, said, _chart(told, view, target, said), rows, day=not week)


def _rows(told: pd.DataFrame, week: bool) -> pd.DataFrame:
    shown = told.loc[told["slept"] > 0, ["date", "total", "nap", "deep", "light", "rem", "awake", "efficiency"]]
    return shown.assign(date=base.iso(shown["date"])).set_axis(
        [
            "Week from" if week else "Day of waking",
            "Asleep, naps included (min)",
            "Naps (min)",
            "Deep (min)",
            "Light (min)",
            "REM (min)",
            "Awake (min)",
            "Sleep efficiency (%)",
        ],
        axis="columns",
    )


def _said(gold: Gold, view: View, target: int) -> str:
    wanted = {
        **_COLUMNS,
        "reached": "count(*) FILTER (WHERE total_duration >= (SELECT sleep_target_minutes FROM meta))",
        "nap_days": "count(*) FILTER (WHERE nap_duration > 0)",
    }
    now, earlier = days.summary(gold, view, wanted), days.summary(gold, view, wanted, before=True)
    goal = f"the target of {words.span(target)}"
    slept, naps, reached = int(now["slept"]), int(now["nap_days"]), int(now["reached"])
    if slept == 1:
        verdict = "reached" if reached else "not reached"
        return f"{words.span(now['total'])} asleep on {words.of(1, view.days)}; {goal} was {verdict}."
    said = f"Average {words.span(now['total'])} asleep on {words.of(slept, view.days)}"
    if naps:
        said += f" (naps on {words.count(naps, 'day')} included)"
    if view.preset != "all" and min(slept, earlier["slept"]) >= days.LEAST_TO_COMPARE:
        said += f", {words.changed(now['total'], earlier['total'], view.days, minutes=True, more='more less')}"
    of = f"{words.of(reached, slept)} reached" if reached else "no day reached"
    return f"{said}; {of} {goal}.{_regular(gold, view)}"


def _regular(gold: Gold, view: View) -> str:
    """The Sleep Regularity Index of the months that the view touches, in words; the table tells the merged days only."""
    if view.source or view.days < days.LEAST_OF_MONTH:
        return ""
    found = days.first_row(
        gold,
        """
        SELECT sum(sri * n_sri) / sum(n_sri) AS sri, sum(n_sri) AS n FROM sleep_regularity
        WHERE sri IS NOT NULL AND month BETWEEN date_trunc('month', $first::DATE) AND $last
        """,
        {"first": view.first, "last": view.last},
    )
    if not found["n"] >= _LEAST_PAIRS:
        return ""
    index = f"Sleep Regularity Index {words.whole(found['sri'])} by whole months"
    return f" {index} (100 = asleep and awake at the same times every day)."


def _chart(told: pd.DataFrame, view: View, target: int, said: str) -> Any:
    import altair as alt

    week = days.step_of(view) == "week"
    data = _worded(told, week)
    top = data[[f"{stage}_top" for stage, _, _ in _STAGES]].max(axis=1)
    lane = base.Lane(_TOP, _HEIGHT, 0, base.span(top, step=1, include=[target / 60 + 0.5])[1])
    chart = alt.Chart(data).encode(x=base.x(view.first, view.last))
    size = base.bar_size(len(data))
    present = [stage for stage in _STAGES if told[stage[0]].max() >= 1]
    bars = [
        chart.mark_bar(color=color, size=size).encode(y=lane.y(f"{stage}_base:Q", axis=not at), y2=f"{stage}_top:Q")
        for at, (stage, _, color) in enumerate(present)
    ]
    naps = chart.transform_filter("isValid(datum.nap)").mark_point(
        shape=TRIANGLE, filled=True, color=theme.VERMILLION, opacity=1, size=45, yOffset=-7
    )
    entries = [(label, color, BAND) for _, label, color in present]
    if told["nap"].notna().any():
        entries.append(("With a nap", theme.VERMILLION, TRIANGLE))
    entries.append(("30-day mean asleep" if week else "7-day mean asleep", theme.VERMILLION, LINE))
    return base.finished(
        [
            base.heading(lane, f"Hours (dashed: target {words.span(target)} asleep)"),
            base.reading(data, lane, "spoken"),
            *bars,
            *base.thresholds(lane, [(target / 60, "")]),
            marks.trend(chart, lane, "trend", theme.VERMILLION),
            *([naps.encode(y=lane.y("awake_top:Q"))] if not week else []),
            legend(entries, columns=3),
            *base.crosshair(data, view.first, view.last, _TOP + _HEIGHT, _tooltip(week), days=not week),
        ],
        _TOP + _HEIGHT,
        said,
    )


def _worded(told: pd.DataFrame, week: bool) -> pd.DataFrame:
    """Where every stage begins and ends in the pile, in hours, and words; nothing on days without sleep."""

    def said(row: Any) -> str:
        day = ("Week from " if week else "") + words.on(row.date)
        if not row.slept:
            return f"{day}: no sleep recorded"
        return f"{day}: {words.span(row.total)} asleep"

    slept = told["slept"] > 0
    data = (
        told[["nap"]]
        .round(0)
        .assign(
            date=base.iso(told["date"]),
            called=[words.on(day) for day in told["date"]],
            trend=(told["trend"] / 60).round(2),
            spoken=[said(row) for row in told.itertuples()],
            nap_said=[words.span(value) if value > 0 else "–" for value in told["nap"]],
            efficiency=words.column(told["efficiency"]),
        )
    )
    height = told["total"] * 0
    for stage, _, _ in _STAGES:
        data[f"{stage}_base"] = (height / 60).where(slept).round(3)
        height = height + told[stage].fillna(0)
        data[f"{stage}_top"] = (height / 60).where(slept).round(3)
        data[stage] = [words.span(value) if value >= 0.5 else "–" for value in told[stage]]
    data["total"] = [words.span(value) if value == value else "no sleep recorded" for value in told["total"]]  # noqa: PLR0124
    return data


def _tooltip(week: bool) -> list[Any]:
    import altair as alt

    return [
        alt.Tooltip("called:N", title="Week from" if week else "Day of waking"),
        alt.Tooltip("total:N", title="Asleep"),
        *(alt.Tooltip(f"{stage}:N", title=label) for stage, label, _ in _STAGES),
        alt.Tooltip("nap_said:N", title="of it naps"),
        alt.Tooltip("efficiency:N", title="Efficiency (%)"),
    ]
