"""The tables of a Gadgetbridge database that are read. A database has a table for every kind of device the app knows; most are empty.

Names and units: Freeyourgadget/Gadgetbridge, GBDaoGenerator and the sample providers. Samples by the minute (`*_ACTIVITY_SAMPLE`) are
stamped in seconds, all others in milliseconds.
"""

from __future__ import annotations

DEVICES = "DEVICE"
WORKOUTS = "BASE_ACTIVITY_SUMMARY"

MINUTES = ("MI_BAND_ACTIVITY_SAMPLE", "HUAMI_EXTENDED_ACTIVITY_SAMPLE", "XIAOMI_ACTIVITY_SAMPLE")
"""One row a minute and device."""
SAMPLES = (
    *MINUTES,
    "GENERIC_HEART_RATE_SAMPLE",
    "GENERIC_HRV_VALUE_SAMPLE",
    "GENERIC_SPO2_SAMPLE",
    "GENERIC_TEMPERATURE_SAMPLE",
    "HUAMI_HEART_RATE_MANUAL_SAMPLE",
    "HUAMI_HEART_RATE_MAX_SAMPLE",
    "HUAMI_HEART_RATE_RESTING_SAMPLE",
    "HUAMI_PAI_SAMPLE",
    "HUAMI_SLEEP_RESPIRATORY_RATE_SAMPLE",
    "HUAMI_SLEEP_SESSION_SAMPLE",
    "HUAMI_SPO2_SAMPLE",
    "HUAMI_STRESS_SAMPLE",
    "XIAOMI_DAILY_SUMMARY_SAMPLE",
    "XIAOMI_MANUAL_SAMPLE",
    "XIAOMI_SLEEP_STAGE_SAMPLE",
    "XIAOMI_SLEEP_TIME_SAMPLE",
)
"""Tables with TIMESTAMP and DEVICE_ID."""
SETTINGS = ("android_metadata",)
"""The database's own; told nowhere."""
