"""Sleep out of minutes: what a band noted minute by minute becomes sessions, as the Gadgetbridge app tells them.

A session ends when the band is not worn, or after more than two hours awake or without a sample; one of five minutes or less is none
(SleepAnalysis). Minutes are counted, so a hole in the samples is neither sleep nor waking. Kinds: MiBand2SampleProvider and
HuamiExtendedSampleProvider of Freeyourgadget/Gadgetbridge.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

AWAKE, LIGHT, DEEP, REM, OFF, AS_BEFORE = range(6)
"""What a minute was; OFF: not on the wrist or charging; AS_BEFORE: what the minute before it was."""
MOST_AWAKE = 7_200
"""Seconds awake, or without samples, within one session."""
SHORTEST = 300
"""Seconds a session must exceed."""
_MINUTE = 60
_STAGES = {"sleep_deep": DEEP, "sleep_light": LIGHT, "sleep_rem": REM, "sleep_awake": AWAKE}

_FIRST_BAND = {3: OFF, 4: DEEP, 5: LIGHT}
_BAND = {0: AS_BEFORE, 3: OFF, 6: OFF, 9: LIGHT, 10: AS_BEFORE, 11: DEEP}
_EXTENDED = {115: OFF, 118: OFF}
_SLEEP = 120

_CELL = np.dtype([("time", "<i8"), ("code", "u1"), ("silent", "i1")])

Codes = npt.NDArray[np.uint8]
Times = npt.NDArray[np.int64]

FIRST_BAND: Codes = np.array([_FIRST_BAND.get(kind, AWAKE) for kind in range(256)], np.uint8)
"""What the kinds of a Mi Band 1 mean."""
BAND: Codes = np.array([_BAND.get(kind & 0x0F, AWAKE) for kind in range(256)], np.uint8)
"""What the kinds of a Mi Band 2 to 4 and its relatives mean: only their low four bits say something."""


def extended(kind: int, deep: int, rem: int) -> int:
    """A minute of a newer Huami device; of DEEP_SLEEP and REM_SLEEP only the low seven bits say something."""
    if kind != _SLEEP:
        return _EXTENDED.get(kind, AWAKE)
    if deep & 127 > 42:
        return DEEP
    return REM if rem & 127 > 55 else LIGHT


class Run(NamedTuple):
    """One session of one device."""

    start: int
    """Seconds since 1970."""
    end: int
    minutes: dict[str, float]
    """Sleep metric → minutes; stages of which there was none are left out, but for waking."""


class Minutes:
    """The minutes of one device and table, in any order; ten bytes each."""

    def __init__(self) -> None:
        self._times, self._codes, self._silent = array("q"), array("B"), array("b")

    def add(self, seconds: int, code: int, *, silent: bool) -> None:
        """One minute. `code`: what it was, or its kind where `runs` is given what kinds mean; `silent`: it gave no reading."""
        self._times.append(seconds)
        self._codes.append(code & 0xFF)
        self._silent.append(silent)

    def noted(self) -> dict[str, bytes]:
        """All minutes in order of time, by the UTC month they lie in: what `take_over` understands."""
        cells = np.empty(len(self._times), _CELL)
        cells["time"], cells["code"], cells["silent"] = self._times, self._codes, self._silent
        cells = cells[np.lexsort((cells["silent"], cells["code"], cells["time"]))]
        of_month = cells["time"].astype("datetime64[s]").astype("datetime64[M]")
        found, first = np.unique(of_month, return_index=True)
        return {str(m): part.tobytes() for m, part in zip(found, np.split(cells, first[1:]), strict=True)}

    def take_over(self, noted: bytes) -> None:
        """Minutes noted before."""
        cells = np.frombuffer(noted, _CELL)
        for column, name in ((self._times, "time"), (self._codes, "code"), (self._silent, "silent")):
            column.frombytes(cells[name].tobytes())

    def runs(self, kinds: Codes | None = None) -> Iterator[Run]:
        """The sessions, in order of time. `kinds`: what each of 256 kinds means."""
        times = np.array(self._times, np.int64)
        order = np.argsort(times, kind="stable")
        times, codes = times[order], np.array(self._codes, np.uint8)[order]
        codes = _inherited(times, codes if kinds is None else kinds[codes])
        asleep = np.flatnonzero((codes >= LIGHT) & (codes <= REM))
        off = np.cumsum(codes == OFF)[asleep]
        apart = (np.diff(times[asleep]) - _MINUTE > MOST_AWAKE) | (np.diff(off) > 0)
        for run in np.split(asleep, np.flatnonzero(apart) + 1) if len(asleep) else ():
            first, last = int(run[0]), int(run[-1])
            start, end = int(times[first]), int(times[last]) + _MINUTE
            if end - start > SHORTEST:
                yield Run(start, end, _told(codes[first : last + 1]))

    def silent(self, runs: Sequence[Run]) -> tuple[int, int]:
        """How many minutes without a reading of their own lie within these sessions, and how many do not."""
        times = np.sort(np.array(self._times, np.int64)[np.array(self._silent, bool)])
        within = sum(int(np.searchsorted(times, run.end) - np.searchsorted(times, run.start)) for run in runs)
        return within, len(times) - within


def _inherited(times: Times, codes: Codes) -> Codes:
    """Codes with AS_BEFORE replaced by what was before, unless there is a long hole between the two."""
    known = np.maximum.accumulate(np.where(codes == AS_BEFORE, 0, np.arange(len(codes))))
    found = codes[known]
    stretch = np.cumsum(np.diff(times, prepend=times[:1]) - _MINUTE > MOST_AWAKE)
    return np.where((stretch == stretch[known]) & (found != AS_BEFORE), found, AWAKE).astype(np.uint8)


def _told(codes: Codes) -> dict[str, float]:
    counts = np.bincount(codes, minlength=AS_BEFORE)
    told = {name: float(counts[code]) for name, code in _STAGES.items() if counts[code] or code == AWAKE}
    return told | {"sleep_duration": float(counts[LIGHT] + counts[DEEP] + counts[REM])}
