"""Databases of any size as phones export them: Gadgetbridge by the minute, and Health Connect's backup."""

from __future__ import annotations

import sqlite3
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bench.sources_data import ZONE, day_of, midnight
from tests.gadgetbridge_exports import database, insert
from tests.health_connect_exports import backup, instant, interval

MINUTES_A_DAY = 1_440
_STEPS_A_DAY, _HOURS = 300, 24
_STAGES = (5, 4, 6, 4, 1, 4)
_NIGHT = 7 * 3600


def gadgetbridge(path: Path, days: int) -> int:
    """A database with every minute of so many days, nights told by the minute as Huami's bands do; gives the number of minutes."""
    path.unlink(missing_ok=True)
    database(path, {})
    with closing(sqlite3.connect(path)) as connection:
        for number in range(days):
            begins = midnight(number)
            stress = (((begins + m * 300) * 1000, 1, 1, 0, 20 + (number + m) % 50) for m in range(288))
            oxygen = (((begins + m * 3600) * 1000, 1, 1, 0, 94 + (number + m) % 5) for m in range(24))
            resting = ((begins + 25_200) * 1000, 1, 1, 3_600_000, 55 + number % 8)
            connection.executemany(_insert("HUAMI_EXTENDED_ACTIVITY_SAMPLE", 11), _minutes(number, begins))
            connection.executemany(_insert("HUAMI_STRESS_SAMPLE", 5), stress)
            connection.executemany(_insert("HUAMI_SPO2_SAMPLE", 5), oxygen)
            connection.execute(_insert("HUAMI_HEART_RATE_RESTING_SAMPLE", 5), resting)
        connection.commit()
    return days * MINUTES_A_DAY


def _minutes(number: int, begins: int) -> Iterator[tuple[int, ...]]:
    for minute in range(MINUTES_A_DAY):
        asleep = 20 <= minute < 440
        off = number % 3 == 0 and 1_080 <= minute < 1_120
        kind = 120 if asleep else 115 if off else 1 + 63 * (minute % 97 == 0)
        beats = 255 if off or minute % 29 == 0 else 52 + (number * 3 + minute * 7) % (15 if asleep else 61)
        steps = 0 if asleep or off or minute % 4 else (number + minute) % 90
        deep, rem = (128 + 60 if asleep and minute % 90 < 20 else 0), (128 + 70 if asleep and 60 <= minute % 90 < 80 else 0)
        yield begins + minute * 60, 1, 1, minute % 120, steps, kind, beats, 0, 100 * asleep, deep, rem


def health_connect(path: Path, days: int) -> int:
    """A zipped backup with so many days of a phone, a watch and a cuff; gives the number of records and of series' samples."""
    made = path.with_suffix(".db")
    made.unlink(missing_ok=True)
    backup(made, {})
    with closing(sqlite3.connect(made)) as connection:
        for number in range(days):
            _day(connection, number, midnight(number))
        connection.commit()
    info = zipfile.ZipInfo("health_connect_export.db", (2025, 1, 1, 0, 0, 0))
    info.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(path, "w", compresslevel=1) as archive, archive.open(info, "w") as sink, made.open("rb") as data:
        while block := data.read(1 << 20):
            sink.write(block)
    made.unlink()
    return days * (_STEPS_A_DAY + _HOURS + MINUTES_A_DAY + 3)


def _day(connection: sqlite3.Connection, number: int, begins: int) -> None:
    offset = _offset(number)
    for at in range(_STEPS_A_DAY):
        start = begins + 25_200 + at * 180
        walked = interval(start, start + 60, offset, count=5 + (number + at * 7) % 150)
        _record(connection, "steps_record_table", number * _STEPS_A_DAY + at, walked, app=1)
    for hour in range(_HOURS):
        start = begins + hour * 3600
        series = interval(start, start + 3_599, offset)
        key = _record(connection, "heart_rate_record_table", number * _HOURS + hour, series, app=2)
        beats = ((key, 52 + (number * 3 + hour * 11 + m * 7) % 61, (start + m * 60) * 1000) for m in range(60))
        connection.executemany("INSERT INTO heart_rate_record_series_table VALUES (?, ?, ?)", beats)
    asleep = begins + 600
    key = _record(connection, "sleep_session_record_table", number, interval(asleep, asleep + _NIGHT, offset), app=2)
    ends = [(asleep + n * _NIGHT // 21) * 1000 for n in range(22)]
    stages = ((key, ends[n], ends[n + 1], _STAGES[n % 6]) for n in range(21))
    connection.executemany("INSERT INTO sleep_stages_table VALUES (?, ?, ?, ?)", stages)
    pressure = instant(begins + 26_000, offset, systolic=112.0 + number % 23, diastolic=70.0 + number % 17)
    _record(connection, "blood_pressure_record_table", number, pressure, app=3)
    weight = instant(begins + 25_500, offset, weight=71_000.0 + number % 40 * 100)
    _record(connection, "weight_record_table", number, weight, app=3)


def _record(connection: sqlite3.Connection, table: str, number: int, columns: Mapping[str, Any], app: int) -> int:
    """Insert a record that every backup knows by the same `uuid`; gives its `row_id`."""
    uuid = table.encode()[:8] + number.to_bytes(8, "big")
    row = {"uuid": uuid, "last_modified_time": 1_700_000_000_000, "app_info_id": app, "device_info_id": 2, **columns}
    insert(connection, table, row)
    return int(connection.execute("SELECT last_insert_rowid()").fetchone()[0])


def _offset(number: int) -> int:
    found = datetime.combine(day_of(number), time(12), ZoneInfo(ZONE)).utcoffset() or timedelta()
    return int(found.total_seconds())


def _insert(table: str, columns: int) -> str:
    return f"INSERT OR REPLACE INTO {table} VALUES ({', '.join('?' * columns)})"
