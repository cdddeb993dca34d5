"""Blood pressure day by day: mean and range of each day, the rolling mean, over the areas and thresholds of the chosen scheme.

Systolic and diastolic have a lane each: at 85 mmHg one of them is low and the other is not, so they cannot share an area.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from serving.charts import base, theme, words
from serving.charts.days import calendar, clipped, rolling, step_of
from serving.charts.panel import Panel
from serving.charts.pressure import said
from serving.charts.schemes import areas

if TYPE_CHECKING:
    import pandas as pd

    from serving.gold import Gold
    from serving.view import View

NAME, TITLE = "blood_pressure", "Blood pressure"
_COLUMNS = {
    "systolic": "sum(systolic * bp_readings) / sum(bp_readings)",
    "systolic_min": "min(systolic_min)",
    "systolic_max": "max(systolic_max)",
    "diastolic": "sum(diastolic * bp_readings) / sum(bp_readings)",
    "diastolic_min": "min(diastolic_min)",
    "diastolic_max": "max(diastolic_max)",
    "readings": "sum(bp_readings)",
}
_TOP, _GAP = 40, 34
_HEIGHTS = {"systolic": 190, "diastolic": 150}
_COLORS = {"systolic": theme.SYSTOLIC, "diastolic": theme.DIASTOLIC}
_SHAPES = {"systolic": "circle", "diastolic": "diamond"}


def panel(gold: Gold, view: View) -> Panel:
    """Systolic and diastolic of the view per day, per week in long views; events of the person are marked."""
    chosen, view = view, clipped(gold, view)
    step = step_of(view)
    rows = calendar(gold, view, _COLUMNS)
    for component in _HEIGHTS:
        rows = _with_mean(rows, rolling(gold, view, component), component, step)
    if not rows["systolic"].notna().any():
        return Panel(
            NAME, TITLE, "", None, _readable(rows, step).iloc[:0], words.nothing(gold, chosen, "blood pressure", "systolic")
        )
    events = gold.table(
        "SELECT date, label FROM events WHERE date BETWEEN $first AND $last ORDER BY date",
        {"first": view.first, "last": view.last},
    )
    sentence = said(gold, view)
    return Panel(NAME, TITLE, sentence, _drawn(rows, events, view, sentence), _readable(rows, step), day=step == "day")


def _with_mean(rows: pd.DataFrame, means: pd.DataFrame, component: str, step: str) -> pd.DataFrame:
    """The rolling mean at the end of each step, where the step has a value: the line crosses no gap."""
    mean = means.set_index("date")["mean_7" if step == "day" else "mean_30"]
    return rows.assign(**{f"{component}_mean": rows["until"].map(mean).where(rows[component].notna())})


def _readable(rows: pd.DataFrame, step: str) -> pd.DataFrame:
    names = {"date": "Date" if step == "day" else "Week from", "readings": "Readings"}
    for component in _HEIGHTS:
        word = component.capitalize()
        names |= {
            component: f"{word} (mmHg)",
            f"{component}_min": f"{word}, lowest (mmHg)",
            f"{component}_max": f"{word}, highest (mmHg)",
        }
        names |= {f"{component}_mean": f"{word}, {_mean(step)} (mmHg)"}
    return base.plain(rows[list(names)].rename(columns=names).dropna(subset=["Systolic (mmHg)"]))


def _mean(step: str) -> str:
    return "7-day mean" if step == "day" else "30-day mean"


def _drawn(rows: pd.DataFrame, events: pd.DataFrame, view: View, sentence: str) -> Any:
    import altair as alt

    step = step_of(view)
    first, last = rows["date"].iloc[0].date(), rows["date"].iloc[-1].date()
    data = _for_browser(rows, step)
    layers: list[Any] = [base.caption(f"● mean of the {step}   │ lowest to highest   ━ {_mean(step)}")]
    top = _TOP
    for component, height in _HEIGHTS.items():
        begins = [begin for begin, _, _ in areas(view.scheme, component)][1:]
        low, high = base.span(data[f"{component}_min"], data[f"{component}_max"], include=begins[:2])
        lane = base.Lane(top, height, low, high)
        layers += _lane(data, lane, component, view.scheme, first, last)
        top += height + _GAP
    height = top - _GAP
    if len(events):
        layers += base.markers(events, first, last, _TOP)
    tooltip = [alt.Tooltip("when:N", title=step.capitalize())]
    tooltip += [alt.Tooltip(f"{component}_text:N", title=component.capitalize()) for component in _HEIGHTS]
    tooltip += [alt.Tooltip("mean_text:N", title=_mean(step).capitalize()), alt.Tooltip("readings_text:N", title="Readings")]
    return base.finished([*layers, *base.crosshair(data, first, last, height, tooltip, days=step == "day")], height, sentence)


def _lane(data: pd.DataFrame, lane: base.Lane, component: str, scheme: str, first: date, last: date) -> list[Any]:
    import altair as alt

    color, found = _COLORS[component], areas(scheme, component)
    chart = alt.Chart(data).encode(x=base.x(first, last))
    band = chart.mark_rule(color=color, strokeWidth=base.bar_size(len(data), 0.45, 5), strokeCap="round", opacity=0.35)
    return [
        base.bands(lane, [(begin, end, theme.look(step.name).color) for begin, end, step in found]),
        *base.thresholds(
            lane, [(begin, f"{theme.look(step.name).label.removesuffix(' range')} {begin:.0f}") for begin, _, step in found[1:]]
        ),
        base.heading(lane, f"{component.capitalize()}, mmHg"),
        base.reading(data, lane, f"{component}_text"),
        band.encode(y=lane.y(f"{component}_min:Q", axis=True, ticks=5), y2=alt.Y2(f"{component}_max:Q")),
        chart.mark_point(
            color=color, shape=_SHAPES[component], filled=True, size=22 if len(data) <= 120 else 10, opacity=0.9
        ).encode(y=lane.y(f"{component}:Q")),
        chart.mark_line(color=color, strokeWidth=2.5, point=alt.OverlayMarkDef(size=5, color=color)).encode(
            y=lane.y(f"{component}_mean:Q")
        ),
    ]


def _for_browser(rows: pd.DataFrame, step: str) -> pd.DataFrame:
    """Short numbers, and the texts of crosshair and tooltip."""
    columns = [name for name in rows.columns if name not in ("date", "until", "days", "readings")]
    data = rows[columns].astype(float).round(2).assign(date=base.iso(rows["date"]))
    texts: dict[str, list[str]] = {"when": [words.when(stamp.date(), step) for stamp in rows["date"]]}
    for component in _HEIGHTS:
        values = zip(rows[component], rows[f"{component}_min"], rows[f"{component}_max"], strict=True)
        texts[f"{component}_text"] = [_ranged(*of) for of in values]
    means = zip(rows["systolic_mean"], rows["diastolic_mean"], strict=True)
    texts["mean_text"] = [words.pair(s, d, "too few days") for s, d in means]
    texts["readings_text"] = [words.shown(n, "none") for n in rows["readings"]]
    return data.assign(**texts)


def _ranged(mean: float, low: float, high: float) -> str:
    """`124 (118–131)`, or just `124` where there is no range."""
    if not words.known(mean):
        return "no reading"
    return (
        words.whole(mean)
        if low == high or not words.known(low)
        else f"{words.whole(mean)} ({words.whole(low)}–{words.whole(high)})"
    )
