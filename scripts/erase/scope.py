"""What a person wants gone, from the command line and the settings."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

from config.errors import UsageError
from config.sources import SOURCES
from config.timezones import PersonZones


class Scope(NamedTuple):
    """`everything`, or by source the first day that stays (None: nothing of the source stays)."""

    words: str
    """As it is typed: `--before 2024-01-01 --source mi_fitness`."""
    everything: bool
    days: dict[str, date | None]


def scope(options: Namespace, settings: Mapping[str, Any], today: date) -> Scope:
    """The scope of `--source`, `--before`, `--expired` or `--all`. UsageError for a mixture that means nothing."""
    names = _known(options.sources or ())
    said = " ".join(["--source", *names]) if names else ""
    if options.everything:
        if names or options.before or options.expired:
            raise UsageError("--all stands alone.", "Leave the others out, or leave --all out.")
        return Scope("--all", everything=True, days={})
    if options.expired:
        if options.before:
            raise UsageError("--expired and --before exclude each other.", "Use one of them.")
        return Scope(f"--expired {said}".strip(), everything=False, days=_expired(settings["retention"], names, today))
    if options.before:
        day = _day(options.before, today)
        return Scope(f"--before {day} {said}".strip(), everything=False, days=dict.fromkeys(names or SOURCES, day))
    if not names:
        raise UsageError("What is to be erased?", "Say --source NAME, --before DATE, --expired or --all.")
    return Scope(said, everything=False, days=dict.fromkeys(names))


def moment(day: date, settings: Mapping[str, Any]) -> datetime:
    """The midnight, UTC, with which a local day begins."""
    zones = PersonZones(settings["timezone"], settings["timezone_overrides"])
    return zones.to_utc(datetime.combine(day, time())).utc.astimezone(UTC)


def _known(names: Sequence[str]) -> list[str]:
    for name in names:
        if name not in SOURCES:
            raise UsageError(f"There is no source named {name!r}.", f"Sources are: {', '.join(SOURCES)}.")
    return list(dict.fromkeys(names))


def _day(text: str, today: date) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no date.", "Example: --before 2024-01-01") from None
    if not date(1900, 1, 1) < day <= today:
        raise UsageError("--before takes a day of the past, or today.", "Example: --before 2024-01-01; everything: --all")
    return day


def _expired(retention: Mapping[str, int], names: Sequence[str], today: date) -> dict[str, date | None]:
    if not retention:
        raise UsageError(
            "Nothing ever expires: the setting `retention` is empty.",
            "Example in config/settings.yaml: retention: {mi_fitness: 730}",
        )
    return {name: today - timedelta(days=days) for name, days in retention.items() if not names or name in names}
