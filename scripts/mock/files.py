"""Files that come out alike: UTF-8 text with chosen line ends, and zips whose members carry no clock and no machine."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import IO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

_UNIX, _PRIVATE_FILE = 3, 0o100600 << 16


def write_csv(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[object]], *, delimiter: str = ",", eol: str = "\n"
) -> int:
    """Writes one CSV and gives the number of rows below the header."""
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator=eol)
        writer.writerow(header)
        for row in rows:
            writer.writerow(row)
            count += 1
    return count


def csv_line(cells: Sequence[object]) -> str:
    """One CSV line, quoted where it must be."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


@contextmanager
def member(archive: ZipFile, name: str, made_on: date, *, huge: bool = False) -> Iterator[IO[bytes]]:
    """A zip member to stream into, stamped noon of `made_on`; `huge` allows more than 2 GiB.

    Members' bytes are alike everywhere; the deflated bytes around them as far as the zlib in use is the same.
    """
    info = ZipInfo(name, (made_on.year, made_on.month, made_on.day, 12, 0, 0))
    info.compress_type, info.create_system, info.external_attr = ZIP_DEFLATED, _UNIX, _PRIVATE_FILE
    with archive.open(info, "w", force_zip64=huge) as stream:
        yield stream
