"""Epoch numbers whose unit nobody states: seconds, milli-, micro- and nanoseconds told apart by magnitude, 2009 to 2100."""

from __future__ import annotations

from typing import Any

FIRST = 1_230_768_000
"""2009-01-01T00:00Z: before it there were no such devices; a clock that was reset shows an earlier date."""
LAST = 4_102_444_800
"""2100-01-01T00:00Z."""

_UNITS = (1, 1_000, 1_000_000, 1_000_000_000)


def epoch_micros(value: Any) -> int | None:
    """Microseconds since 1970 of an epoch number in s, ms, µs or ns; None for anything outside 2009 to 2100 in every unit.

    The four ranges do not overlap, so the magnitude decides without a doubt.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    for unit in _UNITS:
        if FIRST * unit <= value < LAST * unit:
            return value * 1_000_000 // unit
    return None
