"""What becomes of a reading in the merge: the codes of the choices table. `config.daily` says them in words."""

from __future__ import annotations

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
