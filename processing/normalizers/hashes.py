"""Hashes of a column of texts, eight bytes of each at a time: equal texts have equal hashes, others hardly ever."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Int64 = npt.NDArray[np.int64]
UInt64 = npt.NDArray[np.uint64]

_LONG = 512
"""Bytes; longer texts are few and hashed one by one."""
_ODD = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)


def hashes(column: pa.StringArray) -> UInt64:
    """One 64-bit hash a text; the same within one process only. A null counts as an empty text."""
    data, offsets = buffers(column)
    data = np.concatenate([data, np.zeros(8, np.uint8)])
    starts, lengths = offsets[:-1], np.diff(offsets)
    words = np.ndarray((len(data) - 7,), "<u8", data, 0, (1,))  # the eight bytes that begin at each byte
    found = lengths.astype(np.uint64) * _ODD
    most = int(lengths.max(initial=0))
    for at in range(0, min(most, _LONG), 8):
        left = lengths - at
        live = np.flatnonzero(left > 0)
        whole = len(live) == len(left)
        left = left if whole else left[live]
        word = words[(starts if whole else starts[live]) + at]
        word &= _FIRST[np.minimum(left, 8)]
        word ^= found if whole else found[live]
        word *= _ODD
        word ^= word >> _HALF
        if whole:
            found = word
        else:
            found[live] = word
    for row in np.flatnonzero(lengths > _LONG).tolist():
        found[row] = hash(column[row].as_py()) & 0xFFFF_FFFF_FFFF_FFFF
    return found


def buffers(column: pa.StringArray) -> tuple[npt.NDArray[np.uint8], Int64]:
    """A column's bytes, and where in them each text begins and the last one ends."""
    _, ends, data = column.buffers()
    offsets = np.frombuffer(ends, np.int32)[column.offset : column.offset + len(column) + 1].astype(np.int64)
    body = np.frombuffer(data, np.uint8)[offsets[0] : offsets[-1]] if data else np.empty(0, np.uint8)
    return body, offsets - offsets[0]


_FIRST = np.array([(1 << 8 * n) - 1 for n in range(9)], np.uint64)
"""Masks of the first n bytes."""
