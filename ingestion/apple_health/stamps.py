"""The Health app's times, `2018-09-10 02:28:55 -0700`: one by one, or a column at once.

The offset is that of the moment of export, not of the measurement: it turns the text into an instant and says nothing of where
the person was. Phones set to a 12-hour clock write `9:28:55 PM`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingestion.blocks import fixed_texts

Int64 = npt.NDArray[np.int64]

_FORM = re.compile(
    r"(\d{4})-(\d\d)-(\d\d) (\d{1,2}):(\d\d):(\d\d)(?:[ \u00a0\u202f]([AaPp])[Mm])? ([+-])([01]\d|2[0-3]):?([0-5]\d)", re.ASCII
)
_ZONE = re.compile(rb" [+-](?:[01][0-9]|2[0-3])[0-5][0-9]")
_FIRST, _LAST = 1_900, 2_100
_WIDTH, _CLOCK = 25, 19
"""Characters of a time, and of its date and clock."""


class Stamp(NamedTuple):
    """A time as an instant."""

    utc: datetime
    offset: int
    """Seconds east of UTC as printed."""

    @property
    def seconds(self) -> int:
        """Since 1970."""
        return int(self.utc.timestamp())


def read_stamp(text: str | None) -> Stamp | None:
    """The instant a text means; None when it is no such time."""
    found = _FORM.fullmatch(text or "")
    if found is None:
        return None
    year, month, day, hour, minute, second = map(int, found.group(1, 2, 3, 4, 5, 6))
    if found[7]:
        hour = hour % 12 + (12 if found[7] in "Pp" else 0)
    seconds = (int(found[9]) * 3600 + int(found[10]) * 60) * (-1 if found[8] == "-" else 1)
    try:
        local = datetime(year, month, day, hour, minute, second, tzinfo=timezone(timedelta(seconds=seconds)))
        return Stamp(local.astimezone(UTC), seconds) if _FIRST <= year < _LAST else None
    except (ValueError, OverflowError):
        return None


def read_column(column: pa.Array) -> tuple[Int64, Int64] | None:
    """(seconds since 1970, printed offsets in seconds) of many times; None when any of them is written otherwise."""
    cells = _cells(column)
    if cells is None:
        return None
    words = cells[:, _CLOCK:].copy().view(f"S{_WIDTH - _CLOCK}").ravel()
    whole = words[:1] if (cells[1:, _CLOCK:] == cells[:-1, _CLOCK:]).all() else words  # an export prints one offset
    zones, of = np.unique(whole, return_inverse=True)
    if not all(map(_ZONE.fullmatch, zones.tolist())):
        return None
    try:  # a date and a clock of 19 characters, or it is none
        clock = fixed_texts(cells[:, :_CLOCK]).cast(pa.timestamp("s")).cast(pa.int64()).to_numpy()
    except pa.ArrowInvalid:
        return None
    offsets = np.array([_offset(zone) for zone in zones.tolist()], dtype=np.int64)[of]
    offsets = np.broadcast_to(offsets, len(clock))
    fine = (np.abs(offsets) < _DAY) & (clock >= _BEGIN) & (clock < _END)
    return (clock - offsets, offsets) if fine.all() else None


def _cells(column: pa.Array) -> npt.NDArray[np.uint8] | None:
    """The characters of texts that are all as long as a time and have a blank before the clock; None where one is otherwise."""
    offsets = np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + len(column) + 1]
    if (np.diff(offsets) != _WIDTH).any():
        return None
    data = np.frombuffer(column.buffers()[2] or b"", np.uint8)
    cells = data[offsets[0] : offsets[-1]].reshape(-1, _WIDTH)
    return cells if (cells < 128).all() and (cells[:, _CLOCK - 9] == ord(" ")).all() else None


def _offset(zone: bytes) -> int:
    return (int(zone[2:4]) * 3600 + int(zone[4:]) * 60) * (-1 if zone[1:2] == b"-" else 1)


_DAY = 86_400
_BEGIN = int(datetime(_FIRST, 1, 1, tzinfo=UTC).timestamp())
_END = int(datetime(_LAST, 1, 1, tzinfo=UTC).timestamp())
