"""A day's heart rates of a Fitbit export at once: files of nothing but beats and confidence, on a day on which no clock is put back.

Any other file is left to be read item by item.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from config.timezones import PersonZones
from ingestion.blocks import Block, Int64, mixed
from ingestion.export_files import ExportFile

TABLE = "json.heart_rate"
_LARGEST = 8 << 20
"""Bytes; a day of samples is a fifth of it."""
_SPACE = rb"[ \t\r\n]*+"
_SAMPLE = _SPACE.join(
    [
        b"",
        rb"\{",
        b'"dateTime"',
        b":",
        rb'"(\d\d/\d\d/\d\d \d\d:\d\d:\d\d)"',
        b",",
        b'"value"',
        b":",
        rb"\{",
        b'"bpm"',
        b":",
        rb"([1-9]\d{1,2})",
        b",",
        b'"confidence"',
        b":",
        rb"(\d)",
        rb"\}",
        rb"\}",
        b"",
    ]
)
_EACH = re.compile(_SAMPLE)
_WHOLE = re.compile(rb"(?:\xef\xbb\xbf)?+%b\[%b(?:,%b)*+\]%b" % (_SPACE, _SAMPLE, _SAMPLE, _SPACE))
_LEAST, _MOST = 20, 250
"""What the schema takes."""
_TENS, _ONES = [0, 3, 6, 9, 12, 15], [1, 4, 7, 10, 13, 16]
_SECOND = 1_000_000
_TEN_MINUTES = 600


def block(part: ExportFile, zones: PersonZones, revision: int) -> Block | None:
    """The samples of a file; None when anything in it is unusual. The file is left at its start."""
    part.file.seek(0)
    data = part.file.read(_LARGEST + 1)
    part.file.seek(0)
    if len(data) > _LARGEST or not _WHOLE.fullmatch(data):
        return None
    times, beats, sure = zip(*_EACH.findall(data), strict=True)
    bpm, confidence = (np.array(words, "S3").astype(np.int64) for words in (beats, sure))
    local = _clock(np.frombuffer(b"".join(times), np.uint8).reshape(-1, 17))
    if local is None or bpm.min() < _LEAST or bpm.max() > _MOST:
        return None
    moments = _moments(local, zones)
    if moments is None:
        return None
    written = pa.array(times, pa.binary()).cast(pa.string())
    numbers = [pa.array(column).cast(pa.string()) for column in (bpm, confidence, np.arange(1, len(bpm) + 1))]
    first = {"table": TABLE, "dateTime": times[0].decode(), "value": {"bpm": int(bpm[0]), "confidence": int(confidence[0])}}
    return Block(
        raw_ids=_joined(f"{TABLE}/", written),
        texts=_joined(
            f'{{"table":"{TABLE}","dateTime":"', written, '","value":{"bpm":', numbers[0], ',"confidence":', numbers[1], "}}"
        ),
        positions=_joined(f"{part.where}item ", numbers[2]),
        time_texts=written,
        stamps=moments[0],
        offsets=moments[1],
        contents=mixed(local, bpm, confidence),
        revision=revision,
        runs=[(first, len(bpm))],
    )


def _clock(text: npt.NDArray[np.uint8]) -> Int64 | None:
    """`09/01/20 07:00:05` → seconds of the person's clock since 1970; None when there is no such time among them."""
    month, day, year, hour, minute, second = ((text[:, _TENS] - 48).astype(np.int64) * 10 + text[:, _ONES] - 48).T
    if (month < 1).any() or (month > 12).any() or (hour > 23).any() or (minute > 59).any() or (second > 59).any():
        return None
    begun = ((year + 30) * 12 + month - 1).astype("datetime64[M]")
    days = begun.astype("datetime64[D]").astype(np.int64)
    if (day < 1).any() or (day > (begun + 1).astype("datetime64[D]").astype(np.int64) - days).any():
        return None
    return np.asarray((days + day - 1) * 86_400 + hour * 3_600 + minute * 60 + second)


def _moments(local: Int64, zones: PersonZones) -> tuple[Int64, Int64] | None:
    """(microseconds since 1970 UTC, offsets in seconds); None where a clock shows an hour twice. Clocks change on tens of minutes."""
    tens, which = np.unique(local // _TEN_MINUTES, return_inverse=True)
    shifts, offsets = [], []
    for ten in tens.tolist():
        clock = datetime(1970, 1, 1) + timedelta(seconds=ten * _TEN_MINUTES)  # noqa: DTZ001  its zone is the person's
        utc, flag = zones.to_utc(clock)
        if flag == "dst_overlap":
            return None
        shifts.append(round((clock - utc.replace(tzinfo=None)).total_seconds()))
        offsets.append(zones.offset(utc.timestamp()))
    return (local - np.array(shifts, np.int64)[which]) * _SECOND, np.array(offsets, np.int64)[which]


def _joined(*parts: str | pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(*parts, "")
