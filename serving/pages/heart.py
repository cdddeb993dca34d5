"""Heart: the day's range, mean and resting heart rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving.pages import show

if TYPE_CHECKING:
    from serving.gold import Gold
    from serving.pages.tools import Tools
    from serving.view import View


def page(gold: Gold, view: View, tools: Tools) -> None:
    """Heart rate in the chosen span."""
    from serving.charts import heart

    show.heading("Heart", "Lowest, mean and highest heart rate of each day, and the resting heart rate as a device reported it.")
    show.panels((heart.panel,), gold, view, tools)
    show.note("The lowest heart rate of a day is not the resting one.")
