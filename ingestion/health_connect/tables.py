"""The tables of a Health Connect backup that are read, and how they hang together.

Names: AOSP packages/modules/HealthFitness, RecordHelper and its kin. Columns are always taken by name: their order differs from phone
to phone. A record is a row of a `*_record_table`; series and stages are rows of a child table, `parent_key` the parent's `row_id`.
"""

from __future__ import annotations

from typing import NamedTuple

APPS = "application_info_table"
DEVICES = "device_info_table"
PRIORITIES = "health_data_category_priority_table"

INSTANTS = (
    "basal_metabolic_rate_record_table",
    "blood_pressure_record_table",
    "body_fat_record_table",
    "body_temperature_record_table",
    "heart_rate_variability_rmssd_record_table",
    "oxygen_saturation_record_table",
    "respiratory_rate_record_table",
    "resting_heart_rate_record_table",
    "weight_record_table",
)
"""Tables stamped by `time` and `zone_offset`."""
INTERVALS = (
    "active_calories_burned_record_table",
    "distance_record_table",
    "heart_rate_record_table",
    "sleep_session_record_table",
    "steps_record_table",
)
"""Tables stamped by `start_time`, `start_zone_offset`, `end_time` and `end_zone_offset`."""


class Child(NamedTuple):
    """A table whose rows belong to records of another."""

    table: str
    key: str
    """What the list of its rows is called in a record."""
    columns: tuple[str, ...]
    """Its columns, time first."""


CHILDREN = {
    "heart_rate_record_table": Child("heart_rate_record_series_table", "samples", ("epoch_millis", "beats_per_minute")),
    "sleep_session_record_table": Child("sleep_stages_table", "stages", ("stage_start_time", "stage_end_time", "stage_type")),
}
BOOKKEEPING = frozenset(
    {
        "access_logs_table", "activity_date_table", "android_metadata", "backup_change_tokens_table", "change_log_request_table",
        "change_logs_table", "migration_entity_table", "preference_table", "read_access_logs_table",
    }
)  # fmt: skip
"""Health Connect's own; they hold nothing measured and are told nowhere."""
