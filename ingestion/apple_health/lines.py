"""The lines of an export that are one quantity each, read a megabyte at a time: nine of ten, and all alike.

The app writes a record without metadata on a line of its own, its attributes in one order, its times in 25 characters. Runs of such
lines need no XML parser, only its verdict on what comes before the times, which is the same for thousands of lines. Anything else is left
to the parser; so are runs that do not stand right below the root element.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple
from xml.parsers import expat

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingestion.blocks import Int64, texts

SHORTEST = 32
"""Lines; a shorter run is not worth it."""
_BEGIN = np.frombuffer(b" <Record type=", dtype=np.uint8)
_TIME = 25
_FORM = b"?" * _TIME + b'" startDate="' + b"?" * _TIME + b'" endDate="' + b"?" * _TIME + b'" value="'
_PRINTED = np.frombuffer(_FORM, dtype=np.uint8)
_FIXED = np.array([n for n, byte in enumerate(_FORM) if byte != ord("?")])
_TIMES = [0, _TIME + 13, 2 * _TIME + 24]
NO_METADATA = '"}'
"""The end of the JSON of a record without metadata."""
_LONGEST_VALUE = 40
_SHORTEST_LINE = len(_FORM) + 30
_MOST_BEGINNINGS = 10_000

Bytes = npt.NDArray[np.uint8]
Shared = tuple[str, ...]


class Sheaf(NamedTuple):
    """Rows that share what comes before their times."""

    shared: Shared
    """Names and values by turns."""
    created: pa.Array
    start: pa.Array
    end: pa.Array
    value: pa.Array
    lines: Int64
    tails: pa.Array
    """The end of each record's JSON."""


class Run(NamedTuple):
    """Lines that follow each other and can be read together."""

    begin: int
    end: int
    """Byte after the last line's end."""
    sheaves: list[Sheaf]
    """Their lines are counted from 0, the run's first."""
    lines: int


class _Found(NamedTuple):
    """Lines that have the form of a quantity, as arrays of one length."""

    begins: Int64
    ends: Int64
    times: Int64
    """Where the first time stands."""
    numbers: Int64
    """Of the line, from 0."""


class Lines:
    """Finds the runs; remembers what the parser said of each beginning."""

    def __init__(self, is_usual: Callable[[Shared], bool]) -> None:
        self._is_usual = is_usual
        self._known: dict[bytes, int] = {}
        self._shared: list[Shared] = []

    def runs(self, part: bytes) -> Iterator[Run]:
        """The runs of a part of an export, in order."""
        if b"\t" in part or b"\r" in part or self._is_full():  # a parser makes blanks of the former
            return
        data = np.frombuffer(part, dtype=np.uint8)
        begins, ends, times, numbers = _quantities(data)
        if len(numbers) < SHORTEST:
            return
        of = np.array([self._code(part[b:t]) for b, t in zip(begins.tolist(), times.tolist(), strict=True)], dtype=np.int64)
        starts = np.flatnonzero((np.diff(numbers, prepend=-1) != 1) | (of < 0) | np.concatenate([[False], of[:-1] < 0]))
        for first, beyond in pairwise(sorted({0, *starts.tolist(), len(numbers)})):
            if beyond - first >= SHORTEST and of[first] >= 0:
                mine = slice(first, beyond)
                sheaves = self._sheaves(part, data, of[mine], times[mine], ends[mine])
                yield Run(int(begins[first]), int(ends[beyond - 1]) + 1, sheaves, beyond - first)

    def _is_full(self) -> bool:
        """Whether a stranger made up beginnings line by line: then nothing is gained."""
        return len(self._known) >= _MOST_BEGINNINGS

    def _code(self, head: bytes) -> int:
        """Which attributes stand before the times; negative when that is for the parser alone."""
        code = self._known.get(head)
        if code is None:
            shared = _parsed(head)
            if shared is None or not self._is_usual(shared):
                code = -1
            else:
                code = len(self._shared)
                self._shared.append(shared)
            self._known[head] = code
        return code

    def _sheaves(self, part: bytes, data: Bytes, of: Int64, times: Int64, ends: Int64) -> list[Sheaf]:
        printed = data[times[:, None] + np.arange(len(_FORM))]
        from_, to = (times + len(_FORM)).tolist(), (ends - 3).tolist()
        found = []
        for code in np.unique(of).tolist():
            mine = np.flatnonzero(of == code)
            created, start, end = (_fixed_texts(printed[mine, first : first + _TIME]) for first in _TIMES)
            value = texts([part[from_[n] : to[n]].decode("ascii") for n in mine.tolist()])
            tails = pa.repeat(pa.scalar(NO_METADATA), len(mine))
            found.append(Sheaf(self._shared[code], created, start, end, value, mine, tails))
        return found


def _quantities(data: Bytes) -> _Found:
    """The lines ` <Record type=…creationDate="…" startDate="…" endDate="…" value="…"/>`, by what stands where."""
    ends = np.flatnonzero(data == ord("\n"))
    begins = np.concatenate([np.zeros(1, dtype=np.int64), ends + 1])[: len(ends)]
    quotes, tags = np.flatnonzero(data == ord('"')), np.flatnonzero(data == ord("<"))
    other = np.flatnonzero((data >= 128) | (data == ord("&")))
    last = np.searchsorted(quotes, ends)
    fits = (ends - begins > _SHORTEST_LINE) & (last - np.searchsorted(quotes, begins) >= 10)
    begins, ends, numbers, times = begins[fits], ends[fits], np.flatnonzero(fits), quotes[last[fits] - 8] + 1
    fine = (data[begins[:, None] + np.arange(len(_BEGIN))] == _BEGIN).all(axis=1)
    fine &= (data[ends - 1] == ord(">")) & (data[ends - 2] == ord("/")) & (data[ends - 3] == ord('"'))
    fine &= np.searchsorted(tags, ends) - np.searchsorted(tags, begins) == 1
    length = ends - times
    fine &= (length > len(_FORM) + 2) & (length <= len(_FORM) + _LONGEST_VALUE)
    fine &= np.searchsorted(other, ends) == np.searchsorted(other, times)
    found = _Found(begins[fine], ends[fine], times[fine], numbers[fine])
    usual = (data[found.times[:, None] + _FIXED] == _PRINTED[_FIXED]).all(axis=1)
    return _Found(*(column[usual] for column in found))


def _parsed(head: bytes) -> Shared | None:
    found: list[list[str]] = []
    parser = expat.ParserCreate("UTF-8")
    parser.ordered_attributes = True
    parser.StartElementHandler = lambda _, attributes: found.append(attributes)
    try:
        parser.Parse(head + b'"/>', True)
    except expat.ExpatError:
        return None
    return tuple(found[0][:-2]) if found[0][-2:] == ["creationDate", ""] else None


def _fixed_texts(cells: Bytes) -> pa.Array:
    """ASCII texts of one length as an Arrow column."""
    count, width = cells.shape
    offsets = np.arange(count + 1, dtype=np.int32) * np.int32(width)
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(cells)))
