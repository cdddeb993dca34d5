"""The start page: the latest figures against those before, everything over time under one crosshair, what is fresh and what is stale."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from serving.charts import words
from serving.charts.words import count, on
from serving.pages import show

if TYPE_CHECKING:
    import pandas as pd

    from serving.gold import Gold
    from serving.pages.tools import Tools
    from serving.view import View


class Figure(NamedTuple):
    """One headline figure."""

    words: str
    columns: tuple[str, ...]
    unit: str
    more: str = "higher"
    less: str = "lower"


FIGURES = (
    Figure("Blood pressure", ("systolic", "diastolic"), "mmHg"),
    Figure("Resting heart rate", ("resting_hr",), "/min"),
    Figure("Sleep", ("total_duration",), "a night", "more", "less"),
    Figure("Steps", ("steps",), "a day", "more", "fewer"),
)
SPANS = {7: "Last 7 days", 30: "Last 30 days"}

STALE_DAYS = 3
"""Without anything newer for longer than this a source is called stale."""

_OF_READINGS = ("systolic", "diastolic")
"""Columns whose mean is that of the readings, not of the days, as in the sentence below the figures."""

_MEANS = """
SELECT date > $middle AS now, {columns}
FROM {table} WHERE date > $first AND date <= $last GROUP BY ALL
"""
_FRESH = (
    "SELECT source, max(last_date) AS last FROM freshness WHERE last_date IS NOT NULL GROUP BY source ORDER BY last DESC, source"
)


def page(gold: Gold, view: View, tools: Tools) -> None:
    """What a person wants to see first."""
    import streamlit as st

    from serving.charts import overview

    show.heading("Overview")
    st.text(freshness(gold, view, today=datetime.now().astimezone().date() if tools.private else None))
    figures = st.container()
    show.panel(
        overview.panel(gold, view)._replace(title="Day by day"), tools
    )  # the browser draws it while the figures are asked for
    with figures:
        st.fragment(_headline)(gold, view, tools)


def _headline(gold: Gold, view: View, tools: Tools) -> None:
    import streamlit as st

    tools.still_open()
    days = st.segmented_control(
        "Figures of the",
        list(SPANS),
        default=next(iter(SPANS)),
        required=True,
        format_func=SPANS.__getitem__,
        key="overview-span",
        label_visibility="collapsed",
    )
    told = headline(gold, view, days)
    for column, figure, (value, against, arrow) in zip(st.columns(len(FIGURES)), FIGURES, told, strict=True):
        column.metric(
            f"{figure.words} ({figure.unit})",
            value,
            against,
            delta_color="off",
            delta_arrow=arrow,
            border=True,
            help=f"Mean over the {days} days up to {on(view.last)}; below it, how it differs from the {days} days before.",
        )


def headline(gold: Gold, view: View, days: int) -> list[tuple[str, str, Any]]:
    """Per figure: (value, how it differs from as many days before in words, the arrow that goes with it)."""
    from serving.charts.days import daily

    table, parameters = daily(view)
    names = [name for figure in FIGURES for name in figure.columns]
    each = {name: f"sum({name} * bp_readings) / sum(bp_readings)" for name in _OF_READINGS}
    columns = ", ".join(f"{each.get(name, f'avg({name})')} AS {name}" for name in names)
    middle, first = (view.last - min(timedelta(days=back), view.last - date.min) for back in (days, 2 * days))
    spans = {"middle": middle, "first": first, "last": view.last}
    rows = gold.table(_MEANS.format(columns=columns, table=table), {**parameters, **spans}).set_index("now")
    return [_told(figure, rows, days) for figure in FIGURES]


def _told(figure: Figure, rows: pd.DataFrame, days: int) -> tuple[str, str, Any]:
    now, before = ([float(str(rows.at[at, n])) if at in rows.index else math.nan for n in figure.columns] for at in (True, False))
    if any(map(math.isnan, now)):
        return "–", f"nothing in these {days} days", "off"
    is_span = figure.columns == ("total_duration",)
    value = "/".join(words.span(v) if is_span else words.figure(v) for v in now)
    if any(map(math.isnan, before)):
        return value, f"nothing in the {days} days before", "off"
    differences = [a - b for a, b in zip(now, before, strict=True)]
    told = [_difference(d, figure, is_span=is_span) for d in differences]
    lead = differences[0] if told[0] != "the same" else 0.0
    said = " / ".join(told) if len(set(told)) > 1 else told[0]
    return value, said, "up" if lead > 0 else "down" if lead < 0 else "off"


def _difference(difference: float, figure: Figure, *, is_span: bool) -> str:
    amount = words.span(difference) if is_span else words.figure(abs(difference))
    if amount in ("0", "0 min"):
        return "the same"
    return f"{amount} {figure.more if difference > 0 else figure.less}"


def freshness(gold: Gold, view: View, today: date | None = None) -> str:
    """One line: what is newest, and which sources have brought nothing for long. `today`: the last day of the data without it."""
    told = gold.table(_FRESH).itertuples(index=False)
    rows = [(words.source_title(source), last.date()) for source, last in told if view.source in ("", source)]
    if not rows:
        return "No source has brought anything yet."
    now = today or rows[0][1]
    newest = [name for name, last in rows if last == rows[0][1]]
    said = f"Newest: {on(rows[0][1])} ({', '.join(newest)})."
    stale = [f"{name}, silent for {count((now - last).days, 'day')}" for name, last in rows if (now - last).days > STALE_DAYS]
    return f"{said} Stale: {'; '.join(stale)}." if stale else f"{said} Every source is up to date."
