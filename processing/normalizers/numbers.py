"""A measured number out of parsed JSON: an int or a float that is one, and nothing that merely looks like it."""

from __future__ import annotations

import math
from typing import Any

LARGEST = 1e15
"""No device means a number as large."""


def number(value: Any) -> float | None:
    """The value as a float; None for text, true/false, null, NaN, infinities and numbers no device can mean."""
    if type(value) is not int and type(value) is not float:
        return None
    if not -LARGEST < value < LARGEST or math.isnan(value):
        return None
    return float(value)
