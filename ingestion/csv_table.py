"""CSV files with a header, row by row as name → text, streamed; the trailing comma some vendors end their lines with is layout."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Collection, Generator, Iterator
from typing import BinaryIO, NamedTuple, Self, cast

from config.errors import SourceRefused
from ingestion.csv_text import Row, rows
from ingestion.records import DeadLetter, Layout


class Line(NamedTuple):
    """One row."""

    number: int
    """Line on which it starts, counted from 1."""
    cells: dict[str, str]


class CsvTable:
    """A table whose header has been read; a context, because the file may be closed after it only.

    SourceRefused on entering: no header, a column without a name or twice, and what `csv_text` refuses.
    """

    def __init__(
        self, file: BinaryIO, *, preamble: int = 0, delimiter: str = ",", encoding: str = "utf-8-sig", numbered: bool = False
    ) -> None:
        """`preamble`: lines of metadata before the header. `numbered`: a column without a name goes by its number (`column 1`)."""
        self._rows = cast("Generator[Row | DeadLetter]", rows(file, delimiter, encoding))
        self._preamble, self._numbered = preamble, numbered
        self.columns: list[str] = []

    def __enter__(self) -> Self:
        try:
            self.columns = self._header()
        except SourceRefused:
            self._rows.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._rows.close()

    def _header(self) -> list[str]:
        for _ in range(self._preamble):
            next(self._rows, None)
        header = next((row for row in self._rows if not isinstance(row, Row) or any(row.cells)), None)
        if not isinstance(header, Row):
            raise SourceRefused("The file has no header.", "Drop the export's own files.", "no_header")
        names = [name.strip() for name in header.cells]
        while names and not names[-1]:
            names.pop()
        if self._numbered:
            names = [name or f"column {number}" for number, name in enumerate(names, 1)]
        if "" in names:
            raise SourceRefused("The header has a column without a name.", "Export it again.", "unnamed_column")
        if any(n > 1 for n in Counter(names).values()):
            raise SourceRefused("The header names a column twice.", "Keep one of the two columns.", "duplicate_columns")
        return names

    def require(self, columns: Collection[str]) -> None:
        """SourceRefused `missing_column` unless all of these are there."""
        if not set(columns) <= set(self.columns):
            raise SourceRefused("The header lacks a column that every row needs.", "Export it again.", "missing_column")

    def __iter__(self) -> Iterator[Line | DeadLetter | Layout]:
        """The rows; one with more or fewer cells than the header is a dead letter, because nobody can say which is missing."""
        width = len(self.columns)
        for row in self._rows:
            if isinstance(row, DeadLetter):
                yield row
            elif not any(row.cells):
                yield Layout("blank")
            elif len(row.cells) >= width and not any(row.cells[width:]):
                yield Line(row.line, dict(zip(self.columns, row.cells, strict=False)))
            else:
                yield _ragged(row, width)


def _ragged(row: Row, width: int) -> DeadLetter:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="").writerow(row.cells)
    reason = "short_row" if len(row.cells) < width else "long_row"
    message = f"The row has {'fewer' if len(row.cells) < width else 'more'} cells than the header."
    return DeadLetter(text.getvalue().encode("utf-8", "surrogateescape"), reason, message, f"line {row.line}")
