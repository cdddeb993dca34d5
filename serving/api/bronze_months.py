"""How many rows each month holds, by the ledger: what a page by number skips, and how far a page has to look, without counting rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from serving.api.bronze_sql import UNDATED, Filter, Order

EARLIEST, LATEST = datetime(1, 1, 1), datetime(9999, 12, 31)  # noqa: DTZ001 - bronze keeps UTC without a zone


class Start(NamedTuple):
    """Where a page by number begins: in this month, so many of its rows on."""

    month: date
    rows: int
    """Rows of the month."""
    skip: int


class Months(NamedTuple):
    """(month, rows that are wanted of it), oldest first; rows without a time are of the month `UNDATED`."""

    held: Sequence[tuple[date, int]]
    order: Order

    @property
    def total(self) -> int:
        return sum(rows for _, rows in self.held)

    @property
    def dated(self) -> int:
        """Rows that have a time."""
        return sum(rows for _, rows in self._in_order())

    def start(self, skip: int) -> Start:
        """The place that is `skip` rows on; there are more than that."""
        passed = 0
        for month, rows in self._in_order():
            if passed + rows > skip:
                return Start(month, rows, skip - passed)
            passed += rows
        raise IndexError(skip)

    def horizon(self, after: datetime | None, rows: int) -> Filter:
        """The months that surely hold so many rows after a time, or from the beginning: no others need be looked at."""
        found = 0
        for month, held in self._in_order():
            first, end = bounds(month)
            if after is not None and (end <= after if not self.order.descending else first > after):
                continue
            found += held if after is None or not first <= after < end else 0  # of its own month anything may be left
            if found >= rows:
                return Filter(first, None, None) if self.order.descending else Filter(None, end, None)
        return Filter(None, None, None)

    def _in_order(self) -> Iterator[tuple[date, int]]:
        held = reversed(self.held) if self.order.descending else iter(self.held)
        return ((month, rows) for month, rows in held if month != UNDATED)


def bounds(month: date) -> tuple[datetime, datetime]:
    """A month's first moment, and that of the next."""
    return midnight(month), midnight((month + timedelta(days=31)).replace(day=1))


def midnight(day: date, later: int = 0) -> datetime:
    """Midnight UTC of a day, or of `later` days after it; the end of the calendar beyond it."""
    try:
        return datetime.combine(day + timedelta(days=later), datetime.min.time())
    except OverflowError:
        return LATEST


def narrowed(one: Filter, other: Filter) -> Filter:
    """What both want; the text is the first one's."""
    firsts = [bound for bound in (one.first, other.first) if bound is not None]
    ends = [bound for bound in (one.end, other.end) if bound is not None]
    return Filter(max(firsts, default=None), min(ends, default=None), one.like)
