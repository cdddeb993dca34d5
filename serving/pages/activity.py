"""Activity and body: steps against the goal, weight and oxygen saturation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving.pages import show

if TYPE_CHECKING:
    from serving.gold import Gold
    from serving.pages.tools import Tools
    from serving.view import View


def page(gold: Gold, view: View, tools: Tools) -> None:
    """What was moved and weighed in the chosen span."""
    from serving.charts import activity, body

    show.heading("Activity", "Sources and devices are never summed: the one believed first tells the day.")
    show.panels((activity.panel, body.weight, body.oxygen), gold, view, tools)
