"""Marks several charts draw alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serving.charts.base import Lane

_ROOM = 45
"""Steps up to which a point is large enough to be told from its neighbour."""


def line(chart: Any, lane: Lane, field: str, color: str, shape: str, steps: int) -> list[Any]:
    """A line of `field` that breaks at gaps, with a point per value, so that a value between two gaps is seen."""
    up = lane.y(f"{field}:Q")
    return [
        chart.mark_line(color=color, strokeWidth=2).encode(y=up),
        chart.mark_point(color=color, filled=True, shape=shape, size=30 if steps <= _ROOM else 10, opacity=1).encode(y=up),
    ]


def trend(chart: Any, lane: Lane, field: str, color: str) -> Any:
    """A smooth mean over the values; it breaks where there are too few of them."""
    return chart.mark_line(color=color, strokeWidth=2.5, interpolate="monotone").encode(y=lane.y(f"{field}:Q"))
