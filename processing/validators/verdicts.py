"""The verdict on every reading of one table: a first reason stays, flags add up, and every reading ends with one fate."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from config.stage import Balance, Finding
from config.tables import REJECTED_READINGS
from processing.readings import Array, with_flags

DUPLICATE = "duplicate"

FLAGS: Mapping[str, str] = {
    "warn_low": "Readings are lower than is usual for their metric.",
    "warn_high": "Readings are higher than is usual for their metric.",
    "clock_reset": "Readings carry the date a device falls back to when its clock was reset.",
    "pulse_pressure_low": "Systolic and diastolic pressure lie unusually close together.",
    "pulse_pressure_high": "Systolic and diastolic pressure lie unusually far apart.",
    "overlapping_session": "Sleep sessions of one source overlap.",
    "stages_exceed_asleep": "The sleep stages of a session add up to more than the time asleep.",
    "weight_jump": "Body weight differs by more than a tenth from the reading before it within a week.",
}
"""Every flag validation sets, with its sentence."""


class Verdicts:
    """Reasons, duplicates and flags, row by row."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self._reasons: list[str] = []
        self._reason = np.full(table.num_rows, -1, dtype=np.int16)
        self._duplicate = np.zeros(table.num_rows, dtype=bool)
        self._flags: list[tuple[str, Array]] = []

    @property
    def accepted(self) -> Array:
        """Rows that are neither refused nor duplicates so far."""
        return (self._reason < 0) & ~self._duplicate

    def has_reason(self, *reasons: str) -> Array:
        """Rows refused for one of these reasons."""
        return np.isin(self._reason, [i for i, word in enumerate(self._reasons) if word in reasons])

    def reject(self, mask: Array, reason: str) -> None:
        """Refuse these rows; one that already has a reason keeps it."""
        new = mask & self.accepted
        if new.any():
            if reason not in self._reasons:
                self._reasons.append(reason)
            self._reason[new] = self._reasons.index(reason)

    def duplicate(self, mask: Array) -> None:
        """These rows say what another row says."""
        self._duplicate |= mask & self.accepted

    def flag(self, mask: Array, flag: str) -> None:
        """A person should know this of these rows; it only shows on rows that are accepted in the end."""
        self._flags.append((flag, mask))

    def readings(self) -> pa.Table:
        """The accepted rows with their flags."""
        accepted = self.accepted
        flags = [(flag, mask & accepted) for flag, mask in self._flags]
        flagged = with_flags(self.table, flags)
        return flagged if accepted.all() else flagged.filter(pa.array(accepted))

    def rejected(self) -> pa.Table:
        """The refused rows, each with its reason."""
        rows = np.flatnonzero(self._reason >= 0)
        reasons = pa.array([self._reasons[i] for i in self._reason[rows]], pa.string())
        return self.table.take(pa.array(rows)).append_column(REJECTED_READINGS.field("reason"), reasons)

    def balance(self) -> Balance:
        """One fate per reading."""
        fates = {"accepted": int(self.accepted.sum()), DUPLICATE: int(self._duplicate.sum())}
        for index, reason in sorted(enumerate(self._reasons), key=lambda pair: pair[1]):
            fates[f"rejected:{reason}"] = int((self._reason == index).sum())
        return {"unit": "reading", "came": self.table.num_rows, "fates": fates}

    def findings(self) -> list[Finding]:
        """How many accepted readings carry which flag."""
        counted: dict[str, Array] = {}
        for flag, mask in self._flags:
            counted[flag] = counted.get(flag, np.zeros(self.table.num_rows, dtype=bool)) | mask
        accepted = self.accepted
        counts = {flag: int((mask & accepted).sum()) for flag, mask in counted.items()}
        return [{"code": flag, "message": FLAGS[flag], "count": count} for flag, count in sorted(counts.items()) if count]
