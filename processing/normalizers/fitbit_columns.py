"""Fitbit's series by the ten thousand: a text without its time is one of a few, and what it says is asked of the row road once."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from config.timezones import PersonZones
from processing.normalizers.building import Int64, Kind, Normalized
from processing.normalizers.bulk import Bool, Probe, Texts, Told, beginnings, belongs, codes, local_days
from processing.normalizers.fitbit_twins import Twins
from processing.normalizers.newest import Part, Row, picked

_LONGEST_TIME = 40
_MOST_KNOWN = 100_000

Series = Callable[[Normalized, Row, dict[str, Any]], None]
"""The row road: gives the readings and the one fate of a record."""


class Columns:
    """Remembers what texts without their time say."""

    def __init__(self, tables: Collection[str], twins: Twins, zones: PersonZones, series: Series) -> None:
        """`tables`: those of which a record says one instant or minute."""
        self._tables = {name: f'{{"table":"{name}","{_STAMP[name.partition(".")[0]]}":"' for name in sorted(tables)}
        self._twins, self._zones, self._series = twins, zones, series
        self._known: dict[tuple[str, str], int] = {}
        self._said: dict[tuple[str, Kind | None, float, int], int] = {}

    def bulk(self, raw_ids: pa.Array) -> Bool:
        """Records of these tables."""
        return belongs(raw_ids, self._tables)

    def told(self, part: Part, rows: Int64) -> Told:
        """What the records whose text begins with its table and time say."""
        texts, raw_ids = (picked(part.batch.column(name), rows) for name in ("raw", "raw_id"))
        stamps = part.stamps[rows]
        days = local_days(self._zones, stamps)
        of = np.full(len(rows), -1, np.int64)
        which, tables = beginnings(raw_ids)
        for n, table in enumerate(tables):
            usual = pc.starts_with(texts, self._tables[table]).to_numpy(zero_copy_only=False)
            its = np.flatnonzero(usual & (which == n))
            if len(its):
                of[its] = self._texts_say(picked(texts, its), table)
                again = self._twins.again_many(table, picked(raw_ids, its), days[its])
                of[its[again]] = self._number("duplicate", None, 0.0, 0)
        said = list(self._said)
        accepted = np.array([s[0] == "accepted" for s in said] + [False], np.bool_)[of]
        fates = {s[0] for s in said} - {"accepted"}
        silent = {f: rows[np.isin(of, [n for n, s in enumerate(said) if s[0] == f])] for f in sorted(fates)}
        kinds = [s[1] or _NOTHING for s in said]
        values, lengths = (np.array([s[n] for s in said])[of[accepted]] for n in (2, 3))
        return Told(kinds, rows[accepted], of[accepted], values, lengths, silent)

    def _texts_say(self, texts: pa.Array, table: str) -> Int64:
        """Of each text which of the things said it says; -1 where the row road must be asked."""
        begin = self._tables[table]
        cut = Texts(texts)
        start = np.full(len(texts), len(begin), np.int64)
        length = _lengths(cut, start)
        (tail,) = cut.pieces((start, start + length), (2,))
        which, tails = codes(tail)
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        said = np.array([self._tail_says(table, begin, t) for t in tails], np.int64)[which]
        said[length == 0] = -1
        return said

    def _tail_says(self, table: str, begin: str, tail: str) -> int:
        known = self._known.get((table, tail))
        if known is None:
            known = self._known[table, tail] = self._asked(begin + tail, table)
        return known

    def _asked(self, text: str, table: str) -> int:
        """What a text with an empty time says; -1 where it says something of its own."""
        try:
            raw = json.loads(text)
        except ValueError:
            return -1
        if raw["table"] != table:
            return -1
        probe = Probe("fitbit")
        self._series(probe, _NO_ROW, raw)
        if probe.rejections or len(probe.fates) != 1 or len(probe.given) > 1:
            return -1
        kind, value, length = probe.given[0] if probe.given else (None, 0.0, 0)
        return self._number(next(iter(probe.fates)), kind, value, length)

    def _number(self, fate: str, kind: Kind | None, value: float, length: int) -> int:
        return self._said.setdefault((fate, kind, value, length), len(self._said))


def _lengths(cut: Texts, start: Int64) -> Int64:
    """How long the times are that begin there, 0 for one that is written oddly; most of a table are of one length."""
    length = np.zeros(len(start), np.int64)
    left = np.arange(len(start))
    for _ in range(_FEW):
        if not len(left):
            break
        (ends,) = np.nonzero(cut.window(start, _LONGEST_TIME, left[:1])[0] == ord('"'))
        end = int(ends[0]) if len(ends) else 0
        window = cut.window(start, end + 1, left)
        alike = (window[:, -1] == ord('"')) & _PLAIN[window[:, :-1]].all(axis=1)
        length[left[alike]] = end
        alike[0] = True  # it had its turn
        left = left[~alike]
    return length


_FEW = 8
"""Lengths that are looked for."""
_PLAIN = np.array([chr(n) in "0123456789/:.-+ TZ" for n in range(256)], np.bool_)
"""Characters of a time."""
_STAMP = {"json": "dateTime", "csv": "timestamp"}
_NO_ROW = Row("", 0, "", "valid", "", "", 0, None)
_NOTHING = Kind("steps", "instant", "")
