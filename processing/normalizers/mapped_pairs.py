"""A cuff's measurement that comes as several records: systolic, diastolic and pulse of one moment and device become one again.

The pressures of a measurement are told by one record's identity, that of the systolic one: validation looks at both together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from processing.normalizers.building import Normalized, When

CUFF = frozenset(("systolic", "diastolic", "pulse"))
_PAIR = frozenset(("systolic", "diastolic"))
_MOST = 1 << 18
"""Parts that wait for others; nobody measures as often."""


class Reading(NamedTuple):
    """One reading of a record."""

    metric: str
    value: float
    when: When
    scope: str
    device: str
    raw_id: str
    flags: tuple[str, ...]

    def add(self, out: Normalized, raw_id: str = "") -> None:
        """Hand it over; under another record's identity where it belongs to its measurement."""
        device, flags = self.device, self.flags
        out.add(self.metric, self.value, self.when, scope=self.scope, device=device, raw_id=raw_id or self.raw_id, flags=flags)


class Parts:
    """Waits for the rest of each measurement."""

    def __init__(self, out: Normalized) -> None:
        self._out = out
        self._waiting: list[Reading] = []

    def take(self, readings: Sequence[Reading]) -> None:
        """The readings of one record: at once when it is a whole measurement or none of a cuff."""
        metrics = {reading.metric for reading in readings}
        waits = metrics & CUFF and not metrics >= _PAIR
        for reading in readings:
            if waits and reading.metric in CUFF and reading.scope == "instant":
                self._waiting.append(reading)
            else:
                reading.add(self._out)
        if len(self._waiting) >= _MOST:
            self.finish()

    def finish(self) -> None:
        """Join what belongs together, and hand all of it over."""
        moments: dict[tuple[int, str], dict[str, list[Reading]]] = {}
        for reading in sorted(self._waiting, key=lambda reading: reading.raw_id):
            of_moment = moments.setdefault((reading.when.start, reading.device), {})
            of_moment.setdefault(reading.metric, []).append(reading)
        self._waiting = []
        for of_moment in moments.values():
            self._join(of_moment)

    def _join(self, parts: dict[str, list[Reading]]) -> None:
        """Each measurement of one moment: the first systolic with the first diastolic, and so on."""
        systolic, diastolic, pulses = (parts.get(metric, []) for metric in ("systolic", "diastolic", "pulse"))
        pairs = min(len(systolic), len(diastolic))
        for n in range(pairs):
            for reading in (systolic[n], diastolic[n], *pulses[n : n + 1]):
                reading.add(self._out, systolic[n].raw_id)
        self._alone((*systolic[pairs:], *diastolic[pairs:], *pulses[pairs:]))

    def _alone(self, readings: Iterable[Reading]) -> None:
        for reading in readings:
            reading.add(self._out)
