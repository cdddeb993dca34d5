"""Figures for a whole day, told by up to six of Garmin's files: the one believed first counts, the others are told again."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from config.metrics import METRICS
from config.timezones import PersonZones
from processing.normalizers.building import Normalized
from processing.normalizers.fate import Fate
from processing.normalizers.moments import whole_day
from processing.normalizers.numbers import number

_NO_BYTE = 255
"""What devices write where they measured nothing, beside 0, null and numbers below zero."""


class _Figure(NamedTuple):
    metric: str
    day: date
    rank: int
    raw_id: str
    value: float
    fate: Fate


class Days:
    """Collects day figures."""

    def __init__(self, zones: PersonZones, out: Normalized) -> None:
        self._zones, self._out = zones, out
        self._figures: list[_Figure] = []

    def add(self, fate: Fate, metric: str, day: date, raw: object, rank: int, part: str) -> None:
        """A figure of a record, if it is one. Of one metric and day the lowest `rank` is believed."""
        value = measured(fate, metric, raw, part)
        if value is not None:
            self._figures.append(_Figure(metric, day, rank, fate.row.raw_id, value, fate))

    def finish(self) -> None:
        """Write every figure once."""
        told: set[tuple[str, date]] = set()
        for figure in sorted(self._figures, key=lambda f: f[:5]):
            if (figure.metric, figure.day) in told:
                figure.fate.again += 1
                continue
            told.add((figure.metric, figure.day))
            when = whole_day(self._zones, figure.day)
            self._out.add(figure.metric, figure.value, when, scope="day", device="", raw_id=figure.raw_id)
            figure.fate.given += 1


def measured(fate: Fate, metric: str, raw: object, part: str) -> float | None:
    """The number, or None; what is there but cannot be used is noted as refused."""
    if raw is None:
        return None
    value = number(raw)
    if value is None:
        fate.refuse("not_a_number", part)
    elif value == 0 and METRICS[metric].zero_is_missing:
        fate.refuse("zero", part)
    elif value < 0 or (value == _NO_BYTE and METRICS[metric].unit in ("/min", "%")):
        fate.refuse("device_sentinel", part)
    else:
        return value
    return None
