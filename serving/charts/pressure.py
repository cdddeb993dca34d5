"""What the charts of blood pressure share: the readings and averages of a view, in tables and in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from serving.charts.days import summary
from serving.charts.words import changed, count, pair

if TYPE_CHECKING:
    from serving.gold import Gold
    from serving.view import View

LEAST = 5
"""Readings under which an average is said to be of few, and nothing is compared."""


class Average(NamedTuple):
    """Means of the readings (not of the days), mmHg; None without any."""

    readings: int
    days: int
    systolic: float
    diastolic: float

    @property
    def pair(self) -> str:
        """`124/79`."""
        return pair(self.systolic, self.diastolic)


def readings_of(view: View) -> tuple[str, dict[str, object]]:
    """SQL for the single readings of the view, and its parameters: those the rules chose, or all of one source once each."""
    within = "date BETWEEN $first AND $last AND systolic IS NOT NULL AND diastolic IS NOT NULL"
    parameters: dict[str, object] = {"first": view.first, "last": view.last}
    if not view.source:
        return f"(SELECT * FROM bp_readings WHERE used AND {within})", parameters
    return (
        f"""(SELECT * FROM bp_readings
             WHERE source = $source AND {within} AND (used OR fate IN ('duplicate', 'unused:lower_priority'))
             QUALIFY row_number() OVER (PARTITION BY local_start, systolic, diastolic ORDER BY used DESC, raw_id) = 1)""",
        {**parameters, "source": view.source},
    )


def average(gold: Gold, view: View, *, before: bool = False) -> Average | None:
    """Of the view, or with `before` of as many days right before it."""
    row = summary(
        gold,
        view,
        {
            "readings": "coalesce(sum(bp_readings) FILTER (WHERE systolic IS NOT NULL), 0)",
            "days": "count(systolic)",
            "systolic": "sum(systolic * bp_readings) / sum(bp_readings) FILTER (WHERE systolic IS NOT NULL)",
            "diastolic": "sum(diastolic * bp_readings) / sum(bp_readings) FILTER (WHERE diastolic IS NOT NULL)",
        },
        before=before,
    )
    if not row["readings"]:
        return None
    return Average(int(row["readings"]), int(row["days"]), float(row["systolic"]), float(row["diastolic"]))


def said(gold: Gold, view: View) -> str:
    """`Average 124/79 over 30 days, 6 lower than the 30 days before (58 readings).` The comparison is of the systolic mean."""
    now = average(gold, view)
    if now is None:
        return ""
    if now.readings < LEAST:
        which = "" if now.readings == 1 else "average "
        return f"{count(now.readings, 'reading')} only, {which}{now.pair}: too few to compare."
    past = None if view.preset == "all" else average(gold, view, before=True)
    change = ""
    if past is not None and past.readings >= LEAST:
        change = f", {changed(now.systolic, past.systolic, view.days)}"
    return f"Average {now.pair} over {count(view.days, 'day')}{change} ({count(now.readings, 'reading')} on {count(now.days, 'day')})."
