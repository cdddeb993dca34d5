"""Small Health Connect backups for tests: tables as AOSP's HealthFitness module creates them, rows made up."""

from __future__ import annotations

import sqlite3
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.gadgetbridge_exports import insert

_COMMON = (
    "row_id INTEGER PRIMARY KEY AUTOINCREMENT, uuid BLOB NOT NULL UNIQUE, last_modified_time INTEGER, client_record_id TEXT,"
    " client_record_version TEXT, device_info_id INTEGER, app_info_id INTEGER, recording_method INTEGER, dedupe_hash BLOB UNIQUE"
)
_INSTANT = (
    "time INTEGER, zone_offset INTEGER, local_date INTEGER, {columns}, local_date_time INTEGER AS (time + 1000 * zone_offset),"
    " FOREIGN KEY (app_info_id) REFERENCES application_info_table(row_id) ON DELETE CASCADE"
)
_INTERVAL = (
    "start_time INTEGER, start_zone_offset INTEGER, end_time INTEGER, end_zone_offset INTEGER, local_date INTEGER{columns},"
    " local_date_time_start_time INTEGER AS (start_time + 1000 * start_zone_offset),"
    " local_date_time_end_time INTEGER AS (end_time + 1000 * end_zone_offset)"
)
INSTANTS = {
    "basal_metabolic_rate_record_table": "basal_metabolic_rate REAL",
    "blood_pressure_record_table": "measurement_location TEXT NOT NULL DEFAULT '3', systolic REAL, diastolic REAL,"
    " body_position TEXT NOT NULL DEFAULT '2'",
    "body_fat_record_table": "percentage REAL",
    "body_temperature_record_table": "measurement_location INTEGER, temperature REAL",
    "heart_rate_variability_rmssd_record_table": "heart_rate_variability_millis REAL NOT NULL",
    "oxygen_saturation_record_table": "percentage REAL",
    "respiratory_rate_record_table": "rate REAL",
    "resting_heart_rate_record_table": "beats_per_minute INTEGER",
    "weight_record_table": "weight REAL",
    "vo2_max_record_table": "measurement_method INTEGER, vo2_milliliters_per_minute_kilogram REAL",
}
INTERVALS = {
    "active_calories_burned_record_table": ", energy REAL",
    "distance_record_table": ", distance REAL",
    "heart_rate_record_table": "",
    "sleep_session_record_table": ", notes TEXT, title TEXT",
    "steps_record_table": ", count INTEGER",
    "hydration_record_table": ", volume REAL",
}
OTHERS = (
    "CREATE TABLE android_metadata (locale TEXT)",
    (
        "CREATE TABLE application_info_table (row_id INTEGER PRIMARY KEY, package_name TEXT NOT NULL UNIQUE, app_name TEXT, app_icon BLOB,"
        " record_types_used TEXT)"
    ),
    "CREATE TABLE device_info_table (row_id INTEGER PRIMARY KEY, manufacturer TEXT, model TEXT, device_type INTEGER)",
    (
        "CREATE TABLE health_data_category_priority_table (row_id INTEGER PRIMARY KEY AUTOINCREMENT, health_data_category INTEGER UNIQUE,"
        " app_id_priority_order TEXT)"
    ),
    (
        "CREATE TABLE heart_rate_record_series_table (parent_key INTEGER, beats_per_minute INTEGER, epoch_millis INTEGER,"
        " FOREIGN KEY (parent_key) REFERENCES heart_rate_record_table(row_id) ON DELETE CASCADE)"
    ),
    (
        "CREATE TABLE sleep_stages_table (parent_key INTEGER NOT NULL, stage_start_time INTEGER NOT NULL, stage_end_time INTEGER NOT NULL,"
        " stage_type INTEGER NOT NULL)"
    ),
    "CREATE TABLE activity_date_table (row_id INTEGER PRIMARY KEY, epoch_days INTEGER, record_type_id INTEGER)",
)
APPS = ("com.phone.steps", "com.watch.health", "com.manual.log")

Rows = Iterable[Mapping[str, Any]]


def backup(path: Path, tables: Mapping[str, Rows], order: Mapping[int, Sequence[int]] | None = None) -> Path:
    """A backup's database; rows get a uuid by their table and number and app 1 unless they say otherwise.

    `order`: health data category → apps (1 to 3), the one believed first first.
    """
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 23")
        for statement in OTHERS:
            connection.execute(statement)
        for table, columns in INSTANTS.items():
            connection.execute(f"CREATE TABLE {table} ({_COMMON}, {_INSTANT.format(columns=columns)})")
        for table, columns in INTERVALS.items():
            connection.execute(f"CREATE TABLE {table} ({_COMMON}, {_INTERVAL.format(columns=columns)})")
        for number, app in enumerate(APPS, 1):
            insert(connection, "application_info_table", {"row_id": number, "package_name": app, "app_icon": b"\x89PNG"})
        insert(connection, "device_info_table", {"row_id": 1})
        insert(connection, "device_info_table", {"row_id": 2, "manufacturer": "Acme", "model": "Watch 7", "device_type": 1})
        for category, apps in (order or {}).items():
            order_of_apps = {"health_data_category": category, "app_id_priority_order": ",".join(map(str, apps))}
            insert(connection, "health_data_category_priority_table", order_of_apps)
        for table, rows in tables.items():
            for number, row in enumerate(rows, 1):
                insert(connection, table, _complete(table, number, row) if table.endswith("_record_table") else row)
        connection.commit()
    return path


def zipped(path: Path, database: Path) -> Path:
    """The backup as Android writes it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        target.write(database, "health_connect_export.db")
    return path


def instant(at: int, offset: int = 3600, **columns: Any) -> dict[str, Any]:
    return {"time": at * 1000, "zone_offset": offset, "local_date": (at + offset) // 86_400, **columns}


def interval(start: int, end: int, offset: int = 3600, **columns: Any) -> dict[str, Any]:
    return {
        "start_time": start * 1000,
        "start_zone_offset": offset,
        "end_time": end * 1000,
        "end_zone_offset": offset,
        "local_date": (start + offset) // 86_400,
        **columns,
    }


def _complete(table: str, number: int, row: Mapping[str, Any]) -> dict[str, Any]:
    uuid = (table.encode() + number.to_bytes(8, "big"))[-8:].rjust(16, table[:8].encode()[-1:])
    given = {"uuid": uuid, "last_modified_time": 1_760_000_000_000, "app_info_id": 1, "device_info_id": 1, "recording_method": 2}
    return {**given, "dedupe_hash": b"h" + number.to_bytes(8, "big"), **row}
