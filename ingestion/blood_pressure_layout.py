"""The header cells of a blood pressure log → what each column holds. Shared by the sheets and the CSV files.

A name is judged by its folded words: `Ciśnienie skurczowe [mmHg]`, `SYS`, `Systolic (mmHg)` are all systolic; a name that holds
both (`SYS/DIA`) or only speaks of pressure holds `128/82`. Units are read off the name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from ingestion.blood_pressure_words import (
    DATE,
    DAY_OR_DIASTOLIC,
    DIASTOLIC,
    NOTE,
    OTHER,
    PRESSURE,
    PULSE,
    SUMMARY,
    SYSTOLIC,
    TIME,
    TIME_OF_DAY,
)
from ingestion.calendar_words import SLOTS
from ingestion.words import fold, tokens

MEASURED = ("systolic", "diastolic", "pulse", "pressure")
"""Fields whose cells make a measurement."""

_UNIT = re.compile(r"\(.*?\)|\[.*?\]|mm ?hg|kpa|мм ?рт\.? ?ст\.?|\bbpm\b|/min\b")
_BRACKETS = re.compile(r"\(.*?\)|\[.*?\]")
_KPA = re.compile(r"\bkpa\b|\bкпа\b")
_MMHG = re.compile(r"\bmm ?hg\b|мм ?рт")


class Column(NamedTuple):
    """What a header cell says."""

    field: str | None
    """systolic, diastolic, pulse, pressure (`128/82`), date, time, note; None for anything else."""
    unit: str | None = None
    """`kPa` or `mmHg` when the name says so."""
    slot: str | None = None
    """The part of the day it speaks of (`SYS rano`)."""
    number: str | None = None
    """`2` of `SYS 2`."""


def read_header(cell: Any) -> Column:
    """What one header cell says; a cell that is no text says nothing."""
    if not isinstance(cell, str) or len(cell) > 120:
        return Column(None)
    folded = fold(cell)
    unit = "kPa" if _KPA.search(folded) else "mmHg" if _MMHG.search(folded) else None
    named = tokens(_UNIT.sub(" ", folded)) or tokens(folded)
    field = _field(_phrases(named))
    if field in ("diastolic", "date") and DAY_OR_DIASTOLIC & set(named) and "í" in cell.casefold():
        field = "date"
    every = tokens(folded)
    numbers = [t for t in tokens(_BRACKETS.sub(" ", folded)) if t.isascii() and t.isdigit()]
    return Column(field, unit, _slot(every), numbers[0] if len(numbers) == 1 else None)


def read_headers(cells: Sequence[Any]) -> list[Column]:
    """A whole header row, where a lone `Dia` beside `Diastólica` is the day."""
    columns = [read_header(cell) for cell in cells]
    fields = [c.field for c in columns]
    if "date" not in fields and fields.count("diastolic") == 2 * fields.count("systolic"):
        for index, cell in enumerate(cells):
            if isinstance(cell, str) and fold(cell) in DAY_OR_DIASTOLIC:
                columns[index] = columns[index]._replace(field="date")
                break
    return columns


def is_blood_pressure(columns: Sequence[Column]) -> bool:
    """Whether such columns can hold blood pressure: a pair, or one column of pairs beside a date, a time or a pulse."""
    fields = {c.field for c in columns}
    return {"systolic", "diastolic"} <= fields or ("pressure" in fields and bool(fields & {"date", "time", "pulse"}))


def read_slot(cell: Any) -> str | None:
    """The part of the day a group's name speaks of; None where it speaks of several."""
    return _slot(tokens(fold(cell))) if isinstance(cell, str) and len(cell) <= 120 else None


def is_summary(cell: Any) -> bool:
    """Whether a cell names a row that sums others up: `Średnia`, `Average`, `Max.`, `Σ`."""
    if not isinstance(cell, str) or len(cell) > 80:
        return False
    return bool(SUMMARY & set(tokens(fold(cell))[:2]))


def is_unit(cell: Any) -> bool:
    """Whether a cell holds nothing but a unit: a row of them belongs to the header."""
    return isinstance(cell, str) and bool(cell.strip()) and not tokens(_UNIT.sub(" ", fold(cell)))


def _field(named: set[str]) -> str | None:
    if OTHER & named:
        return None
    high, low = bool(SYSTOLIC & named), bool(DIASTOLIC & named)
    if high or low:
        return "pressure" if high and low else "systolic" if high else "diastolic"
    return next((field for field, vocabulary in _VOCABULARY if vocabulary & named), None)


_VOCABULARY = (
    ("pressure", PRESSURE),
    ("pulse", PULSE),
    ("time", TIME_OF_DAY),
    ("date", DATE),  # before the time: `Date/Time` holds both
    ("time", TIME),
    ("note", NOTE),
)


def _slot(named: Sequence[str]) -> str | None:
    """Longer phrases first: `am Abend` is the evening, though `am` alone is the morning."""
    for length in (3, 2, 1):
        found = {SLOTS[phrase] for phrase in _runs(named, length) if phrase in SLOTS}
        if found:
            return found.pop() if len(found) == 1 else None
    return None


def _phrases(named: Sequence[str]) -> set[str]:
    """All runs of one to four words."""
    return {phrase for length in (1, 2, 3, 4) for phrase in _runs(named, length)}


def _runs(named: Sequence[str], length: int) -> list[str]:
    return [" ".join(named[i : i + length]) for i in range(len(named) - length + 1)]
