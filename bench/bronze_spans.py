"""Which heart-rate records an artifact of the bronze benchmarks holds. No library: whoever measures stays small."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

SOURCE = "mi_fitness"
TABLE = f"bronze_{SOURCE}"
START = 1_293_840_000
"""2011-01-01, seconds since 1970: five million records end with 2025."""
_DENSITY = (94_694_400, 1_000_000)
"""36 months' seconds (1,096 days) for a million records."""
_UPDATE = 259_200  # seconds until the vendor's cloud had it


class Span(NamedTuple):
    """Record number n was measured n × 94.69 s after START."""

    first: int
    size: int
    stride: int = 1
    device: int = 0
    changed: int = 0
    """Every so many-th record has another value and a later revision; 0: none."""

    @property
    def numbers(self) -> range:
        """The numbers of its records."""
        return range(self.first, self.first + self.size * self.stride, self.stride)

    def raw(self, number: int) -> tuple[str, int]:
        """(record as JSON text, its UpdateTime in seconds)."""
        time = time_of(number)
        changed = bool(self.changed) and number % self.changed == 0
        update = time + _UPDATE + changed * 86_400
        bpm = 48 + (number * 2_654_435_761 >> 9) % 90 + changed
        return (
            f'{{"table":"hlth_center_fitness_data","Uid":"1234567890","Sid":"{self._sid}","Key":"heart_rate","Time":{time},'
            f'"Value":{{"time":{time},"bpm":{bpm}}},"UpdateTime":{update}}}'
        ), update

    def raw_id(self, number: int) -> str:
        """The record's identity, as the source makes it."""
        return f"hlth_center_fitness_data/1234567890/{self._sid}/heart_rate/{time_of(number)}"

    @property
    def months(self) -> list[str]:
        """First days of the months its records lie in, and of those between."""
        begin, end = (datetime.fromtimestamp(time_of(n), UTC) for n in (self.first, self.numbers[-1]))
        return [f"{n // 12:04}-{n % 12 + 1:02}-01" for n in range(begin.year * 12 + begin.month - 1, end.year * 12 + end.month)]

    @property
    def _sid(self) -> str:
        return f"huami.{6485 + self.device}"


def time_of(number: int) -> int:
    """When record `number` was measured, seconds since 1970."""
    return START + number * _DENSITY[0] // _DENSITY[1]
