"""A legend for layers that are drawn without one: a colour and a shape per entry, in rows that fit a phone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

LINE = "M-1.2,-0.25L1.2,-0.25L1.2,0.25L-1.2,0.25Z"
"""Shape of an entry that is a line."""
DASHES = "M-1.2,-0.2L-0.3,-0.2L-0.3,0.2L-1.2,0.2ZM0.3,-0.2L1.2,-0.2L1.2,0.2L0.3,0.2Z"
BAND = "M-1,-1L1,-1L1,1L-1,1Z"
"""Shape of an entry that is an area or a bar."""
DOT, DIAMOND, TRIANGLE = "circle", "diamond", "triangle-up"


def legend(entries: Sequence[tuple[str, str, str]], columns: int = 2) -> Any:
    """A layer that draws nothing but the legend of (label, colour, shape) entries."""
    import altair as alt

    labels = [label for label, _, _ in entries]
    shown = alt.Legend(title=None, orient="top", columns=columns, symbolOpacity=1, symbolSize=90, symbolStrokeWidth=0)
    return (
        alt.Chart(alt.InlineData(values=[{"entry": label} for label in labels]))
        .mark_point(opacity=0, filled=True, size=0)
        .encode(
            color=alt.Color("entry:N", scale=alt.Scale(domain=labels, range=[color for _, color, _ in entries]), legend=shown),
            shape=alt.Shape("entry:N", scale=alt.Scale(domain=labels, range=[shape for _, _, shape in entries]), legend=shown),
            y=alt.value(0),
        )
    )
