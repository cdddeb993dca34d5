"""The metric catalogue: what is measured, in which unit, under which code, and what is plausible.

Units are UCUM, codes LOINC. Plausibility has two levels: outside `reject` a reading is refused with a reason, outside `warn` it
is kept and flagged. The bounds are those of the parsers and importers compared in `docs/domain.md`; a person may narrow or
widen them by the setting `plausibility`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

KINDS = ("blood_pressure", "heart_rate", "sleep", "activity", "body")
"""The kinds of reading; one validated table each."""

SOURCE_PRIORITY = (
    "google_sheets",
    "bp_csv",
    "omron",
    "withings",
    "health_connect",
    "apple_health",
    "samsung_health",
    "fitbit",
    "garmin",
    "gadgetbridge",
    "mi_fitness",
    "zepp_life",
    "google_fit",
    "csv_url",
    "demo_api",
    "toggl",
    "s3_events",
    "kinesis",
    "cdc",
)
"""Who is believed first when two sources speak of the same day: a person's own log, a cuff's file, a phone's store of many devices,
a band's own export. A person's `source_priority` goes before it."""


class Metric(NamedTuple):
    """One thing that is measured."""

    kind: str
    unit: str
    loinc: str | None
    reject: tuple[float, float]
    """Inclusive bounds; outside them a reading is rejected."""
    warn: tuple[float, float]
    """Inclusive bounds; outside them a reading is flagged."""
    zero_is_missing: bool = False
    """Devices write 0 where they measured nothing."""


METRICS: dict[str, Metric] = {
    "systolic": Metric("blood_pressure", "mm[Hg]", "8480-6", (50, 300), (80, 250), True),
    "diastolic": Metric("blood_pressure", "mm[Hg]", "8462-4", (20, 200), (45, 140), True),
    "pulse": Metric("blood_pressure", "/min", "8867-4", (20, 250), (40, 200), True),
    "heart_rate": Metric("heart_rate", "/min", "8867-4", (20, 250), (30, 220), True),
    "heart_rate_mean": Metric("heart_rate", "/min", None, (20, 250), (30, 220), True),
    "heart_rate_min": Metric("heart_rate", "/min", None, (20, 250), (25, 220), True),
    "heart_rate_max": Metric("heart_rate", "/min", None, (20, 250), (30, 240), True),
    "resting_heart_rate": Metric("heart_rate", "/min", "40443-4", (25, 130), (35, 100), True),
    "hrv_sdnn": Metric("heart_rate", "ms", "80404-7", (1, 600), (5, 300), True),
    "hrv_rmssd": Metric("heart_rate", "ms", None, (1, 600), (5, 300), True),
    "sleep_duration": Metric("sleep", "min", "93832-4", (0, 1440), (120, 960)),
    "sleep_deep": Metric("sleep", "min", "93831-6", (0, 1440), (0, 600)),
    "sleep_light": Metric("sleep", "min", "93830-8", (0, 1440), (0, 900)),
    "sleep_rem": Metric("sleep", "min", "93829-0", (0, 1440), (0, 480)),
    "sleep_awake": Metric("sleep", "min", None, (0, 1440), (0, 480)),
    "sleep_score": Metric("sleep", "{score}", None, (0, 100), (20, 100), True),
    "steps": Metric("activity", "{steps}", "55423-8", (0, 200_000), (0, 100_000)),
    "distance": Metric("activity", "m", "55430-3", (0, 300_000), (0, 100_000)),
    "active_energy": Metric("activity", "kcal", "41981-2", (0, 20_000), (0, 10_000)),
    "basal_energy": Metric("activity", "kcal", None, (0, 10_000), (0, 5_000)),
    "weight": Metric("body", "kg", "29463-7", (20, 400), (35, 250), True),
    "body_fat": Metric("body", "%", "41982-0", (1, 80), (4, 60), True),
    "spo2": Metric("body", "%", "2708-6", (50, 100), (70, 100), True),
    "respiratory_rate": Metric("body", "/min", "9279-1", (4, 60), (6, 40), True),
    "body_temperature": Metric("body", "Cel", "8310-5", (25, 45), (35, 41), True),
}
"""Metric name → its definition. A sleep metric's reading spans the session (start = asleep, end = awake)."""


def bounds(name: str, overrides: Mapping[str, Any]) -> tuple[tuple[float, float], tuple[float, float]]:
    """(reject, warn) bounds of a metric after a person's `plausibility` setting: `{"spo2": {"reject": [60, 100]}}`."""
    metric = METRICS[name]
    own = overrides.get(name, {})
    reject, warn = own.get("reject", metric.reject), own.get("warn", metric.warn)
    return (float(reject[0]), float(reject[1])), (float(warn[0]), float(warn[1]))
