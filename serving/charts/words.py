"""Numbers, lengths of time and days as people say them; what has changed, and why a range is empty, in a sentence."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serving.gold import Gold
    from serving.view import View


def whole(value: float) -> str:
    """Rounded half up (away from zero below it) and with a point between thousands: 124, −6, 8 412."""
    return f"{half_up(value):,}".replace(",", "\u202f").replace("-", "−")


def half_up(value: float) -> int:
    """The nearest integer; a half goes away from zero."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def known(value: float) -> bool:
    """Whether there is a value: not None and not NaN."""
    return value is not None and not math.isnan(value)


def shown(value: float, missing: str = "") -> str:
    """`whole`, or the words for a missing one."""
    return whole(value) if known(value) else missing


def pair(systolic: float, diastolic: float, missing: str = "") -> str:
    """`124/79`, or the words for a missing one."""
    return f"{half_up(systolic)}/{half_up(diastolic)}" if known(systolic) and known(diastolic) else missing


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


def count(number: int, one: str, many: str = "") -> str:
    """`1 reading`, `3 readings`; the plural is the singular with an s unless told."""
    return f"{whole(number)} {one if number == 1 else many or one + 's'}"


def on(day: date) -> str:
    """`4 March 2025`."""
    return f"{day.day} {day:%B %Y}"


def source_title(source: str) -> str:
    """A source as a person calls it."""
    from config.sources import SOURCES

    return SOURCES[source].title if source in SOURCES else source


def when(day: date, step: str) -> str:
    """The label of a step: `Tue 4 March 2025`, `Week from 3 March 2025`."""
    return f"{day:%a} {on(day)}" if step == "day" else f"Week from {on(day)}"


def between(first: date, last: date) -> str:
    """`on 1 March 2025`, `between 1 and 7 March 2025`, `between 28 February and 3 March 2025`."""
    return f"on {on(first)}" if first == last else f"between {_begin(first, last)} and {on(last)}"


def through(first: date, last: date) -> str:
    """`1 March 2025`, `1 to 7 March 2025`, `28 February to 3 March 2025`."""
    return on(first) if first == last else f"{_begin(first, last)} to {on(last)}"


def _begin(first: date, last: date) -> str:
    """The first day without what it shares with the last."""
    if first.year != last.year:
        return on(first)
    return f"{first.day}" if first.month == last.month else f"{first.day} {first:%B}"


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


def nothing(gold: Gold, view: View, what: str, column: str, *, thing: str = "reading") -> str:
    """Why a range is empty and what to do: `No blood pressure between 1 and 7 March 2025; the last reading is of 20 February 2025.`

    Args:
        column: of the daily table; decides which days have it. Written by charts, never by a person.
    """
    import pandas as pd

    from serving.charts.days import daily

    table, parameters = daily(view)
    known = gold.table(
        f"""
        SELECT max(date) FILTER (WHERE date < $first) AS earlier, min(date) FILTER (WHERE date > $last) AS later
        FROM {table} WHERE {column} IS NOT NULL
        """,
        {**parameters, "first": view.first, "last": view.last},
    ).iloc[0]
    source = f" from {view.source}" if view.source else ""
    missing = f"No {what}{source} {between(view.first, view.last)}"
    if pd.notna(known["earlier"]):
        return f"{missing}; the last {thing} before is of {on(known['earlier'].date())}."
    if pd.notna(known["later"]):
        return f"{missing}; the first {thing} is of {on(known['later'].date())}."
    return f"{missing}, nor at any other time; choose {'another source' if view.source else 'data that have it'}."
