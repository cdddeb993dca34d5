"""Five fields of cron, read as cron reads them, and when they are due next. Needs the package apscheduler."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from typing import Any

from config.errors import UsageError
from scripts.packages import need

_NAMED = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MEND = 'Give minute, hour, day, month and weekday, such as "17 */6 * * *", or @hourly, @daily, @weekly or @monthly.'


class Cron:
    """When something is due, on a clock of one zone."""

    def __init__(self, expression: str, zone: tzinfo) -> None:
        """Raises UsageError for what is no cron expression, or never due."""
        need("apscheduler", "--schedule", "requirements.lock")
        fields = _NAMED.get(expression.strip().lower(), expression).lower().split()
        if len(fields) != 5:
            raise UsageError(f"A schedule has five fields, not {len(fields)}.", _MEND)
        self._zone = zone
        try:
            self._triggers = _triggers(fields, zone)
        except (ValueError, KeyError):
            raise UsageError("This is no schedule.", _MEND) from None
        if self._next(datetime.now(zone)) is None:
            raise UsageError("This schedule is never due.", _MEND)

    def after(self, moment: datetime) -> datetime:
        """The first moment later than this one, in UTC."""
        found = self._next(moment)
        if found is None:
            raise UsageError("This schedule is not due any more.", _MEND)
        return found

    def _next(self, moment: datetime) -> datetime | None:
        local = moment.astimezone(self._zone)
        due = [found for t in self._triggers if (found := t.get_next_fire_time(local, local)) is not None]
        return min((found.astimezone(UTC) for found in due), default=None)  # two moments of one zone compare without its shifts


def _triggers(fields: list[str], zone: tzinfo) -> list[Any]:
    """A day of the month and a weekday, both given, are alternatives to cron: two triggers."""
    from apscheduler.triggers.cron import CronTrigger  # type: ignore[import-untyped,unused-ignore]

    minute, hour, day, month, weekday = fields
    weekday = _weekday(weekday)
    either = [(day, "*"), ("*", weekday)] if not day.startswith("*") and not weekday.startswith("*") else [(day, weekday)]
    return [CronTrigger(minute=minute, hour=hour, day=d, month=month, day_of_week=w, second=0, timezone=zone) for d, w in either]


def _weekday(field: str) -> str:
    """By name: cron counts from Sunday, the library from Monday, and it knows no range across the end of its week."""
    if field == "*":
        return field
    days = {day for part in field.split(",") for day in _days(part)}
    return ",".join(_DAYS[day] for day in sorted(days))


def _days(part: str) -> range | list[int]:
    found = re.fullmatch(r"(\*|\w+)(?:-(\w+))?(?:/(\d+))?", part)
    if not found:
        raise ValueError(part)
    first, last, step = found[1], found[2], int(found[3] or 1)
    if first == "*":
        return range(0, 7, step)
    begin = _day(first)
    end = _day(last) if last else (6 if found[3] else begin)
    return [day % 7 for day in range(begin, end + (7 if end < begin else 0) + 1, step)]


def _day(word: str) -> int:
    if word in _DAYS:
        return _DAYS.index(word)
    if not word.isdecimal() or int(word) > 7:
        raise ValueError(word)
    return int(word)
