"""Small Gadgetbridge databases for tests: tables as the app's data model creates them, rows made up."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

_MINUTE = "RAW_INTENSITY INTEGER NOT NULL, STEPS INTEGER NOT NULL, RAW_KIND INTEGER NOT NULL, HEART_RATE INTEGER NOT NULL"
_BEAT = "UTC_OFFSET INTEGER NOT NULL, HEART_RATE INTEGER NOT NULL"
_SUMMARY = (
    "TIMEZONE STEPS HR_RESTING HR_MAX HR_MAX_TS HR_MIN HR_MIN_TS HR_AVG STRESS_AVG STRESS_MAX STRESS_MIN STANDING CALORIES SPO2_MAX"
    " SPO2_MAX_TS SPO2_MIN SPO2_MIN_TS SPO2_AVG TRAINING_LOAD_DAY TRAINING_LOAD_WEEK TRAINING_LOAD_LEVEL VITALITY_INCREASE_LIGHT"
    " VITALITY_INCREASE_MODERATE VITALITY_INCREASE_HIGH VITALITY_CURRENT"
)
SAMPLES = {
    "MI_BAND_ACTIVITY_SAMPLE": _MINUTE,
    "HUAMI_EXTENDED_ACTIVITY_SAMPLE": f"{_MINUTE}, UNKNOWN1 INTEGER, SLEEP INTEGER, DEEP_SLEEP INTEGER, REM_SLEEP INTEGER",
    "XIAOMI_ACTIVITY_SAMPLE": f"{_MINUTE}, STRESS INTEGER, SPO2 INTEGER",
    "XIAOMI_SLEEP_TIME_SAMPLE": "WAKEUP_TIME INTEGER, IS_AWAKE INTEGER, TOTAL_DURATION INTEGER, DEEP_SLEEP_DURATION INTEGER,"
    " LIGHT_SLEEP_DURATION INTEGER, REM_SLEEP_DURATION INTEGER, AWAKE_DURATION INTEGER",
    "XIAOMI_SLEEP_STAGE_SAMPLE": "STAGE INTEGER",
    "XIAOMI_MANUAL_SAMPLE": "TYPE INTEGER, VALUE INTEGER",
    "XIAOMI_DAILY_SUMMARY_SAMPLE": ", ".join(f"{name} INTEGER" for name in _SUMMARY.split()),
    "HUAMI_HEART_RATE_MANUAL_SAMPLE": _BEAT,
    "HUAMI_HEART_RATE_MAX_SAMPLE": _BEAT,
    "HUAMI_HEART_RATE_RESTING_SAMPLE": _BEAT,
    "HUAMI_SPO2_SAMPLE": "TYPE_NUM INTEGER NOT NULL, SPO2 INTEGER NOT NULL",
    "HUAMI_STRESS_SAMPLE": "TYPE_NUM INTEGER NOT NULL, STRESS INTEGER NOT NULL",
    "HUAMI_SLEEP_RESPIRATORY_RATE_SAMPLE": "UTC_OFFSET INTEGER NOT NULL, RATE INTEGER NOT NULL",
    "HUAMI_SLEEP_SESSION_SAMPLE": "DATA BLOB",
    "GENERIC_HEART_RATE_SAMPLE": "HEART_RATE INTEGER NOT NULL",
    "GENERIC_HRV_VALUE_SAMPLE": "VALUE INTEGER NOT NULL",
    "GENERIC_SPO2_SAMPLE": "SPO2 INTEGER NOT NULL",
    "HUAMI_PAI_SAMPLE": "UTC_OFFSET INTEGER NOT NULL, PAI_TODAY REAL",
    "GENERIC_TEMPERATURE_SAMPLE": "TEMPERATURE REAL, TEMPERATURE_TYPE INTEGER, TEMPERATURE_LOCATION INTEGER",
    "COLMI_HRV_VALUE_SAMPLE": "VALUE INTEGER NOT NULL",
}
DEVICE = (
    "CREATE TABLE DEVICE (_id INTEGER PRIMARY KEY, NAME TEXT NOT NULL, MANUFACTURER TEXT NOT NULL, IDENTIFIER TEXT NOT NULL UNIQUE,"
    " TYPE INTEGER NOT NULL, TYPE_NAME TEXT NOT NULL DEFAULT '', MODEL TEXT, ALIAS TEXT, PARENT_FOLDER TEXT)"
)
OTHERS = (
    "CREATE TABLE android_metadata (locale TEXT)",
    "CREATE TABLE USER (_id INTEGER PRIMARY KEY, NAME TEXT NOT NULL, BIRTHDAY INTEGER NOT NULL, GENDER INTEGER NOT NULL)",
    (
        "CREATE TABLE BATTERY_LEVEL (TIMESTAMP INTEGER NOT NULL, DEVICE_ID INTEGER NOT NULL, LEVEL INTEGER NOT NULL,"
        " BATTERY_INDEX INTEGER NOT NULL, PRIMARY KEY (TIMESTAMP, DEVICE_ID, BATTERY_INDEX) ON CONFLICT REPLACE) WITHOUT ROWID"
    ),
    (
        "CREATE TABLE BASE_ACTIVITY_SUMMARY (_id INTEGER PRIMARY KEY, NAME TEXT, START_TIME INTEGER NOT NULL, END_TIME INTEGER NOT NULL,"
        " ACTIVITY_KIND INTEGER NOT NULL, BASE_LONGITUDE INTEGER, BASE_LATITUDE INTEGER, BASE_ALTITUDE INTEGER, GPX_TRACK TEXT,"
        " RAW_DETAILS_PATH TEXT, DEVICE_ID INTEGER NOT NULL, USER_ID INTEGER NOT NULL, SUMMARY_DATA TEXT, RAW_SUMMARY_DATA BLOB)"
    ),
)
BAND = {"_id": 1, "NAME": "Band", "MANUFACTURER": "Huami", "IDENTIFIER": "AA:BB:CC:00:00:01", "TYPE": 14, "TYPE_NAME": "MIBAND3"}

Rows = Iterable[Mapping[str, Any]]


def database(path: Path, tables: Mapping[str, Rows], devices: Sequence[Mapping[str, Any]] = (BAND,)) -> Path:
    """A database with all tables of the app; rows have DEVICE_ID 1 and USER_ID 1 unless they say otherwise."""
    with closing(sqlite3.connect(path)) as connection:
        for table, columns in SAMPLES.items():
            connection.execute(
                f"CREATE TABLE {table} (TIMESTAMP INTEGER NOT NULL, DEVICE_ID INTEGER NOT NULL, USER_ID INTEGER NOT NULL, {columns},"
                " PRIMARY KEY (TIMESTAMP, DEVICE_ID) ON CONFLICT REPLACE) WITHOUT ROWID"
            )
        for statement in (DEVICE, *OTHERS):
            connection.execute(statement)
        for device in devices:
            insert(connection, "DEVICE", device)
        for table, rows in tables.items():
            for row in rows:
                insert(connection, table, {"DEVICE_ID": 1, "USER_ID": 1, **row} if table in SAMPLES else row)
        connection.commit()
    return path


def insert(connection: sqlite3.Connection, table: str, row: Mapping[str, Any]) -> None:
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))


def minute(at: int, kind: int = 1, heart_rate: int = 255, steps: int = 0, **more: Any) -> dict[str, Any]:
    return {"TIMESTAMP": at, "RAW_INTENSITY": 20, "STEPS": steps, "RAW_KIND": kind, "HEART_RATE": heart_rate, **more}


def zepp_block(midnight: int, first: int, last: int, periods: Sequence[tuple[int, int, int]], score: int = 80) -> bytes:
    """The DATA of a HUAMI_SLEEP_SESSION_SAMPLE."""
    data = bytearray(0x56)
    data[0x04:0x08] = midnight.to_bytes(4, "little")
    data[0x0A:0x0C] = first.to_bytes(2, "little")
    data[0x0C:0x0E] = last.to_bytes(2, "little")
    data[0x16], data[0x54] = score, len(periods)
    for start, end, kind in periods:
        data += start.to_bytes(2, "little") + end.to_bytes(2, "little") + bytes([kind])
    return bytes(data)
