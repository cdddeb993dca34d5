"""What APIs call their fields: identities, times, devices, what is measured and in which unit."""

from __future__ import annotations

IDS = ("id", "uuid", "guid", "_id", "key", "identifier")
CHANGED = ("updated_at", "modified_at", "modified", "last_modified", "updated", "changed_at", "modified_date")
TIMES = (
    *(
        "measured_at",
        "recorded_at",
        "taken_at",
        "sampled_at",
        "observed_at",
        "occurred_at",
        "timestamp",
        "time",
        "datetime",
        "date_time",
    ),
    *("started_at", "start_time", "start_at", "start", "begin", "date", "day", "calendar_date", "created_at", "created"),
)
ENDS = ("ended_at", "end_time", "end_at", "end", "stop", "stopped_at")
DEVICES = ("device_name", "device_model", "device", "model")
NAMES: dict[str, tuple[str, ...]] = {
    "systolic": ("systolic", "sys", "sbp", "systolic_pressure", "systolic_blood_pressure"),
    "diastolic": ("diastolic", "dia", "dbp", "diastolic_pressure", "diastolic_blood_pressure"),
    "heart_rate": ("heart_rate", "heartrate", "hr", "bpm", "pulse"),
    "heart_rate_mean": (
        "heart_rate_avg",
        "heart_rate_average",
        "heart_rate_mean",
        "avg_heart_rate",
        "average_heart_rate",
        "avg_hr",
    ),
    "heart_rate_min": ("heart_rate_min", "min_heart_rate", "lowest_heart_rate"),
    "heart_rate_max": ("heart_rate_max", "max_heart_rate", "highest_heart_rate"),
    "resting_heart_rate": ("resting_heart_rate", "resting_heartrate", "resting_hr", "rhr"),
    "hrv_rmssd": ("rmssd", "hrv_rmssd"),
    "hrv_sdnn": ("sdnn", "hrv_sdnn"),
    "steps": ("steps", "step_count", "total_steps"),
    "distance": ("distance", "total_distance"),
    "active_energy": ("active_energy", "active_calories", "calories_active", "active_energy_burned"),
    "weight": ("weight", "body_weight", "body_mass", "mass"),
    "body_fat": ("body_fat", "fat", "fat_percentage", "fat_ratio", "body_fat_percentage"),
    "spo2": ("spo2", "sp_o2", "oxygen_saturation", "blood_oxygen"),
    "respiratory_rate": ("respiratory_rate", "breathing_rate", "respiration_rate"),
    "body_temperature": ("body_temperature", "body_temp"),
    "sleep_duration": ("sleep_duration", "total_sleep_duration", "asleep", "minutes_asleep"),
}
"""Metric → what APIs call its field, as words joined by _."""
_UNITS = """
kg=kg lb=[lb_av] lbs=[lb_av] g=g km=km mi=[mi_i] miles=[mi_i] m=m meters=m c=Cel celsius=Cel f=[degF] fahrenheit=[degF]
percent=% pct=% bpm=/min kcal=kcal kj=kJ ms=ms s=s sec=s seconds=s minutes=min min=min hours=h mmhg=mm[Hg]
"""
UNITS = dict(pair.split("=") for pair in _UNITS.split())
"""The last word of a field's name → the unit it says."""
