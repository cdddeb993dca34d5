"""The days a person has marked, as gold shows them: own events and the start of a medication, from the settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MEDICATION = ("medication start", "medication")
"""Label and kind of the day of the setting `med_start_date`."""


def events(settings: Mapping[str, Any]) -> list[dict[str, str]]:
    """Date (ISO), label and kind of each; a medication start that the events tell as well, with its name, is told once."""
    own = [{"date": event["date"], "label": event["label"], "kind": event["kind"]} for event in settings["events"]]
    start, (label, kind) = settings["med_start_date"], MEDICATION
    if not start or any(event["date"] == start and event["kind"] == kind for event in own):
        return own
    return [{"date": start, "label": label, "kind": kind}, *own]
