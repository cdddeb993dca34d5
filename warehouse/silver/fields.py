"""One record as a unified one: its fields found by the source's mapping, each held to its type and range; or why it is none.

A text that may be read in two ways is refused, never guessed: a value is a number with a decimal point, a time is ISO 8601 or seconds
or milliseconds since 1970. A time without an offset is the person's clock.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from config.mapping import found
from config.stamps import Stamps
from config.timezones import PersonZones

FIRST_YEAR, LAST_YEAR = 1900, 2199
"""As in bronze: a year outside is a mistake of the source."""
LONGEST_ID = 2000
"""Bytes of an identity: a b-tree key of PostgreSQL ends at 2,704."""
LONGEST_TEXT = 1 << 20
"""Characters of any other text."""

_NUMBER = re.compile(r"[+-]?(?:\d{1,15}(?:\.\d{0,20})?|\.\d{1,20})(?:[eE][+-]?\d{1,3})?", re.ASCII)
_SECONDS = re.compile(r"\d{10}|\d{13}", re.ASCII)
_MILLISECONDS = 10**11
"""From here on a number means milliseconds: as seconds it would be the year 5138."""
_LARGEST = 10**14
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NOT_DELETED = frozenset({"", "0", "false", "f", "no", "n"})


class Fields(NamedTuple):
    """What a record says, in the order of the layout; times are microseconds since 1970."""

    source_id: str
    event_id: str | None
    name: str | None
    value: float | None
    unit: str | None
    description: str | None
    occurred_at: int | None
    created_at: int | None
    updated_at: int | None
    deleted: bool


class Refused(NamedTuple):
    """Why a record has no place in silver."""

    reason: str
    field: str | None = None


class _FaultError(ValueError):
    """A field that is not what it must be; the message is the reason."""


class Reader:
    """Reads the records of one source."""

    def __init__(self, mapping: Mapping[str, str], zones: PersonZones) -> None:
        self._paths = {name: [p for p in path.split("|") if p] for name, path in mapping.items()}
        self._stamps = Stamps(zones)

    def read(self, text: str, raw_id: str, stamp: int | None) -> Fields | Refused:
        """`text`: the record's JSON; `stamp`: its source_timestamp in microseconds, for a source that names no other."""
        try:
            record = json.loads(text, parse_constant=_no_constant)
        except RecursionError:
            return Refused("json_too_deep")
        except ValueError:
            return Refused("not_json")
        if not isinstance(record, dict):
            return Refused("not_an_object")
        field = "source_id"
        try:
            identity = self._text(record, field, LONGEST_ID) if self._paths[field] else _storable(raw_id, LONGEST_ID)
            if identity is None:
                return Refused("source_id_missing", field)
            cells: dict[str, Any] = {}
            for field in ("event_id", "name", "unit", "description"):
                cells[field] = self._text(record, field, LONGEST_ID if field == "event_id" else LONGEST_TEXT)
            for field in ("occurred_at", "created_at", "updated_at"):
                cells[field] = self._time(self._found(record, field))
            field = "value"
            value = _number(self._found(record, field))
        except _FaultError as fault:
            return Refused(f"{field}_{fault}", field)
        if not self._paths["occurred_at"]:
            cells["occurred_at"] = stamp
        return Fields(source_id=identity, value=value, deleted=_is_set(self._found(record, "deleted")), **cells)

    def _found(self, record: Mapping[str, Any], field: str) -> Any:
        """The first of the field's places that holds something."""
        values = (found(record, path) for path in self._paths[field])
        return next((value for value in values if value is not None), None)

    def _text(self, record: Mapping[str, Any], field: str, longest: int) -> str | None:
        value = self._found(record, field)
        if value is None:
            return None
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, dict | list):
            raise _FaultError("type")
        return _storable(value if isinstance(value, str) else repr(value), longest)

    def _time(self, value: Any) -> int | None:
        """Microseconds since 1970."""
        if value is None or value == "":
            return None
        if isinstance(value, str) and _SECONDS.fullmatch(value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise _FaultError("type")
        try:
            utc = self._written(value) if isinstance(value, str) else _counted(value)
        except OverflowError:
            raise _FaultError("range") from None
        if not FIRST_YEAR <= utc.year <= LAST_YEAR:
            raise _FaultError("range")
        return (utc - _EPOCH) // _MICROSECOND

    def _written(self, text: str) -> datetime:
        stamp = self._stamps.read(text.strip()) if text[2:3] != "/" else None  # 03/04/26 is of March or of April
        if stamp is None or stamp.utc is None:
            raise _FaultError("type")
        return stamp.utc


def _storable(text: str, longest: int) -> str | None:
    """None for an empty text. A NUL and half a surrogate pair are what PostgreSQL and Parquet cannot hold."""
    if "\0" in text or not (text.isascii() or is_utf8(text)):
        raise _FaultError("unstorable")
    size = len(text.encode()) if longest == LONGEST_ID else len(text)
    if size > longest:
        raise _FaultError("too_long")
    return text or None


def is_utf8(text: str) -> bool:
    """Whether a text has bytes: half a surrogate pair has none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _number(value: Any) -> float | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value.strip()):
            raise _FaultError("type")
    elif not isinstance(value, int | float):
        raise _FaultError("type")
    try:
        number = float(value)
    except OverflowError:
        raise _FaultError("range") from None
    if not math.isfinite(number):
        raise _FaultError("range")
    return number


def _counted(number: float) -> datetime:
    """Seconds or milliseconds since 1970."""
    if not math.isfinite(number) or abs(number) >= _LARGEST:
        raise _FaultError("range")
    micros = number * (1_000 if abs(number) >= _MILLISECONDS else 1_000_000)
    return _EPOCH + timedelta(microseconds=round(micros))


def _is_set(value: Any) -> bool:
    return value.strip().lower() not in _NOT_DELETED if isinstance(value, str) else bool(value)


def _no_constant(_: str) -> Any:
    raise ValueError("not_json")
