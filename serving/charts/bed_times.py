"""When sleep began and ended: a bar per night on the clock from noon to noon, as the wall clock showed it.

On the nights the clocks change a bar is an hour longer or shorter than the sleep; the tooltip tells the true length.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from serving.charts import base, days, theme, words
from serving.charts.legend import BAND, DASHES, legend
from serving.charts.panel import Panel

if TYPE_CHECKING:
    import pandas as pd

    from serving.gold import Gold
    from serving.view import View

_TITLE = "Bed and wake times"
_TOP, _HEIGHT = 24, 260
_LEAST = 3
"""Nights below which nothing is called typical."""

_NIGHTS = """
    SELECT date, bed, wake, date_diff('minute', "start", "end") AS lasted,
           date_diff('minute', (date - 1)::TIMESTAMP + INTERVAL 12 HOUR, bed) AS bed_at,
           date_diff('minute', (date - 1)::TIMESTAMP + INTERVAL 12 HOUR, wake) AS wake_at, asleep
    FROM sleep_sessions
    WHERE date BETWEEN $first AND $last AND CASE WHEN $source = '' OR main THEN main AND $source IN ('', source) ELSE
        (source, date, strftime(bed, '%Y-%m-%dT%H:%M:%S'), strftime(wake, '%Y-%m-%dT%H:%M:%S')) IN (
            SELECT (source, date, bed_time[:19], wake_time[:19]) FROM daily_by_source WHERE source = $source
        ) END
"""
"""The main sleeps of the view, of one source alone also those that another's displace; `bed_at` and `wake_at` are minutes of the wall
clock after the noon before."""


def panel(gold: Gold, view: View) -> Panel:
    """The main sleep of every night; weeks of a long range show the medians of their nights."""
    view = days.clipped(gold, view)
    chosen: dict[str, object] = {"first": view.first, "last": view.last, "source": view.source}
    week = days.step_of(view) == "week"
    nights = gold.table(
        f"""
        WITH nights AS ({_NIGHTS}), calendar AS (
            SELECT unnest(generate_series(greatest($first, first_date)::TIMESTAMP, least($last, last_date), INTERVAL 1 DAY))::DATE AS day
            FROM meta
        )
        SELECT greatest(date_trunc('{days.step_of(view)}', day), $first)::DATE AS date, median(bed_at) AS bed_at,
               median(wake_at) AS wake_at, median(lasted) AS lasted, median(asleep) AS asleep, count(bed) AS nights
        FROM calendar LEFT JOIN nights ON nights.date = day GROUP BY 1 ORDER BY 1
        """,
        chosen,
    )
    rows = _rows(nights, week)
    if rows.empty:
        nothing = words.nothing(gold, view, "sleep with its times", "bed_time", thing="night")
        return Panel("bed_times", _TITLE, "", None, rows, nothing)
    usual = days.first_row(
        gold,
        f"""
        SELECT count(*) AS nights, median(bed_at) AS bed, median(wake_at) AS wake, quantile_cont(bed_at, 0.1) AS bed_early,
               quantile_cont(bed_at, 0.9) AS bed_late FROM ({_NIGHTS})
        """,
        chosen,
    )
    said = _said(gold, view, usual)
    return Panel("bed_times", _TITLE, said, _chart(nights, view, usual, said), rows, day=not week)


def _rows(nights: pd.DataFrame, week: bool) -> pd.DataFrame:
    known = nights[nights["nights"] > 0]
    return known.assign(
        date=base.iso(known["date"]),
        bed_at=[words.clock(at) for at in known["bed_at"]],
        wake_at=[words.clock(at) for at in known["wake_at"]],
    )[["date", "bed_at", "wake_at", "lasted", "asleep"]].set_axis(
        [
            "Week from" if week else "Day of waking",
            "Sleep began (local time)",
            "Sleep ended (local time)",
            "From begin to end (min)",
            "Asleep (min)",
        ],
        axis="columns",
    )


def _said(gold: Gold, view: View, usual: Mapping[str, Any]) -> str:
    n = int(usual["nights"])
    window, counted = f"from {words.clock(usual['bed'])} to {words.clock(usual['wake'])}", words.count(n, "night")
    if n < _LEAST:
        return f"Sleep {window} ({counted}): too few to tell what is usual."
    said = f"Sleep usually runs {window} (medians of {counted})"
    if n >= 10:
        early, late = words.clock(usual["bed_early"]), words.clock(usual["bed_late"])
        said += f"; 8 of 10 nights begin {f'between {early} and {late}' if early != late else f'at {early}'}"
    return f"{said}.{_free_days(gold, view)}"


def _free_days(gold: Gold, view: View) -> str:
    """How much later the middle of the sleep is on free days, of the months the view touches; merged days only."""
    if view.source or view.days < days.LEAST_OF_MONTH:
        return ""
    later = days.first_row(
        gold,
        """
        SELECT sum(social_jetlag * nights) / sum(nights) AS later FROM sleep_regularity
        WHERE social_jetlag IS NOT NULL AND month BETWEEN date_trunc('month', $first::DATE) AND $last
        """,
        {"first": view.first, "last": view.last},
    )["later"]
    if later is None or not abs(later) >= 0.5:
        return ""
    return f" On weekends its middle is {words.span(later)} {'later' if later > 0 else 'earlier'} (by whole months)."


def _chart(nights: pd.DataFrame, view: View, usual: Mapping[str, Any], said: str) -> Any:
    import altair as alt

    week = days.step_of(view) == "week"
    data = _worded(nights, week)
    low, high = base.span(nights["bed_at"], nights["wake_at"], step=60, include=[9 * 60.0, 20 * 60.0])
    lane = base.Lane(_TOP, _HEIGHT, high, low)  # the evening is above the morning
    chart = alt.Chart(data).encode(x=base.x(view.first, view.last))
    hours = [at for at in range(int(low), int(high) + 1, 60) if (at + 720) % (180 if high - low > 720 else 120) == 0]
    up = lane.y("bed_at:Q", axis=True, ticks=hours)
    up["axis"]["labelExpr"] = _CLOCK
    bars = chart.mark_bar(color=theme.SLEEP, opacity=0.9, size=base.bar_size(len(data)), cornerRadius=2)
    entries = [("Main sleep, median of the week" if week else "Main sleep", theme.SLEEP, BAND)]
    typical: list[Any] = []
    if usual["nights"] >= _LEAST:
        rules = alt.Chart(alt.InlineData(values=[{"at": float(usual["bed"])}, {"at": float(usual["wake"])}]))
        typical = [rules.mark_rule(strokeDash=[4, 3], color=theme.GREY).encode(y=lane.y("at:Q"))]
        entries.append((f"Usual: {words.clock(usual['bed'])} to {words.clock(usual['wake'])}", theme.GREY, DASHES))
    return base.finished(
        [
            base.heading(lane, "Time on the clock"),
            base.reading(data, lane, "spoken"),
            bars.encode(y=up, y2="wake_at:Q"),
            *typical,
            legend(entries),
            *base.crosshair(data, view.first, view.last, _TOP + _HEIGHT, _tooltip(week), days=not week),
        ],
        _TOP + _HEIGHT,
        said,
    )


_CLOCK = "pad(floor((datum.value + 720) % 1440 / 60), 2, '0', 'left') + ':00'"
"""An axis value, minutes after noon, as the hour on a clock."""


def _worded(nights: pd.DataFrame, week: bool) -> pd.DataFrame:
    def said(row: Any) -> str:
        day = ("Week from " if week else "") + words.on(row.date)
        return f"{day}: {words.clock(row.bed_at)}–{words.clock(row.wake_at)}" if row.nights else f"{day}: no sleep recorded"

    def length(row: Any) -> str:
        if not row.nights:
            return "–"
        changed = not week and abs(row.wake_at - row.bed_at - row.lasted) > 30
        return words.span(row.lasted) + (" (the clocks changed)" if changed else "")

    def at(value: float) -> str:
        return words.clock(value) if value == value else "–"  # noqa: PLR0124  # nan

    return nights[["bed_at", "wake_at"]].assign(
        date=base.iso(nights["date"]),
        called=[words.on(day) for day in nights["date"]],
        spoken=[said(row) for row in nights.itertuples()],
        bed=[at(value) for value in nights["bed_at"]],
        wake=[at(value) for value in nights["wake_at"]],
        lasted=[length(row) for row in nights.itertuples()],
    )


def _tooltip(week: bool) -> list[Any]:
    import altair as alt

    return [
        alt.Tooltip("called:N", title="Week from" if week else "Day of waking"),
        alt.Tooltip("bed:N", title="Sleep began"),
        alt.Tooltip("wake:N", title="Sleep ended"),
        alt.Tooltip("lasted:N", title="From begin to end"),
    ]
