"""What has become of one record of several parts: readings, repeats, refusals; settled to one fate once all parts are known."""

from __future__ import annotations

from processing.normalizers.building import Normalized
from processing.normalizers.newest import Row


class Fate:
    """Counts what a record gave."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.given = self.again = 0
        self.refused: list[tuple[str, str | None]] = []
        """(reason, part) of each."""

    def refuse(self, reason: str, part: str | None = None) -> None:
        """A part of the record gives no reading."""
        self.refused.append((reason, part))

    def settle(self, out: Normalized, otherwise: str = "unused:no_measurement") -> None:
        """One fate for the record; every refused part is listed. `otherwise`: of one that held nothing to measure."""
        for reason, part in self.refused:
            out.reject(self.row, reason, part)
        if self.given:
            out.fates["accepted"] += 1
        elif self.again:
            out.fates["duplicate"] += 1
        elif self.refused:
            out.fates[f"rejected:{self.refused[0][0]}"] += 1
        else:
            out.fates[otherwise] += 1
