"""The days a person has marked: own events and the start of a medication, from the settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

MEDICATION = "medication start"
"""The label of the day of the setting `med_start_date`."""


class Mark(NamedTuple):
    """One marked day."""

    day: str
    """ISO date."""
    label: str
    setting: str
    """Where it was written: `med_start_date` or `events`."""


def marks(settings: Mapping[str, Any]) -> list[Mark]:
    """Every marked day, the medication start first, then the events as they are written."""
    start = settings["med_start_date"]
    found = [Mark(start, MEDICATION, "med_start_date")] if start else []
    return found + [Mark(event["date"], event["label"], "events") for event in settings["events"]]
