"""Numbers and days as people read them: whole numbers rounded half up, days by name, sentences for empty ranges."""

from __future__ import annotations

import math
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


def count(number: int, one: str, many: str = "") -> str:
    """`1 reading`, `3 readings`; the plural is the singular with an s unless told."""
    return f"{whole(number)} {one if number == 1 else many or one + 's'}"


def on(day: date) -> str:
    """`4 March 2025`."""
    return f"{day.day} {day:%B %Y}"


def when(day: date, step: str) -> str:
    """The label of a step: `Tue 4 March 2025`, `Week from 3 March 2025`."""
    return f"{day:%a} {on(day)}" if step == "day" else f"Week from {on(day)}"


def between(first: date, last: date) -> str:
    """`on 1 March 2025`, `between 1 and 7 March 2025`, `between 28 February and 3 March 2025`."""
    if first == last:
        return f"on {on(first)}"
    begin = f"{first.day}" if (first.year, first.month) == (last.year, last.month) else f"{first.day} {first:%B}"
    return f"between {begin if first.year == last.year else on(first)} and {on(last)}"


def compared(difference: float, days: int) -> str:
    """`6 lower than the 30 days before`, or `as in …` where it rounds to nothing."""
    amount = half_up(difference)
    before = f"the {count(days, 'day')} before" if days > 1 else "the day before"
    return f"{abs(amount)} {'higher' if amount > 0 else 'lower'} than {before}" if amount else f"the same as {before}"


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
