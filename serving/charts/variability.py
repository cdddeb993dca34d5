"""Heart rate variability, by each of its two measures alone: SDNN and RMSSD are not the same and are never mixed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving.charts import figures, theme
from serving.charts.figures import Measure
from serving.charts.legend import DIAMOND, DOT

if TYPE_CHECKING:
    from serving.charts.panel import Panel
    from serving.gold import Gold
    from serving.view import View

_TITLE, _WITHIN = "Heart rate variability", "heart rate variability"
_SDNN = Measure("hrv_sdnn", f"{_TITLE} (SDNN)", "hrv_sdnn", "ms", theme.HEART, DOT, 10, f"{_WITHIN} as SDNN", 0)
_RMSSD = Measure("hrv_rmssd", f"{_TITLE} (RMSSD)", "hrv_rmssd", "ms", theme.GREEN, DIAMOND, 10, f"{_WITHIN} as RMSSD", 0)


def sdnn(gold: Gold, view: View) -> Panel:
    """The mean standard deviation of the intervals between beats, of every day, ms."""
    return figures.panel(gold, view, _SDNN)


def rmssd(gold: Gold, view: View) -> Panel:
    """The mean root mean square of successive differences between beats, of every day, ms."""
    return figures.panel(gold, view, _RMSSD)
