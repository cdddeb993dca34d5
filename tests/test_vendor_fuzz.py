"""Whatever stands in the files of a Fitbit, Samsung Health or Google Fit export, the steps come to an end and every unit has one fate."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vendor_bench import VendorBench

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(
        ["03/29/26 02:30:00", "10/25/26 02:30:00", "2026-03-29T02:30:00", "2026-03-01", "9999-12-31T23:59:59", "0001-01-01"]
    )
    | st.sampled_from(
        ["12", "-1", "0", "1e9", "NaN", "2026-09-20 00:00:00.000", "UTC+0200", "40001", 1788508800000, "1709622000000000000"]
    )
)
_VALUES = st.recursive(
    _SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=4), v, max_size=3), max_leaves=4
)


def objects(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, _VALUES))


_HEART = objects("dateTime", "table").flatmap(
    lambda o: objects("bpm", "confidence", "date", "value").map(lambda value: {**o, "value": value})
)
_SLEEP = objects(
    "logId", "startTime", "endTime", "duration", "minutesAsleep", "minutesAwake", "type", "mainSleep", "levels", "table"
)
_POINT = objects(
    "fitValue",
    "value",
    "startTimeNanos",
    "endTimeNanos",
    "dataTypeName",
    "originDataSourceId",
    "modifiedTimeMillis",
    "table",
    "source",
)
_BIN = objects("heart_rate", "sdnn", "start_time", "end_time", "file", "table")
_CELL = _SCALARS.map(lambda v: "" if v is None else str(v).replace('"', ""))


def rows(header: str) -> st.SearchStrategy[str]:
    names = header.split(",")
    row = st.lists(_CELL, min_size=len(names), max_size=len(names)).map(lambda cells: ",".join(f'"{c}"' for c in cells))
    return st.lists(row | _CELL, max_size=5).map(lambda lines: "\n".join([header, *lines]))


_FITBIT = {
    "heart_rate-1.json": st.lists(_HEART | _VALUES, max_size=4).map(json.dumps),
    "steps-1.json": st.lists(objects("dateTime", "value"), max_size=4).map(json.dumps),
    "sleep-1.json": st.lists(_SLEEP, max_size=4).map(json.dumps),
    "weight-1.json": st.lists(objects("logId", "date", "time", "fat", "weight"), max_size=3).map(json.dumps),
    "steps_1.csv": rows("timestamp,steps,data source"),
    "sleep_score.csv": rows("sleep_log_entry_id,timestamp,overall_score"),
    "UserSleepScores_1.csv": rows("sleep_id,sleep_score_id,score_time,overall_score"),
    "UserSleeps_1.csv": rows("sleep_id,sleep_start,start_utc_offset,sleep_end,end_utc_offset,minutes_asleep,table"),
    "UserSleepStages_1.csv": rows("sleep_id,sleep_stage_type,sleep_stage_start,sleep_stage_end"),
}
_SAMSUNG = {
    "com.samsung.shealth.sleep.1.csv": rows("start_time,end_time,time_offset,datauuid,sleep_duration,sleep_score,table"),
    "com.samsung.health.sleep_stage.1.csv": rows("start_time,end_time,stage,sleep_id"),
    "com.samsung.shealth.step_daily_trend.1.csv": rows("source_type,count,distance,day_time,deviceuuid,update_time"),
    "com.samsung.shealth.blood_pressure.1.csv": rows("start_time,time_offset,systolic,diastolic,pulse"),
    "com.samsung.shealth.tracker.heart_rate.1.csv": rows("start_time,end_time,heart_rate,binning_data,datauuid"),
    "jsons/com.samsung.shealth.tracker.heart_rate/a/b.binning_data.json": st.lists(_BIN | _VALUES, max_size=4).map(json.dumps),
    "jsons/com.samsung.health.hrv/a/b.binning_data.json": st.lists(_BIN, max_size=4).map(json.dumps),
}
_FIT = {
    "All Data/a.json": st.lists(_POINT | _VALUES, max_size=4).map(
        lambda points: json.dumps({"Data Source": "raw:com.google.step_count.delta:x", "Data Points": points})
    ),
    "All Data/b.json": st.lists(_POINT, max_size=4).map(
        lambda points: json.dumps({"Data Points": points, "Data Source": "derived:com.google.sleep.segment:merged"})
    ),
    "All Sessions/x.json": objects("startTime", "endTime", "table").map(lambda o: json.dumps({"fitnessActivity": "sleep", **o})),
    "Daily activity metrics/Daily activity metrics.csv": rows("Date,Step count,Average heart rate (bpm),table"),
    "Daily activity metrics/2026-03-29.csv": rows("Start time,End time,Step count,day"),
}


@pytest.mark.parametrize(("source", "files"), [("fitbit", _FITBIT), ("samsung_health", _SAMSUNG), ("google_fit", _FIT)])
def test_nothing_in_a_file_can_stop_the_steps(source: str, files: dict[str, st.SearchStrategy[str]]) -> None:
    @settings(max_examples=40)
    @given(st.fixed_dictionaries({name: content | st.text(max_size=30) for name, content in files.items()}))
    def steps(export: dict[str, str]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            read = VendorBench(source, Path(folder)).read({k: v.encode("utf-8", "replace") for k, v in export.items()})
            assert sum(read.ends.values()) == len(read.records)

    steps()
