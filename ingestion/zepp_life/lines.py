"""The rows of a Zepp Life table: cut by hand where CSV readers fail, at the JSON in the column `naps`.

The vendor writes that JSON with backslashes before its quotes (or doubles them, or quotes nothing), so a CSV reader finds commas
where there are none and loses the rest of the file at the first odd quote. Every other cell is plain, and no cell spans lines.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from ingestion.mi_fitness.values import parse_value
from ingestion.strict_json import BadJSONError

MAX_LINE = 1 << 20
_MARK = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """One line of text, or why it is none."""

    number: int
    text: str
    raw: bytes
    problem: str = ""
    """`encoding`, `nul_byte` or `field_too_big`."""


def lines(file: BinaryIO) -> Iterator[Line]:
    """The lines of a seekable file, without their ends; one above 1 MB is cut, however long it is."""
    file.seek(0)
    number = 0
    while raw := file.readline(MAX_LINE):
        number += 1
        whole = raw.endswith(b"\n") or len(raw) < MAX_LINE
        while not whole:
            rest = file.readline(MAX_LINE)
            whole = rest.endswith(b"\n") or len(rest) < MAX_LINE
        if len(raw) >= MAX_LINE:
            yield Line(number, "", raw[:1000], "field_too_big")
            continue
        yield _line(number, raw.removeprefix(_MARK) if number == 1 else raw)


def cells(text: str, keys: list[str]) -> list[str] | None:
    """A line's cells, one per key; None when there are more or fewer."""
    if '"' not in text:
        found = text.split(",")
        return found if len(found) == len(keys) else _around_naps(text, keys)
    try:
        found = next(csv.reader([text], strict=True), [])
    except csv.Error:
        found = []
    return found if len(found) == len(keys) and not _is_torn(found, keys) else _around_naps(text, keys)


def naps(cell: str) -> Any:
    """The JSON of a `naps` cell, whichever way its quotes are written. Raises BadJSONError when it is none."""
    text = cell.strip()
    bare = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    for spelling in (bare.replace('\\"', '"'), bare, bare.replace('""', '"')):
        try:
            return parse_value(spelling)
        except BadJSONError as bad:
            reason = bad
    raise reason


def _line(number: int, raw: bytes) -> Line:
    raw = raw.rstrip(b"\r\n")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return Line(number, "", raw, "encoding")
    return Line(number, text, raw, "nul_byte" if "\0" in text else "")


def _is_torn(found: list[str], keys: list[str]) -> bool:
    """Whether a reader ate the backslashes' quotes: then what it gives as naps begins like JSON and ends in the middle."""
    cell = found[keys.index("naps")].strip() if "naps" in keys else ""
    return cell[:1] in ("[", "{") and cell[-1:] not in ("]", "}")


def _around_naps(text: str, keys: list[str]) -> list[str] | None:
    """The cells before naps counted from the left, those after it from the right: what remains is naps."""
    if "naps" not in keys:
        return None
    at = keys.index("naps")
    left = text.split(",", at)
    if len(left) <= at:
        return None
    right = left[at].rsplit(",", len(keys) - at - 1) if at < len(keys) - 1 else [left[at]]
    found = [*left[:at], *right]
    return found if len(found) == len(keys) and found[at].strip()[:1] in ('"', "[", "{") else None
