"""The smallest good export of each of the ten vendors' sources: one file, one measurement, as the vendor writes it."""

from __future__ import annotations

import functools
import json
import tempfile
from pathlib import Path
from typing import Literal, NamedTuple

from tests.every_vendor import NOON, SAMSUNG
from tests.gadgetbridge_exports import BAND, database, minute
from tests.health_connect_exports import backup, instant

OMRON = "Date,Time,Systolic (mmHg),Diastolic (mmHg),Pulse (bpm),Symptoms,Consumed,TruRead,Notes\n"
SOURCES = (
    "zepp_life",
    "gadgetbridge",
    "apple_health",
    "health_connect",
    "omron",
    "withings",
    "fitbit",
    "garmin",
    "samsung_health",
    "google_fit",
)


class Export(NamedTuple):
    """One file of an export."""

    name: str
    data: bytes
    kind: Literal["csv", "json", "sqlite", "xml"]


@functools.cache
def export(source: str, note: str = "") -> Export:
    """A good file of a source; `note` stands in a text of it that nobody reads."""
    name, kind = _FILES[source]
    if kind == "sqlite":
        return Export(name, _database(source, note), kind)
    text = _TEXTS[source].replace("NOTE", note)
    return Export(name, text.encode(), kind)


def _database(source: str, note: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "made.db")
        if source == "gadgetbridge":
            database(path, {"XIAOMI_ACTIVITY_SAMPLE": [minute(NOON, heart_rate=61)]}, [BAND | {"PARENT_FOLDER": note}])
        else:
            night = {"start_time": NOON * 1000, "end_time": (NOON + 3600) * 1000, "notes": note}
            backup(path, {"weight_record_table": [instant(NOON, weight=80_000.0)], "sleep_session_record_table": [night]})
        return path.read_bytes()


_FILES: dict[str, tuple[str, Literal["csv", "json", "sqlite", "xml"]]] = {
    "zepp_life": ("1234567890_1741000000000/BODY/BODY_1741000000000.csv", "csv"),
    "gadgetbridge": ("Gadgetbridge.db", "sqlite"),
    "apple_health": ("apple_health_export/export.xml", "xml"),
    "health_connect": ("health_connect_export.db", "sqlite"),
    "omron": ("Report from Mar 01 2025.csv", "csv"),
    "withings": ("bp.csv", "csv"),
    "fitbit": ("Takeout/Fitbit/Global Export Data/heart_rate-2025-03-01.json", "json"),
    "garmin": ("DI_CONNECT/DI-Connect-Wellness/UDSFile_2025-03-01.json", "json"),
    "samsung_health": ("samsunghealth_me_20250302/com.samsung.shealth.blood_pressure.20250302101500.csv", "csv"),
    "google_fit": ("Takeout/Fit/All Data/raw_com.google.heart_rate.bpm.json", "json"),
}
_TEXTS = {
    "zepp_life": (
        "\ufefftime,weight,height,bmi,fatRate,bodyWaterRate,boneMass,metabolism,muscleRate,visceralFat\n"
        "2025-03-01 08:00:00+0000,75.5,175.0,24.6,null,54.0,3.6,1898.0,nullNOTE,13.0\n"
    ),
    "apple_health": (
        '<?xml version="1.0" encoding="UTF-8"?>\n<HealthData locale="en_GB">\n <ExportDate value="2025-03-02 10:00:00 +0100"/>\n'
        ' <Record type="HKQuantityTypeIdentifierHeartRate" sourceName="WatchNOTE" unit="count/min" creationDate="2025-03-01 12:00:01'
        ' +0100" startDate="2025-03-01 12:00:00 +0100" endDate="2025-03-01 12:00:00 +0100" value="61"/>\n</HealthData>\n'
    ),
    "omron": OMRON + "Mar 01 2025,08:15,128,82,64,-,-,Off,okNOTE\n",
    "withings": 'Date,"Heart rate",Systolic,Diastolic,Comments\n"2025-03-01 08:15:00",64,128,82,okNOTE\n',
    "fitbit": json.dumps([{"dateTime": "03/01/25 08:00:02", "value": {"bpm": 61, "confidence": 3}, "device": "WatchNOTE"}]),
    "garmin": json.dumps(
        [
            {
                "calendarDate": "2025-03-01",
                "totalSteps": 8000,
                "restingHeartRate": 55,
                "totalKilocalories": 2000.0,
                "source": "NOTE",
            }
        ]
    ),
    "samsung_health": SAMSUNG.replace("datauuid,\n", "datauuid,com.samsung.health.blood_pressure.comment,\n").replace(
        "555555555555,\n", "555555555555,okNOTE,\n"
    ),
    "google_fit": json.dumps(
        {
            "Data Source": "raw:com.google.heart_rate.bpm:com.acme:Watch",
            "Data Points": [
                {
                    "fitValue": [{"value": {"fpVal": 61.0}}],
                    "originDataSourceId": "NOTE",
                    "startTimeNanos": f"{NOON}000000000",
                    "endTimeNanos": f"{NOON}000000000",
                    "dataTypeName": "com.google.heart_rate.bpm",
                }
            ],
        }
    ),
}
