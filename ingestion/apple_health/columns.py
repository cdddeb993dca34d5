"""Quantities by the ten thousand: rows that differ in times and value only are gathered and turned into a block at once.

A row is left to be made one by one when it has an attribute that is not known here, a time or a value written otherwise.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.apple_health.lines import NO_METADATA, Shared, Sheaf, ending
from ingestion.apple_health.rows import Element, prefix, to_record
from ingestion.apple_health.stamps import read_column
from ingestion.apple_health.types import QUANTITY
from ingestion.blocks import Block, Int64, hashes, mixed, texts
from ingestion.records import Record, json_text

FULL = 10_000
"""Rows that are turned into a block together."""
_SHARED = frozenset({"type", "sourceName", "sourceVersion", "device", "unit"})
_OWN = ["creationDate", "startDate", "endDate", "value"]
_NUMBER = r"^-?[0-9]{1,15}(?:\.[0-9]{1,20})?(?:[eE][+-]?[0-9]{1,2})?$"
_LONGEST = 1_000
_NONE = np.empty(0, dtype=np.int64)

Row = tuple[str, str, str, str, int, dict[str, str] | None]
"""creationDate, startDate, endDate, value, line, metadata."""


class Columns:
    """The rows gathered so far, by what they share."""

    def __init__(self, where: str) -> None:
        self.exported = 0
        """When the export was made, microseconds since 1970; 0 when it does not say."""
        self.rows = 0
        self._where = where
        self._groups: dict[tuple[Shared, bool], list[Row]] = {}
        self._sheaves: list[Sheaf] = []

    def add(self, attributes: list[str], line: int, metadata: dict[str, str] | None) -> bool:
        """Take a record over, if it is a quantity of the usual form."""
        if attributes[-8::2] != _OWN:
            return False
        key = tuple(attributes[:-8]), bool(metadata)
        rows = self._groups.get(key)
        if rows is None:
            if not is_usual(key[0]):
                return False
            rows = self._groups[key] = []
        if metadata is not None and sum(map(len, metadata.values())) > _LONGEST:
            return False
        rows.append((attributes[-7], attributes[-5], attributes[-3], attributes[-1], line, metadata))
        self.rows += 1
        return True

    def add_sheaf(self, sheaf: Sheaf) -> None:
        """Take many over."""
        self._sheaves.append(sheaf)
        self.rows += len(sheaf.lines)

    def taken(self) -> Iterator[Block | Record]:
        """All rows gathered, as one block; before it the records that do not fit into one."""
        endings = _Endings()
        sheaves = _joint([*self._sheaves, *(_sheaf(shared, rows, endings) for (shared, _), rows in self._groups.items() if rows)])
        self._groups, self._sheaves, self.rows = {}, [], 0
        block = self._block(sheaves)
        if block is None:
            usual = []
            for sheaf in sheaves:
                odd = np.array([_is_odd(sheaf, n) for n in range(len(sheaf.lines))], dtype=np.bool_)
                for n in np.flatnonzero(odd).tolist():
                    yield to_record(_element(sheaf, n), self._where, self.exported)
                if not odd.all():
                    usual.append(_without(sheaf, odd))
            block = self._block(usual)
        if block is not None and len(block.raw_ids):
            yield block

    def _block(self, sheaves: list[Sheaf]) -> Block | None:
        """The rows in columns; None when any of them cannot be."""
        start, end, created, value = (_concatenated([sheaf[n] for sheaf in sheaves]) for n in (2, 3, 1, 4))
        times = [read_column(column) for column in (start, end, created)]
        if times[0] is None or times[1] is None or times[2] is None or not _all_numbers(value):
            return None
        spans = [pa.array(time[0]).cast(pa.string()) for time in times if time]
        ids, raws, bases, metadata = [], [], [], []
        runs: list[tuple[dict[str, Any], int]] = []
        at = 0
        for sheaf in sheaves:
            attributes = dict(zip(sheaf.shared[::2], sheaf.shared[1::2], strict=True))
            begin, n = prefix(attributes), len(sheaf.lines)
            s, e, c = (span.slice(at, n) for span in spans)
            ids.append(_joined(begin, s, "-", e, "/", c))
            head = json_text({**attributes, "table": "Record"})[:-1] + ',"creationDate":"'
            own = (sheaf.created, '","startDate":"', sheaf.start, '","endDate":"', sheaf.end, '","value":"', sheaf.value)
            raws.append(_joined(head, *own, sheaf.tails))
            runs.append((to_record(_element(sheaf, 0), "", 0).raw, n))  # nothing else about the others can matter to the schema
            bases.append(_hash(f"{begin}{attributes.get('unit')}"))
            metadata.append(_distinct_hashes(sheaf.tails))
            at += n
        base = np.repeat(np.array(bases, dtype=np.int64), [len(sheaf.lines) for sheaf in sheaves])
        lines = np.concatenate([_NONE, *(sheaf.lines for sheaf in sheaves)])
        return Block(
            raw_ids=_concatenated(ids),
            texts=_concatenated(raws),
            positions=_joined(f"{self._where}line ", pa.array(lines).cast(pa.string())),
            time_texts=start,
            stamps=times[0][0] * 1_000_000,
            offsets=times[0][1],
            contents=mixed(base, times[0][0], times[1][0], times[2][0], hashes(value), np.concatenate([_NONE, *metadata])),
            revision=self.exported,
            runs=runs,
        )


def _sheaf(shared: Shared, rows: list[Row], endings: _Endings) -> Sheaf:
    created, start, end, value = (texts(list(map(itemgetter(n), rows))) for n in range(4))
    lines = np.fromiter(map(itemgetter(4), rows), np.int64, len(rows))
    tails = texts([endings[tuple(row[5].items()) if row[5] else ()] for row in rows])
    return Sheaf(shared, created, start, end, value, lines, tails)


def _joint(sheaves: list[Sheaf]) -> list[Sheaf]:
    """The same with those that share everything made one."""
    alike: dict[tuple[Shared, bool], list[Sheaf]] = {}
    for sheaf in sheaves:
        alike.setdefault((sheaf.shared, sheaf.tails[0].as_py() == NO_METADATA), []).append(sheaf)
    return [_one(same) if len(same) > 1 else same[0] for same in alike.values()]


def _one(sheaves: list[Sheaf]) -> Sheaf:
    created, start, end, value, tails = (_concatenated([sheaf[n] for sheaf in sheaves]) for n in (1, 2, 3, 4, 6))
    return Sheaf(sheaves[0].shared, created, start, end, value, np.concatenate([sheaf.lines for sheaf in sheaves]), tails)


def _joined(*parts: str | pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(*parts, "")


def _concatenated(parts: list[pa.Array]) -> pa.Array:
    if len(parts) == 1:
        return parts[0]
    return pa.concat_arrays(parts) if parts else pa.array([], pa.string())


def _distinct_hashes(column: pa.Array) -> Int64:
    """A hash of each of many texts of which few differ."""
    coded = column.dictionary_encode()
    found: Int64 = hashes(coded.dictionary)[coded.indices.to_numpy()]
    return found


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)


def is_usual(shared: Shared) -> bool:
    """Whether these attributes, names and values by turns, are those of a quantity and no others."""
    names = set(shared[::2])
    return names <= _SHARED and shared[0] == "type" and shared[1].startswith(QUANTITY) and max(map(len, shared)) <= _LONGEST


def _is_odd(sheaf: Sheaf, n: int) -> bool:
    times = pa.concat_arrays([column.slice(n, 1) for column in (sheaf.created, sheaf.start, sheaf.end)])
    return read_column(times) is None or not _all_numbers(sheaf.value.slice(n, 1))


def _without(sheaf: Sheaf, odd: npt.NDArray[np.bool_]) -> Sheaf:
    keep = pa.array(~odd)
    created, start, end, value, tails = (column.filter(keep) for column in (*sheaf[1:5], sheaf.tails))
    return Sheaf(sheaf.shared, created, start, end, value, sheaf.lines[~odd], tails)


def _all_numbers(values: pa.Array) -> bool:
    return bool(pc.all(pc.match_substring_regex(values, _NUMBER), min_count=0).as_py())


def _element(sheaf: Sheaf, n: int) -> Element:
    own = chain.from_iterable((name, column[n].as_py()) for name, column in zip(_OWN, sheaf[1:5], strict=True))
    metadata = json.loads('{"value":"' + sheaf.tails[n].as_py()).get("metadata", {})
    return Element("Record", [*sheaf.shared, *own], int(sheaf.lines[n]), metadata, [])


class _Endings(dict[tuple[tuple[str, str], ...], str]):
    """Metadata → the end of the record's JSON; few records have metadata of their own."""

    def __missing__(self, metadata: tuple[tuple[str, str], ...]) -> str:
        self[metadata] = text = ending(dict(metadata)) if metadata else NO_METADATA
        return text
