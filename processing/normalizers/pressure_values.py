"""Blood pressure values as people write them → mmHg and beats a minute, or the reason why not. Nothing is guessed.

A decimal comma is a decimal comma (36,6 is never 366); what could be a thousands separator is refused; digits are ASCII digits.
Values are swapped back only where no other reading is possible, and flagged. kPa is read where it is stated; without a unit `16/10`
may be kPa as well as cmHg (as people write it in Brazil and France) and is refused, and only a pair as fine as `17.1/10.9`, which
nobody writes in cmHg, is read as kPa and flagged `assumed_kpa`.
"""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple

from config.metrics import METRICS

MMHG_PER_KPA = 7.50062
"""`docs/domain.md`, formulas."""
MIN_SWAP_GAP = 15
"""Nearer values may be a slip of the pen as well as a swap."""

_LARGEST = 100_000
_KPA_SYSTOLIC, _KPA_DIASTOLIC = (6.0, 40.0), (2.5, 27.0)
"""What 45 to 300 and 19 to 200 mmHg are in kPa; no pair of mmHg lies there, but pairs of cmHg do."""


class Number(NamedTuple):
    """A cell's value."""

    value: float | None = None
    unit: str | None = None
    """kPa or mmHg when written beside it."""
    reason: str | None = None
    """bad_number, device_error, sheet_error; None with no value: nothing is written."""


class Pair(NamedTuple):
    """A measurement's pressures."""

    systolic: float | None = None
    diastolic: float | None = None
    flags: tuple[str, ...] = ()
    reason: str | None = None
    """half_reading, zero, diastolic_not_below_systolic, unit_conflict, unit_unknown, conflict or a number's reason."""
    field: str | None = None
    """Which cell the reason is about."""


class Combined(NamedTuple):
    """A cell such as `128/82` taken apart."""

    systolic: Any
    diastolic: Any
    pulse: Any = ""


def read_number(cell: Any, decimal: str | None = None) -> Number:
    """A number cell or text such as `128`, `17,1 kPa`, ` 95\\u00a0`. `decimal`: the only mark that may stand before decimals."""
    if cell is None or isinstance(cell, bool):
        return Number(reason=None if cell is None else "bad_number")
    if isinstance(cell, int | float):
        return Number(float(cell)) if math.isfinite(cell) and abs(cell) < _LARGEST else Number(reason="bad_number")
    text = _plain(cell)
    if text in _NOTHING:
        return Number()
    if reason := _spoken_error(text):
        return Number(reason=reason)
    body, unit = _split_unit(text)
    match = _NUMBER.fullmatch(body)
    if not match or (decimal and match[1] and match[1] != decimal):
        return Number(reason="bad_number")
    return Number(float(body.replace(",", ".")), unit)


def split_pair(cell: Any) -> Combined | None:
    """`128/82`, `131\\84`, `120-80`, `120x80`, `129/`, `128/82/64`, `130 na 80` taken apart; None for a cell that is no pair."""
    if not isinstance(cell, str):
        return None
    body, unit = _split_unit(_plain(cell))
    match = _PAIR.fullmatch(body)
    if not match:
        return None
    suffix = "" if unit is None else f" {unit}"
    return Combined(match[1] + suffix, match[2] + suffix if match[2] else "", match[3] or "")


def read_pair(systolic: Any, diastolic: Any, unit: str | None, decimal: str | None = None) -> Pair:
    """Both pressures in mmHg. `unit`: what the column or the preset says."""
    high, low = read_number(systolic, decimal), read_number(diastolic, decimal)
    for field, number in (("systolic", high), ("diastolic", low)):
        if number.reason:
            return Pair(reason=number.reason, field=field)
    if high.value is None or low.value is None:
        missing = None if high.value is low.value else "systolic" if high.value is None else "diastolic"
        return Pair(reason="half_reading" if missing else None, field=missing)
    if high.value < 0 or low.value < 0:
        return Pair(reason="bad_number", field="systolic" if high.value < 0 else "diastolic")
    if high.value == 0 or low.value == 0:
        return Pair(reason="zero", field="systolic" if high.value == 0 else "diastolic")
    units = {u for u in (high.unit, low.unit) if u} or ({unit} if unit else set())
    if len(units) > 1:
        return Pair(reason="unit_conflict")
    return _in_mmhg(high.value, low.value, units.pop() if units else None)


def read_pulse(cell: Any, decimal: str | None = None) -> Number:
    """Beats a minute; 0 means that none were counted (`zero`)."""
    number = read_number(cell, decimal)
    if number.unit or (number.value is not None and number.value < 0):
        return Number(reason="bad_number")
    return Number(reason="zero") if number.value == 0 else number


def _in_mmhg(high: float, low: float, unit: str | None) -> Pair:
    kilopascal = _is_kilopascal(high, low) or _is_kilopascal(low, high)
    if unit is not None and (unit == "kPa") is not kilopascal and (kilopascal or min(high, low) > _KPA_SYSTOLIC[1]):
        return Pair(reason="unit_conflict")
    if unit is None and kilopascal and not (_is_fine(high) and _is_fine(low)):
        return Pair(reason="unit_unknown")
    flags: tuple[str, ...] = ()
    if unit == "kPa" or (unit is None and kilopascal):
        flags = ("converted_kpa",) if unit else ("converted_kpa", "assumed_kpa")
        high, low = high * MMHG_PER_KPA, low * MMHG_PER_KPA
    if low < high:
        return Pair(high, low, flags)
    if low - high >= MIN_SWAP_GAP and _usual("systolic", low) and _usual("diastolic", high):
        return Pair(low, high, (*flags, "swapped"))
    return Pair(reason="diastolic_not_below_systolic")


def _is_kilopascal(high: float, low: float) -> bool:
    return _KPA_SYSTOLIC[0] <= high <= _KPA_SYSTOLIC[1] and _KPA_DIASTOLIC[0] <= low <= _KPA_DIASTOLIC[1]


def _is_fine(value: float) -> bool:
    """Written to a tenth other than .0 and .5: cmHg are written whole or by halves."""
    return bool(set(f"{value:.2f}".partition(".")[2]) - {"0", "5"})


def _usual(metric: str, value: float) -> bool:
    low, high = METRICS[metric].warn
    return low <= value <= high


def _plain(text: str) -> str:
    return _BLANKS.sub(" ", text[:_LONGEST]).strip().casefold() if len(text) <= _LONGEST else "?"


def _spoken_error(text: str) -> str | None:
    if text.startswith("#") or text.rstrip(".… ") in _LOADING:
        return "sheet_error"
    return "device_error" if _DEVICE_ERROR.fullmatch(text) else None


def _split_unit(text: str) -> tuple[str, str | None]:
    match = _UNIT.search(text)
    if not match:
        return text, None
    unit = "kPa" if match[1] in ("kpa", "кпа") else None if _PER_MINUTE.fullmatch(match[1]) else "mmHg"
    return text[: match.start()].strip(), unit


_LONGEST = 40
_BLANKS = re.compile(r"[\s\u00a0\u2007\u2009\u202f\u200b\ufeff]+")
_NOTHING = ("", "-", "–", "—")
_LOADING = ("loading", "wczytywanie", "ładowanie", "laden", "cargando", "chargement", "caricamento", "carregando", "загрузка")
_DEVICE_ERROR = re.compile(r"hi|lo|high|low|e(?:rr)?(?:or)?[ .:-]?\d{0,3}|bł[aą]d|fehler|ошибка|помилка|---+|ее")
_UNIT = re.compile(r" ?(mm ?hg|kpa|кпа|мм ?рт\.? ?ст\.?|bpm|(?<!\d)1/min|/ ?min|ud/min|уд/мин|uderz\.?(?:/min)?)$")
_PER_MINUTE = re.compile(r"bpm|.*min|uderz.*")
_NUM = r"\d{1,3}(?:[.,]\d{1,2})?"
_NUMBER = re.compile(r"\d{1,3}(?:([.,])(?:\d{1,2}|\d{4,17}))?", re.ASCII)  # three decimals may be a thousands group
_PAIR = re.compile(
    rf"({_NUM}) ?(?:[/\\|–xх×-]| (?:na|over|on|zu|auf|sur|su|por|a|op) ) ?({_NUM})?(?: ?[/\\|] ?(\d{{1,3}}))?", re.ASCII
)
