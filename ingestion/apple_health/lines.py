"""The lines of an export that are quantities, read a megabyte at a time: nearly all of it, and all alike.

The app writes a record's tag on a line of its own, its attributes in one order, its times in 25 characters; what metadata it has stands
on the lines below, one entry each. Runs of such records need no XML parser, only its verdict on what comes before the times, which is the
same for thousands of them. Anything else is left to the parser; so are runs that do not stand right below the root element.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple, cast
from xml.parsers import expat

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingestion.blocks import Int64, cut, fixed_texts, texts
from ingestion.records import json_text

SHORTEST = 32
"""Records; a shorter run is not worth it."""
NO_METADATA = '"}'
"""The end of the JSON of a record without metadata."""
_TIME = b"?" * 10 + b" " + b"?" * 8 + b" " + b"?" * 5
_FORM = _TIME + b'" startDate="' + _TIME + b'" endDate="' + _TIME + b'" value="'
_MARKED = bytes(ord("?") if byte in b"0123456789+-:?" else byte for byte in range(256))
"""What times are made of becomes a question mark; nothing else in `_FORM` is made of it."""
_TIMES = [0, len(_TIME) + 13, 2 * len(_TIME) + 24]
_BEGIN, _ENTRY, _END = (np.frombuffer(text, dtype=np.uint8) for text in (b" <Record type=", b"  <MetadataEntry ", b" </Record>"))
_ENTRIES = re.compile(rb'(?:  <MetadataEntry key="[ !#-%\'-;=-~]*" value="[ !#-%\'-;=-~]*"/>\n)+')
_KEY_AND_VALUE = re.compile(r'key="([^"]*)" value="([^"]*)"/>\n')
_NEWLINE, _QUOTE, _SLASH, _CLOSE = b'\n"/>'
_SPECIAL = np.array([byte < 32 or byte >= 127 or byte in b'"&<' for byte in range(256)])
_LONGEST_VALUE = 40
_LONGEST_METADATA = _LONGEST_BEGINNING = 1_000
_SHORTEST_LINE = len(_FORM) + 30
_WORTH = 8
"""Records of each beginning, or nothing is gained: a stranger made them up line by line."""
_MOST = 10_000
"""Beginnings, and metadata, that are remembered."""

Bytes = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]
Texts = npt.NDArray[np.object_]
Shared = tuple[str, ...]


class Sheaf(NamedTuple):
    """Rows that share what comes before their times; all of them have metadata, or none."""

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
    """Records that follow each other and can be read together."""

    begin: int
    end: int
    """Byte after the last line's end."""
    sheaves: list[Sheaf]
    """Their lines are counted from 0, the run's first."""
    lines: int


class _Found(NamedTuple):
    """Records that have the form of a quantity, as arrays of one length."""

    begins: Int64
    ends: Int64
    """Byte after the end of the last line."""
    times: Int64
    """Where the first time stands."""
    below: Int64
    """Where the metadata's lines begin."""
    above: Int64
    """Where they end: the same place when there are none."""
    first: Int64
    """Number of the first line, from 0."""
    beyond: Int64
    """Number of the line after the last."""
    printed: Bytes
    """What stands where `_FORM` does."""
    closing: Bytes
    """What stands before the end of the value: the value, and more."""
    widths: Int64
    """Characters of the value."""


class Lines:
    """Finds the runs; remembers what the parser said of each beginning."""

    def __init__(self, is_usual: Callable[[Shared], bool]) -> None:
        self._is_usual = is_usual
        self._known: dict[bytes, Shared | None] = {}
        self._tails: dict[bytes, str | None] = {}
        self._asked = self._read = 0

    def runs(self, part: bytes) -> Iterator[Run]:
        """The runs of a part of an export, in order."""
        if b"\t" in part or b"\r" in part or self._is_vain():  # a parser makes blanks of the former
            return
        found = _quantities(np.frombuffer(part, dtype=np.uint8))
        if len(found.first) < SHORTEST:
            return
        codes, shared, tails = self._beginnings(part, found)
        self._read += len(codes)
        fine = codes >= 0
        follows = np.concatenate([[False], (found.first[1:] == found.beyond[:-1]) & fine[:-1]])
        for first, beyond in pairwise([*np.flatnonzero(~(follows & fine)).tolist(), len(codes)]):
            if beyond - first >= SHORTEST and fine[first]:
                rows = slice(first, beyond)
                mine = _of(found, rows)
                sheaves = list(_sheaves(mine, codes[rows], shared, tails[rows]))
                yield Run(int(mine.begins[0]), int(mine.ends[-1]), sheaves, int(mine.beyond[-1] - mine.first[0]))

    def _is_vain(self) -> bool:
        return self._asked > _MOST and self._asked * _WORTH > self._read

    def _beginnings(self, part: bytes, found: _Found) -> tuple[Int64, list[Shared], Texts]:
        """Of each record which attributes stand before its times, twice the place in a list, plus one where it has metadata; negative
        when it is for the parser alone. The list, and the ends of the records' JSON."""
        places: dict[Shared, int] = {}
        head, length, code = b"", -1, -1
        new = np.flatnonzero(_differs(part, found))
        of_new = []
        for begin, time in zip(found.begins[new].tolist(), found.times[new].tolist(), strict=True):
            if time - begin != length or not part.startswith(head, begin):
                head, length = part[begin:time], time - begin
                shared = self._shared(head)
                code = -1 if shared is None else 2 * places.setdefault(shared, len(places))
            of_new.append(code)
        codes = np.repeat(np.array(of_new, dtype=np.int64), np.diff(new, append=len(found.begins)))
        tails = np.full(len(codes), NO_METADATA, dtype=object)
        more = np.flatnonzero(found.below != found.above)
        known = self._tails.get
        entries = [part[b:a] for b, a in zip(found.below[more].tolist(), found.above[more].tolist(), strict=True)]
        tails[more] = ends = [known(lines) or self._tail(lines) for lines in entries]
        codes[more] = np.where((codes[more] < 0) | np.array([end is None for end in ends], dtype=np.bool_), -1, codes[more] + 1)
        return codes, list(places), tails

    def _shared(self, head: bytes) -> Shared | None:
        if head not in self._known:
            if len(self._known) >= _MOST:
                self._known.clear()
            shared = _parsed(head)
            self._known[head] = None if shared is None or not self._is_usual(shared) else shared
            self._asked += 1
        return self._known[head]

    def _tail(self, entries: bytes) -> str | None:
        """The end of the JSON of a record with this metadata; None when that is for the parser."""
        if len(entries) > _LONGEST_METADATA or not _ENTRIES.fullmatch(entries):
            return None
        if len(self._tails) >= _MOST:
            self._tails.clear()
        tail = self._tails[entries] = ending(dict(_KEY_AND_VALUE.findall(entries.decode("ascii"))))
        return tail


def ending(metadata: dict[str, str]) -> str:
    """The end of the JSON of a record with this metadata."""
    return f'","metadata":{json_text(metadata)}}}'


def _differs(part: bytes, found: _Found) -> Bools:
    """Which records do not begin as the one before; some that do may be among them."""
    lengths = found.times - found.begins
    longest, differs = int(lengths.max()), np.ones(len(lengths), dtype=np.bool_)
    if longest <= _LONGEST_BEGINNING:
        whole = found.begins + longest <= len(part)
        heads = _windows(np.frombuffer(part, dtype=np.uint8), np.where(whole, found.begins, 0), longest)
        same = (heads[1:] == heads[:-1]).all(axis=1) & (lengths[1:] == lengths[:-1])
        differs[1:] = ~(same & whole[1:] & whole[:-1])
    return differs


def _sheaves(found: _Found, codes: Int64, shared: list[Shared], tails: Texts) -> Iterator[Sheaf]:
    lines = found.first - found.first[0]
    inside = np.arange(_LONGEST_VALUE, 0, -1)
    for code in np.unique(codes).tolist():
        mine: Any = np.flatnonzero(codes == code)
        if len(mine) == len(codes):
            mine = slice(None)
        printed, widths = found.printed[mine], found.widths[mine]
        created, start, end = (fixed_texts(printed[:, first : first + len(_TIME)]) for first in _TIMES)
        value = cut(found.closing[mine][:, 1:][inside <= widths[:, None]], widths)
        tail = texts(tails[mine].tolist()) if code % 2 else pa.repeat(pa.scalar(NO_METADATA), len(widths))
        yield Sheaf(shared[code // 2], created, start, end, value, lines[mine], tail)


def _quantities(data: Bytes) -> _Found:
    """The records ` <Record type=…creationDate="…" startDate="…" endDate="…" value="…"/>`, and those with metadata, by what stands
    where."""
    ends = np.flatnonzero(data == _NEWLINE)
    begins = np.concatenate([np.zeros(1, dtype=np.int64), ends + 1])[: len(ends)]
    first = _beginning_with(_BEGIN, data, begins, ends, _SHORTEST_LINE)
    single = data[ends[first] - 2] == _SLASH
    last = first.copy()
    if not single.all():
        entries = np.zeros(len(ends), dtype=np.bool_)
        entries[_beginning_with(_ENTRY, data, begins, ends, len(_ENTRY))] = True
        closed = np.zeros(len(ends) + 1, dtype=np.bool_)
        closed[_beginning_with(_END, data, begins, ends, len(_END))] = True
        closed[:-1] &= ends - begins == len(_END)
        after = np.append(np.flatnonzero(~entries), len(ends))
        last = np.where(single, first, after[np.searchsorted(after, first + 1)])
        fine = single | (closed[last] & (last > first + 1))
        first, last, single = first[fine], last[fine], single[fine]
    stops = ends[first] - 2 - single
    closing = _windows(data, stops - _LONGEST_VALUE - 1, _LONGEST_VALUE + 1)
    widths = (closing[:, ::-1] == _QUOTE).argmax(axis=1)
    times = np.maximum(0, stops - widths - len(_FORM))
    printed = _windows(data, times, len(_FORM))
    fine = (data[stops] == _QUOTE) & (data[ends[first] - 1] == _CLOSE) & (times > begins[first] + len(_BEGIN))
    marked = printed.tobytes().translate(_MARKED)
    if marked != _FORM * len(printed):
        fine &= (np.frombuffer(marked, np.uint8).reshape(printed.shape) == np.frombuffer(_FORM, np.uint8)).all(axis=1)
    value = np.arange(_LONGEST_VALUE + 1, 0, -1) <= widths[:, None]
    if closing[value].tobytes().translate(None, b"0123456789."):
        fine &= ~(_SPECIAL[closing] & value).any(axis=1)
    below, above = ends[first] + 1, np.where(single, ends[first] + 1, begins[last])
    found = _Found(begins[first], ends[last] + 1, times, below, above, first, last + 1, printed, closing, widths)
    return found if fine.all() else _of(found, fine)


def _of(found: _Found, rows: slice | Bools) -> _Found:
    return _Found(*(column[rows] for column in cast("tuple[Any, ...]", found)))


def _beginning_with(text: Bytes, data: Bytes, begins: Int64, ends: Int64, shortest: int) -> Int64:
    """The numbers of the lines that begin with a text and have at least so many bytes."""
    long = np.flatnonzero(ends - begins >= shortest)
    found: Int64 = long[(_windows(data, begins[long], len(text)) == text).all(axis=1)]
    return found


def _windows(data: Bytes, begins: Int64, width: int) -> Bytes:
    """So many bytes from each place on."""
    if not len(begins):
        return np.empty((0, width), np.uint8)
    return np.lib.stride_tricks.sliding_window_view(data, width)[begins]


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
