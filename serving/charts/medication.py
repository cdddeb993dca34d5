"""Before and after: the days around an event a person marked, a new tablet above all, and by how much they differ.

The figures are gold's table `medication_comparison` (Welch's interval, Hedges' g), over the merged days around the event; they
are the same whatever range and source are chosen. They compare; they prove no cause.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from serving.charts import base, theme, words
from serving.charts.legend import DASHES, DOT, LINE, legend
from serving.charts.metrics import METRICS as NAMED
from serving.charts.metrics import Named, named, scale
from serving.charts.panel import Panel

if TYPE_CHECKING:
    import pandas as pd

    from serving.gold import Gold
    from serving.view import View

METRICS: Mapping[str, str] = {
    name: NAMED[name].words for name in ("systolic", "diastolic", "pulse", "resting_hr", "total_duration")
}
"""Metric → its words, in the order of a menu."""
WINDOWS = (30, 90)
"""Days before, and as many after, that can be compared."""

_TITLE = "Before and after"
_TOP, _HEIGHT = 24, 240
_NO_PROOF = "This is a comparison, not a proof of cause."


def events(gold: Gold) -> list[tuple[date, str]]:
    """The events that can be compared, (day, label): medication first, the latest first."""
    found = gold.table("SELECT date, label FROM events ORDER BY kind <> 'medication', date DESC, label")
    return [(day.date(), label) for day, label in zip(found["date"], found["label"], strict=True)]


def panel(gold: Gold, view: View, metric: str = "systolic", window_days: int = 30, event_date: date | None = None) -> Panel:
    """One event and one of `METRICS`.

    Args:
        window_days: one of `WINDOWS`.
        event_date: its day; None for the last medication that began before the end of the view, else the last event.
    """
    event = _event(gold, view, event_date)
    compared = _compared(gold, event, window_days) if event else None
    rows = _rows(compared, window_days)
    if event is None or compared is None or compared.empty:
        nothing = (
            "No event is marked. Write the day a medication began into the settings: MED_START_DATE, or a line of `events` "
            "with its date and label."
        )
        return Panel("medication", _TITLE, "", None, rows, nothing)
    day, label = event
    one: dict[str, Any] = dict(compared.set_index("metric").loc[metric])
    title = f"Before and after “{label}”: {named(metric).within}"
    around = _around(gold, metric, day, window_days)
    if around["value"].notna().sum() == 0:
        nothing = f"No {named(metric).within} within {window_days} days of {words.on(day)}. Choose another metric or window."
        return Panel("medication", title, "", None, rows, nothing)
    said = _said(one, named(metric), metric, label) + words.of_all_sources(view)
    return Panel("medication", title, said, _chart(around, one, metric, day, label, said), rows, day=True)


def _event(gold: Gold, view: View, wanted: date | None) -> tuple[date, str] | None:
    found = gold.table(
        """
        SELECT date, label FROM events WHERE $wanted::DATE IS NULL OR date = $wanted::DATE
        ORDER BY kind <> 'medication', date > $last, date DESC, label LIMIT 1
        """,
        {"wanted": wanted, "last": view.last},
    )
    return next(((row["date"].date(), row["label"]) for row in found.to_dict("records")), None)


def _compared(gold: Gold, event: tuple[date, str], window_days: int) -> pd.DataFrame:
    return gold.table(
        "SELECT * FROM medication_comparison WHERE event_date = $day AND label = $label AND window_days = $window",
        {"day": event[0], "label": event[1], "window": window_days},
    ).drop_duplicates("metric")


def _rows(compared: pd.DataFrame | None, window_days: int) -> pd.DataFrame:
    import pandas as pd

    columns = [
        "Metric",
        "Unit",
        f"Mean of the {window_days} days before",
        "Days before",
        f"Mean of the {window_days} days after",
        "Days after",
        "Difference",
        "95 % CI from",
        "95 % CI to",
        "Hedges' g",
        "g: 95 % CI from",
        "g: 95 % CI to",
    ]
    if compared is None:
        return pd.DataFrame(columns=columns)
    shown = []
    for row in compared.to_dict("records"):
        of, per = named(row["metric"]), scale(row["metric"])
        scaled = [row["mean_before"] / per, row["n_before"], row["mean_after"] / per, row["n_after"]]
        apart = [
            row["difference"] / per,
            row["ci_low"] / per,
            row["ci_high"] / per,
            row["effect_size"],
            row["effect_low"],
            row["effect_high"],
        ]
        shown.append([of.words, of.unit, *(round(value, 2) for value in [*scaled, *apart])])
    return pd.DataFrame(shown, columns=columns)


def _said(one: Mapping[str, Any], of: Named, metric: str, label: str) -> str:
    before, after = int(one["n_before"]), int(one["n_after"])
    counted = f"{words.count(before, 'day')} before, {after} after"
    if not one["ci_low"] <= one["ci_high"]:
        return f"Too few days around “{label}” to compare {of.within}: {counted}; each side needs 2 that differ."
    sleep = metric == "total_duration"
    up, down = ("longer", "shorter") if sleep else ("higher", "lower")

    def amount(value: float, *, unit: bool = True) -> str:
        if sleep:
            return words.span(value)
        return words.figure(abs(value), of.digits) + (f" {of.unit}" if unit else "")

    low, high = one["ci_low"], one["ci_high"]
    word = up if one["difference"] > 0 else down
    if low <= 0 <= high:
        interval = f"{amount(low, unit=False)} {down} to {amount(high, unit=False)} {up}"
        clear = " The interval holds zero, so there may be no difference."
    else:
        least, most = sorted((abs(low), abs(high)))
        interval = f"{amount(least, unit=False)} to {amount(most, unit=False)} {word}"
        clear = ""
    effect = one["effect_size"]
    size = "large" if abs(effect) >= 0.8 else "medium" if abs(effect) >= 0.5 else "small" if abs(effect) >= 0.2 else "very small"
    g = f"Hedges' g {words.figure(effect, 1)} ({words.figure(one['effect_low'], 1)} to {words.figure(one['effect_high'], 1)}), {size}"
    change = f"{amount(one['difference'])} {word}"
    if not any(digit in change for digit in "123456789"):
        change = "the same"
    return f"After “{label}” {of.within} was {change} (95 % CI {interval}; {counted}; {g}).{clear} {_NO_PROOF}"


def _around(gold: Gold, metric: str, day: date, window_days: int) -> pd.DataFrame:
    return gold.table(
        f"""
        WITH calendar AS (
            SELECT unnest(generate_series($first::TIMESTAMP, $last::TIMESTAMP, INTERVAL 1 DAY))::DATE AS day
        )
        SELECT day AS date, daily.{metric} / $scale AS value FROM calendar LEFT JOIN daily ON daily.date = day ORDER BY 1
        """,
        {
            "first": day - timedelta(days=window_days),
            "last": day + timedelta(days=window_days - 1),
            "scale": scale(metric),
        },
    )


def _chart(around: pd.DataFrame, one: Mapping[str, Any], metric: str, day: date, label: str, said: str) -> Any:
    import altair as alt
    import pandas as pd

    of, per = named(metric), scale(metric)
    first, last = around["date"].min().date(), around["date"].max().date()
    lane = base.Lane(_TOP, _HEIGHT, *base.span(around["value"], step=1 if metric == "total_duration" else 10))
    data = _worded(around, of, metric)
    across = base.x(first, last)
    dots = alt.Chart(data).mark_point(filled=True, size=45 if len(data) <= 120 else 22, color=theme.BLUE, opacity=0.8)
    eve = day - timedelta(days=1)
    sides = [(first, eve, one["mean_before"], theme.GREY), (day, last, one["mean_after"], theme.VERMILLION)]
    means = [
        alt.Chart(pd.DataFrame({"date": base.iso(pd.Series([since, until])), "mean": [round(mean / per, 2)] * 2}))
        .mark_line(strokeWidth=4, color=color)
        .encode(x=across, y=lane.y("mean:Q"))
        for since, until, mean, color in sides
        if mean == mean  # noqa: PLR0124  # nan
    ]

    def entry(words_of_side: str, mean: float) -> str:
        if mean != mean:  # noqa: PLR0124  # nan
            return f"{words_of_side}: no day"
        return f"{words_of_side}: mean {words.span(mean) if metric == 'total_duration' else words.figure(mean / per, of.digits)}"

    return base.finished(
        [
            base.heading(lane, of.titled),
            base.reading(data, lane, "spoken"),
            dots.encode(x=across, y=lane.y("value:Q", axis=True)),
            *means,
            *base.markers(pd.DataFrame({"date": [pd.Timestamp(day)], "label": [_short(label)]}), first, last, _TOP + 2),
            legend(
                [
                    ("A day", theme.BLUE + "CC", DOT),
                    (entry("Before", one["mean_before"]), theme.GREY, LINE),
                    (entry("After", one["mean_after"]), theme.VERMILLION, LINE),
                    ("The event", theme.EVENT, DASHES),
                ]
            ),
            *base.crosshair(data, first, last, _TOP + _HEIGHT, _tooltip(of)),
        ],
        _TOP + _HEIGHT,
        said,
    )


def _short(label: str) -> str:
    """A label that does not run out of a phone."""
    return label if len(label) <= 24 else label[:23].rstrip(" ,") + "…"


def _worded(around: pd.DataFrame, of: Named, metric: str) -> pd.DataFrame:
    def said(value: float) -> str:
        if value != value:  # noqa: PLR0124  # nan
            return "no reading"
        return words.span(value * 60) if metric == "total_duration" else f"{words.figure(value, of.digits)} {of.unit}"

    told = [said(value) for value in around["value"]]
    named_days = [words.on(day) for day in around["date"]]
    return (
        around[["value"]]
        .round(2)
        .assign(
            date=base.iso(around["date"]),
            called=[words.on(day) for day in around["date"]],
            told=told,
            spoken=[f"{day}: {what}" for day, what in zip(named_days, told, strict=True)],
        )
    )


def _tooltip(of: Named) -> list[Any]:
    import altair as alt

    return [alt.Tooltip("called:N", title="Day"), alt.Tooltip("told:N", title=of.words)]
