"""A dropped file as what it is, not as what it is called: text with its rows and their original bytes, or a clear refusal."""

from __future__ import annotations

import io
import re
from typing import Literal, NamedTuple

from config.errors import SourceRefused
from ingestion.csv_text import Row, rows
from ingestion.records import DeadLetter

MAX_BYTES = 32 << 20
"""A blood pressure log beyond this is something else; at a hundred readings a day it would hold twenty years."""
DELIMITERS = (",", ";", "\t")

Kind = Literal["text", "json", "zip"]

_HTML = re.compile(rb"\s*<(?:!doctype\s+html|html|head|body|script|meta)\b", re.IGNORECASE)
_LINES = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_UTF16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_UTF8_MARK = b"\xef\xbb\xbf"
_CONTROL = re.compile(rb"[\x01-\x08\x0e-\x1f]")
_MAGIC = (
    b"%PDF",
    b"\x1f\x8b",
    b"\xd0\xcf\x11\xe0",
    b"SQLite format 3",
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"7z\xbc\xaf",
    b"BZh",
    b"Rar!",
)


class Line(NamedTuple):
    """One CSV row with the bytes it was made of."""

    number: int
    """Line on which it starts, counted from 1."""
    cells: list[str]
    raw: bytes


def read_bytes(path: str) -> bytes:
    """The file's bytes; SourceRefused (`too_big`) above 32 MB."""
    with open(path, "rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise SourceRefused("The file is larger than 32 MB.", "Check that it is the right export.", "too_big")
    return data


def kind_of(data: bytes) -> Kind:
    """What the bytes are. SourceRefused: `html_page` (a login page saved as CSV), `encoding` (UTF-16 without its mark), `not_text`."""
    head = data[:4096]
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    if _HTML.match(head.removeprefix(_UTF8_MARK)):
        raise SourceRefused("The file is a web page, not data.", "Sign in and export it again.", "html_page")
    if head[:2] in _UTF16:
        return "text"
    body = head.removeprefix(_UTF8_MARK)
    if body.count(0) * 4 > len(body):
        raise SourceRefused("The file is UTF-16 without a byte-order mark.", "Save it as UTF-8.", "encoding")
    if head.startswith(_MAGIC) or len(_CONTROL.findall(body)) * 20 > len(body):
        raise SourceRefused("The file is no text.", "Drop a CSV export.", "not_text")
    return "json" if body.lstrip()[:1] in (b"{", b"[") else "text"


def is_empty(data: bytes) -> bool:
    """Nothing but a byte-order mark and blanks."""
    return not data.removeprefix(_UTF8_MARK).strip()


def read_lines(data: bytes, delimiter: str, encoding: str = "utf-8-sig", *, padded: bool = False) -> list[Line | DeadLetter]:
    """The rows of a CSV text; a byte-order mark decides before `encoding`. Dead letters hold the bytes as they stood in the file."""
    if mark := _UTF16.get(data[:2]):
        data, encoding = data[2:].decode(mark, "surrogatepass").encode("utf-8", "surrogatepass"), "utf-8"
    elif data.startswith(_UTF8_MARK):
        data, encoding = data[len(_UTF8_MARK) :], "utf-8"
    source = _LINES.findall(data)
    found = list(rows(io.BytesIO(data), delimiter, encoding, padded=padded))
    starts = [item.line if isinstance(item, Row) else int(item.position.rpartition(" ")[2]) for item in found]
    ends = [*starts[1:], len(source) + 1]
    lines: list[Line | DeadLetter] = []
    for item, start, end in zip(found, starts, ends, strict=True):
        raw = b"".join(source[start - 1 : end - 1])
        lines.append(Line(start, item.cells, raw) if isinstance(item, Row) else item._replace(raw=raw))
    return lines


def ragged(line: Line, width: int) -> DeadLetter:
    """A row that has more or fewer fields than the header: nobody can say which one is missing."""
    return DeadLetter(line.raw, "ragged", f"The row has not the header's {width} fields.", f"line {line.number}")
