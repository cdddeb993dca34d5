"""One measurement stands in a Fitbit export up to three times; per kind and local day one of the tellings is believed, never a sum.

The CSV first: its stamps know their zone and each row names what measured it. Then the JSON twin. Rows that came to Fitbit from Health
Connect (their source ends so) are a copy of what another app wrote; they count only on days on which nothing else tells the kind.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from config.tables import read_batches
from config.timezones import PersonZones
from processing.normalizers.bulk import beginnings, local_days
from processing.normalizers.hashes import buffers
from processing.normalizers.newest import Row, picked

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
_KINDS = sorted({kind for kind, _ in _KIND.values()})
_COPY = "health connect"
_COPIES_LAST = 10
_WORST = 100
_EPOCH = date(1970, 1, 1)
_QUARTER = 900_000_000


class Twins:
    """Knows which telling of each kind counts on each day; memory holds one number a kind and day."""

    def __init__(self, records: str, zones: PersonZones) -> None:
        """`records`: path of the records table; only ids and times are read."""
        self._zones = zones
        self._best: dict[tuple[str, int], int] = {}
        seen: set[tuple[str, bool, int]] = set()
        for batch in read_batches(records, ["raw_id", "source_timestamp", "status"], threads=False):
            seen |= _tellings(batch)
        told = sorted((quarter, *_KIND[table], copied) for table, copied, quarter in seen if table in _KIND)
        days = local_days(zones, np.array([quarter for quarter, *_ in told], np.int64) * _QUARTER)
        for (_, kind, rank, copied), day in zip(told, days.tolist(), strict=True):
            place = kind, day
            self._best[place] = min(rank + _COPIES_LAST * copied, self._best.get(place, _WORST))

    def again(self, row: Row, table: str) -> bool:
        """Whether another telling of the same kind is believed on this record's day."""
        kind, rank = _KIND.get(table, ("", 0))
        if not kind or row.stamp is None:
            return False
        rank += _COPIES_LAST * row.raw_id.lower().rstrip().endswith(_COPY)
        return rank > self._best.get((kind, (self._zones.local_date(row.stamp / 1_000_000) - _EPOCH).days), rank)

    def of_month(self, month: str) -> str:
        """What counts on the days of a UTC month (`2024-05`) and on those beside it: equal texts where the same does."""
        first = (date.fromisoformat(f"{month}-01") - _EPOCH).days
        days = range(first - 1, first + 33)
        return repr([(kind, day, self._best[kind, day]) for kind in _KINDS for day in days if (kind, day) in self._best])

    def again_many(self, table: str, raw_ids: pa.Array, days: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """The same of many records of one table. `days`: local days, since 1970, of the records."""
        kind, rank = _KIND.get(table, ("", 0))
        if not kind:
            return np.zeros(len(days), np.bool_)
        found, which = np.unique(days, return_inverse=True)
        best = [self._best.get((kind, day), _WORST) for day in found.tolist()]
        return (rank + _COPIES_LAST * _copied(raw_ids)) > np.array(best, np.int64)[which]


def _copied(raw_ids: pa.Array) -> npt.NDArray[np.bool_]:
    data, edges = buffers(raw_ids)
    last = data[edges[1:] - 1]
    maybe = np.flatnonzero((last < ord("0")) | (last > ord("9")))
    found = np.zeros(len(raw_ids), np.bool_)
    lowered = pc.utf8_rtrim_whitespace(pc.utf8_lower(picked(raw_ids, maybe)))
    found[maybe] = pc.ends_with(lowered, pattern=_COPY).to_numpy(zero_copy_only=False)
    return found


def _tellings(batch: pa.RecordBatch) -> set[tuple[str, bool, int]]:
    """(table, whether a copy, quarter hour since 1970) of the batch's valid records."""
    timed = pc.and_(pc.not_equal(batch.column("status"), "invalid"), pc.is_valid(batch.column("source_timestamp")))
    batch = batch.filter(timed)
    ids = batch.column("raw_id")
    which, tables = beginnings(ids)
    kinds = 2 * which + _copied(ids)
    quarters = batch.column("source_timestamp").cast(pa.int64()).to_numpy() // _QUARTER
    first = np.flatnonzero(np.diff(kinds, prepend=-1) | np.diff(quarters, prepend=0))
    return {(tables[k // 2], bool(k % 2), q) for k, q in zip(kinds[first].tolist(), quarters[first].tolist(), strict=True)}
