"""Activity and body: steps against the goal, weight, oxygen saturation; body fat, respiration and temperature where a device tells them."""

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
    from serving.charts.days import told

    makers = {
        "steps": activity.panel,
        "weight": body.weight,
        "body_fat": body.fat,
        "spo2_avg": body.oxygen,
        "respiration_avg": body.respiration,
        "body_temperature": body.temperature,
    }
    show.heading("Activity", "Sources and devices are never summed: the one believed first tells the day.")
    show.panels((makers[column] for column in told(gold, makers)), gold, view, tools)
