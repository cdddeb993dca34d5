"""The last weeks at a glance: blood pressure, heart rate, sleep and steps in lanes of one chart under one crosshair."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

from serving.charts import base, theme, words
from serving.charts.days import calendar, clipped, step_of, summary
from serving.charts.panel import Panel
from serving.charts.pressure import average
from serving.charts.pressure import said as pressure_said

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

    from serving.gold import Gold
    from serving.view import View

NAME, TITLE = "overview", "Overview"
_HEIGHT, _GAP, _HEAD = 110, 40, 24
_COLUMNS = {
    "systolic": "sum(systolic * bp_readings) / sum(bp_readings)",
    "diastolic": "sum(diastolic * bp_readings) / sum(bp_readings)",
    "readings": "sum(bp_readings)",
    "avg_hr": "avg(avg_hr)",
    "resting_hr": "avg(resting_hr)",
    "sleep": "avg(total_duration)",
    "steps": "avg(steps)",
}
_READABLE = {
    "date": "Date",
    "systolic": "Systolic (mmHg)",
    "diastolic": "Diastolic (mmHg)",
    "readings": "Blood pressure readings",
    "avg_hr": "Mean heart rate (per minute)",
    "resting_hr": "Resting heart rate (per minute)",
    "sleep": "Sleep (minutes)",
    "steps": "Steps",
}


class _Kind(NamedTuple):
    """A lane to be: drawn when one of its columns has a value."""

    title: str
    heading: str
    columns: tuple[str, ...]
    text: str


_KINDS = (
    _Kind("Blood pressure", "Blood pressure, mmHg: ● systolic ◆ diastolic", ("systolic", "diastolic"), "pressure_text"),
    _Kind("Heart rate", "Heart rate, per minute: ● mean ◆ resting", ("avg_hr", "resting_hr"), "heart_text"),
    _Kind("Sleep", "Sleep, hours", ("hours",), "sleep_text"),
    _Kind("Steps", "Steps", ("steps",), "steps_text"),
)


def panel(gold: Gold, view: View) -> Panel:
    """Blood pressure, heart rate, sleep and steps per day (per week in long views); a lane only where there are data."""
    chosen, view = view, clipped(gold, view)
    rows = calendar(gold, view, _COLUMNS)
    table = base.plain(
        rows[["date", *_COLUMNS]].rename(columns=_READABLE | ({} if step_of(view) == "day" else {"date": "Week from"}))
    )
    kinds = [kind for kind in _KINDS if rows[["sleep" if c == "hours" else c for c in kind.columns]].notna().any(axis=None)]
    if not kinds:
        return Panel(NAME, TITLE, "", None, table.iloc[:0], words.nothing(gold, chosen, "data", "date", thing="day with data"))
    sentence = _said(gold, view)
    return Panel(
        NAME, TITLE, sentence, _drawn(_texts(rows, step_of(view)), kinds, view, sentence), table, day=step_of(view) == "day"
    )


def _said(gold: Gold, view: View) -> str:
    """Blood pressure with its change first, then one figure for each of the others."""
    means = summary(gold, view, {"hr": "avg(resting_hr)", "sleep": "avg(total_duration)", "steps": "avg(steps)"})
    others = []
    if words.known(means["hr"]):
        others.append(f"resting heart rate {words.whole(means['hr'])}")
    if words.known(means["sleep"]):
        others.append(f"{words.span(means['sleep'])} of sleep a night")
    if words.known(means["steps"]):
        others.append(f"{words.whole(means['steps'])} steps a day")
    first = pressure_said(gold, view) if average(gold, view) else ""
    rest = ", ".join(others)
    return " ".join(part for part in (first, f"{rest[0].upper()}{rest[1:]}." if rest else "") if part)


def _texts(rows: pd.DataFrame, step: str) -> pd.DataFrame:
    """Rounded for the browser, with a text of every kind for crosshair and tooltip."""
    seen = rows.assign(hours=rows["sleep"] / 60)
    days = [stamp.date() for stamp in seen["date"]]
    texts: dict[str, list[str]] = {"when": [words.when(day, step) for day in days]}
    texts["pressure_text"] = [
        f"{words.pair(s, d)} ({words.count(int(n), 'reading')})" if words.known(s) and words.known(d) else "no reading"
        for s, d, n in zip(seen["systolic"], seen["diastolic"], seen["readings"], strict=True)
    ]
    texts["heart_text"] = [
        " · ".join(part for part in (_number("mean", mean), _number("resting", resting)) if part) or "no data"
        for mean, resting in zip(seen["avg_hr"], seen["resting_hr"], strict=True)
    ]
    texts["sleep_text"] = [words.span(m) if words.known(m) else "no data" for m in seen["sleep"]]
    texts["steps_text"] = [words.shown(n, "no data") for n in seen["steps"]]
    kept = ["systolic", "diastolic", "avg_hr", "resting_hr", "hours", "steps"]
    return seen[kept].astype(float).round(2).assign(date=base.iso(seen["date"]), **texts)


def _number(word: str, value: float) -> str:
    return f"{word} {words.half_up(value)}" if words.known(value) else ""


def _drawn(data: pd.DataFrame, kinds: list[_Kind], view: View, sentence: str) -> Any:
    import altair as alt

    step = step_of(view)
    first, last = date.fromisoformat(data["date"].iloc[0]), date.fromisoformat(data["date"].iloc[-1])
    layers: list[Any] = []
    top = _HEAD
    for kind in kinds:
        values = [data[column] for column in kind.columns]
        low, high = base.span(
            *values,
            step={"Sleep": 2, "Steps": 2000}.get(kind.title, 10),
            include=() if kind.title in ("Blood pressure", "Heart rate") else (0.0,),
        )
        lane = base.Lane(top, _HEIGHT, low, high)
        chart = alt.Chart(data).encode(x=base.x(first, last))
        layers += [base.heading(lane, kind.heading), base.reading(data, lane, kind.text), *_marks(kind, chart, lane, len(data))]
        top += _HEIGHT + _GAP
    height = top - _GAP
    tooltip = [alt.Tooltip("when:N", title="Day" if step == "day" else "Week")]
    tooltip += [alt.Tooltip(f"{kind.text}:N", title=kind.title) for kind in kinds]
    return base.finished([*layers, *base.crosshair(data, first, last, height, tooltip, days=step == "day")], height, sentence)


def _marks(kind: _Kind, chart: alt.Chart, lane: base.Lane, steps: int) -> list[Any]:
    """The lane's own marks: bars from nothing for sleep and steps, lines with points for the others."""
    if kind.title in ("Sleep", "Steps"):
        color = theme.SLEEP if kind.title == "Sleep" else theme.STEPS
        bars = chart.mark_bar(color=color, opacity=0.75, size=base.bar_size(steps))
        return [bars.encode(y=lane.y(f"{kind.columns[0]}:Q", axis=True))]
    looks = {"systolic": (theme.SYSTOLIC, "circle"), "diastolic": (theme.DIASTOLIC, "diamond")}
    looks |= {"avg_hr": (theme.HEART, "circle"), "resting_hr": (theme.GREEN, "diamond")}
    marks = []
    for at, column in enumerate(kind.columns):
        color, shape = looks[column]
        y = lane.y(f"{column}:Q", axis=at == 0)
        marks += [
            chart.mark_line(color=color, strokeWidth=1.5).encode(y=y),
            chart.mark_point(color=color, shape=shape, filled=True, size=18 if steps <= 120 else 6, opacity=1).encode(
                y=lane.y(f"{column}:Q")
            ),
        ]
    return marks
