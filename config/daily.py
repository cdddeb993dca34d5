"""The words of the daily table: what a column means, how and of which readings it is made, why a reading did not count.

Processing builds by them, gold carries them, `trace` and the dashboard say them: the same words everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Told(NamedTuple):
    """What a person is told of a column of the daily table."""

    meaning: str
    rule: str
    """How it is made, a sentence or two."""
    metrics: tuple[str, ...] = ()
    """Accepted readings of these metrics make it; none: other cells or settings do."""
    part: str | None = None
    """Only readings of this part of the day do."""


_PARTS: Mapping[str | None, str] = {
    "morning": "the morning",
    "evening": "the evening",
    "main": "the main sleep",
    "nap": "the naps",
}

EXPECTED = ("systolic", "avg_hr", "total_duration", "steps")
"""The columns `missing_data_flag` asks for."""

_PAIR = ("systolic", "diastolic")
_HR = ("heart_rate", "heart_rate_mean")
_STAGES = ("sleep_deep", "sleep_light", "sleep_rem")
_ASLEEP = ("sleep_duration", *_STAGES)  # a session without a stated duration slept the sum of its stages

_MEAN = "The mean of the day's readings."
_SAMPLES = "The mean of the samples, else the source's figure for the day."
_SLEPT = "Minutes asleep: what a session states, else the sum of its deep, light and REM sleep"
_TOTAL = (
    "The source's own total of the day; without one, of each half hour the device that recorded most, summed. "
    "Sources and devices are never summed."
)
_MINUTES = "The sum over the day's sessions; what no session says, from the source's figure for the day."

COLUMNS: Mapping[str, Told] = {
    "date": Told("Local calendar day.", "A day has a row when it has any validated reading whose day is known."),
    "systolic": Told("Mean of the day's measurements, mmHg.", _MEAN, ("systolic",)),
    "diastolic": Told("Mean of the day's measurements, mmHg.", _MEAN, ("diastolic",)),
    "pulse": Told("Mean of the cuff's pulse, beats per minute.", _MEAN, ("pulse",)),
    "systolic_min": Told("Lowest of the day, mmHg.", "The lowest of the day's readings.", ("systolic",)),
    "systolic_max": Told("Highest of the day, mmHg.", "The highest of the day's readings.", ("systolic",)),
    "systolic_morning": Told(
        "Mean of the morning's measurements, mmHg.", "The mean of the morning's readings.", ("systolic",), "morning"
    ),
    "diastolic_morning": Told(
        "Mean of the morning's measurements, mmHg.", "The mean of the morning's readings.", ("diastolic",), "morning"
    ),
    "systolic_evening": Told(
        "Mean of the evening's measurements, mmHg.", "The mean of the evening's readings.", ("systolic",), "evening"
    ),
    "diastolic_evening": Told(
        "Mean of the evening's measurements, mmHg.", "The mean of the evening's readings.", ("diastolic",), "evening"
    ),
    "bp_readings": Told("Blood pressure measurements of the day.", "The number of systolic readings that count.", ("systolic",)),
    "map": Told(
        "Mean arterial pressure of the day's means: diastolic + pulse pressure / 3, mmHg.",
        "Diastolic + (systolic - diastolic) / 3, of the day's means.",
        _PAIR,
    ),
    "pulse_pressure": Told(
        "Systolic minus diastolic of the day's means, mmHg.", "Systolic - diastolic, of the day's means.", _PAIR
    ),
    "bp_category": Told(
        "Category of the day's mean by `bp_scheme`; no diagnosis.",
        "The worse of the two mean pressures as they are written decides, by the bounds of the scheme.",
        _PAIR,
    ),
    "avg_hr": Told(
        "Mean heart rate, beats per minute.",
        "The mean of the samples, weighted by the time each stands for where a gap exceeds 10 minutes; "
        "without samples the mean of the source's daily figures.",
        _HR,
    ),
    "min_hr": Told(
        "Lowest heart rate; not the resting one.",
        "The lowest sample; without samples the lowest daily figure of the source.",
        ("heart_rate", "heart_rate_min"),
    ),
    "max_hr": Told(
        "Highest heart rate.",
        "The highest sample; without samples the highest daily figure of the source.",
        ("heart_rate", "heart_rate_max"),
    ),
    "hr_samples": Told(
        "Heart-rate samples behind the mean; empty when the source gave daily figures only.",
        "The number of samples that count.",
        ("heart_rate",),
    ),
    "resting_hr": Told(
        "Resting heart rate as a device reported it.",
        "The device's figure for the day, else its last of the day.",
        ("resting_heart_rate",),
    ),
    "total_duration": Told(
        "Minutes asleep, main sleep and naps.",
        f"{_SLEPT}, summed over the day's sessions; without sessions the source's figure for the day.",
        _ASLEEP,
    ),
    "nap_duration": Told(
        "Minutes asleep in naps.",
        f"{_SLEPT}, summed over the naps; 0 when the day has sessions and none is a nap.",
        _ASLEEP,
        "nap",
    ),
    "sleep_deep_duration": Told("Minutes of deep sleep, naps included.", _MINUTES, ("sleep_deep",)),
    "sleep_light_duration": Told("Minutes of light sleep, naps included.", _MINUTES, ("sleep_light",)),
    "sleep_rem_duration": Told("Minutes of REM sleep, naps included.", _MINUTES, ("sleep_rem",)),
    "sleep_awake_duration": Told("Minutes awake within sleep, naps included.", _MINUTES, ("sleep_awake",)),
    "sleep_efficiency": Told(
        "Minutes asleep of the main sleep per minutes of its window, percent.",
        f"{_SLEPT}, of the main sleep, per minutes from its start to its end, × 100; 100 at most.",
        _ASLEEP,
        "main",
    ),
    "sleep_score": Told(
        "The vendor's own score of the main sleep.",
        "The score of the main sleep, else the source's for the day.",
        ("sleep_score",),
    ),
    "bed_time": Told("Start of the main sleep on the local clock, with offset.", "The start of the main sleep.", _ASLEEP, "main"),
    "wake_time": Told("End of the main sleep on the local clock, with offset.", "The end of the main sleep.", _ASLEEP, "main"),
    "steps": Told("Steps.", _TOTAL, ("steps",)),
    "distance": Told("Distance, metres.", _TOTAL, ("distance",)),
    "active_energy": Told("Energy spent by moving, kcal.", _TOTAL, ("active_energy",)),
    "weight": Told("Last weight of the day, kg.", "The last reading of the day.", ("weight",)),
    "spo2_avg": Told("Mean oxygen saturation, percent.", _SAMPLES, ("spo2",)),
    "sources": Told(
        "Which source gave what: `group=source/scope`, several joined by `+`, groups by `;`.",
        "The source and scope of every reading that counts, by group.",
    ),
    "missing_data_flag": Told(
        "True when blood pressure, heart rate, sleep or steps are missing.", f"True when any of {', '.join(EXPECTED)} is empty."
    ),
    "diastolic_min": Told("Lowest of the day, mmHg.", "The lowest of the day's readings.", ("diastolic",)),
    "diastolic_max": Told("Highest of the day, mmHg.", "The highest of the day's readings.", ("diastolic",)),
    "bp_scheme": Told("The scheme `bp_category` follows.", "The setting `bp_scheme`, where the day has a category."),
    "hr_coverage_minutes": Told(
        "Minutes of the day the heart-rate samples stand for, five to either side at most.",
        "The sum of the time each sample stands for: half way to its neighbours, five minutes to either side at most.",
        ("heart_rate",),
    ),
    "event": Told(
        "Labels of the person's own events and of the medication start on this day.",
        "The labels that the settings `events` and `med_start_date` give this day.",
    ),
    "hrv_sdnn": Told("Mean heart rate variability as SDNN, ms.", _SAMPLES, ("hrv_sdnn",)),
    "hrv_rmssd": Told("Mean heart rate variability as RMSSD, ms; never mixed with SDNN.", _SAMPLES, ("hrv_rmssd",)),
    "basal_energy": Told("Energy the body spends at rest, kcal, as the source estimates it.", _TOTAL, ("basal_energy",)),
    "body_fat": Told("Last body fat of the day, percent.", "The last reading of the day.", ("body_fat",)),
    "respiration_avg": Told("Mean breaths per minute.", _SAMPLES, ("respiratory_rate",)),
    "body_temperature": Told("Mean body temperature, °C; not the skin's.", _SAMPLES, ("body_temperature",)),
}
"""Column → what is told of it, in the order of the files. New columns go to the end."""

FATES: Mapping[str, str] = {
    "accepted": "It counts.",
    "duplicate": "Another source, or another record of this one, tells the same measurement or night.",
    "unused:lower_priority": "Another source is believed first on this day.",
    "unused:superseded_by_daily_total": "The source gives the day's total itself.",
    "unused:superseded_by_samples": "The source gives samples; its own daily figure is not needed.",
    "unused:superseded_by_sessions": "The source gives sessions; its own daily figure is not needed.",
    "unused:superseded_by_later": "Another reading of the day is the one that counts: the source's figure for the day, else the latest.",
    "unused:other_device_had_more": "Another device of the source recorded more in the same time; devices are never summed.",
    "unused:not_worn": "A zero of a device that shows no sign of having been worn that day.",
    "unused:clock_reset": "Its device had lost the clock, so its day is not known.",
    "unused:not_in_daily_metrics": "No column of the daily table is made of it.",
}
"""What became of a reading in the merge → what that means, a sentence."""

REASONS: Mapping[str, str] = {
    "not_a_number": "The value is no finite number.",
    "end_before_start": "The reading ends before it starts.",
    "before_device_era": "The time lies before 2009, when no device of these sources existed.",
    "unexpected_unit": "The unit is not the metric's own.",
    "device_sentinel": "The value is a number devices write when they measured nothing.",
    "zero_is_missing": "A zero of this metric means nothing was measured.",
    "negative_duration": "A duration is negative.",
    "below_reject": "The value is lower than is possible.",
    "above_reject": "The value is higher than is possible.",
    "dia_not_below_sys": "The diastolic pressure is not below the systolic one.",
    "partner_rejected": "A reading that belongs to it was refused.",
    "partner_missing": "Systolic or diastolic pressure came without the other.",
    "empty_session": "The sleep session has no length.",
    "exceeds_window": "A duration is longer than the sleep session it belongs to.",
}
"""Every reason validation refuses a reading for, with its sentence."""


def why_not(column: str, metric: str, fate: str, part: str | None) -> str:
    """Why a reading of this metric, fate and part of the day did not make the column's cell, a sentence."""
    wanted = COLUMNS[column].part
    if fate != "accepted":
        return FATES[fate]
    if wanted is not None and part != wanted:
        return f"It belongs to {_PARTS.get(part, 'another part of the day')}; this column is made of {_PARTS[wanted]}."
    if metric in _STAGES:
        return "The session states its minutes asleep itself; this is a part of them."
    return "It counts for other columns; this one is not made of it."
