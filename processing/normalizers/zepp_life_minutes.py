"""The minutes of SLEEP_MINUTE brought to their nights, and to nights of their own where no row of SLEEP tells any.

The date of a minute cannot be trusted: some exports date an evening by the day of waking, some date everything a day late. So the
nights that SLEEP tells decide which of four ways of dating an export follows: the one that puts most minutes into them. A minute
that comes twice counts once; gaps stay gaps. Memory: some thirty bytes a minute.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np

from processing.normalizers.mi_fitness_sleep import Session

DAY = 1440
_EVENING = 20 * 60
"""Clock minute from which a row dated by its day of waking is of the evening before (ghc-db-manager, seven years of one person)."""
_RULES = (("wake_day", 0, 1), ("as_written", 0, 0), ("day_late", 1, 0), ("wake_day_late", 1, 1))
"""Name, days every row is late, days evening rows are late besides."""
_GAP = 60
"""Minutes without a row that end a night; rows as near to a night of SLEEP as that are its own."""
_SHORTEST = 20
"""Minutes asleep; less is no nap."""
STAGES = {"DEEP": "sleep_deep", "LIGHT": "sleep_light", "REM": "sleep_rem", "WAKE": "sleep_awake"}
_CODES = {stage: code for code, stage in enumerate(STAGES, 1)}
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  local clock


class Minute(NamedTuple):
    """One row with a measured value, dated."""

    local: datetime
    """Local clock."""
    raw_id: str
    heart_rate: float
    """NaN where none was measured."""
    respiratory_rate: float
    told: bool
    """Whether it lies in or at a night of SLEEP."""
    used: bool
    """Whether it is part of a night of its own."""


class Run(NamedTuple):
    """Minutes that make a night of their own."""

    first: datetime
    """Local clock."""
    last: datetime
    """Its end, local clock."""
    minutes: dict[str, float]
    raw_id: str
    """The record of its first minute."""
    rows: int


class Minutes:
    """All rows of SLEEP_MINUTE, as columns."""

    def __init__(self) -> None:
        self._written, self._stage = array("q"), array("b")
        self._heart, self._breath = array("d"), array("d")
        self._account, self._accounts = array("H"), dict[str, int]()
        self._renamed: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._written)

    def add(self, raw: dict[str, Any], raw_id: str, heart_rate: float | None, respiratory_rate: float | None) -> None:
        """One row whose date and time are sound."""
        label = raw_id.split("/", 2)[2]
        if label.endswith("~2"):
            self._renamed[len(self._written)] = raw_id
            label = label[:-2]
        self._written.append((datetime.fromisoformat(label) - _EPOCH) // timedelta(minutes=1))
        self._stage.append(_CODES.get(str(raw.get("stage", "")).strip().upper(), 0))
        self._heart.append(np.nan if heart_rate is None else heart_rate)
        self._breath.append(np.nan if respiratory_rate is None else respiratory_rate)
        self._account.append(self._accounts.setdefault(str(raw.get("account", "")), len(self._accounts)))

    def dated(self, nights: Sequence[tuple[int, int]]) -> tuple[list[Minute], list[Run], int]:
        """(minutes with a heart rate or a respiratory rate, nights no SLEEP row tells, rows in neither kind of night).

        `nights`: (start, end) of the nights of SLEEP, minutes since 1970 on the local clock.
        """
        local = self._local(nights)
        told = _inside(local, [(start - _GAP, end + _GAP) for start, end in nights])
        alone = np.flatnonzero(~told & (np.asarray(self._stage) > 0))
        alone = alone[np.argsort(local[alone], kind="stable")]
        alone = alone[np.unique(local[alone], return_index=True)[1]]
        used = np.zeros(len(local), dtype=bool)
        runs = list(self._runs(alone, local, used))
        measured = np.flatnonzero(~np.isnan(np.asarray(self._heart)) | ~np.isnan(np.asarray(self._breath)))
        samples = [self._minute(i, local, bool(told[i]), bool(used[i])) for i in measured.tolist()]
        return samples, runs, int((~told & ~used).sum())

    def _local(self, nights: Sequence[tuple[int, int]]) -> Any:
        """Every row's local minute under the way of dating that fits the nights best; the first of equals."""
        written = np.asarray(self._written, dtype=np.int64)
        evening = written % DAY >= _EVENING
        ways = [written - DAY * (late + more * evening) for _, late, more in _RULES]
        return max(ways, key=lambda local: int(_inside(np.unique(local), nights).sum())) if len(nights) else ways[0]

    def _minute(self, at: int, local: Any, told: bool, used: bool) -> Minute:
        moment = _EPOCH + timedelta(minutes=int(local[at]))
        return Minute(moment, self._raw_id(at), self._heart[at], self._breath[at], told, used)

    def _raw_id(self, at: int) -> str:
        account = next(name for name, code in self._accounts.items() if code == self._account[at])
        written = (_EPOCH + timedelta(minutes=self._written[at])).isoformat()
        return self._renamed.get(at, f"SLEEP_MINUTE/{account}/{written}")

    def _runs(self, order: Any, local: Any, used: Any) -> Iterator[Run]:
        stages = np.asarray(self._stage)
        for run in np.split(order, np.flatnonzero(np.diff(local[order]) > _GAP) + 1) if len(order) else ():
            first, last = (_EPOCH + timedelta(minutes=int(local[run[i]])) for i in (0, -1))
            counted = {metric: float((stages[run] == _CODES[name]).sum()) for name, metric in STAGES.items()}
            minutes = {metric: n for metric, n in counted.items() if n}
            asleep = sum(n for metric, n in minutes.items() if metric != "sleep_awake")
            if asleep >= _SHORTEST:
                used[run] = True
                found = minutes | {"sleep_duration": asleep}
                yield Run(first, last + timedelta(minutes=1), found, self._raw_id(int(run[0])), len(run))


def _inside(local: Any, nights: Sequence[tuple[int, int]]) -> Any:
    """Which local minutes lie in one of these nights, which are sorted and do not overlap."""
    if not len(nights):
        return np.zeros(len(local), dtype=bool)
    starts, ends = (np.array(side, dtype=np.int64) for side in zip(*nights, strict=True))
    at = np.searchsorted(starts, local, side="right") - 1
    return (at >= 0) & (local < ends[np.maximum(at, 0)])


def local_nights(sessions: Sequence[Session], offset_of: Any) -> list[tuple[int, int]]:
    """(start, end) of each session in minutes since 1970 on the local clock, sorted. `offset_of`: UTC seconds → offset in seconds."""
    found = []
    for session in sessions:
        ends = [(at + offset_of(at / 1_000_000) * 1_000_000) // 60_000_000 for at in (session.start, session.end)]
        found.append((ends[0], ends[1]))
    return sorted(found)
