"""The Google Sheet with blood pressure as `spreadsheets.values.get` returns it: hand-kept, with everything hands do to a sheet.

Layout: `{"locale", "timeZone", "values": [[…], …]}`, values unformatted, dates and times as serial days since 1899-12-30
(Sheets API, `ValueRenderOption.UNFORMATTED_VALUE` and `DateTimeRenderOption.SERIAL_NUMBER`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from scripts.mock.chance import pick, stream
from scripts.mock.person import Person, Reading
from scripts.mock.plan import DAY

Row = list[object]

_EPOCH = date(1899, 12, 30)
_TITLE: tuple[Row, ...] = (
    ["Dzienniczek ciśnienia"],
    ["Ramię lewe, po 5 minutach odpoczynku. Dane przykładowe."],
    [],
    ["", "Rano", "", "", "", "Wieczór", "", "", "", ""],  # merged cells: only the first of each group carries the text
    ["Data", "Godz.", "SYS", "DIA", "Puls", "Godz.", "SYS", "DIA", "Puls", "Uwagi"],
)
_REMARKS = ("po kawie", "gorsza noc", "po spacerze", "stres w pracy", "ból głowy", "drugi pomiar niższy")


def write_sheet(path: Path, person: Person) -> int:
    """Writes the grid, one row a line, and gives the number of rows."""
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        locale = json.dumps({"locale": "pl_PL", "timeZone": person.plan.timezone})
        file.write(locale[:-1] + ', "values": [\n')
        for row in _rows(person):
            file.write((",\n" if count else "") + json.dumps(row, ensure_ascii=False))
            count += 1
        file.write("\n]}\n")
    return count


def _rows(person: Person) -> Iterator[Row]:
    yield from _TITLE
    window = person.plan.sheet
    month: list[Reading] = []
    length = (window.last - window.first).days + 1
    slips = [(length // 4, _swap), (length // 2, _too_high), (length * 2 // 3, _broken_formula)]
    for n, day in enumerate(window.days()):
        groups = {r.morning: r for r in reversed(person.readings(day))}  # the first of each sitting is the one written down
        if groups:
            month += groups.values()
            row = _day_row(person, day, n, groups)
            if slips and n >= slips[0][0] and isinstance(row[3], int):  # a full morning reading, one slip each
                slips.pop(0)[1](row)
            yield row
        if n % 53 == 40:
            yield []
        if (day + DAY).month != day.month and month:
            yield _summary(month)
            month = []


def _day_row(person: Person, day: date, n: int, groups: dict[bool, Reading]) -> Row:
    rng = stream(person.plan.seed, "sheet", day)
    serial: object = f"{day.day:02d}.{day.month:02d}.{day.year}" if n % 31 == 11 else (day - _EPOCH).days
    row: Row = [serial]
    for morning in (True, False):
        row += _cells(groups.get(morning), n if morning else -1)
    row.append(pick(rng, _REMARKS) if rng.random() < 0.12 else "")
    return row


def _cells(reading: Reading | None, n: int) -> Row:
    """Clock, systolic, diastolic, pulse in one of the ways people type them."""
    if reading is None:
        return ["", "", "", ""]
    minutes = reading.local.hour * 60 + reading.local.minute
    clock: object = f"{reading.local.hour}.{reading.local.minute:02d}" if n % 47 == 13 else round(minutes / 1440, 10)
    high, low, pulse = reading.systolic, reading.diastolic, reading.pulse
    if n % 17 == 6:
        return [clock, f"{high}/{low}", "", pulse]
    if n % 29 == 3:
        return [clock, f"{high},5", f"{low},0", pulse]  # the mean of two, typed with the decimal comma of the locale
    if n % 41 == 9:
        return [clock, high, "", ""]  # half a reading
    if n % 67 == 20:
        return [clock, f"{high} mmHg", f" {low}\u00a0", pulse]
    return [clock, high, low, pulse]


def _swap(row: Row) -> None:
    """Two numbers in each other's column."""
    row[2], row[3] = row[3], row[2]


def _too_high(row: Row) -> None:
    """The cuff's own word for a pressure beyond its range."""
    row[2], row[3] = "HI", ""


def _broken_formula(row: Row) -> None:
    """What a sheet shows when a reference was deleted."""
    row[2], row[3] = "#VALUE!", ""


def _summary(month: list[Reading]) -> Row:
    def mean(values: list[int]) -> float:
        return round(sum(values) / len(values), 10)

    row: Row = ["Średnia"]
    for morning in (True, False):
        part = [r for r in month if r.morning is morning]
        columns = ([r.systolic for r in part], [r.diastolic for r in part], [r.pulse for r in part])
        row += ["", *(mean(c) if c else "" for c in columns)]
    return [*row, ""]
