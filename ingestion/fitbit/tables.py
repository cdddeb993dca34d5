"""The files of a Fitbit export that are read, told by their names: dates, numbers and "(1)" of copies do not count, folders neither.

Two files of one header mean different things (`heart_rate` and `daily_resting_heart_rate`), so the header alone cannot tell.
"""

from __future__ import annotations

import posixpath
import re
from typing import NamedTuple

_TAIL = re.compile(r"[\s\-_().\d]+$")


class Table(NamedTuple):
    """One kind of file."""

    name: str
    """`csv.steps`: a record's `table`."""
    stamp: str
    """Where a record says its time."""
    values: tuple[str, ...] = ()
    """Columns of a CSV of which each must be there; alternatives are separated by `|`."""
    identity: tuple[str, ...] = ()
    """What tells two records of one time apart, or the vendor's id."""
    by_id: bool = False
    """Whether `identity` alone tells records apart, whatever their time."""
    by_day: bool = False
    """Whether the stamp names a local day, whatever clock time and zone it is written with."""
    series: bool = False
    """Whether the records follow each other in time: an hour told twice in autumn is then two."""


def table_of(path: str) -> Table | None:
    """The table a file of this name holds; None when nothing here reads it."""
    return _TABLES.get(stem(path))


def stem(path: str) -> str:
    """`Takeout/…/Minute SpO2 - 2020-09-01.csv` → `minute spo.csv`; how a kind of file is named, and told when it is not read."""
    name = posixpath.basename(path.replace("\\", "/")).lower()
    base, dot, extension = name.rpartition(".")
    return f"{_TAIL.sub('', base) or base}.{extension}" if dot else name


_SOURCE = ("data source",)
_TABLES = {
    "heart_rate.json": Table("json.heart_rate", "dateTime", series=True),
    "steps.json": Table("json.steps", "dateTime", series=True),
    "distance.json": Table("json.distance", "dateTime", series=True),
    "resting_heart_rate.json": Table("json.resting_heart_rate", "dateTime", by_day=True),
    "sleep.json": Table("json.sleep", "startTime", identity=("logId",), by_id=True),
    "weight.json": Table("json.weight", "date", identity=("logId",), by_id=True),
    "heart_rate.csv": Table("csv.heart_rate", "timestamp", ("beats per minute",), _SOURCE),
    "steps.csv": Table("csv.steps", "timestamp", ("steps",), _SOURCE),
    "distance.csv": Table("csv.distance", "timestamp", ("distance",), _SOURCE),
    "active_energy_burned.csv": Table("csv.active_energy_burned", "timestamp", ("calories|kcal|active energy burned",), _SOURCE),
    "daily_resting_heart_rate.csv": Table(
        "csv.daily_resting_heart_rate", "timestamp", ("beats per minute",), _SOURCE, by_day=True
    ),
    "weight.csv": Table("csv.weight", "timestamp", ("weight grams",), _SOURCE),
    "body_fat.csv": Table("csv.body_fat", "timestamp", ("body fat percentage|fat percentage",), _SOURCE),
    "core_body_temperature.csv": Table("csv.core_body_temperature", "timestamp", ("temperature celsius",), _SOURCE),
    "heart_rate_variability.csv": Table(
        "csv.heart_rate_variability", "timestamp", ("root mean square of successive differences milliseconds",), _SOURCE
    ),
    "daily_heart_rate_variability.csv": Table(
        "csv.daily_heart_rate_variability", "timestamp", ("average heart rate variability milliseconds",), _SOURCE, by_day=True
    ),
    "oxygen_saturation.csv": Table("csv.oxygen_saturation", "timestamp", ("oxygen saturation percentage",), _SOURCE),
    "daily_oxygen_saturation.csv": Table(
        "csv.daily_oxygen_saturation", "timestamp", ("average percentage",), _SOURCE, by_day=True
    ),
    "daily_respiratory_rate.csv": Table("csv.daily_respiratory_rate", "timestamp", ("breaths per minute",), _SOURCE, by_day=True),
    "minute spo.csv": Table("csv.minute_spo2", "timestamp", ("value",)),
    "daily spo.csv": Table("csv.daily_spo2", "timestamp", ("average_value",), by_day=True),
    "heart rate variability details.csv": Table("csv.hrv_details", "timestamp", ("rmssd",)),
    "daily heart rate variability summary.csv": Table("csv.daily_hrv_summary", "timestamp", ("rmssd",), by_day=True),
    "daily respiratory rate summary.csv": Table(
        "csv.daily_respiratory_rate_summary", "timestamp", ("daily_respiratory_rate",), by_day=True
    ),
    "sleep_score.csv": Table("csv.sleep_score", "timestamp", ("overall_score",), ("sleep_log_entry_id",), by_id=True),
    "usersleepscores.csv": Table(
        "csv.user_sleep_scores", "score_time", ("sleep_id", "overall_score"), ("sleep_score_id", "sleep_id"), by_id=True
    ),
    "usersleeps.csv": Table("csv.user_sleeps", "sleep_start", ("sleep_id", "sleep_end"), ("sleep_id",), by_id=True),
    "usersleepstages.csv": Table(
        "csv.user_sleep_stages", "sleep_stage_start", ("sleep_id", "sleep_stage_type", "sleep_stage_end"), ("sleep_id",)
    ),
}
