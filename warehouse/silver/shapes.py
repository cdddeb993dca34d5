"""What typed tables the JSON of a source needs: its objects as columns, its arrays as tables of their own. Looks at every value once.

A type is widened by what is seen, never narrowed by what is expected: whole numbers beside fractions become fractions where that
loses nothing, a column of two kinds (`"1"` beside `1`) keeps every value as JSON. What would need more tables or columns than anybody
reads stays JSON, too: memory is bounded by these limits, not by the data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, NamedTuple

from warehouse.silver.fields import is_utf8

KEYS = 100
"""Keys an object may have over all records; one with more is no object but a map from days, names or ids, and stays JSON."""
COLUMNS, TABLES = 1_000, 100
"""Of one kind of record; with more, what lies deepest stays JSON."""
DEEPEST = 12
"""Levels of objects and arrays that are taken apart."""

BOOLEAN, WHOLE, EXACT, FRACTION, TEXT, DAY, JSON = "boolean", "whole", "exact", "fraction", "text", "day", "json"
"""Kinds of a column; `exact` are whole numbers a float64 holds, `whole` may be larger. Also `time0`, `time3`, `time6`."""
ITEM = ""
"""The step from an array to its elements, in a path; every other step is the key of an object behind a dot."""

Path = tuple[str, ...]
"""From the record: `(".user", ".tags", "")` are the elements of `user.tags`."""

_EXACT = 2**53
_LARGEST = 2**63
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(\d{3}|\d{6}))?Z", re.ASCII)


class Leaf(NamedTuple):
    """A value that is not taken apart."""

    path: Path
    value: Any


def kind_of(value: Any) -> str:
    """The narrowest kind that holds this value, and gives it back as it was."""
    if isinstance(value, bool):
        return BOOLEAN
    if isinstance(value, int):
        return EXACT if abs(value) <= _EXACT else WHOLE if -_LARGEST <= value < _LARGEST else JSON
    if isinstance(value, float):
        return FRACTION
    if not isinstance(value, str):
        return JSON
    if not value.isascii():
        return TEXT if is_utf8(value) else JSON
    return _kind_of_text(value)


def wider(one: str, other: str) -> str:
    """The kind that holds values of both."""
    if one == other:
        return one
    both = {one, other}
    if both == {EXACT, WHOLE}:
        return WHOLE
    if both == {EXACT, FRACTION}:
        return FRACTION
    texts = {TEXT, DAY, "time0", "time3", "time6"}
    return TEXT if both <= texts else JSON


class Shape:
    """What is known of a source's JSON so far."""

    def __init__(self) -> None:
        self.kinds: dict[Path, str] = {}
        """Where values lie, and their kind."""
        self.arrays: set[Path] = set()
        """Where arrays lie that become tables."""
        self._keys: dict[Path, set[str]] = {}
        self._whole: set[Path] = set()
        self._depth = DEEPEST

    def look(self, record: Any) -> None:
        """Learn from one record."""
        for leaf in self._leaves(record):
            kind = kind_of(leaf.value)
            known = self.kinds.get(leaf.path)
            self.kinds[leaf.path] = kind if known is None else wider(known, kind)
        while (len(self.kinds) > COLUMNS or len(self.arrays) > TABLES) and self._depth > 1:
            self._depth -= 1
            self._forget(lambda path: len(path) > self._depth)

    def is_whole(self, path: Path) -> bool:
        """Whether the object or array there stays JSON."""
        return len(path) >= self._depth or path in self._whole

    def _leaves(self, record: Any) -> Iterator[Leaf]:
        """All that is not taken apart; a null, and an object or array that holds nothing, is none."""
        waiting: list[tuple[Path, Any]] = [((), record)]
        while waiting:
            path, value = waiting.pop()
            if not isinstance(value, dict | list):
                if value is not None:
                    yield Leaf(path, value)
            elif self.is_whole(path) or (isinstance(value, dict) and self._too_many(path, value)):
                if value:
                    yield Leaf(path, value)
            elif isinstance(value, dict):
                waiting += [((*path, f".{key}"), inner) for key, inner in value.items()]
            elif value:
                self.arrays.add(path)
                waiting += [((*path, ITEM), inner) for inner in value]

    def _too_many(self, path: Path, value: dict[str, Any]) -> bool:
        """Count the keys; from the first that is too many the object stays JSON, in every record."""
        keys = self._keys.setdefault(path, set())
        keys.update(value)
        if len(keys) <= KEYS:
            return False
        del self._keys[path]
        self._whole.add(path)
        self._forget(lambda other: len(other) > len(path) and other[: len(path)] == path)
        return True

    def _forget(self, gone: Any) -> None:
        """What lies there is JSON from now on, at the last place above it that is left."""
        for path in [path for path in self.kinds if gone(path)]:
            del self.kinds[path]
            above = path[:-1]
            while gone(above):
                above = above[:-1]
            self.kinds[above] = JSON
        self.arrays = {path for path in self.arrays if not gone(path) and not self.is_whole(path)}
        self._keys = {path: keys for path, keys in self._keys.items() if not gone(path)}


def _kind_of_text(text: str) -> str:
    """A day or a moment only where writing it again gives the very text."""
    try:
        if _DAY.fullmatch(text):
            date.fromisoformat(text)
            return DAY
        if found := _TIME.fullmatch(text):
            datetime.fromisoformat(text)
            return f"time{len(found[1] or '')}" if text[11:13] != "24" else TEXT
    except ValueError:
        return TEXT
    return TEXT
