"""One measurement stands in several streams of a Google Fit export; per metric and local day the best telling is believed, never a sum.

Google's own merged stream first, then what it derived, then what devices and apps wrote, then the quarter hours of the daily CSVs, and
last the row of the day.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from config.tables import read_batches
from config.timezones import PersonZones

COLUMNS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "windows": (("Step count", "steps"), ("Distance (m)", "distance"), ("Average heart rate (bpm)", "heart_rate")),
    "days": (
        ("Step count", "steps"),
        ("Distance (m)", "distance"),
        ("Average heart rate (bpm)", "heart_rate_mean"),
        ("Min heart rate (bpm)", "heart_rate_min"),
        ("Max heart rate (bpm)", "heart_rate_max"),
        ("Average weight (kg)", "weight"),
    ),
}
"""Table of a CSV → its columns that are metrics."""
_RANKS = {"merged": 0, "derived": 1, "raw": 2, "windows": 3, "days": 4}
_QUARTER = 900_000_000


class Tellings:
    """Knows which telling of each metric counts on each day; memory holds one number a metric and day."""

    def __init__(self, records: str, zones: PersonZones) -> None:
        """`records`: path of the records table."""
        self._zones = zones
        self._best: dict[tuple[str, date], int] = {}
        for batch in read_batches(records, ["raw_id", "source_timestamp", "status", "raw"]):
            for table, quarter in _streams(batch):
                rank, _, metric = table.partition(".")
                if metric:
                    self._note(metric, quarter, _RANKS[rank])
            for stamp, raw in _rows(batch):
                for metric in metrics_in(raw):
                    self._note(metric, stamp // _QUARTER, _RANKS[raw["table"]])

    def again(self, table: str, metric: str, stamp: int) -> bool:
        """Whether another telling of the metric is believed on the day of a record of this table. `stamp`: microseconds, UTC."""
        rank = _RANKS[table.partition(".")[0]]
        return rank > self._best.get((_family(metric), self._zones.local_date(stamp / 1_000_000)), rank)

    def _note(self, metric: str, quarter: int, rank: int) -> None:
        place = _family(metric), self._zones.local_date(quarter * 900)
        self._best[place] = min(rank, self._best.get(place, rank))


def metrics_in(raw: Mapping[str, Any]) -> list[str]:
    """The metrics of a CSV's row whose cell holds anything."""
    return [metric for column, metric in COLUMNS[raw["table"]] if str(raw.get(column, "")).strip()]


def _family(metric: str) -> str:
    """Samples of the heart and a day's mean, lowest and highest are one measurement."""
    return "heart_rate" if metric.startswith("heart_rate") else metric


def _streams(batch: pa.RecordBatch) -> Iterable[tuple[str, int]]:
    """(table, quarter hour since 1970) of the batch's valid records."""
    found = pa.table(
        {
            "table": pc.list_element(pc.split_pattern(batch.column("raw_id"), "/", max_splits=1), 0),
            "quarter": pc.divide(batch.column("source_timestamp").cast(pa.int64()), _QUARTER),
            "valid": pc.not_equal(batch.column("status"), "invalid"),
        }
    )
    groups = found.filter(pc.and_(found["valid"], pc.is_valid(found["quarter"]))).group_by(["table", "quarter"]).aggregate([])
    return zip(*(column.to_pylist() for column in groups.columns), strict=True)


def _rows(batch: pa.RecordBatch) -> Iterable[tuple[int, dict[str, Any]]]:
    """(time, record) of the batch's valid rows of CSVs."""
    ids = batch.column("raw_id")
    chosen = pc.and_(
        pc.or_(pc.starts_with(ids, "windows/"), pc.starts_with(ids, "days/")), pc.not_equal(batch.column("status"), "invalid")
    )
    rows = batch.filter(chosen)
    stamps = rows.column("source_timestamp").cast(pa.int64()).to_pylist()
    return [(s, json.loads(raw)) for s, raw in zip(stamps, rows.column("raw").to_pylist(), strict=True) if s is not None]
