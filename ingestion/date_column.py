"""A column of dates read as one: which of day and month comes first, and which year belongs to dates written without one.

A date is never guessed. The order is taken from rows that allow only one (25/03/2025), all agreeing; else from the sheet's locale;
else the row is `ambiguous_date`. A missing year is taken from the dated rows around it when they leave one choice; else from the
sheet's title when it names exactly one; else the row is `date_without_year`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from typing import NamedTuple

from ingestion.clock import Clock, Written, read_date
from ingestion.words import fold

NEAR_DAYS = 45
"""How far a row with a year may lie from one without to lend it; within it only one year can fit."""
_MDY = frozenset({"en_us", "en_pr", "en_gu", "en_vi", "en_as", "en_ph", "es_pr", "es_us", "en_fm", "en_mh"})
_YMD = frozenset({"ja", "zh", "ko", "hu", "lt", "mn"})
_UNSURE = frozenset({"en", "en_ca", "fr_ca"})
_YEAR = re.compile(r"(?<!\d)(?:19[7-9]\d|20\d\d)(?!\d)")


class Dated(NamedTuple):
    """What a date cell means, seen with its column."""

    written: Written
    day: date | None
    error: str | None = None
    """`bad_date`, `no_such_date`, `year_out_of_range`, `ambiguous_date`, `date_without_year`."""
    warning: str | None = None
    """`year_from_neighbours` or `year_from_title`."""

    @property
    def clock(self) -> Clock:
        """The time written in the same cell."""
        return self.written.clock


def read_column(cells: Sequence[object], locale: str | None = None, titles: Iterable[str] = ()) -> list[Dated]:
    """The cells of a date column, in row order. `titles`: texts above it that may name the year."""
    written = [read_date(cell) for cell in cells]
    order = column_order(written, locale)
    dated = [_resolve(w, order) for w in written]
    for index, item in enumerate(dated):
        if item.error == "date_without_year":
            dated[index] = _with_year(dated, index, order, titles)
    return dated


def column_order(written: Iterable[Written], locale: str | None) -> str | None:
    """`dmy` or `mdy`, from the rows that decide it if they agree, else from the locale; None when undecided."""
    evidence = {w.order for w in written if w.slashed and w.order in ("dmy", "mdy") and w.error is None}
    if evidence:
        return evidence.pop() if len(evidence) == 1 else None
    return locale_order(locale)


def locale_order(locale: str | None) -> str | None:
    """Day or month first in dates such as 03/04/2025, by locale (`pl_PL`); None where custom does not say."""
    name = (locale or "").replace("-", "_").casefold()
    if name in _MDY:
        return "mdy"
    language = name.partition("_")[0]
    return None if not name or name in _UNSURE or language in _YMD else "dmy"


def _resolve(written: Written, order: str | None) -> Dated:
    if written.order == "?" and order is None and written.error is None:
        return Dated(written, None, "ambiguous_date")
    found = written.day(order or "dmy")
    return Dated(written, found) if isinstance(found, date) else Dated(written, None, found)


def _with_year(dated: list[Dated], index: int, order: str | None, titles: Iterable[str]) -> Dated:
    """Rows before it are settled already, so a run of dates without a year hangs on the dated row before it."""
    written = dated[index].written
    before = next((d.day for d in reversed(dated[:index]) if d.day), None)
    after = next((d.day for d in dated[index + 1 :] if d.day), None)
    anchors = [day for day in (before, after) if day]
    fits = {
        found
        for anchor in anchors
        for year in (anchor.year - 1, anchor.year, anchor.year + 1)
        if isinstance(found := written.day(order or "dmy", year), date) and abs((found - anchor).days) <= NEAR_DAYS
    }
    if len(fits) == 1:
        return Dated(written, fits.pop(), None, "year_from_neighbours")
    named = {int(year) for title in titles for year in _YEAR.findall(fold(title))}
    if not anchors and len(named) == 1:
        found = written.day(order or "dmy", named.pop())
        return Dated(written, found, None, "year_from_title") if isinstance(found, date) else Dated(written, None, found)
    return dated[index]
