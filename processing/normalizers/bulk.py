"""Records whose reading follows from that record alone, by the ten thousand: columns where their texts have one shape, else row by row.

Both roads give the same: what a column's rule is not certain of is left to the row road, and so is whatever gives no reading.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from config.timezones import PersonZones
from processing.normalizers.building import Int64, Kind, Many, Normalized, When
from processing.normalizers.hashes import buffers
from processing.normalizers.newest import NO_TIME, STANDINGS, Part, Row, picked, read_parts

LISTED = "listed"
Bool = npt.NDArray[np.bool_]

_SECOND = 1_000_000
_QUARTER = 900 * _SECOND
_DAY = 86_400 * _SECOND
_MANY_BEGINNINGS = 60


class Told(NamedTuple):
    """What the columns road makes of some records; what it leaves out is for the row road."""

    kinds: Sequence[Kind]
    rows: Int64
    """Which rows of the part are accepted, one reading each."""
    of: Int64
    """Which kind each of these is."""
    values: npt.NDArray[np.float64]
    lengths: Int64
    """Microseconds."""
    silent: Mapping[str, Int64]
    """Fate → rows of which nothing but this fate is told."""


class Columnar(Protocol):
    """A source's records by the ten thousand."""

    def bulk(self, raw_ids: pa.Array) -> Bool:
        """Whose reading follows from the record alone; told by the raw_id, so that it can be asked of readings, too."""

    def told(self, part: Part, rows: Int64) -> Told:
        """What becomes of these rows of a part, all of them bulk, newest and with a time."""


def road(
    path: str, source: Columnar, zones: PersonZones, out: Normalized, take: Callable[[Row], None], without: Collection[str] = ()
) -> Counter[tuple[str, str]]:
    """All records of a table: bulk in columns, the others, and what does not fit, to `take`.

    `without`: months (`2024-05`, UTC) whose bulk records are left out altogether. Gives how many of the other bulk records of a
    month ('' when it has no time) had which fate, as `one` tells it.
    """
    ends: Counter[tuple[str, str]] = Counter()
    left_out = np.array(sorted(without), "datetime64[M]")

    def whole(raw_ids: pa.Array, stamps: Int64) -> bool:
        return bool(np.isin(months(stamps), left_out).all()) and bool(source.bulk(raw_ids).all())

    for part in read_parts(path, whole if without else None):
        stamps = part.stamps
        bulk = source.bulk(part.batch.column("raw_id"))
        month = months(stamps)
        here = ~(bulk & np.isin(month, left_out)) if without else np.ones(len(bulk), np.bool_)
        usual = np.flatnonzero(bulk & here & (part.standing == 0) & (stamps != NO_TIME))
        for fate, rows in _columns(part, stamps, usual, source, zones, out).items():
            out.fates[fate] += len(rows)
            ends.update(_by_month(month[rows], fate))
            here[rows] = False
        rest = np.flatnonzero(here)
        standings = map(STANDINGS.__getitem__, part.standing[rest].tolist())
        for row, standing, own, at in zip(part.rows(rest), standings, bulk[rest].tolist(), rest.tolist(), strict=True):
            fate = one(row, standing, out, take)
            if own:
                ends[_spelled(month[at]), fate] += 1
    return ends


def one(row: Row, standing: str, out: Normalized, take: Callable[[Row], None]) -> str:
    """What becomes of one record; gives its fate, LISTED when rows of `rejected` name it, '' while its fate is not known yet."""
    before, out.fates, listed = out.fates, Counter(), out.rejections
    if standing == "newest":
        take(row)
    else:
        out.set_aside(row, standing)
    fate = next(iter(out.fates), "") if out.rejections == listed else LISTED
    before.update(out.fates)
    out.fates = before
    return fate


def months(stamps: Int64) -> npt.NDArray[np.datetime64]:
    """The UTC months of instants; no month for NO_TIME."""
    return stamps.astype("datetime64[us]").astype("datetime64[M]")


def offsets(zones: PersonZones, stamps: Int64) -> Int64:
    """The UTC offset in seconds the person lived at, at many instants (microseconds since 1970)."""
    quarters = stamps // _QUARTER
    first = np.flatnonzero(np.diff(quarters, prepend=quarters[:1] - 1))
    found = [zones.offset(quarter * 900) for quarter in quarters[first].tolist()]
    return np.repeat(np.array(found, np.int64), np.diff(first, append=len(quarters)))


def local_days(zones: PersonZones, stamps: Int64) -> Int64:
    """The local days, since 1970, of many instants."""
    return (stamps + offsets(zones, stamps) * _SECOND) // _DAY


def _columns(part: Part, stamps: Int64, rows: Int64, source: Columnar, zones: PersonZones, out: Normalized) -> dict[str, Int64]:
    """Take the readings of these rows that columns tell; gives the rows of which they told, by fate."""
    if not len(rows):
        return {}
    told = source.told(part, rows)
    start = stamps[told.rows]
    offset = offsets(zones, start)
    day = (start + offset * _SECOND) // _DAY
    raw_ids = picked(part.batch.column("raw_id"), told.rows)
    out.add_many(Many(told.kinds, told.of, told.values, start, start + told.lengths, offset, day, raw_ids))
    return {fate: found for fate, found in {"accepted": told.rows, **told.silent}.items() if len(found)}


def _by_month(month: npt.NDArray[np.datetime64], fate: str) -> dict[tuple[str, str], int]:
    found, times = np.unique(month, return_counts=True)
    return {(_spelled(m), fate): n for m, n in zip(found, times.tolist(), strict=True)}


def _spelled(month: np.datetime64) -> str:
    return "" if np.isnat(month) else str(month)


class Texts:
    """JSON texts as bytes, to be cut at places told in bytes."""

    def __init__(self, column: pa.StringArray) -> None:
        self.data, edges = buffers(column)
        self.starts, self.ends = edges[:-1], edges[1:]

    def window(self, at: Int64, width: int, which: Int64 | None = None) -> npt.NDArray[np.uint8]:
        """The bytes from each text's place `at`; they may reach beyond its end. `which`: of these texts only."""
        last = max(len(self.data) - width, 0)
        beyond = np.concatenate([self.data[last:], np.zeros(width, np.uint8)])
        places = self.starts + at if which is None else self.starts[which] + at[which]
        late = np.flatnonzero(places > last)
        if len(late) == len(places):
            return np.asarray(_windows(beyond, width)[places - last])
        found = np.asarray(_windows(self.data, width)[np.minimum(places, last)])
        found[late] = _windows(beyond, width)[places[late] - last]
        return found

    def pieces(self, cuts: Sequence[Int64], wanted: Sequence[int]) -> list[pa.Array]:
        """Every text cut in pieces at these places, which ascend within each text; a column for each piece wanted."""
        edges = np.column_stack([self.starts, *(self.starts + cut for cut in cuts)]).ravel()
        edges = np.append(edges, self.ends[-1:] if len(self.ends) else [0]).astype(np.int32)
        n = len(cuts) + 1
        whole = pa.StringArray.from_buffers(len(edges) - 1, pa.py_buffer(edges), pa.py_buffer(self.data))
        return [whole.take(pa.array(np.arange(k, len(whole), n))) for k in wanted]


def _windows(data: npt.NDArray[np.uint8], width: int) -> npt.NDArray[np.uint8]:
    return np.asarray(np.lib.stride_tricks.sliding_window_view(data, width))


def codes(column: pa.Array) -> tuple[Int64, list[str]]:
    """A column of texts as (which of the distinct texts each is, the distinct texts)."""
    encoded = column.dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary.to_pylist()


def beginnings(column: pa.Array) -> tuple[Int64, list[str]]:
    """What stands before the first `/` of each text, as (which of the distinct beginnings it is, these); there are few of them."""
    found = np.full(len(column), -1, np.int64)
    words: list[str] = []
    while len(left := np.flatnonzero(found < 0)):
        if len(words) > _MANY_BEGINNINGS:
            return codes(pa.array([text.partition("/")[0] for text in column.to_pylist()], pa.string()))
        text = column[int(left[0])].as_py()
        word, slash, _ = text.partition("/")
        alike = pc.starts_with(column, word + slash).to_numpy(zero_copy_only=False) if slash else column_is(column, text)
        found[alike] = len(words)
        words.append(word)
    return found, words


def column_is(column: pa.Array, text: str) -> Bool:
    """Which of the texts are this one."""
    return np.asarray(pc.equal(column, text).to_numpy(zero_copy_only=False))


def belongs(column: pa.Array, words: Collection[str]) -> Bool:
    """Of which texts the beginning is one of these words."""
    which, found = beginnings(column)
    return np.array([word in words for word in found], np.bool_)[which]


class Probe(Normalized):
    """Stands in for a normalizer's collection where the row road is asked what it makes of one record."""

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self.given: list[tuple[Kind, float, int]] = []
        """Of each reading its kind, value and length in microseconds."""

    def add(
        self,
        metric: str,
        value: float,
        when: When,
        *,
        scope: str,
        device: str,
        raw_id: str,  # noqa: ARG002  of a record that stands for many
        flags: Sequence[str] = (),
    ) -> None:
        """Note what the readings of all records of this text are."""
        self.given.append((Kind(metric, scope, device, tuple(flags)), value, when.end - when.start))
