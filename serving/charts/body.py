"""The body: weight, body fat, oxygen saturation, respiration and temperature, one figure a day each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving.charts import figures, theme
from serving.charts.figures import Measure
from serving.charts.legend import DIAMOND, DOT, TRIANGLE

if TYPE_CHECKING:
    from serving.charts.panel import Panel
    from serving.gold import Gold
    from serving.view import View

_WEIGHT = Measure("weight", "Weight", "weight", "kg", theme.VERMILLION, DIAMOND, 1, "weight", last=True)
_FAT = Measure("body_fat", "Body fat", "body_fat", "%", theme.GREEN, TRIANGLE, 1, "body fat", last=True)
_OXYGEN = Measure("oxygen", "Oxygen saturation (SpO₂)", "spo2_avg", "%", theme.BLUE, DOT, 2, "oxygen saturation")
_BREATHS = Measure("respiration", "Respiration", "respiration_avg", "breaths/min", theme.PURPLE, DOT, 2, "respiration")
_TEMPERATURE = Measure(
    "temperature", "Body temperature", "body_temperature", "°C", theme.VERMILLION, DOT, 0.5, "body temperature"
)


def weight(gold: Gold, view: View) -> Panel:
    """The last weight of every day, kg."""
    return figures.panel(gold, view, _WEIGHT)


def fat(gold: Gold, view: View) -> Panel:
    """The last body fat of every day, percent."""
    return figures.panel(gold, view, _FAT)


def oxygen(gold: Gold, view: View) -> Panel:
    """The mean oxygen saturation of every day, percent."""
    return figures.panel(gold, view, _OXYGEN)


def respiration(gold: Gold, view: View) -> Panel:
    """The mean breaths per minute of every day."""
    return figures.panel(gold, view, _BREATHS)


def temperature(gold: Gold, view: View) -> Panel:
    """The mean body temperature of every day, °C."""
    return figures.panel(gold, view, _TEMPERATURE)
