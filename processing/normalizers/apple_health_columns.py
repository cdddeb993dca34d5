"""Apple Health's quantities by the ten thousand: texts of the form the records step writes, cut where the times and the value stand.

Rules are those of `apple_health`, and what is odd in any way is left to it.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from config.metrics import METRICS
from processing.normalizers.apple_health_units import QUANTITIES, ZERO
from processing.normalizers.building import Int64, Kind
from processing.normalizers.bulk import Bool, Texts, Told, belongs, codes
from processing.normalizers.newest import Part, picked
from processing.normalizers.numbers import LARGEST

Float64 = npt.NDArray[np.float64]

_TYPE = "HKQuantityTypeIdentifier"
_TIME = 25
_MARKS = (',"creationDate":"', '","startDate":"', '","endDate":"', '","value":"')
_NUMBER = 26
"""No number is written longer; one that is goes the other road."""
_MOST_KNOWN = 100_000
_FEW = 8
"""Beginnings that are looked for one after another."""
_DAY = 86_400
_FIRST, _BEYOND = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (1900, 2100))


def _heads(texts: pa.Array) -> tuple[Int64, Int64, list[str]]:
    """Where the times of each text begin in bytes (0: nowhere), and what stands before them, as codes and the different ones."""
    at, found = np.zeros(len(texts), np.int64), np.full(len(texts), -1, np.int64)
    heads: list[str] = []
    while len(left := np.flatnonzero(found < 0)) and len(heads) < _FEW:
        head, mark, _ = texts[int(left[0])].as_py().partition(_MARKS[0])
        alike = pc.starts_with(texts, head + mark).to_numpy(zero_copy_only=False) & (found < 0)
        at[alike] = len(head.encode()) if mark else 0
        found[alike] = len(heads)
        heads.append(head)
    if len(left):
        some = picked(texts, left)
        at[left] = np.maximum(pc.find_substring(some, _MARKS[0]).to_numpy(), 0)
        (begins,) = Texts(some).pieces((at[left],), (0,))
        which, more = codes(begins)
        found[left] = which + len(heads)
        heads += more
    return at, found, heads


class _Shape(NamedTuple):
    """What the records of one beginning and end have in common."""

    kind: Kind
    unit: str | None
    factor: float


class Columns:
    """Remembers what the beginnings and ends of texts say; there are few different ones."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], int] = {}
        self._shapes: dict[_Shape, int] = {}

    def bulk(self, raw_ids: pa.Array) -> Bool:
        """Quantities that are a metric by themselves."""
        return belongs(raw_ids, QUANTITIES)

    def told(self, part: Part, rows: Int64) -> Told:
        """One reading each of the records whose value and times are of the usual form."""
        texts = picked(part.batch.column("raw"), rows)
        cut = Texts(texts)
        at, begins, heads = _heads(texts)
        window = cut.window(at, _WIDTH + _NUMBER)
        usual = at > 0
        for place, mark in zip(_PLACES, _MARKS, strict=True):
            usual &= _is(window[:, place : place + len(mark)], mark)
        quotes = window[:, _WIDTH:] == ord('"')
        length = quotes.argmax(axis=1)
        usual &= quotes.any(axis=1) & (cut.starts + at + _WIDTH + length < cut.ends)
        if not usual.all():
            return self._some(part, rows, usual)
        value, tail = cut.pieces((at + _WIDTH, at + _WIDTH + length), (1, 2))
        try:
            values = value.cast(pa.float64()).to_numpy()
        except pa.ArrowInvalid:
            return self._some(part, rows, np.array([_is_number(v) for v in value.to_pylist()], np.bool_))
        of, shapes = self._shapes_of(begins, heads, tail)
        spans = window[:, _PLACES[1] + len(_MARKS[1]) : _WIDTH - len(_MARKS[3])]
        return _settled(rows, of, shapes, values, spans)

    def _some(self, part: Part, rows: Int64, which: Bool) -> Told:
        """The same without the rows that are odd."""
        return self.told(part, rows[which]) if which.any() else NOTHING

    def _shapes_of(self, begins: Int64, heads: list[str], tail: pa.Array) -> tuple[Int64, list[_Shape]]:
        """Of each text which shape it has, -1 for none; and the shapes."""
        ends, tails = codes(tail)
        pairs, which = np.unique(begins * len(tails) + ends, return_inverse=True)
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        found = [self._shape(heads[pair // len(tails)], tails[pair % len(tails)]) for pair in pairs.tolist()]
        return np.array(found, np.int64)[which], list(self._shapes)

    def _shape(self, head: str, tail: str) -> int:
        known = self._known.get((head, tail))
        if known is None:
            shape = _shape(head + tail[1:])
            known = self._known[head, tail] = -1 if shape is None else self._shapes.setdefault(shape, len(self._shapes))
        return known


def _shape(text: str) -> _Shape | None:
    """What a record without its times and value says; None where it is not for columns."""
    try:
        raw: dict[str, Any] = json.loads(text)
    except ValueError:
        return None
    quantity = QUANTITIES.get(str(raw.get("type", "")).removeprefix(_TYPE))
    unit, device, metadata = raw.get("unit"), raw.get("sourceName", ""), raw.get("metadata", {})
    if quantity is None or not isinstance(unit, str | None) or not isinstance(device, str) or not isinstance(metadata, dict):
        return None
    factor = quantity.units.get(unit or "")
    if factor is None or metadata.get("HKTimeZone") or raw.keys() & {"startDate", "endDate", "value"}:
        return None
    flags = ("user_entered",) if metadata.get("HKWasUserEntered") == "1" else ()
    return _Shape(Kind(quantity.metric, quantity.scope, device, flags), unit, factor)


def _settled(rows: Int64, of: Int64, shapes: list[_Shape], values: Float64, spans: npt.NDArray[np.uint8]) -> Told:
    """The readings of the rows that have a shape, a number and a length."""
    fine = (of >= 0) & (np.abs(values) < LARGEST)  # not so for NaN
    found, lengths = values.copy(), np.zeros(len(values), np.int64)
    for n in np.unique(of[fine]).tolist():
        its = np.flatnonzero(fine & (of == n))
        found[its] = converted_many(values[its], shapes[n].unit, shapes[n].factor)
        if METRICS[shapes[n].kind.metric].zero_is_missing:
            fine[its[found[its] == 0]] = False
        if shapes[n].kind.scope != "instant":
            lengths[its] = _lengths(spans[its])
    fine &= lengths >= 0
    return Told([s.kind for s in shapes], rows[fine], of[fine], found[fine], lengths[fine], {})


def converted_many(values: Float64, unit: str | None, factor: float) -> Float64:
    """The values in the catalogue's unit, to the last bit as `converted` gives them one by one."""
    if factor == 1 and unit not in ZERO:
        return values
    scaled = (values - ZERO.get(unit or "", 0.0)) * factor
    millionths = scaled * 1e6
    rounded = np.rint(millionths) / 1e6
    unsure = ~((np.abs(np.abs(millionths - np.floor(millionths)) - 0.5) > 1e-3) & (np.abs(millionths) < 2**40))
    rounded[unsure] = [round(value, 6) for value in scaled[unsure].tolist()]
    return np.where(values > 1, values, rounded) if unit == "%" else rounded


def _lengths(spans: npt.NDArray[np.uint8]) -> Int64:
    """Microseconds from start to end; -1 where one of the two is written otherwise."""
    first, last = spans[:, :_TIME], spans[:, -_TIME:]
    found = np.zeros(len(spans), np.int64)
    apart = np.flatnonzero((first != last).any(axis=1))
    begin, begin_fine = _seconds(first[apart])
    end, end_fine = _seconds(last[apart])
    found[apart] = np.where(begin_fine & end_fine, np.maximum(0, end - begin) * 1_000_000, -1)
    return found


def _seconds(times: npt.NDArray[np.uint8]) -> tuple[Int64, Bool]:
    """`2018-09-10 02:28:55 -0700` → (seconds since 1970, whether it is written so)."""
    tens, ones = (times[:, places] - np.uint8(ord("0")) for places in (_TENS, _ONES))  # what is no digit is more than nine
    fine = ((tens <= 9) & (ones <= 9)).all(axis=1)
    century, year, month, day, hour, minute, second, east, past = (tens.astype(np.int64) * 10 + ones).T
    years = century * 100 + year
    for place, mark in _BETWEEN.items():
        fine &= times[:, place] == ord(mark)
    minus = times[:, 20] == ord("-")
    fine &= minus | (times[:, 20] == ord("+"))
    fine &= (month >= 1) & (month <= 12) & (day >= 1) & (hour < 24) & (minute < 60) & (second < 60) & (east < 24) & (past < 60)
    begun = (years * 12 + month - 1 - 1970 * 12).astype("datetime64[M]")
    days = begun.astype("datetime64[D]").astype(np.int64)
    fine &= day <= (begun + 1).astype("datetime64[D]").astype(np.int64) - days
    clock = (days + day - 1) * _DAY + hour * 3600 + minute * 60 + second
    fine &= (clock >= _FIRST) & (clock < _BEYOND)
    return clock - (east * 3600 + past * 60) * np.where(minus, -1, 1), fine


def _is(block: npt.NDArray[np.uint8], text: str) -> Bool:
    return np.asarray(np.ascontiguousarray(block).view(f"S{len(text)}").ravel() == text.encode())


def _is_number(text: str) -> bool:
    try:
        pa.scalar(text).cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


_PLACES = [sum(map(len, _MARKS[:n])) + n * _TIME for n in range(len(_MARKS))]
_WIDTH = _PLACES[-1] + len(_MARKS[-1])
_TENS = [0, 2, 5, 8, 11, 14, 17, 21, 23]
_ONES = [n + 1 for n in _TENS]
_BETWEEN = {4: "-", 7: "-", 10: " ", 13: ":", 16: ":", 19: " "}
_NONE = np.empty(0, np.int64)
NOTHING = Told([], _NONE, _NONE, np.empty(0), _NONE, {})
