"""Units sources count in → those of the metric catalogue, by UCUM codes and the spellings that APIs write instead.

Factors are exact by definition where there is one (international pound, mile and inch, thermochemical calorie); sources: UCUM
(ucum.org), table of units, and NIST SP 811 for mmHg and calorie.
"""

from __future__ import annotations

import re

from config.metrics import METRICS

_SCALES: dict[str, dict[str, tuple[float, float]]] = {
    "mm[Hg]": {"mm[Hg]": (1, 0), "kPa": (7.50061682704, 0), "Pa": (0.00750061682704, 0), "cm[Hg]": (10, 0)},
    "/min": {"/min": (1, 0), "/s": (60, 0), "/h": (1 / 60, 0), "Hz": (60, 0)},
    "ms": {"ms": (1, 0), "s": (1000, 0), "us": (0.001, 0)},
    "min": {"min": (1, 0), "s": (1 / 60, 0), "ms": (1 / 60_000, 0), "h": (60, 0)},
    "{score}": {"1": (1, 0)},
    "{steps}": {"1": (1, 0)},
    "m": {
        "m": (1, 0),
        "km": (1000, 0),
        "cm": (0.01, 0),
        "mm": (0.001, 0),
        "[mi_i]": (1609.344, 0),
        "[ft_i]": (0.3048, 0),
        "[yd_i]": (0.9144, 0),
        "[in_i]": (0.0254, 0),
    },
    "kcal": {"kcal": (1, 0), "cal": (0.001, 0), "[Cal]": (1, 0), "kJ": (1 / 4.184, 0), "J": (1 / 4184, 0)},
    "%": {"%": (1, 0), "1": (100, 0)},
    "kg": {
        "kg": (1, 0),
        "g": (0.001, 0),
        "mg": (0.000001, 0),
        "[lb_av]": (0.45359237, 0),
        "[oz_av]": (0.028349523125, 0),
        "[stone_av]": (6.35029318, 0),
    },
    "Cel": {"Cel": (1, 0), "[degF]": (5 / 9, 32), "K": (1, 273.15)},
}
"""The catalogue's unit → each unit that goes over into it → (factor, what is taken off before)."""

_SPELT = {
    "mmhg": "mm[Hg]",
    "bpm": "/min",
    "beats/min": "/min",
    "breaths/min": "/min",
    "brpm": "/min",
    "count/min": "/min",
    "rpm": "/min",
    "msec": "ms",
    "milliseconds": "ms",
    "sec": "s",
    "secs": "s",
    "seconds": "s",
    "second": "s",
    "mins": "min",
    "minutes": "min",
    "minute": "min",
    "hr": "h",
    "hrs": "h",
    "hours": "h",
    "hour": "h",
    "meters": "m",
    "metres": "m",
    "meter": "m",
    "metre": "m",
    "kilometers": "km",
    "kilometres": "km",
    "mi": "[mi_i]",
    "mile": "[mi_i]",
    "miles": "[mi_i]",
    "ft": "[ft_i]",
    "feet": "[ft_i]",
    "yd": "[yd_i]",
    "in": "[in_i]",
    "inches": "[in_i]",
    "kilocalories": "kcal",
    "percent": "%",
    "fraction": "1",
    "count": "1",
    "steps": "1",
    "score": "1",
    "points": "1",
    "kgs": "kg",
    "kilogram": "kg",
    "kilograms": "kg",
    "grams": "g",
    "lb": "[lb_av]",
    "lbs": "[lb_av]",
    "pounds": "[lb_av]",
    "oz": "[oz_av]",
    "st": "[stone_av]",
    "stone": "[stone_av]",
    "c": "Cel",
    "°c": "Cel",
    "degc": "Cel",
    "celsius": "Cel",
    "f": "[degF]",
    "°f": "[degF]",
    "degf": "[degF]",
    "fahrenheit": "[degF]",
}
"""What APIs write, in small letters → UCUM."""


def scale(metric: str, unit: str) -> tuple[float, float] | None:
    """(factor, what is taken off before it) from `unit` to the catalogue's unit of a metric; None where there is no way between them.

    An empty unit is the catalogue's. UCUM's annotations mean nothing: `{beats}/min` is `/min`.
    """
    scales = _SCALES[METRICS[metric].unit]
    text = unit.strip()
    if text in ("", METRICS[metric].unit):
        return 1.0, 0.0
    for code in (text, _SPELT.get(text.lower(), ""), _unannotated(text)):
        if code in scales:
            return scales[code]
    return None


def known(metric: str) -> list[str]:
    """The UCUM units a metric may come in, the catalogue's first."""
    unit = METRICS[metric].unit
    return list(dict.fromkeys((unit, *_SCALES[unit])))


def converted(value: float, scaled: tuple[float, float]) -> float:
    """The value in the catalogue's unit, to six places where it was another."""
    factor, off = scaled
    return value if (factor, off) == (1, 0) else round((value - off) * factor, 6)


def _unannotated(unit: str) -> str:
    """Without `{…}`, and with `1/min` as `/min`."""
    code = re.sub(r"\{[^{}]*\}", "", unit) or "1"
    return code[1:] if code.startswith("1/") else code
