"""One page of bronze rows, within one snapshot of the database: found by its place or by its number, never by counting through rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import dict_row

from serving.api import bronze_sql as ask
from serving.api import cursors
from serving.api.bronze_months import EARLIEST, LATEST, Months, Start, bounds, midnight, narrowed
from serving.api.bronze_sql import UNDATED, Filter, Order, Place, Row
from serving.api.errors import Refused, wrong
from serving.api.parameters import DataQuestion
from warehouse.bronze.connection import Connection

DEEPEST = 100_000
"""Rows a page by number may skip where no ledger helps."""
COUNTED = 1_000
"""Matches of a search that are counted; more are told as at least so many."""
_COUNT_SECONDS = 2
_CURSOR = (str, type(None)), (str,), (int,)


class Page(NamedTuple):
    """Rows, and what there is around them."""

    rows: list[Row]
    page: int | None
    total: int
    estimate: bool
    following: str | None
    """Cursor of the next page; None when there is none."""


class Pager:
    """Answers one question; inside a transaction that sees one moment."""

    def __init__(self, session: Connection, sources: Sequence[str], asked: DataQuestion) -> None:
        self._session, self._sources, self._asked = session, sources, asked
        self._order = ask.order(asked.sort)
        self._spanned = asked.from_ is not None or asked.to is not None
        self._wanted = Filter(
            midnight(asked.from_) if asked.from_ else None,
            midnight(asked.to, 1) if asked.to else None,
            ask.escaped(asked.search) if asked.search else None,
        )

    def page(self) -> Page:
        """The page. Refused for a cursor that is none and for a number that lies too deep to be counted to."""
        size, number = self._asked.page_size, None if self._asked.cursor else self._asked.page or 1
        skip = (number - 1) * size if number else 0
        months = Months([] if self._asked.search else self._held(), self._order)
        rows = self._rows(self._after() if self._asked.cursor else None, skip, months)
        more = len(rows) > size
        total, estimate = self._total(skip + len(rows)) if self._asked.search else (months.total, False)
        return Page(rows[:size], number, total, estimate, self._next(rows[size - 1]) if more else None)

    def _rows(self, after: Place | None, skip: int, months: Months) -> list[Row]:
        """What the page holds and one row more."""
        limit = self._asked.page_size + 1
        if self._order.column == "id":
            _refuse_deep(skip)
            return self._run(ask.by_id(self._sources[0], self._order, self._wanted, after), limit, skip)
        if self._asked.search:
            _refuse_deep(skip)
            return self._found(after, limit, skip)
        if after is not None and after.time is None:
            return self._without_time(after, limit, 0)
        if skip and skip >= months.total:
            return []
        if skip and skip >= months.dated:
            return self._without_time(None, limit, skip - months.dated)
        start, skip = self._within(months.start(skip)) if skip else (None, 0)
        near = narrowed(self._wanted, months.horizon(after.time if after else start, limit + skip))
        rows = self._dated(near, after, start, limit, skip)
        if len(rows) < limit and near != self._wanted:  # the ledger says more than there is
            rows = self._dated(self._wanted, after, start, limit, skip)
        return rows if len(rows) == limit else rows + self._without_time(None, limit - len(rows), 0)

    def _found(self, after: Place | None, limit: int, skip: int) -> list[Row]:
        """What a search finds: rows with a time, then those without."""
        if after is not None and after.time is None:
            return self._without_time(after, limit, 0)
        rows = self._dated(self._wanted, after, None, limit, skip)
        if len(rows) == limit:
            return rows
        passed = skip - self._number(ask.count(self._sources, self._wanted, timed=True)) if skip and not rows else 0
        return rows + self._without_time(None, limit - len(rows), max(passed, 0))

    def _dated(self, wanted: Filter, after: Place | None, start: datetime | None, limit: int, skip: int) -> list[Row]:
        return self._run(ask.dated(self._sources, self._order, wanted, after, start), limit, skip)

    def _without_time(self, after: Place | None, limit: int, skip: int) -> list[Row]:
        if self._spanned:
            return []
        _refuse_deep(skip)
        return self._run(ask.undated(self._sources, self._wanted, after), limit, skip)

    def _within(self, start: Start) -> tuple[datetime, int]:
        """The time of the row to begin at, and how many rows of that very time to skip; from the index of its month alone."""
        inside = narrowed(Filter(*bounds(start.month), None), self._wanted)
        backwards = start.skip > start.rows // 2  # from the nearer end of the month
        by = Order(self._order.column, self._order.descending ^ backwards)
        statement = ask.nth_time(self._sources, by, inside)
        found = self._session.execute(statement, {"skip": start.rows - 1 - start.skip if backwards else start.skip}).fetchall()
        if not found:
            raise Refused(503, "database", "The load ledger and the rows do not agree.", "Run: python main.py bronze reconcile")
        at, before = found[0]
        if not backwards:
            return at, start.skip - before
        tied = self._number(ask.count(self._sources, Filter(at, at + timedelta(microseconds=1), None), timed=True))
        return at, start.skip - (start.rows - before - tied)

    def _held(self) -> list[tuple[date, int]]:
        """Month → rows that are wanted of it, by the ledger; of the months a span cuts they are counted."""
        held = self._session.execute(ask.LEDGER, {"sources": list(self._sources)}).fetchall()
        if not self._spanned:
            return [(month, rows) for month, rows in held]
        first, end = self._wanted.first or EARLIEST, self._wanted.end or LATEST
        found = []
        for month, rows in held:
            begins, ends = bounds(month)
            if month == UNDATED or ends <= first or begins >= end:
                continue
            cut = Filter(max(begins, first), min(ends, end), None)
            whole = cut[:2] == (begins, ends)
            found.append((month, rows if whole else self._number(ask.count(self._sources, cut, timed=True))))
        return found

    def _total(self, seen: int) -> tuple[int, bool]:
        """How many rows a search finds, and whether there may be more than that."""
        try:
            with self._session.transaction():  # a savepoint: a count that takes too long costs itself only
                self._session.execute(f"SET LOCAL statement_timeout = '{_COUNT_SECONDS}s'")
                found = self._number(ask.count(self._sources, self._wanted, timed=self._spanned, at_most=COUNTED + 1))
        except psycopg.errors.QueryCanceled:
            return seen, True
        return max(seen, min(found, COUNTED)), found > COUNTED

    def _after(self) -> Place:
        stamp, source, number = cursors.read(self._asked.cursor or "", self._name(), *_CURSOR)
        try:
            at = None if stamp is None else datetime.fromisoformat(stamp)
        except ValueError:
            raise cursors.none_of_ours() from None
        if at is not None and (at.tzinfo is not None or not EARLIEST < at < LATEST):
            raise cursors.none_of_ours()
        return Place(at, source, number)

    def _next(self, row: Row) -> str:
        stamp = row["source_timestamp"]
        return cursors.written(self._name(), stamp and stamp.isoformat(), row["source"], row["id"])

    def _name(self) -> str:
        """What a cursor of this order is called."""
        return f"data {self._asked.sort}"

    def _run(self, statement: Any, limit: int, skip: int) -> list[Row]:
        values = {"limit": limit, "skip": skip, "most": limit + skip, "like": self._wanted.like}
        with self._session.cursor(row_factory=dict_row) as cursor:
            return list(cursor.execute(statement, values).fetchall())

    def _number(self, statement: Any) -> int:
        return int(self._session.execute(statement, {"like": self._wanted.like}).fetchall()[0][0])


def _refuse_deep(skip: int) -> None:
    if skip > DEEPEST:
        message = f"the pages of this question reach {DEEPEST:,} rows deep"
        raise wrong("page", message, "Go on with `cursor`, the `next` of the page before: it reaches any depth.")
