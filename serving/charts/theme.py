"""How charts look: colours that colour-blind people tell apart and that stand on light and dark ground alike.

Colours: Okabe and Ito, "Color Universal Design" (2008). Lines and points use those with a contrast of at least 3:1 on
white and on Streamlit's dark ground; the lighter ones only fill areas, with an outline. A category has a shape as well.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, YELLOW = "#E69F00", "#56B4E9", "#F0E442"
GREY = "#7F7F7F"
"""Rules, outlines, the crosshair: 4:1 on white, 4.7:1 on dark."""

INK = "gray"
"""Of words on a chart, as `alt.value(INK)`: Streamlit puts its theme's own readable grey in its place, light or dark."""

SYSTOLIC, DIASTOLIC, HEART, SLEEP, STEPS, EVENT = VERMILLION, BLUE, PURPLE, BLUE, GREEN, PURPLE
MORNING, EVENING = "#C27A00", BLUE

FONT_SIZE = 12


class Look(NamedTuple):
    """How a category is drawn and named."""

    color: str
    shape: str
    """Of Vega: circle, triangle-up, square, diamond, cross."""
    label: str


CATEGORIES: dict[str, Look] = {
    "normal": Look(GREEN, "circle", "Normal"),
    "non_elevated": Look(GREEN, "circle", "Non-elevated"),
    "elevated": Look(YELLOW, "triangle-up", "Elevated"),
    "stage_1": Look(ORANGE, "square", "Stage 1 range"),
    "stage_2": Look(VERMILLION, "diamond", "Stage 2 range"),
    "hypertension": Look(VERMILLION, "diamond", "Hypertension range"),
    "severe": Look("#B0528F", "cross", "Severe range"),
}
"""Category of any scheme → look. "Range" because readings lie in a range; a diagnosis is a doctor's."""

SEQUENCE: Literal["cividis"] = "cividis"
"""Scale of a heatmap: made for colour-blind people, and light to dark in print."""


def look(category: str | None) -> Look:
    """Of a category; a plain one for none."""
    return CATEGORIES.get(category or "", Look(GREY, "circle", "No category"))


def dressed(chart: Any, said: str = "") -> Any:
    """The chart as `dress` has it."""
    return chart.properties(**dress(said))


def dress(said: str = "") -> dict[str, Any]:
    """Properties of a chart: transparent ground, readable sizes, quiet axes, and a description for screen readers.

    Ink is left to Streamlit's own theme, so the chart follows light and dark. Marks are hidden from screen readers:
    the description and the table beside the chart tell them more than a thousand points would.
    """
    import altair as alt

    config = alt.Config(
        background="transparent",
        mark=alt.MarkConfig(aria=False),
        view=alt.ViewConfig(stroke=None),
        axis=alt.AxisConfig(
            labelFontSize=FONT_SIZE,
            titleFontSize=FONT_SIZE,
            labelOverlap="greedy",
            labelSeparation=6,
            labelPadding=6,
            gridOpacity=0.35,
            domain=False,
            ticks=False,
            titleFontWeight="normal",
        ),
        legend=alt.LegendConfig(
            labelFontSize=FONT_SIZE,
            titleFontSize=FONT_SIZE,
            orient="top",
            direction="horizontal",
            labelLimit=400,
            title=None,
            symbolStrokeWidth=1.5,
        ),
        text=alt.MarkConfig(fontSize=FONT_SIZE),
    )
    # the height is that of the drawing; axes come on top of it
    size = alt.AutoSizeParams(type="fit-x", contains="padding")
    return {"description": said, "config": config, "autosize": size}
