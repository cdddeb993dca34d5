"""Heart: the day's range, mean and resting heart rate, and how the beat varies where a device tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving.pages import show

if TYPE_CHECKING:
    from serving.gold import Gold
    from serving.pages.tools import Tools
    from serving.view import View


def page(gold: Gold, view: View, tools: Tools) -> None:
    """Heart rate in the chosen span."""
    from serving.charts import heart, variability
    from serving.charts.days import told

    makers = {"avg_hr": heart.panel, "hrv_sdnn": variability.sdnn, "hrv_rmssd": variability.rmssd}
    shown = told(gold, makers)
    show.heading("Heart", "Lowest, mean and highest heart rate of each day, and the resting heart rate as a device reported it.")
    show.panels((makers[column] for column in shown), gold, view, tools)
    show.note("The lowest heart rate of a day is not the resting one.")
    if len(shown) > 1:
        show.note("SDNN and RMSSD measure variability in two ways: one is not to be held against the other.")
