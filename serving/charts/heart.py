"""Heart rate: the span of every day (of every hour in a short range), its mean, the resting rate a device reported, what is usual.

The resting rate is never derived: a day's lowest is no resting rate. What is usual is the middle 80 % of the 30 days before.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from serving.charts import base, days, marks, theme, words
from serving.charts.legend import BAND, DIAMOND, LINE, legend
from serving.charts.panel import Panel

if TYPE_CHECKING:
    import pandas as pd

    from serving.gold import Gold
    from serving.view import View

HOURLY = 14
"""Ranges of so many days and fewer are drawn hour by hour."""
_TITLE = "Heart rate"
_TOP, _HEIGHT = 24, 250
_COLUMNS = {
    "mean": "avg(avg_hr)",
    "low": "min(min_hr)",
    "high": "max(max_hr)",
    "resting": "avg(resting_hr)",
    "worn": "count(avg_hr)",
}


def panel(gold: Gold, view: View) -> Panel:
    """Heart rate of the view in beats per minute."""
    view = days.clipped(gold, view)
    told = days.calendar(gold, view, _COLUMNS).merge(_usual(gold, view), on="date", how="left")
    rows = told.loc[told["mean"].notna() | told["resting"].notna(), ["date", "mean", "low", "high", "resting"]]
    rows = rows.assign(date=base.iso(rows["date"])).set_axis(
        [
            "Day" if days.step_of(view) == "day" else "Week from",
            "Mean (beats/min)",
            "Lowest (beats/min)",
            "Highest (beats/min)",
            "Resting, reported by the device (beats/min)",
        ],
        axis="columns",
    )
    if rows.empty:
        return Panel("heart", _TITLE, "", None, rows, words.nothing(gold, view, "heart rate", "avg_hr", thing="day with one"))
    said = _said(gold, view)
    short = view.days <= HOURLY
    hours = _hours(gold, view) if short else told.iloc[:0]
    drawn = _hourly(told, hours, view) if short and len(hours) else _daily(told, view)
    return Panel("heart", _TITLE, said, base.finished(*drawn, said), rows, day=days.step_of(view) == "day")


def _said(gold: Gold, view: View) -> str:
    wanted = {**_COLUMNS, "resting_days": "count(resting_hr)"}
    now, earlier = days.summary(gold, view, wanted), days.summary(gold, view, wanted, before=True)
    resting = ""
    if now["resting_days"]:
        resting = (
            f" Resting {words.whole(now['resting'])} as the device reports it ({words.count(int(now['resting_days']), 'day')})."
        )
    if not now["worn"]:
        return f"No heart rate through the day in this range.{resting}"
    known = [(now[name], name) for name in ("low", "high") if now[name] == now[name]]  # nan
    ends = "; " + ", ".join(f"{name}est {words.whole(value)}" for value, name in known) if known else ""
    said = f"Average {words.whole(now['mean'])} beats/min on {words.of(int(now['worn']), view.days)}"
    if view.preset != "all" and min(now["worn"], earlier["worn"]) >= days.LEAST_TO_COMPARE:
        said += f", {words.changed(now['mean'], earlier['mean'], view.days)}"
    return f"{said}{ends}.{resting}"


def _usual(gold: Gold, view: View) -> pd.DataFrame:
    """Per step the middle 80 % of the 30 days before; of a week, before its last day."""
    usual = days.rolling(gold, view, "avg_hr")
    if days.step_of(view) == "week":
        return days.stepped(usual, "baseline_low", "baseline_high")
    return usual[["date", "baseline_low", "baseline_high"]]


def _hours(gold: Gold, view: View) -> pd.DataFrame:
    """One row per hour of the view, hours without samples too; only the local clock, so a repeated hour is one."""
    hours = gold.table(
        """
        WITH calendar AS (
            SELECT unnest(generate_series($first::TIMESTAMP, $last::TIMESTAMP + INTERVAL 23 HOUR, INTERVAL 1 HOUR)) AS hour
        ), told AS (
            SELECT hour, sum(mean * samples) / sum(samples) AS mean, min(min) AS low, max(max) AS high
            FROM heart_rate_hourly
            WHERE date BETWEEN $first AND $last AND CASE WHEN $source = '' THEN used ELSE source = $source END
            GROUP BY hour
        )
        SELECT calendar.hour, mean, low, high FROM calendar LEFT JOIN told USING (hour) ORDER BY calendar.hour
        """,
        {"first": view.first, "last": view.last, "source": view.source},
    )
    return hours if hours["mean"].notna().any() else hours.iloc[:0]


def _lane(told: pd.DataFrame) -> base.Lane:
    low, high = base.span(*(told[name] for name in ("low", "high", "mean", "resting", "baseline_low", "baseline_high")), step=20)
    return base.Lane(_TOP, _HEIGHT, low, high)


def _daily(told: pd.DataFrame, view: View) -> tuple[list[Any], int]:
    import altair as alt

    week = days.step_of(view) == "week"
    data = _worded(told, week)
    lane = _lane(told)
    across = base.x(view.first, view.last)
    chart = alt.Chart(data)
    span = chart.mark_bar(color=theme.HEART, opacity=0.35, cornerRadius=1.5, size=base.bar_size(len(data)))
    layers = [
        base.heading(lane, "Beats per minute"),
        base.reading(data, lane, "spoken"),
        _usual_band(chart.encode(x=across), lane),
        span.encode(x=across, y=lane.y("low:Q", axis=True, ticks=6), y2="high:Q"),
        *marks.line(chart.encode(x=across), lane, "mean", theme.HEART, "circle", len(data)),
        *marks.line(chart.encode(x=across), lane, "resting", theme.BLUE, "diamond", len(data)),
        _legend(),
        *base.crosshair(data, view.first, view.last, _TOP + _HEIGHT, _tooltip(week), days=not week),
    ]
    return layers, _TOP + _HEIGHT


def _hourly(told: pd.DataFrame, hours: pd.DataFrame, view: View) -> tuple[list[Any], int]:
    """The hours' span and mean; the resting rate as a line over its whole day."""
    import altair as alt

    data = _worded(told, week=False)
    lane = _lane(told)
    begins = hours["hour"] - timedelta(hours=12)  # a day's place on the axis is its middle
    stamped = "%Y-%m-%dT%H:%M:%SZ"
    shown = hours.assign(hour=begins.dt.strftime(stamped), until=(begins + timedelta(hours=1)).dt.strftime(stamped))
    chart = alt.Chart(shown.round(1))
    first, last = view.first, view.last
    hour = base.x(first, last, field="hour")
    layers = [
        base.heading(lane, "Beats per minute, by the hour"),
        base.reading(data, lane, "spoken"),
        _usual_band(alt.Chart(data).encode(x=base.x(first, last)), lane),
        chart.mark_bar(color=theme.HEART, opacity=0.4).encode(
            x=hour, x2="until:T", y=lane.y("low:Q", axis=True, ticks=6), y2="high:Q"
        ),
        chart.mark_line(color=theme.HEART, strokeWidth=1.5).encode(x=hour, y=lane.y("mean:Q")),
        alt.Chart(data)
        .mark_tick(color=theme.BLUE, thickness=3, size=base.bar_size(len(data)))
        .encode(x=base.x(first, last), y=lane.y("resting:Q")),
        _legend(),
        *base.crosshair(data, first, last, _TOP + _HEIGHT, _tooltip(week=False)),
    ]
    return layers, _TOP + _HEIGHT


def _usual_band(chart: Any, lane: base.Lane) -> Any:
    return chart.mark_area(color=theme.GREY, opacity=0.25, interpolate="step").encode(
        y=lane.y("baseline_low:Q"), y2="baseline_high:Q"
    )


def _legend() -> Any:
    return legend(
        [
            ("Lowest–highest", theme.HEART + "66", BAND),
            ("Mean", theme.HEART, LINE),
            ("Resting (device)", theme.BLUE, DIAMOND),
            ("Usual range", theme.GREY + "55", BAND),
        ]
    )


def _worded(told: pd.DataFrame, week: bool) -> pd.DataFrame:
    """The rows with days as text and, for the tooltip and the reading above the lane, words."""

    def said(row: Any) -> str:
        day = ("Week from " if week else "") + words.on(row.date)
        if row.mean != row.mean:  # nan
            return f"{day}: no heart rate"
        resting = f", resting {words.whole(row.resting)}" if row.resting == row.resting else ""
        return f"{day}: mean {words.whole(row.mean)}{resting}"

    rounded = told[["mean", "low", "high", "resting", "baseline_low", "baseline_high"]].round(1)
    return rounded.assign(
        date=base.iso(told["date"]),
        called=[words.on(day) for day in told["date"]],
        spoken=[said(row) for row in told.itertuples()],
        mean_said=words.column(told["mean"], missing="no heart rate"),
        resting_said=words.column(told["resting"]),
        lowest_to_highest=_spans(told["low"], told["high"]),
        usual=_spans(told["baseline_low"], told["baseline_high"]),
    )


def _spans(low: pd.Series, high: pd.Series) -> list[str]:
    return [
        f"{one}–{other}" if "–" not in (one, other) else "–" for one, other in zip(*map(words.column, (low, high)), strict=True)
    ]


def _tooltip(week: bool) -> list[Any]:
    import altair as alt

    return [
        alt.Tooltip("called:N", title="Week from" if week else "Day"),
        alt.Tooltip("mean_said:N", title="Mean"),
        alt.Tooltip("lowest_to_highest:N", title="Lowest–highest"),
        alt.Tooltip("resting_said:N", title="Resting (device)"),
        alt.Tooltip("usual:N", title="Usual (30 days)"),
    ]
