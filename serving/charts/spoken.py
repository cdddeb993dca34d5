"""Measures as people say them, beside `words`: decimals, durations in hours and minutes, clock times, how a mean has changed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from serving.charts.words import count, whole

if TYPE_CHECKING:
    from serving.view import View


def figure(value: float, digits: int = 0) -> str:
    """`8 412`, `−0.31`: rounded half up to so many decimals, with a true minus."""
    if not digits:
        return whole(value)
    scaled = math.floor(abs(value) * 10**digits + 0.5)
    integer, rest = divmod(scaled, 10**digits)
    return f"{'−' if value < 0 and scaled else ''}{whole(integer)}.{rest:0{digits}d}"


def column(values: Iterable[float], digits: int = 0, missing: str = "–") -> list[str]:
    """The figures of a column for a tooltip, which would show a missing one as `null`."""
    return [missing if math.isnan(value) else figure(value, digits) for value in values]


def span(minutes: float) -> str:
    """A length of time: `7 h 12 min`, `45 min`."""
    rounded = math.floor(abs(minutes) + 0.5)
    return f"{rounded // 60} h {rounded % 60} min" if rounded >= 60 else f"{rounded} min"


def clock(after_noon: float) -> str:
    """Minutes after a noon as the time on a clock: 674 is `23:14`."""
    of_day = math.floor(after_noon + 720.5) % 1440
    return f"{of_day // 60:02d}:{of_day % 60:02d}"


def of_all_sources(view: View) -> str:
    """What is added to a sentence that no choice of source changes."""
    return " Of all sources together." if view.source else ""


def of(n: int, total: int, one: str = "day") -> str:
    """`84 of 90 days`, `all 90 days`, `the one day`."""
    if n == total:
        return f"all {count(n, one)}" if n > 1 else f"the one {one}"
    return f"{whole(n)} of {count(total, one)}"


def changed(now: float, before: float, days: int, *, digits: int = 0, minutes: bool = False, more: str = "higher lower") -> str:
    """`6 lower than the 30 days before`, `18 min more than …`, `the same as …`; what rounds to nothing is the same.

    Args:
        more: the two words for more and less.
    """
    amount = span(now - before) if minutes else figure(abs(now - before), digits)
    than = f"the {count(days, 'day')} before" if days > 1 else "the day before"
    if not any(digit in amount for digit in "123456789"):
        return f"the same as {than}"
    up, down = more.split()
    return f"{amount} {up if now > before else down} than {than}"
