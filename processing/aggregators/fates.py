"""What becomes of a reading in the merge: the codes of the choices table and what each tells a person."""

from __future__ import annotations

from collections.abc import Mapping

ACCEPTED = "accepted"
DUPLICATE = "duplicate"
LOWER_PRIORITY = "unused:lower_priority"
DAILY_TOTAL = "unused:superseded_by_daily_total"
SAMPLES = "unused:superseded_by_samples"
SESSIONS = "unused:superseded_by_sessions"
LATER = "unused:superseded_by_later"
OTHER_DEVICE = "unused:other_device_had_more"
NOT_WORN = "unused:not_worn"
CLOCK_RESET = "unused:clock_reset"
NOT_DAILY = "unused:not_in_daily_metrics"

FATES = (
    ACCEPTED,
    DUPLICATE,
    LOWER_PRIORITY,
    DAILY_TOTAL,
    SAMPLES,
    SESSIONS,
    LATER,
    OTHER_DEVICE,
    NOT_WORN,
    CLOCK_RESET,
    NOT_DAILY,
)
PARTS = ("morning", "evening", "main", "nap")
"""The part of the day a reading belongs to; none where the day has no parts."""

WHY: Mapping[str, str] = {
    ACCEPTED: "It counts.",
    DUPLICATE: "Another source, or another record of this one, tells the same measurement or night.",
    LOWER_PRIORITY: "Another source is believed first on this day.",
    DAILY_TOTAL: "The source gives the day's total itself.",
    SAMPLES: "The source gives samples; its own daily figure is not needed.",
    SESSIONS: "The source gives sessions; its own daily figure is not needed.",
    LATER: "Another reading of the day is the one that counts: the source's figure for the day, else the latest.",
    OTHER_DEVICE: "Another device of the source recorded more in the same time; devices are never summed.",
    NOT_WORN: "A zero of a device that shows no sign of having been worn that day.",
    CLOCK_RESET: "Its device had lost the clock, so its day is not known.",
    NOT_DAILY: "No column of the daily table is made of it.",
}
"""Fate → what it means, a sentence."""
