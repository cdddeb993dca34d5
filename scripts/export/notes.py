"""What a person should know of single readings: the flags of validation, by reading."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from config.metrics import KINDS
from config.tables import read_batches
from scripts.export.holdings import Holdings
from scripts.export.readings import Measurement, Reading

_COLUMNS = ["metric", "start", "end", "scope", "source", "raw_id", "flags"]
_Key = tuple[str, int, int, str, str, str]


class Notes:
    """The flags of every reading that has any; few have."""

    def __init__(self, holdings: Holdings) -> None:
        self._flags: dict[_Key, list[str]] = {}
        for kind in KINDS:
            path = holdings.path(f"processed/validated/{kind}.parquet")
            for batch in read_batches(path, _COLUMNS) if path else ():
                flagged = batch.filter(pc.greater(pc.list_value_length(batch.column("flags")), 0))
                columns = [flagged.column(name) for name in _COLUMNS]
                for at in (1, 2):
                    columns[at] = columns[at].cast(pa.int64())
                for *key, flags in zip(*(column.to_pylist() for column in columns), strict=True):
                    self._flags[tuple(key)] = flags

    def of(self, measured: Measurement) -> list[str]:
        """Each flag of its readings once."""
        return list(dict.fromkeys(flag for reading in measured.readings.values() for flag in self._of(reading)))

    def _of(self, r: Reading) -> Iterable[str]:
        return self._flags.get((r.metric, r.start, r.end, r.scope, r.source, r.raw_id), ())
