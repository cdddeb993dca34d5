"""Records by the ten thousand: what a source with millions of records hands over instead of one `Record` after another.

A block says of a run of records once what they share. Its maker vouches that the source's JSON Schema says the same of all records of
a run: the same fields, of the same types, none of them outside what the schema takes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from config.stage import File
from config.tables import RECORDS
from ingestion.records import Record, Standing

Int64 = npt.NDArray[np.int64]


class Block(NamedTuple):
    """Records without errors or warnings, in columns."""

    raw_ids: pa.Array
    texts: pa.Array
    """The records as JSON."""
    positions: pa.Array
    time_texts: pa.Array
    stamps: Int64
    """Microseconds since 1970, UTC."""
    offsets: Int64
    """Seconds east of UTC with which the time texts were read."""
    contents: Int64
    """A hash of what makes a record: equal ones are repeats, whatever else differs between exports."""
    revision: int
    runs: list[tuple[dict[str, Any], int]]
    """(one record of the run, how many there are), in order."""


class Seen:
    """Which hashes have been seen: eight bytes each, in sorted arrays of doubling size up to a million."""

    def __init__(self) -> None:
        self._levels: list[Int64] = []

    def new(self, hashes: Int64) -> npt.NDArray[np.bool_]:
        """Which of them are seen for the first time; they are remembered."""
        values, first = np.unique(hashes, return_index=True)
        unseen = np.ones(len(values), dtype=np.bool_)
        for level in self._levels:
            at = np.searchsorted(level, values)
            at[at == len(level)] = 0
            unseen &= level[at] != values
        self._add(values[unseen])
        fresh = np.zeros(len(hashes), dtype=np.bool_)
        fresh[first[unseen]] = True
        return fresh

    def _add(self, level: Int64) -> None:
        while self._levels and len(self._levels[-1]) <= min(2 * len(level), _LARGEST - len(level)):
            level = np.concatenate([self._levels.pop(), level])
            level.sort(kind="stable")
        if len(level):
            self._levels.append(level)


def texts(words: list[str]) -> pa.Array:
    """Many short texts as an Arrow column, without looking at each of them where all are ASCII."""
    joined = "".join(words)
    if not joined.isascii():
        return pa.array(words, pa.string())
    ends = np.cumsum(np.fromiter(map(len, words), np.int32, len(words)), dtype=np.int32)
    offsets = np.concatenate([np.zeros(1, dtype=np.int32), ends])
    return pa.StringArray.from_buffers(len(words), pa.py_buffer(offsets), pa.py_buffer(joined.encode()))


def hashes(column: pa.Array) -> Int64:
    """A 64-bit hash of each text, the same in every process."""
    offsets = np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + len(column) + 1]
    lengths = np.diff(offsets).astype(np.int64)
    found = mixed(lengths)
    if not len(column) or not offsets[-1]:
        return found
    padded = np.zeros((len(column), -(-int(lengths.max()) // 8) * 8), np.uint8)
    padded[np.arange(padded.shape[1]) < lengths[:, None]] = np.frombuffer(column.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    words = padded.view(np.int64)
    for n in range(words.shape[1]):
        longer = lengths > 8 * n
        found[longer] = mixed(found[longer], words[longer, n])
    return found


def mixed(*parts: Int64) -> Int64:
    """One 64-bit hash of several numbers, row by row (the finaliser of SplitMix64 after each)."""
    found = np.zeros(len(parts[0]), dtype=np.uint64)
    for part in parts:
        found = (found ^ part.astype(np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
        found = (found ^ (found >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        found ^= found >> np.uint64(31)
    return found.view(np.int64)


def fixed_texts(cells: npt.NDArray[np.uint8]) -> pa.Array:
    """ASCII texts of one length, a row each, as an Arrow column."""
    return cut(np.ascontiguousarray(cells), np.full(len(cells), cells.shape[1], np.int64))


def cut(text: npt.NDArray[np.uint8], widths: Int64) -> pa.Array:
    """ASCII texts of these lengths, one behind the other, as an Arrow column."""
    offsets = np.concatenate([np.zeros(1, dtype=np.int32), np.cumsum(widths, dtype=np.int32)])
    return pa.StringArray.from_buffers(len(widths), pa.py_buffer(offsets), pa.py_buffer(text))


class Kind(NamedTuple):
    """Records of one run of which the same is to be said."""

    run: int
    future: bool
    """Later than their file arrived."""
    first: int
    times: int


class Sorted(NamedTuple):
    """What becomes of a block's records."""

    chosen: Int64
    """Which are rows."""
    of: Int64
    """Which kind each of these is."""
    kinds: list[Kind]
    erased: int
    repeats: int


def sort(block: Block, seen: Seen, begins: datetime | None, latest: datetime | None) -> Sorted:
    """Tell apart what lies before `begins` (erased), what was `seen` before, and what is later than `latest`."""
    kept = np.arange(len(block.raw_ids))
    if begins is not None:
        kept = kept[block.stamps >= _micros(begins)]
    chosen = kept[seen.new(block.contents[kept])]
    run_of = np.repeat(np.arange(len(block.runs)), [n for _, n in block.runs])[chosen]
    future = block.stamps[chosen] > (_END if latest is None else _micros(latest))
    kinds, first, of, times = np.unique(2 * run_of + future, return_index=True, return_inverse=True, return_counts=True)
    found = [Kind(k // 2, bool(k % 2), int(chosen[f]), n) for k, f, n in zip(kinds.tolist(), first, times.tolist(), strict=True)]
    return Sorted(chosen, of, found, len(block.raw_ids) - len(kept), len(kept) - len(chosen))


def table(block: Block, told: Sorted, first: int, file: File, standings: Sequence[Standing]) -> pa.Table:
    """The chosen records as rows of `config.tables.RECORDS`. `first`: the ordinal of the block's first record in its artifact;
    `standings`: one for each kind."""
    chosen = told.chosen
    which, n = pa.array(told.of), len(chosen)
    whole = n == len(block.raw_ids)

    def of_chosen(column: pa.Array) -> pa.Array:
        return column if whole else column.take(pa.array(chosen))

    def said(words: Sequence[Any], type_: pa.DataType) -> pa.Array:
        return pa.array(words, type_).take(which)

    columns = {
        "raw_id": of_chosen(block.raw_ids),
        "source_timestamp": pa.array(block.stamps[chosen], pa.timestamp("us", tz="UTC")),
        "raw": of_chosen(block.texts),
        "status": said([s.status for s in standings], pa.string()),
        "errors": said([s.codes for s in standings], pa.list_(pa.string())),
        "raw_artifact": pa.repeat(pa.scalar(file.name), n),
        "raw_sha256": pa.repeat(pa.scalar(file.sha256), n),
        "position": of_chosen(block.positions),
        "record_index": pa.array(chosen + first),
        "revision": pa.repeat(pa.scalar(block.revision, pa.int64()), n),
        "time_text": of_chosen(block.time_texts),
        "utc_offset": pa.array(block.offsets[chosen].astype(np.int32)),
        "quality_score": said([s.profile.score for s in standings], pa.float64()),
        "quality_metrics": said([s.profile.metrics for s in standings], pa.string()),
        "quality_checks": said([s.profile.checks for s in standings], pa.string()),
    }
    return pa.Table.from_arrays([columns[name] for name in RECORDS.names], schema=RECORDS)


def expanded(block: Block, volatile: tuple[str, ...]) -> Iterator[Record]:
    """The same records one by one."""
    texts = (column.to_pylist() for column in (block.raw_ids, block.texts, block.positions, block.time_texts))
    for raw_id, text, position, time_text, micros, offset in zip(
        *texts, block.stamps.tolist(), block.offsets.tolist(), strict=True
    ):
        stamp = _EPOCH + timedelta(microseconds=micros)
        raw = json.loads(text)
        yield Record(raw_id, stamp, raw, position, block.revision, volatile=volatile, time_text=time_text, utc_offset=offset)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


_LARGEST = 1 << 20
_END = np.iinfo(np.int64).max
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
