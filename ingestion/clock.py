"""Dates and clock times out of cells: text in many styles, spreadsheet serials, words. Says what is written, never guesses.

A date such as 03/04/2025 has two readings; which one a column means is decided in `date_column`, from all its rows. Serial days
count from 1899-12-30 (Sheets API, SERIAL_NUMBER). 24:00, a leap second and 29 February of a common year are refused, each by its
own code, because every way to move them is an invention.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import Any, Literal, NamedTuple

from ingestion.calendar_words import DATE_FILLERS, MONTHS, SLOTS
from ingestion.words import clean, fold, tokens

FIRST_YEAR, LAST_YEAR = 1970, 2100
"""Years a measurement can be of; others are `year_out_of_range`."""
MAX_TEXT = 80
_SERIAL_EPOCH = date(1899, 12, 30)
_LAST_SERIAL = 2_958_466

Order = Literal["ymd", "dmy", "mdy", "?"]


class Clock(NamedTuple):
    """What a cell says about the time of day."""

    time: time | None = None
    slot: str | None = None
    """morning, midday, afternoon, evening or night, when the cell holds a word."""
    error: str | None = None
    """`bad_time`, `hour_24` or `leap_second`."""


class Written(NamedTuple):
    """What a cell says about a date."""

    numbers: tuple[int, int, int | None] = (0, 0, None)
    """Year, month, day of an order `ymd`; first, second number and year (None: not written) otherwise."""
    order: Order = "ymd"
    """`dmy` or `mdy` when the numbers themselves decide; `?` when both are possible."""
    slashed: bool = False
    """Written with `/` or `-`: where the numbers decide the order, they are evidence for the rows where they do not."""
    clock: Clock = Clock()
    offset: tzinfo | None = None
    """The UTC offset written with it, if any."""
    error: str | None = None
    """`bad_date`, `no_such_date` or `year_out_of_range`."""

    def year(self) -> int | None:
        """The year as written."""
        return self.numbers[0] if self.order == "ymd" else self.numbers[2]

    def day(self, order: str, year: int | None = None) -> date | str:
        """The date when its numbers stand in `order` (used for `?` only) and `year` (used when none is written); else a code."""
        if self.error:
            return self.error
        first, second, third = self.numbers
        if self.order == "ymd":
            return _date(first, second, third)
        day, month = (second, first) if (order if self.order == "?" else self.order) == "mdy" else (first, second)
        return _date(third if third is not None else year, month, day)


def read_date(cell: Any) -> Written:
    """A cell of a date column; it may hold a time as well. Numbers are serial days (or 20250329)."""
    if isinstance(cell, bool) or cell is None:
        return Written(error="bad_date")
    if isinstance(cell, int | float):
        return _from_number(cell)
    if not isinstance(cell, str) or len(cell) > MAX_TEXT:
        return Written(error="bad_date")
    text = clean(cell)
    iso = _ISO.fullmatch(text)
    return _from_iso(iso) if iso else _split(text)


def read_time(cell: Any) -> Clock:
    """A cell of a time column: `07:30`, `7.32`, `7:30 PM`, `7h30`, 0.3125, `rano`; an empty one says nothing."""
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        return Clock()
    if isinstance(cell, bool) or (isinstance(cell, str) and len(cell) > MAX_TEXT):
        return Clock(error="bad_time")
    if isinstance(cell, int | float):
        return _time_of_number(cell)
    text = fold(cell)
    slot = SLOTS.get(" ".join(tokens(text)))
    return Clock(slot=slot) if slot else _time_of_text(text)


def read_epoch(text: str, per_second: int) -> datetime | str:
    """Seconds (`per_second` 1) or milliseconds (1000) since 1970, digits only, as UTC; else `bad_date` or `year_out_of_range`."""
    if not _DIGITS.fullmatch(text):
        return "bad_date"
    seconds, rest = divmod(int(text), per_second)
    if seconds >= _END_OF_TIME:
        return "year_out_of_range"
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds, microseconds=rest * 1_000_000 // per_second)


def read_format(text: str, formats: tuple[str, ...]) -> datetime | str:
    """A date or date and time in the first of these `strptime` formats that fits; else a code."""
    for form in formats:
        try:
            found = datetime.strptime(clean(text), form)  # noqa: DTZ007  local clock time, its zone is the person's
        except (ValueError, OverflowError):
            continue
        return found if FIRST_YEAR <= found.year <= LAST_YEAR else "year_out_of_range"
    return "bad_date"


_DIGITS = re.compile(r"\d{1,18}", re.ASCII)
_END_OF_TIME = 4_133_980_800  # 2101-01-01
_ISO = re.compile(
    r"(\d{4})[-./](\d{1,2})[-./](\d{1,2})(?:[T ]\s?(\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?)\s?(Z|z|[+-]\d{2}:?\d{2})?)?",
    re.ASCII,
)
_NUMERIC = re.compile(r"(\d{1,2})\s?([./-])\s?(\d{1,2})(?:\s?\2\s?(\d{4}|\d{2}))?\.?(?: ?r\.?| ?г\.?| ?р\.?)?", re.ASCII)
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})", re.ASCII)
_TIME = re.compile(r"(\d{1,2})[:.,](\d{1,2})(?:[:.](\d{2})(?:[.,]\d{1,9})?)?\s?([ap]\.?\s?m\.?)?", re.ASCII)
_HOUR = re.compile(r"(\d{1,2})\s?(?:([ap]\.?\s?m\.?)|(?:h|uhr|godz|ч|год)\.?(?:\s?(\d{2}))?)?", re.ASCII)
_HHMM = re.compile(r"(\d{1,2})(\d{2})", re.ASCII)
_FRACTION = re.compile(r"0[.,]\d{3,17}", re.ASCII)
_TIME_PREFIX = re.compile(r"^(?:godz\.?|godzina|um|at|o|à|a las|alle|om|v|в|о)\s+(?=\d)")
_TIME_SUFFIX = re.compile(r"\s+(?:uhr|h|uur|ч\.?|год\.?|hod\.?)$")


def _date(year: int | None, month: int, day: int | None) -> date | str:
    if year is None or day is None:
        return "date_without_year"
    if not FIRST_YEAR <= year <= LAST_YEAR:
        return "year_out_of_range"
    try:
        return date(year, month, day)
    except ValueError:
        return "no_such_date"


def _from_number(value: float) -> Written:
    if isinstance(value, float) and not math.isfinite(value):
        return Written(error="bad_date")
    if value == int(value) and (compact := _COMPACT.fullmatch(str(int(value)))) and value > _LAST_SERIAL:
        return _compact(compact)
    if not 0 < value < _LAST_SERIAL:
        return Written(error="bad_date")
    seconds = round(value * 86_400)
    day = _SERIAL_EPOCH + timedelta(days=seconds // 86_400)
    clock = Clock() if float(value).is_integer() else Clock(_of_seconds(seconds % 86_400))
    return Written((day.year, day.month, day.day), clock=clock)


def _compact(match: re.Match[str]) -> Written:
    year, month, day = map(int, match.groups())
    return Written((year, month, day)) if FIRST_YEAR <= year <= LAST_YEAR else Written(error="bad_date")


def _from_iso(match: re.Match[str]) -> Written:
    year, month, day = (int(match[n]) for n in (1, 2, 3))
    clock = read_time(match[4])
    offset = None
    if zone := match[5]:
        minutes = 0 if zone in "Zz" else int(zone[1:3]) * 60 + int(zone[-2:])
        if minutes >= 1440:
            return Written(error="bad_date")
        offset = timezone(timedelta(minutes=-minutes if zone[0] == "-" else minutes))
    return Written((year, month, day), clock=clock, offset=offset)


def _split(text: str) -> Written:
    """A date alone, or a date followed by a time or a word for one: the shortest beginning that is a date decides."""
    whole = _plain_date(text)
    if whole.error is None:
        return whole
    parts = re.split(r",\s+| ", text)
    for cut in range(1, len(parts)):
        found, clock = _plain_date(" ".join(parts[:cut])), read_time(" ".join(parts[cut:]))
        if found.error is None and clock.error is None and (clock.time or clock.slot):
            return found._replace(clock=clock)
        if found.error is None and clock.error in ("hour_24", "leap_second"):
            return found._replace(clock=clock)
    return whole


def _plain_date(text: str) -> Written:
    weekday, _, rest = text.partition(" ")
    if rest and fold(weekday).strip(".,") in DATE_FILLERS:
        text = rest
    iso = _ISO.fullmatch(text)
    if iso and not iso[4]:
        return _from_iso(iso)
    if numeric := _NUMERIC.fullmatch(text):
        return _from_numbers(numeric)
    if compact := _COMPACT.fullmatch(text):
        return _compact(compact)
    return _from_words(text)


def _from_numbers(match: re.Match[str]) -> Written:
    first, second = int(match[1]), int(match[3])
    year = None if match[4] is None else _full_year(match[4])
    slashed = match[2] != "."
    if not first or not second or (first > 12 and second > 12) or max(first, second) > 31:
        return Written(error="no_such_date")
    if not slashed or first > 12:
        order: Order = "dmy"
    elif second > 12:
        order = "mdy"
    else:
        order = "dmy" if first == second else "?"  # 03/03 is the same day either way
    return Written((first, second, year), order, slashed and first != second)


def _full_year(text: str) -> int:
    year = int(text)
    return year if len(text) == 4 else year + (2000 if year < 70 else 1900)


def _from_words(text: str) -> Written:
    """`Jan 12 2025`, `12 stycznia 2025 r.`, `Mon, 5 May`: a month name, one or two numbers, weekdays and fillers."""
    month, numbers = 0, []
    for token in re.findall(r"[a-z\u0080-\uffff']+|\d+", fold(text)):
        if token in MONTHS and not month:
            month = MONTHS[token]
        elif token.isascii() and token.isdigit():
            numbers.append(token)
        elif token not in DATE_FILLERS:
            return Written(error="bad_date")
    if not month or not 1 <= len(numbers) <= 2 or any(len(n) not in (1, 2, 4) for n in numbers):
        return Written(error="bad_date")
    if len(numbers[0]) == 4:
        numbers.reverse()
    day, year = int(numbers[0]), _full_year(numbers[1]) if len(numbers) == 2 and len(numbers[1]) > 1 else None
    if len(numbers) != (1 if year is None else 2) or len(numbers[0]) > 2:
        return Written(error="bad_date")
    return Written((day, month, year), "dmy")


def _time_of_number(value: float) -> Clock:
    """A fraction of a day; a serial with a date; or 7.32 typed as a number, meaning 7:32 (and 7.3 meaning 7:30)."""
    if isinstance(value, float) and not math.isfinite(value):
        return Clock(error="bad_time")
    if 0 <= value < 1:
        seconds = round(value * 86_400)
        return Clock(_of_seconds(seconds)) if seconds < 86_400 else Clock(error="hour_24")
    if FIRST_YEAR * 12 < value < _LAST_SERIAL and not float(value).is_integer():
        return Clock(_of_seconds(round(value * 86_400) % 86_400))
    if 1 <= value < 25:
        text = f"{value:.2f}"
        return _time_of_text(text) if math.isclose(float(text), value, abs_tol=1e-9) else Clock(error="bad_time")
    if float(value).is_integer() and 100 <= value < 2400:
        return _time_of_text(str(int(value)))
    return Clock(error="bad_time")


def _time_of_text(text: str) -> Clock:
    text = _TIME_SUFFIX.sub("", _TIME_PREFIX.sub("", text))
    if match := _FRACTION.fullmatch(text):
        return _time_of_number(float(match[0].replace(",", ".")))
    if match := _TIME.fullmatch(text):
        minute = match[2] if len(match[2]) == 2 else match[2] + "0"  # a number cell shows 7.30 as 7.3
        if len(match[2]) == 1 and ":" in text:
            return Clock(error="bad_time")
        return _time(int(match[1]), int(minute), int(match[3] or 0), match[4])
    if match := _HOUR.fullmatch(text):
        return _time(int(match[1]), int(match[3] or 0), 0, match[2])
    if match := _HHMM.fullmatch(text):
        return _time(int(match[1]), int(match[2]), 0, None)
    return Clock(error="bad_time")


def _time(hour: int, minute: int, second: int, half: str | None) -> Clock:
    if half:
        if not 1 <= hour <= 12:
            return Clock(error="bad_time")
        hour = hour % 12 + (12 if half[0] == "p" else 0)
    if hour == 24 and minute == second == 0:
        return Clock(error="hour_24")
    if second == 60 and minute == 59:
        return Clock(error="leap_second")
    if hour > 23 or minute > 59 or second > 59:
        return Clock(error="bad_time")
    return Clock(time(hour, minute, second))


def _of_seconds(seconds: int) -> time:
    return time(seconds // 3600 % 24, seconds // 60 % 60, seconds % 60)
