"""Which seconds were told already, per metric: one bit a second, so that years of samples fit in a few megabytes."""

from __future__ import annotations

_SECOND = 1_000_000
_HOUR = 3_600


class Marks:
    """Seconds marked, per name."""

    def __init__(self) -> None:
        self._hours: dict[tuple[str, int], bytearray] = {}

    def mark(self, name: str, micros: int) -> bool:
        """Mark the second of this moment (microseconds since 1970); whether it was not marked before."""
        hour, second = divmod(micros // _SECOND, _HOUR)
        bits = self._hours.get((name, hour))
        if bits is None:
            bits = self._hours[name, hour] = bytearray(_HOUR // 8)
        byte, bit = second >> 3, 1 << (second & 7)
        new = not bits[byte] & bit
        bits[byte] |= bit
        return new

    def holds(self, name: str, micros: int) -> bool:
        """Whether the second of this moment is marked."""
        hour, second = divmod(micros // _SECOND, _HOUR)
        bits = self._hours.get((name, hour))
        return bits is not None and bool(bits[second >> 3] & 1 << (second & 7))
