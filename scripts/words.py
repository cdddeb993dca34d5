"""Moments, durations, sizes, counts, lists and reasons as a person says them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence


def when(seconds: float) -> str:
    """A moment in the person's zone, with its offset."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(seconds))


def lasted(seconds: float | None) -> str:
    """A duration as a person says it: 4 ms, 0.24 s, 12.3 s, 4 min 05 s, 2 h 10 min."""
    if seconds is None:
        return "–"
    if 0 < seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def ago(seconds: float) -> str:
    """How long a moment is past: just now, 5 min ago, 2 h ago, 3 d ago; the date when that is longer than a month ago."""
    past = time.time() - seconds
    if past < -60:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))  # a clock was set back
    for limit, unit, name in ((90, 1, ""), (5400, 60, "min"), (129_600, 3600, "h"), (31 * 86_400, 86_400, "d")):
        if past < limit:
            return f"{past / unit:.0f} {name} ago" if name else "just now"
    return time.strftime("%Y-%m-%d", time.localtime(seconds))


def sized(count: float | None) -> str:
    """Bytes as a person says them, in powers of 1,000."""
    if count is None:
        return "–"
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 99.95 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def counted(count: int, one: str, many: str = "") -> str:
    """1 node, 2 nodes; `many` where that is not `one` with an s."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(names: Sequence[str], most: int) -> str:
    """The first names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def because(reason: Mapping[str, str]) -> str:
    """Why a step ran, as the registry keeps it: `data: in.txt – changed`."""
    return f"{reason['kind']}: {reason['name']}{' – ' + reason['detail'] if reason['detail'] else ''}"
