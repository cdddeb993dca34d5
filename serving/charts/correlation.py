"""Two daily figures side by side: one point per day, the straight line through them, and how close they lie to it, with n."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from serving.charts import base, days, theme, words
from serving.charts.metrics import named, scale
from serving.charts.panel import Panel
from serving.charts.student import Z_975, t_975

if TYPE_CHECKING:
    import pandas as pd

    from serving.gold import Gold
    from serving.view import View

LEAST = 10
"""Pairs below which nothing is computed."""
_MOST_POINTS = 4_000


class Pairing(NamedTuple):
    """Which two columns, and how a sentence names them."""

    title: str
    x: str
    y: str
    more: str
    result: str


_PAIRINGS: Mapping[str, Pairing] = {
    "sleep_systolic_morning": Pairing(
        "Sleep and the morning's systolic pressure",
        "total_duration",
        "systolic_morning",
        "more sleep",
        "systolic pressure in the morning",
    ),
    "sleep_diastolic_morning": Pairing(
        "Sleep and the morning's diastolic pressure",
        "total_duration",
        "diastolic_morning",
        "more sleep",
        "diastolic pressure in the morning",
    ),
    "efficiency_systolic_morning": Pairing(
        "Sleep efficiency and the morning's systolic pressure",
        "sleep_efficiency",
        "systolic_morning",
        "higher sleep efficiency",
        "systolic pressure in the morning",
    ),
    "steps_systolic_evening": Pairing(
        "Steps and the evening's systolic pressure", "steps", "systolic_evening", "more steps", "systolic pressure in the evening"
    ),
    "steps_sleep_next_night": Pairing(
        "Steps and the night after", "steps", "total_duration", "more steps", "sleep in the next night"
    ),
    "resting_hr_systolic": Pairing(
        "Resting heart rate and systolic pressure", "resting_hr", "systolic", "a higher resting heart rate", "systolic pressure"
    ),
}
NAMES: Mapping[str, str] = {name: pairing.title for name, pairing in _PAIRINGS.items()}
"""Name of a correlation → its title, in the order of a menu."""

_FIGURES = """
WITH pairs AS (
    SELECT x / $x_scale AS x, y / $y_scale AS y FROM correlation_pairs WHERE name = $name AND date BETWEEN $first AND $last
), ranks AS (
    SELECT x, y, rank() OVER (ORDER BY x) + count(*) OVER (PARTITION BY x) / 2.0 AS x_rank,
           rank() OVER (ORDER BY y) + count(*) OVER (PARTITION BY y) / 2.0 AS y_rank
    FROM pairs
)
SELECT count(*) AS n, CASE WHEN min(x) < max(x) AND min(y) < max(y) THEN greatest(least(corr(x, y), 1), -1) END AS r,
       greatest(least(corr(x_rank, y_rank), 1), -1) AS spearman,
       regr_slope(y, x) AS slope, regr_intercept(y, x) AS intercept,
       min(x) AS lowest, max(x) AS highest, avg(x) AS mean, regr_sxx(y, x) AS sxx, regr_syy(y, x) AS syy
FROM ranks
"""
_POINTS = f"""
SELECT * EXCLUDE (position) FROM (
    SELECT date, x / $x_scale AS x, y / $y_scale AS y, row_number() OVER (ORDER BY date) AS position, count(*) OVER () AS n
    FROM correlation_pairs WHERE name = $name AND date BETWEEN $first AND $last
) WHERE position % (n // {_MOST_POINTS} + 1) = 0 ORDER BY date
"""


def panel(gold: Gold, view: View, name: str = "sleep_systolic_morning") -> Panel:
    """The scatter of one of `NAMES` over the days of the view. Pairs are those of the merged days, whatever the source chosen."""
    view = days.clipped(gold, view)
    pairing = _PAIRINGS[name]
    chosen = {"name": name, "first": view.first, "last": view.last, "x_scale": scale(pairing.x), "y_scale": scale(pairing.y)}
    found = days.first_row(gold, _FIGURES, chosen)
    points = gold.table(_POINTS, chosen)
    x, y = named(pairing.x), named(pairing.y)
    points["called"] = [words.on(day) for day in points["date"]]
    points["date"] = base.iso(points["date"])
    rows = points[["date", "x", "y"]].set_axis(["Day", x.titled, y.titled], axis="columns")
    key = f"correlation_{name}"
    if not len(points):
        return Panel(
            key, pairing.title, "", None, rows, f"No day in this range has both {x.within} and {y.within}. Choose a longer range."
        )
    said = _said(pairing, found) + words.of_all_sources(view)
    return Panel(key, pairing.title, said, _chart(pairing, points, found, said), rows, day=True)


def _said(pairing: Pairing, found: Mapping[str, Any]) -> str:
    x, y = named(pairing.x), named(pairing.y)
    n = int(found["n"])
    if n < LEAST:
        return f"Too few pairs: {words.count(n, 'day')} with both figures, {LEAST} are needed to say how they go together."
    if not abs(found["r"]) <= 1:
        return f"One of the two figures is the same on all {n} days, so nothing can be said of how they go together."
    low, high = fisher(found["r"], n)
    numbers = (
        f"r = {words.figure(found['r'], 2)} (95 % CI {words.figure(low, 2)} to {words.figure(high, 2)}), "
        f"by ranks (Spearman) {words.figure(found['spearman'], 2)}"
    )
    if low <= 0 <= high:
        return f"No clear link between {x.within} and {pairing.result} over {n} days: {numbers}."
    strength = "strongly" if abs(found["r"]) >= 0.5 else "moderately" if abs(found["r"]) >= 0.3 else "weakly"
    direction = "higher" if found["r"] > 0 else "lower"
    direction = ("more" if found["r"] > 0 else "less") if pairing.y == "total_duration" else direction
    step, per = (
        (1000, "1,000 steps")
        if pairing.x == "steps"
        else (1, {"hours": "hour", "%": "percentage point", "beats/min": "beat/min"}.get(x.unit, x.unit))
    )
    change = abs(found["slope"]) * step
    by = words.span(change * 60) if pairing.y == "total_duration" else f"{words.figure(change, 1)} {y.unit}"
    return (
        f"{pairing.more.capitalize()} went {strength} with {direction} {pairing.result}: {by} per {per} over {n} days; {numbers}. "
        "A link is no proof of cause."
    )


def fisher(r: float, n: int) -> tuple[float, float]:
    """The 95 % interval of a correlation of n pairs (n above 3), by Fisher's z."""
    import math

    if abs(r) >= 1:
        return r, r
    middle, half = math.atanh(r), Z_975 / math.sqrt(n - 3)
    return math.tanh(middle - half), math.tanh(middle + half)


def _line(found: Mapping[str, Any]) -> pd.DataFrame:
    """The regression line and the 95 % interval of the mean it stands for, at 25 places."""
    import numpy as np
    import pandas as pd

    n, sxx = found["n"], found["sxx"]
    at = np.linspace(found["lowest"], found["highest"], 25)
    mean = found["intercept"] + found["slope"] * at
    rest = max(found["syy"] - found["slope"] ** 2 * sxx, 0.0)
    half = t_975(n - 2) * np.sqrt(rest / (n - 2)) * np.sqrt(1 / n + (at - found["mean"]) ** 2 / sxx)
    return pd.DataFrame({"x": at, "mean": mean, "low": mean - half, "high": mean + half})


def _chart(pairing: Pairing, points: pd.DataFrame, found: Mapping[str, Any], said: str) -> Any:
    import altair as alt

    x, y = named(pairing.x), named(pairing.y)
    across = alt.X("x:Q", title=x.titled, scale=alt.Scale(zero=False, nice=True), axis=alt.Axis(tickCount=6))
    up = alt.Scale(zero=False, nice=True)
    dots = (
        alt.Chart(points)
        .mark_point(filled=True, size=45, color=theme.BLUE, cursor="pointer")
        .encode(
            x=across,
            y=alt.Y("y:Q", title=y.titled, scale=up, axis=alt.Axis(tickCount=6)),
            opacity=alt.value(0.5),
            tooltip=[
                alt.Tooltip("called:N", title="Day"),
                alt.Tooltip("x:Q", title=x.titled, format=f",.{max(x.digits, 1)}f" if pairing.x == "total_duration" else ",.0f"),
                alt.Tooltip("y:Q", title=y.titled, format=",.1f"),
            ],
        )
        .add_params(base.day())
    )
    if found["n"] < LEAST or not abs(found["r"]) <= 1:
        return _sized(dots, said)
    line = alt.Chart(_line(found)).encode(x=across)
    band = line.mark_area(color=theme.VERMILLION, opacity=0.18).encode(y=alt.Y("low:Q", scale=up), y2="high:Q")
    mean = line.mark_line(color=theme.VERMILLION, strokeWidth=2.5).encode(y=alt.Y("mean:Q", scale=up))
    return _sized(dots + band + mean, said)


def _sized(chart: Any, said: str) -> Any:
    return theme.dressed(chart.properties(height=340, width="container"), said)
