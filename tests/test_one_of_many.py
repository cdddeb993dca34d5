"""From the inbox to `trace`: one night, one hour of heart rate and one blood pressure, each in the exports of several vendors, count once,
by the order of sources that is set, and what lost is shown beside what it lost to."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from processing.aggregators.fates import DUPLICATE, LOWER_PRIORITY
from scripts.trace import trace
from tests.apple_health_exports import WINTER, pressure, sleep
from tests.apple_health_exports import export as apple
from tests.cli_bench import opened, run
from tests.gadgetbridge_exports import database, minute
from tests.health_connect_exports import backup, interval
from tests.vendor_exports import OMRON

DAY = "2025-03-01"
EVENING, MORNING, NOON = 1_740_780_000, 1_740_805_200, 1_740_830_400
"""Of the night and of the hour of heart beats: 22:00 and 05:00 UTC, 12:00 UTC."""
SLEEPERS = ("zepp_life", "health_connect")
OWN = {"sleep": ["zepp_life"], "blood_pressure": ["omron"], "heart_rate": ["gadgetbridge"]}
NIGHT = {
    "logId": 1,
    "dateOfSleep": DAY,
    "startTime": "2025-02-28T23:00:00.000",
    "endTime": "2025-03-01T06:00:00.000",
    "duration": 25_200_000,
    "minutesAsleep": 400,
    "minutesAwake": 20,
    "timeInBed": 420,
    "type": "stages",
    "mainSleep": True,
    "levels": {"summary": {"deep": {"minutes": 60}, "light": {"minutes": 250}, "rem": {"minutes": 90}, "wake": {"minutes": 20}}},
}
BEATS = [{"dateTime": f"03/01/25 13:{m:02}:00", "value": {"bpm": 61, "confidence": 3}} for m in range(60)]
TEXTS = {
    "apple_health/export.xml": apple(
        sleep("AsleepCore", "2025-02-28 22:00", "2025-03-01 04:00", offset=WINTER),
        sleep("AsleepDeep", "2025-03-01 04:00", "2025-03-01 05:00", offset=WINTER),
        pressure("128", "82", "2025-03-01 07:15", offset=WINTER),
        exported="2025-03-02 08:00",
        offset=WINTER,
    ),
    "fitbit/Takeout/Fitbit/Global Export Data/sleep-2025-03-01.json": json.dumps([NIGHT]),
    "fitbit/Takeout/Fitbit/Global Export Data/heart_rate-2025-03-01.json": json.dumps(BEATS),
    "zepp_life/1_1741000000000/SLEEP/SLEEP_1741000000000.csv": (
        "\ufeffdate,deepSleepTime,shallowSleepTime,wakeTime,start,stop,REMTime,naps\n"
        "2025-03-01,60,310,0,2025-02-28 22:00:00+0000,2025-03-01 04:50:00+0000,40,\n"
    ),
    "google_sheets/log.csv": "Date,Time,SYS,DIA,Pulse\n2025-03-01,08:15,128,82,64\n",
    "omron/report.csv": OMRON + "Mar 01 2025,08:15,128,82,64,-,-,Off,-\n",
    "withings/bp.csv": 'Date,"Heart rate",Systolic,Diastolic,Comments\n"2025-03-01 08:15:20",64,128,82,\n',
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with the eight exports in its inbox."""
    root = tmp_path_factory.mktemp("many") / "data"
    for name, text in TEXTS.items():
        path = root / "inbox" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for source in ("gadgetbridge", "health_connect"):
        (root / "inbox" / source).mkdir()
    minutes = [minute(NOON + 60 * m, heart_rate=71) for m in range(60)]
    database(root / "inbox/gadgetbridge/Gadgetbridge.db", {"XIAOMI_ACTIVITY_SAMPLE": minutes})
    night = interval(EVENING + 300, MORNING)
    light = {"parent_key": 1, "stage_start_time": night["start_time"], "stage_end_time": night["end_time"], "stage_type": 4}
    backup(root / "inbox/health_connect/export.db", {"sleep_session_record_table": [night], "sleep_stages_table": [light]})
    return root


class Cell:
    """What `trace` tells of a cell."""

    def __init__(self, data: Path, metric: str) -> None:
        told = trace(opened(data, TIMEZONE="Europe/Warsaw"), Namespace(date=DAY, metric=metric)).data
        self.value = told["value"]
        self.used = {r["source"] for r in told["readings"] if r["used"]}
        self.lost: dict[str, Any] = {
            r["source"]: (r["fate"], r.get("counted_instead", {}).get("source")) for r in told["readings"] if not r["used"]
        }


@pytest.mark.parametrize("own", [{}, OWN], ids=["as it comes", "as the person says"])
def test_a_night_an_hour_and_a_measurement_told_by_several_vendors_count_once(data: Path, own: dict[str, list[str]]) -> None:
    done = run(data, "--until-stage", "merge", "--jobs", "1", TIMEZONE="Europe/Warsaw", SOURCE_PRIORITY=json.dumps(own))
    assert done.returncode == 0, done.stdout + done.stderr
    night, beats, high, count = (Cell(data, name) for name in ("total_duration", "avg_hr", "systolic", "bp_readings"))
    cuff = "omron" if own else "google_sheets"
    slept, worn = ("zepp_life", "gadgetbridge") if own else ("health_connect", "fitbit")
    assert (night.value, night.used) == ({"zepp_life": 410, "health_connect": 415}[slept], {slept})
    assert {s for s, (fate, _) in night.lost.items() if fate == LOWER_PRIORITY} == {"apple_health", "fitbit", *SLEEPERS} - {slept}
    assert (beats.value, beats.used) == ({"gadgetbridge": 71, "fitbit": 61}[worn], {worn})
    assert beats.lost == {"fitbit" if own else "gadgetbridge": (LOWER_PRIORITY, None)}
    assert (high.value, high.used, count.value) == (128, {cuff}, 1)
    assert high.lost == dict.fromkeys({"omron", "google_sheets", "withings", "apple_health"} - {cuff}, (DUPLICATE, cuff))
