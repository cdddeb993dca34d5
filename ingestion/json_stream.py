"""JSON files of any size, one element at a time: memory holds one element and a few megabytes, whatever the file's size.

Strict where Python's own reader is lenient (NaN, a key twice). An element that cannot be read becomes a dead letter with its number and
the elements after it go on; a file that ends in the middle of one says so.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Collection, Iterator
from typing import Any, BinaryIO, NamedTuple

from ingestion.records import MAX_DEAD_LETTER, MAX_RECORD, DeadLetter
from ingestion.strict_json import DECODER, BadJSONError

_CHUNK = 1 << 20
_SPACE = re.compile(r"[ \t\r\n]*")
_BETWEEN = re.compile(r"[ \t\r\n,]*")
_BOUND = re.compile(r'["\\{}\[\],]')
_CLOSE_TO_END = 16
"""What is cut off in the middle of a number, a word or an escape is complained about this near to the end of what was read."""


class Item(NamedTuple):
    """A value of the file."""

    key: str | None
    """The member of the outermost object it belongs to; None for an element of an outermost array, or for the only value."""
    number: int
    """Its place in the array, counted from 1; 0 for a value that stands in none."""
    value: Any


def items(file: BinaryIO, arrays: Collection[str] = ()) -> Iterator[Item | DeadLetter]:
    """The values of a JSON file (UTF-8, with or without a byte-order mark), from its beginning.

    An outermost array gives its elements. An outermost object gives its members one by one when `arrays` names any, those of them that
    are arrays element by element; else it is given whole, as is any other value. Nothing is raised: what cannot be read is a DeadLetter
    (`bad_json`, `json_truncated`, `not_json`, `duplicate_json_keys`, `json_too_deep`, `too_big`).
    """
    file.seek(0)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        yield from _Reader(text).items(frozenset(arrays))
    finally:
        text.detach()


class _Reader:
    """A window on the text that moves on."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text, self._buffer, self._at, self._ended = text, "", 0, False
        self._told = False
        """Whether it has been said that the end is missing."""

    def items(self, arrays: frozenset[str]) -> Iterator[Item | DeadLetter]:
        first = self._peek()
        if first == "[":
            yield from self._array(None)
        elif first == "{" and arrays:
            yield from self._object(arrays)
        elif first:
            yield from self._value(None, 0)
        if self._peek():
            self._at, self._buffer = len(self._buffer), ""
            yield DeadLetter(b"", "bad_json", _WHY["bad_json"], "after the end")

    def _object(self, arrays: frozenset[str]) -> Iterator[Item | DeadLetter]:
        self._at += 1
        while (first := self._peek(_BETWEEN)) and first != "}":
            try:
                key = self._decode()
            except BadJSONError as bad:
                yield from self._stop(str(bad))
                return
            if not isinstance(key, str) or self._peek() != ":":
                yield from self._stop("bad_json")
                return
            self._at += 1
            if self._peek() == "[" and key in arrays:
                yield from self._array(key)
            else:
                yield from self._value(key, 0)
        yield from self._close()

    def _array(self, key: str | None) -> Iterator[Item | DeadLetter]:
        self._at += 1
        number = 0
        while (first := self._peek(_BETWEEN)) and first != "]":
            number += 1
            yield from self._value(key, number)
        yield from self._close()

    def _close(self) -> Iterator[DeadLetter]:
        if self._peek():
            self._at += 1
        elif not self._told:
            yield DeadLetter(b"", "json_truncated", _WHY["json_truncated"], "the end")

    def _value(self, key: str | None, number: int) -> Iterator[Item | DeadLetter]:
        try:
            yield Item(key, number, self._decode())
        except BadJSONError as bad:
            raw, whole = self._skip()
            reason = str(bad) if whole or str(bad) == "too_big" else "json_truncated"
            self._told = not whole
            yield DeadLetter(raw, reason, _WHY[reason], f"item {number}" if number else "the value")

    def _stop(self, reason: str) -> Iterator[DeadLetter]:
        """What stands outside of any value makes no sense: nobody can say where the next begins."""
        while self._more():
            self._at = len(self._buffer)
        self._at = len(self._buffer)
        yield DeadLetter(b"", reason, _WHY[reason], "outside of the items")

    def _decode(self) -> Any:
        while True:
            try:
                value, end = DECODER.raw_decode(self._buffer, self._at)
            except BadJSONError:
                raise
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated") or error.pos >= len(self._buffer) - _CLOSE_TO_END
                if not cut or not self._grow():
                    raise BadJSONError("bad_json") from None
            except RecursionError:
                raise BadJSONError("json_too_deep") from None
            except ValueError:  # a number of thousands of digits
                raise BadJSONError("bad_json") from None
            else:
                if end < len(self._buffer) or not self._grow():
                    self._at = end
                    return value

    def _grow(self) -> bool:
        """Read on within a value; False at the end of the file. `too_big` beyond the size a record may have."""
        if len(self._buffer) - self._at > MAX_RECORD:
            raise BadJSONError("too_big")
        return self._more(max(_CHUNK, len(self._buffer) - self._at))

    def _peek(self, passed: re.Pattern[str] = _SPACE) -> str:
        """The next character that is no blank, without taking it; empty at the end. `passed`: what counts as blank."""
        while True:
            found = passed.match(self._buffer, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._more():
                return ""

    def _more(self, size: int = _CHUNK) -> bool:
        if self._ended:
            return False
        read = self._text.read(size)
        self._ended = not read
        self._buffer, self._at = self._buffer[self._at :] + read, 0
        return not self._ended

    def _skip(self) -> tuple[bytes, bool]:
        """Go past the value that stands here, by its brackets; gives its beginning and whether its end was found."""
        kept: list[str] = []
        size, brackets = 0, _Brackets()
        while True:
            start = self._at
            end = brackets.end(self._buffer, start)
            if end is not None:
                self._at = max(end, start + (not size))  # something always goes, whatever stands there
                return _bytes([*kept, self._buffer[start : self._at]]), True
            if size < MAX_DEAD_LETTER:
                kept.append(self._buffer[start:])
            size += len(self._buffer) - start
            self._at = len(self._buffer)
            if not self._more():
                return _bytes(kept), False


class _Brackets:
    """Finds where a damaged value ends, over as many windows as it takes."""

    def __init__(self) -> None:
        self._depth, self._in_string, self._after = 0, False, 0

    def end(self, text: str, start: int) -> int | None:
        """Where in this window the value ends; None if not in it. The next window begins right after it."""
        for found in _BOUND.finditer(text, start):
            if found.end() <= self._after:
                continue  # escaped
            if found[0] == "\\":
                self._after = found.end() + 1
            elif found[0] == '"':
                self._in_string = not self._in_string
            elif not self._in_string and (end := self._move(found[0], found.end())) is not None:
                return end
        self._after = int(self._after > len(text))  # the last character escapes the first of the next window
        return None

    def _move(self, char: str, end: int) -> int | None:
        if char in "{[":
            self._depth += 1
        elif not self._depth:
            return end - 1  # what ends a number or a word is not part of it
        elif char != ",":
            self._depth -= 1
            return None if self._depth else end
        return None


def _bytes(parts: list[str]) -> bytes:
    return "".join(parts).encode("utf-8", "surrogateescape")


_WHY = {
    "bad_json": "It is no JSON.",
    "json_truncated": "The file ends in the middle: it was cut off, or still being written.",
    "not_json": "It holds NaN or Infinity, which JSON does not know.",
    "duplicate_json_keys": "It names a key twice, so one of the two would be lost.",
    "json_too_deep": "It nests too deep.",
    "too_big": "It is larger than 16 MB.",
}
