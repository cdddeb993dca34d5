"""What becomes of one record whose fields are text or numbers: its readings, what of it was refused, and in the end one fate."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from config.metrics import METRICS
from processing.normalizers.building import Normalized, When
from processing.normalizers.newest import Row
from processing.normalizers.numbers import number

_NUMBER = re.compile(r"[+-]?(?:\d{1,15}(?:\.\d{0,20})?|\.\d{1,20})(?:[eE][+-]?\d{1,2})?", re.ASCII)


def written(value: Any) -> float | None:
    """A number, or a text that is one with a decimal point; None for anything else."""
    if isinstance(value, str):
        text = value.strip()
        return number(float(text)) if _NUMBER.fullmatch(text) else None
    return number(value)


class Outcome:
    """Collects the readings of one record."""

    def __init__(self, out: Normalized, row: Row, device: str = "") -> None:
        self.row, self.device = row, device
        self.given = self.again = 0
        self.refused: list[tuple[str, str | None]] = []
        self._out = out

    def value(self, fields: Mapping[str, Any], name: str, metric: str, factor: float = 1) -> float | None:
        """The field's number times `factor`; None where there is none, and where there is one that cannot be used (noted)."""
        raw = fields.get(name)
        if raw is None or (isinstance(raw, str) and not raw.strip()):
            return None
        found = written(raw)
        if found is None:
            self.refuse("not_a_number", name)
        elif found == 0 and METRICS[metric].zero_is_missing:
            self.refuse("zero", name)
        else:
            return found * factor
        return None

    def refuse(self, reason: str, field: str | None = None) -> None:
        """A field that gives no reading."""
        self.refused.append((reason, field))

    def add(self, metric: str, value: float | None, when: When, scope: str, flags: tuple[str, ...] = ()) -> None:
        """A reading, unless there is no value."""
        if value is not None:
            self._out.add(metric, value, when, scope=scope, device=self.device, raw_id=self.row.raw_id, flags=flags)
            self.given += 1

    def settle(self, nothing: str = "no_measurement") -> None:
        """The record's one fate; every refused field is listed."""
        for reason, field in self.refused:
            self._out.reject(self.row, reason, field)
        if self.given:
            self._out.fates["accepted"] += 1
        elif self.again:
            self._out.fates["duplicate"] += 1
        elif self.refused:
            self._out.fates[f"rejected:{self.refused[0][0]}"] += 1
        else:
            self._out.drop(self.row, nothing)
