"""One measurement stands in a Fitbit export up to three times; per kind and local day one of the tellings is believed, never a sum.

The CSV first: its stamps know their zone and each row names what measured it. Then the JSON twin. Rows that came to Fitbit from Health
Connect (their source ends so) are a copy of what another app wrote; they count only on days on which nothing else tells the kind.
"""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from config.tables import read_batches
from config.timezones import PersonZones
from processing.normalizers.newest import Row

_KIND = {
    "csv.heart_rate": ("heart_rate", 0),
    "json.heart_rate": ("heart_rate", 1),
    "csv.steps": ("steps", 0),
    "json.steps": ("steps", 1),
    "csv.distance": ("distance", 0),
    "json.distance": ("distance", 1),
    "csv.active_energy_burned": ("active_energy", 0),
    "csv.daily_resting_heart_rate": ("resting_heart_rate", 0),
    "json.resting_heart_rate": ("resting_heart_rate", 1),
    "csv.weight": ("weight", 0),
    "csv.body_fat": ("body_fat", 0),
    "json.weight": ("body_fat", 1),
    "csv.core_body_temperature": ("body_temperature", 0),
    "csv.hrv_details": ("hrv", 0),
    "csv.heart_rate_variability": ("hrv", 1),
    "csv.daily_hrv_summary": ("daily_hrv", 0),
    "csv.daily_heart_rate_variability": ("daily_hrv", 1),
    "csv.minute_spo2": ("spo2", 0),
    "csv.oxygen_saturation": ("spo2", 1),
    "csv.daily_spo2": ("daily_spo2", 0),
    "csv.daily_oxygen_saturation": ("daily_spo2", 1),
    "csv.daily_respiratory_rate_summary": ("daily_respiratory_rate", 0),
    "csv.daily_respiratory_rate": ("daily_respiratory_rate", 1),
}
"""Table → kind, and how well it is believed (0 first)."""
_COPY = "health connect"
_COPIES_LAST = 10
_QUARTER = 900_000_000


class Twins:
    """Knows which telling of each kind counts on each day; memory holds one number a kind and day."""

    def __init__(self, records: str, zones: PersonZones) -> None:
        """`records`: path of the records table; only ids and times are read."""
        self._zones = zones
        self._best: dict[tuple[str, date], int] = {}
        seen: set[tuple[str, bool, int]] = set()
        for batch in read_batches(records, ["raw_id", "source_timestamp", "status"]):
            seen |= _tellings(batch)
        for table, copied, quarter in seen:
            if table in _KIND:
                kind, rank = _KIND[table]
                place = kind, zones.local_date(quarter * 900)
                rank += _COPIES_LAST * copied
                self._best[place] = min(rank, self._best.get(place, rank))

    def again(self, row: Row, table: str) -> bool:
        """Whether another telling of the same kind is believed on this record's day."""
        kind, rank = _KIND.get(table, ("", 0))
        if not kind or row.stamp is None:
            return False
        rank += _COPIES_LAST * row.raw_id.lower().rstrip().endswith(_COPY)
        return rank > self._best.get((kind, self._zones.local_date(row.stamp / 1_000_000)), rank)


def _tellings(batch: pa.RecordBatch) -> set[tuple[str, bool, int]]:
    """(table, whether a copy, quarter hour since 1970) of the batch's valid records."""
    ids = batch.column("raw_id")
    lowered = pc.utf8_rtrim_whitespace(pc.utf8_lower(ids))
    found = pa.table(
        {
            "table": pc.list_element(pc.split_pattern(ids, "/", max_splits=1), 0),
            "copied": pc.ends_with(lowered, pattern=_COPY),
            "quarter": pc.divide(batch.column("source_timestamp").cast(pa.int64()), _QUARTER),
            "valid": pc.not_equal(batch.column("status"), "invalid"),
        }
    )
    groups = found.filter(pc.and_(found["valid"], pc.is_valid(found["quarter"]))).group_by(["table", "copied", "quarter"])
    return set(zip(*(column.to_pylist() for column in groups.aggregate([]).columns), strict=True))
