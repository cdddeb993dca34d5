"""How the readings of each month fall into the categories of the chosen scheme."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from config.bp_schemes import SCHEMES
from serving.charts import base, theme, words
from serving.charts.days import clipped
from serving.charts.panel import Panel
from serving.charts.pressure import LEAST, readings_of
from serving.charts.schemes import steps

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

    from serving.gold import Gold
    from serving.view import View

NAME, TITLE = "categories", "Categories by month"
_HEIGHT, _TOP = 220, 20
_MONTHS_WITH_NUMBERS = 13
_SHARE_WITH_NUMBER = 0.1


def panel(gold: Gold, view: View) -> Panel:
    """Share of the single readings per category and month, and how many there are; a month without any stays empty."""
    chosen, view = view, clipped(gold, view)
    table, parameters = readings_of(view)
    scheme = view.scheme if view.scheme in SCHEMES else next(iter(SCHEMES))
    rows = gold.table(
        f"""
        SELECT month, category, count(*) AS readings, count(*) / any_value(n) AS share
        FROM (SELECT date_trunc('month', date)::DATE AS month, {scheme} AS category, count(*) OVER (PARTITION BY month) AS n FROM {table})
        GROUP BY month, category
        """,
        parameters,
    )
    if rows.empty:
        return Panel(NAME, TITLE, "", None, _readable(rows), words.nothing(gold, chosen, "blood pressure", "systolic"))
    order = {step.name: position for position, step in enumerate(steps(scheme))}
    rows = rows.assign(position=rows["category"].map(order)).sort_values(["month", "position"], ignore_index=True)
    sentence = _said(rows, scheme)
    return Panel(NAME, TITLE, sentence, _drawn(rows, scheme, sentence), _readable(rows))


def _said(rows: pd.DataFrame, scheme: str) -> str:
    """`Of 236 readings: 2% normal, 19% elevated, 66% stage 1 range, 13% stage 2 range.`"""
    by, total = rows.groupby("category")["readings"].sum(), int(rows["readings"].sum())
    found = [(theme.look(step.name).label.lower(), int(by[step.name])) for step in steps(scheme) if step.name in by.index]
    if total < LEAST:
        return f"{words.count(total, 'reading')} only: {', '.join(f'{n} {label}' for label, n in found)}."
    shares = [f"{words.half_up(100 * n / total)}% {label}" for label, n in found]
    return f"Of {words.count(total, 'reading')}: {', '.join(shares)}."


def _readable(rows: pd.DataFrame) -> pd.DataFrame:
    names = {"month": "Month", "category": "Category", "readings": "Readings", "share": "Share (%)"}
    table = rows.assign(category=[theme.look(name).label for name in rows["category"]], share=100 * rows["share"])
    return base.plain(table.rename(columns=names)[list(names.values())])


def _drawn(rows: pd.DataFrame, scheme: str, sentence: str) -> Any:
    import altair as alt
    import pandas as pd

    months = pd.date_range(rows["month"].min(), rows["month"].max(), freq="MS")
    totals = rows.groupby("month")["readings"].sum().reindex(months, fill_value=0)
    data = _worded(rows, totals)
    lane = base.Lane(_TOP, _HEIGHT - _TOP, 0, 1)
    x = alt.X(
        "month:O",
        scale=alt.Scale(domain=base.iso(months.to_series()).to_list(), paddingInner=0.2, paddingOuter=0.1),
        axis=alt.Axis(title=None, labelAngle=0, labelExpr="utcFormat(toDate(datum.value), '%b %Y')", labelOverlap="greedy"),
    )
    layers: list[Any] = [_bars(data, x, lane, [theme.look(step.name) for step in steps(scheme)], outlined=len(months) <= 36)]
    if len(months) <= _MONTHS_WITH_NUMBERS:
        layers += _numbers(data, x, lane, totals)
    chart = alt.layer(*layers).resolve_scale(y="independent").properties(height=_HEIGHT, width="container")
    return theme.dressed(chart, sentence)


def _worded(rows: pd.DataFrame, totals: pd.Series) -> pd.DataFrame:
    """The shares as the chart takes them, with what its tooltips and its bars say."""
    import pandas as pd

    percents = [f"{words.half_up(100 * share)}%" for share in rows["share"]]
    return pd.DataFrame(
        {
            "month": base.iso(rows["month"]),
            "category": [theme.look(name).label for name in rows["category"]],
            "position": rows["position"],
            "share": rows["share"].round(4),
            "readings": rows["readings"],
            "all": rows["month"].map(totals),
            "when": [f"{stamp:%B %Y}" for stamp in rows["month"]],
            "percent": percents,
            "inside": [text if share >= _SHARE_WITH_NUMBER else "" for text, share in zip(percents, rows["share"], strict=True)],
        }
    )


def _bars(data: pd.DataFrame, x: alt.X, lane: base.Lane, looks: Sequence[theme.Look], *, outlined: bool) -> Any:
    import altair as alt

    axis = alt.Axis(title=None, format=".0%", tickCount=4, orient="left")
    colors = alt.Scale(domain=[look.label for look in looks], range=[look.color for look in looks])
    bars = alt.Chart(data).mark_bar(stroke=theme.GREY, strokeWidth=0.7 if outlined else 0)
    return bars.encode(
        x=x,
        y=alt.Y("share:Q", stack="zero", scale=lane.scale(), axis=axis),
        color=alt.Color("category:N", scale=colors, legend=alt.Legend(columns=3, symbolStrokeColor=theme.GREY)),
        order=alt.Order("position:Q"),
        tooltip=[
            alt.Tooltip("when:N", title="Month"),
            alt.Tooltip("category:N", title="Category"),
            alt.Tooltip("percent:N", title="Share"),
            alt.Tooltip("readings:Q", title="Readings"),
            alt.Tooltip("all:Q", title="Readings of the month"),
        ],
    )


def _numbers(data: pd.DataFrame, x: alt.X, lane: base.Lane, totals: pd.Series) -> list[Any]:
    """How many readings a month has, above its bar; the shares that have room, inside."""
    import altair as alt
    import pandas as pd

    numbers = pd.DataFrame({"month": base.iso(totals.index.to_series()).to_list(), "n": [f"n={n}" for n in totals]})
    above = alt.Chart(numbers).mark_text(baseline="bottom", fontSize=10.5)
    inside = alt.Chart(data).mark_text(fontSize=10.5, color="#111111")
    middle = alt.Y("share:Q", stack="zero", scale=lane.scale(), axis=None, bandPosition=0.5)
    return [
        above.encode(x=x, y=base.fixed(alt.YValue, _TOP - 5), text=alt.Text("n:N"), color=base.fixed(alt.ColorValue, theme.INK)),
        inside.encode(x=x, y=middle, order=alt.Order("position:Q"), detail=alt.Detail("category:N"), text=alt.Text("inside:N")),
    ]
