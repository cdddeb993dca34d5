"""Every reading in the plane of diastolic and systolic, over the areas of the chosen scheme; the worse of the two decides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from config.bp_schemes import SCHEMES
from serving.charts import base, theme, words
from serving.charts.days import clipped
from serving.charts.panel import Panel
from serving.charts.pressure import readings_of
from serving.charts.schemes import rectangles, steps

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

    from serving.gold import Gold
    from serving.view import View

NAME, TITLE = "scatter", "Systolic against diastolic"
_HEIGHT = 340
MOST = 1_500
"""Points drawn; beyond them readings are put together by two mmHg."""


def panel(gold: Gold, view: View) -> Panel:
    """One point per pair of values, the larger the more readings have it; colour and shape by category."""
    chosen, view = view, clipped(gold, view)
    table, parameters = readings_of(view)
    column = view.scheme if view.scheme in SCHEMES else next(iter(SCHEMES))
    rows = _points(gold, table, parameters, column, 1)
    if len(rows) > MOST:
        rows = _points(gold, table, parameters, column, 2)
    if rows.empty:
        return Panel(NAME, TITLE, "", None, _readable(rows), words.nothing(gold, chosen, "blood pressure", "systolic"))
    sentence = _said(rows, column)
    return Panel(NAME, TITLE, sentence, _drawn(rows, column, sentence), _readable(rows), day=True)


def _points(gold: Gold, table: str, parameters: dict[str, object], column: str, grain: int) -> pd.DataFrame:
    """Pairs of values with their category, readings and newest day; with grain 2 the plane is cut into squares of 2 mmHg."""
    lower = f"floor({{0}} / {grain}) * {grain} + {(grain - 1) / 2} AS {{0}}"
    return gold.table(
        f"""
        SELECT {lower.format("systolic")}, {lower.format("diastolic")}, {column} AS category, count(*) AS readings, max(date) AS date
        FROM {table} GROUP BY ALL ORDER BY systolic, diastolic, category
        """,
        parameters,
    )


def _said(rows: pd.DataFrame, scheme: str) -> str:
    """`209 readings: 40 normal, 62 elevated, 90 stage 1 range, 17 stage 2 range.`"""
    by = rows.groupby("category")["readings"].sum()
    parts = [
        f"{words.whole(by[step.name])} {theme.look(step.name).label.lower()}" for step in steps(scheme) if step.name in by.index
    ]
    return f"{words.count(int(rows['readings'].sum()), 'reading')}: {', '.join(parts)}. Single readings, not a diagnosis."


def _readable(rows: pd.DataFrame) -> pd.DataFrame:
    names = {
        "systolic": "Systolic (mmHg)",
        "diastolic": "Diastolic (mmHg)",
        "category": "Category",
        "readings": "Readings",
        "date": "Newest on",
    }
    labelled = rows.assign(category=[theme.look(name).label for name in rows["category"]])
    return base.plain(labelled.rename(columns=names)[list(names.values())])


class _Plane(NamedTuple):
    """The two axes, mmHg, and the colours that hold in all layers."""

    x: tuple[float, float]
    y: tuple[float, float]
    looks: Sequence[theme.Look]

    def across(self, field: str, **more: Any) -> alt.X:
        import altair as alt

        return alt.X(f"{field}:Q", scale=alt.Scale(domain=list(self.x), nice=False, zero=False, clamp=True), **more)

    def up(self, field: str, **more: Any) -> alt.Y:
        import altair as alt

        return alt.Y(f"{field}:Q", scale=alt.Scale(domain=list(self.y), nice=False, zero=False, clamp=True), **more)

    def color(self) -> alt.Color:
        import altair as alt

        found = alt.Scale(domain=[look.label for look in self.looks], range=[look.color for look in self.looks])
        return alt.Color("label:N", scale=found, legend=None)

    def shape(self) -> alt.Shape:
        import altair as alt

        found = alt.Scale(domain=[look.label for look in self.looks], range=[look.shape for look in self.looks])
        return alt.Shape("label:N", scale=found, legend=None)


def _drawn(rows: pd.DataFrame, scheme: str, sentence: str) -> Any:
    import altair as alt

    plane = _Plane(
        base.span(rows["diastolic"], include=(60, 95)),
        base.span(rows["systolic"], include=(100, 145)),
        [theme.look(step.name) for step in steps(scheme)],
    )
    layers = [*_areas(plane, scheme), _dots(plane, rows)]
    return theme.dressed(alt.layer(*layers).properties(height=_HEIGHT, width="container"), sentence)


def _areas(plane: _Plane, scheme: str) -> list[Any]:
    """The areas of the categories as far as they are seen, and their names in the upper left corners."""
    import altair as alt
    import pandas as pd

    (low_x, high_x), (low_y, high_y) = plane.x, plane.y
    seen = [
        r
        for r in rectangles(scheme)
        if r.diastolic_from < high_x and r.systolic_from < high_y and r.diastolic_to > low_x and r.systolic_to > low_y
    ]
    ground = pd.DataFrame(
        {
            "label": [theme.look(r.category).label for r in seen],
            "x1": [max(r.diastolic_from, low_x) for r in seen],
            "x2": [min(r.diastolic_to, high_x) for r in seen],
            "y1": [max(r.systolic_from, low_y) for r in seen],
            "y2": [min(r.systolic_to, high_y) for r in seen],
        }
    )
    areas = alt.Chart(ground).mark_rect(opacity=0.16)
    leftmost = [r for r in seen if r.diastolic_from == 0]
    corners = pd.DataFrame(
        {
            "name": [theme.look(r.category).label for r in leftmost],
            "x": [low_x] * len(leftmost),
            "y": [min(r.systolic_to, high_y) for r in leftmost],
        }
    )
    names = alt.Chart(corners).mark_text(align="left", baseline="top", dx=6, dy=5, fontSize=11)
    return [
        areas.encode(
            x=plane.across("x1", title="Diastolic, mmHg", axis=alt.Axis(grid=False, tickCount=6)),
            x2=alt.X2("x2:Q"),
            y=plane.up("y1", title="Systolic, mmHg", axis=alt.Axis(grid=False, tickCount=6)),
            y2=alt.Y2("y2:Q"),
            color=plane.color(),
        ),
        names.encode(x=plane.across("x"), y=plane.up("y"), text=alt.Text("name:N"), color=base.fixed(alt.ColorValue, theme.INK)),
    ]


def _dots(plane: _Plane, rows: pd.DataFrame) -> Any:
    """A point per pair of values; a click chooses its newest day."""
    import altair as alt
    import pandas as pd

    data = pd.DataFrame(
        {
            "systolic": rows["systolic"],
            "diastolic": rows["diastolic"],
            "readings": rows["readings"],
            "date": base.iso(rows["date"]),
            "label": [theme.look(name).label for name in rows["category"]],
            "newest": [words.on(stamp.date()) for stamp in rows["date"]],
            "pair": [words.pair(s, d) for s, d in zip(rows["systolic"], rows["diastolic"], strict=True)],
        }
    )
    most = max(int(data["readings"].max()), 4)
    areas = alt.Scale(range=[35, 160] if len(data) <= 300 else [14, 70], domain=[1, most])
    return (
        alt.Chart(data)
        .mark_point(filled=True, opacity=0.85, stroke=theme.GREY, strokeWidth=1)
        .encode(
            x=plane.across("diastolic"),
            y=plane.up("systolic"),
            color=plane.color(),
            shape=plane.shape(),
            size=alt.Size("readings:Q", scale=areas, legend=None),
            tooltip=[
                alt.Tooltip("pair:N", title="mmHg"),
                alt.Tooltip("label:N", title="Category"),
                alt.Tooltip("readings:Q", title="Readings"),
                alt.Tooltip("newest:N", title="Newest on"),
            ],
        )
        .add_params(alt.selection_point(name=base.DAY, on="click", fields=["date"], empty=False))
    )
