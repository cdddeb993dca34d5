"""The measuring weeks of the home protocol, for the doctor: which are complete, what they average, and why others are not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from config.home_protocols import PRESETS
from serving.charts import base, theme, words
from serving.charts.days import clipped
from serving.charts.panel import Panel
from serving.charts.schemes import areas

if TYPE_CHECKING:
    import pandas as pd

    from serving.gold import Gold
    from serving.view import View

NAME, TITLE = "protocol", "Measuring weeks"
PROTOCOLS = {
    "esh_2021": "ESH 2021",
    "esc_2024": "ESC 2024",
    "chep_2017": "CHEP 2017",
    "aha_2020": "AHA/AMA 2020",
    "jabfm": "JABFM variant",
}
"""Protocol → its name for people."""
REASONS = {
    "too_few_days": "readings on too few days",
    "too_few_days_with_morning_and_evening": "too few days with both a morning and an evening reading",
    "too_few_readings": "too few readings",
}
"""Why a week is not complete, in words that follow a colon."""
_TOP, _GAP = 40, 34
_HEIGHTS = {"systolic": 120, "diastolic": 110}


def panel(gold: Gold, view: View) -> Panel:
    """One point per measuring week that lies in the view, filled when the week is complete.

    The weeks are those of the merged readings, whatever source is chosen: a protocol asks for all of a week's readings.
    """
    chosen, view = view, clipped(gold, view)
    rows = gold.table(
        """SELECT * FROM protocol_weeks WHERE "end" >= $first AND start <= $last ORDER BY start""",
        {"first": view.first, "last": view.last},
    )
    if rows.empty:
        sentence = words.nothing(
            gold, replace(chosen, source=""), "measuring week", "coalesce(systolic_morning, systolic_evening)"
        )
        return Panel(NAME, TITLE, "", None, _readable(rows), sentence)
    sentence = _said(rows) + words.of_all_sources(view)
    return Panel(NAME, TITLE, sentence, _drawn(rows, sentence), _readable(rows))


def _said(rows: pd.DataFrame) -> str:
    """`The newest complete week, …, averages 131/82 (22 readings on 6 days, ESH 2021). 3 of 13 weeks are complete.`"""
    complete = rows[rows["valid"]]
    if complete.empty:
        why = (
            REASONS.get(str(rows["reason"].mode().iloc[0]), "the protocol asks for more") if rows["reason"].notna().any() else ""
        )
        only = "The measuring week is not complete" if len(rows) == 1 else f"None of {len(rows)} measuring weeks is complete"
        return (
            f"{only}{': ' if len(rows) == 1 else ', most often for '}{why}. Measure for 7 days, morning and evening, twice each."
        )
    newest = complete.iloc[-1]
    pair = words.pair(newest["systolic"], newest["diastolic"])
    counts = f"{words.count(int(newest['n_readings']), 'reading')} on {words.count(int(newest['n_days']), 'day')}"
    span = words.through(newest["start"].date(), newest["end"].date())
    share = f"{len(complete)} of {words.count(len(rows), 'week')} {'is' if len(complete) == 1 else 'are'} complete"
    return f"The newest complete week, {span}, averages {pair} ({counts}, {PROTOCOLS[newest['protocol']]}). {share}."


def _readable(rows: pd.DataFrame) -> pd.DataFrame:
    """A line per week as the doctor reads it: whole mmHg, pairs of systolic/diastolic."""
    import pandas as pd

    def pairs(of: str) -> list[str]:
        both = zip(rows[f"systolic{of}"], rows[f"diastolic{of}"], strict=True)
        return [words.pair(s, d) for s, d in both]

    table = pd.DataFrame(
        {
            "From": rows["start"],
            "To": rows["end"],
            "Complete": ["yes" if valid else "no" for valid in rows["valid"]],
            "Average (mmHg)": pairs(""),
            "Mean of days (mmHg)": pairs("_of_days"),
            "Morning (mmHg)": pairs("_morning"),
            "Evening (mmHg)": pairs("_evening"),
            "Pulse (per minute)": [words.shown(value) for value in rows["pulse"]],
            "Readings averaged": rows["n_readings"],
            "Left out": rows["n_discarded"],
            "Days": rows["n_days"],
            "Days with morning and evening": rows["n_full_days"],
            "Category": [theme.look(name).label if isinstance(name, str) else "" for name in rows["category"]],
            "Why not complete": [REASONS.get(code, code) if isinstance(code, str) else "" for code in rows["reason"]],
            "Protocol": [PROTOCOLS[name] for name in rows["protocol"]],
        }
    )
    return base.plain(table)


def _drawn(rows: pd.DataFrame, sentence: str) -> Any:
    import altair as alt
    import pandas as pd

    first, last = rows["start"].min().date(), rows["end"].max().date()
    scheme = PRESETS[rows["protocol"].iloc[0]].scheme
    readable = _readable(rows)
    data = pd.DataFrame(
        {
            "date": base.iso(rows["start"]),
            "valid": rows["valid"],
            "systolic": rows["systolic"].round(2),
            "diastolic": rows["diastolic"].round(2),
            "when": [f"{words.on(a.date())} to {words.on(b.date())}" for a, b in zip(rows["start"], rows["end"], strict=True)],
            "average": readable["Average (mmHg)"],
            "state": [why or "complete" for why in readable["Why not complete"]],
            "readings": readable["Readings averaged"],
        }
    )
    layers: list[Any] = [base.caption("● complete week   ○ not complete   ┄ where a category begins")]
    top = _TOP
    chart = alt.Chart(data).encode(x=base.x(first, last))
    for component, height in _HEIGHTS.items():
        color = theme.SYSTOLIC if component == "systolic" else theme.DIASTOLIC
        found = areas(scheme, component)
        low, high = base.span(data[component], include=[begin for begin, _, _ in found[1:3]])
        lane = base.Lane(top, height, low, high)
        fill = alt.when("datum.valid").then(alt.value(1)).otherwise(alt.value(0))
        points = chart.mark_point(
            shape="circle" if component == "systolic" else "diamond",
            color=color,
            fill=color,
            size=60 if len(data) <= 60 else 16,
            opacity=1,
        )
        layers += [
            base.bands(lane, [(begin, end, theme.look(step.name).color) for begin, end, step in found]),
            *base.thresholds(
                lane,
                [(begin, f"{theme.look(step.name).label.removesuffix(' range')} {begin:.0f}") for begin, _, step in found[1:]],
            ),
            base.heading(lane, f"{component.capitalize()}, mmHg"),
            base.reading(data, lane, "average"),
            points.encode(y=lane.y(f"{component}:Q", axis=True), fillOpacity=fill),
        ]
        top += height + _GAP
    height = top - _GAP
    tooltip = [alt.Tooltip("when:N", title="Week"), alt.Tooltip("average:N", title="Average, mmHg")]
    tooltip += [alt.Tooltip("readings:Q", title="Readings"), alt.Tooltip("state:N", title="State")]
    return base.finished([*layers, *base.crosshair(data, first, last, height, tooltip, days=False)], height, sentence)
