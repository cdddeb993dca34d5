"""CSV as people really have it: encodings, damaged quotes, NUL bytes, ragged rows. Streams rows; never guesses a value.

The rules answer the malformed-input list of `docs/malformed.md` (items 1 to 24): a row that cannot be trusted becomes a dead
letter with its line; a file that cannot be trusted (a lone quote swallows every later row, two columns of one name) is refused
before its first row.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from config.errors import SourceRefused
from ingestion.records import DeadLetter

MAX_FIELD = 1 << 20
MAX_COLUMNS = 2_000
MAX_ROW = 4 << 20
"""Characters of a row beyond which the rest of it is not even held."""


class Row(NamedTuple):
    """One CSV row, text as written."""

    line: int
    """Line on which it starts, counted from 1."""
    cells: list[str]


def decode(data: bytes, encodings: tuple[str, ...] = ("utf-8-sig",)) -> str:
    """The text of a whole small file in the first encoding that fits; a byte-order mark decides before any other. SourceRefused if none."""
    for mark, name in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig")):
        if data.startswith(mark):
            encodings = (name,)
    for name in encodings:
        try:
            return data.decode(name)
        except UnicodeDecodeError:
            continue
    raise SourceRefused("The file is in no known encoding.", "Save it as UTF-8.", "encoding")


def rows(
    file: BinaryIO, delimiter: str = ",", encoding: str = "utf-8-sig", *, padded: bool = False
) -> Iterator[Row | DeadLetter]:
    """The rows of a seekable CSV file. Refuses (SourceRefused) an unterminated quote and absurd widths before the first row.

    A row with a NUL byte, bytes that are not `encoding`, a field above 1 MB or more than 4 MB in all (however many: they are not held)
    becomes a dead letter; the rest goes on.
    `padded`: a blank after the delimiter is layout, so that `1, "a, b"` has two fields.
    """
    _refuse_if_broken(file, delimiter, encoding, padded)
    file.seek(0)
    previous = csv.field_size_limit(1 << 30)  # our own cap below turns an oversized field into one dead letter, not an exception
    try:
        yield from _rows(file, delimiter, encoding, padded)
    finally:
        csv.field_size_limit(previous)


def sniff_delimiter(text: str) -> str | None:
    """Comma, semicolon or tab, when one of them splits the first lines into equally many (≥ 2) fields; None when undecided."""
    lines = [line for line in text.splitlines()[:20] if line.strip()]
    best: tuple[int, str] | None = None
    for delimiter in (";", "\t", ","):
        widths = {len(r) for r in csv.reader(lines, delimiter=delimiter)}
        if len(widths) == 1 and (width := widths.pop()) >= 2 and (best is None or width > best[0]):
            best = (width, delimiter)
    return best[1] if best else None


class _Lines:
    """The lines of a text, each row's to no more than 4 MB: the quotes of what is left out still end its fields."""

    def __init__(self, text: io.TextIOWrapper, delimiter: str) -> None:
        self._text, self._delimiter = text, delimiter
        self.number = 0
        """Of the line given last, from 1."""
        self.begin_row()

    def begin_row(self) -> None:
        """The reader has a whole row; the next line begins another."""
        self.cut = self._quoted = False
        self._held = 0

    def __iter__(self) -> Iterator[str]:
        readline = self._text.readline
        while line := readline(MAX_ROW):
            self.number += 1
            quotes = line.count('"')
            last = line
            while len(last) == MAX_ROW and last[-1] not in "\r\n":
                last = readline(MAX_ROW)
                quotes += last.count('"')
            begun, self._quoted = self._quoted, self._quoted ^ bool(quotes & 1)
            if last is not line or self._held + len(line) > MAX_ROW:
                line = self._shortened(line, begun)
            self._held += len(line)
            yield line

    def _shortened(self, line: str, begun: bool) -> str:
        """What there is room for, brought to the state (in quotes or not) in which the whole line ends."""
        self.cut = True
        kept = line[: max(MAX_ROW - self._held, 0)]
        within = begun ^ bool(kept.count('"') & 1)
        if within != self._quoted:
            kept += '"' if within else f'{self._delimiter}"'
        return kept if self._quoted else f"{kept}\n"


def _rows(file: BinaryIO, delimiter: str, encoding: str, padded: bool) -> Iterator[Row | DeadLetter]:
    text = io.TextIOWrapper(file, encoding=encoding, errors="surrogateescape", newline="")
    try:
        lines = _Lines(text, delimiter)
        line = 1
        for cells in csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=padded):
            row = Row(line, cells)
            yield _letter(row, "", "too_big", "The row is larger than 4 MB.") if lines.cut else _checked(row, delimiter)
            line = lines.number + 1
            lines.begin_row()
    finally:
        text.detach()


def _checked(row: Row, delimiter: str) -> Row | DeadLetter:
    joined = delimiter.join(row.cells)
    if "\0" in joined:
        return _letter(row, joined, "nul_byte", "The row holds a NUL byte.")
    if not joined.isascii() and any("\ud800" <= c <= "\udfff" for c in joined):
        return _letter(row, joined, "encoding", "The row holds bytes that are not in the file's encoding.")
    if len(joined) > MAX_FIELD and any(len(c) > MAX_FIELD for c in row.cells):
        return _letter(row, joined, "field_too_big", "A field of the row is larger than 1 MB.")
    return row


def _letter(row: Row, joined: str, reason: str, message: str) -> DeadLetter:
    return DeadLetter(joined.encode("utf-8", "surrogateescape"), reason, message, f"line {row.line}")


def _refuse_if_broken(file: BinaryIO, delimiter: str, encoding: str, padded: bool) -> None:
    file.seek(0)
    previous = csv.field_size_limit(1 << 30)
    text = io.TextIOWrapper(file, encoding=encoding, errors="surrogateescape", newline="")
    try:
        lines = _Lines(text, delimiter)
        for cells in csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=padded):
            lines.begin_row()
            if len(cells) > MAX_COLUMNS:
                raise SourceRefused(
                    "The file has more than 2,000 columns.", "Check that it is the right export.", "too_many_columns"
                )
    except csv.Error:
        raise SourceRefused(
            "The file's quotes do not match, so its rows cannot be told apart.",
            "Export it again, or mend the quote.",
            "broken_quotes",
        ) from None
    except UnicodeError:
        raise SourceRefused("The file is in no known encoding.", "Save it as UTF-8.", "encoding") from None
    finally:
        text.detach()
        csv.field_size_limit(previous)
