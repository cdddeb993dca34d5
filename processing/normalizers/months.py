"""Months of records that are as they were when the normalizer last ran: what came of them then is taken over, not made again.

Only of bulk records, whose readings follow from each of them alone, and only where all of a month's were used or passed over in silence:
a refused record is listed with the place it stands at, which a re-export moves, and a superseded one depends on revisions.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from config.stage import File, Inputs, Outputs, Report
from config.tables import MONTHS, write_table
from processing.normalizers.building import Normalized
from processing.normalizers.bulk import LISTED, Columnar, months
from processing.readings import WORDS, is_word, numbers

_MOVING = (LISTED, "superseded", "")
"""What makes a month be made again each time: a row of `rejected`, an older revision, a fate that hangs on other records."""
_NOTED = (pa.field("said", pa.string(), nullable=False), pa.field("fates", pa.string()), pa.field("notes", pa.binary()))
_MADE = pa.schema([*MONTHS, *_NOTED])


class _Month(NamedTuple):
    """A month's records, and what came of the bulk of them."""

    rows: int
    digest: bytes
    said: str
    """A digest of what the source says of the month besides its records."""
    fates: dict[str, int] | None = None
    """Fate → bulk records; None where they are to be made again."""
    notes: bytes | None = None
    """What the source noted of the bulk records for itself."""


def _nothing(_: str) -> str:
    return ""


class Months:
    """The months of one run. Reads role `months` of the records step; writes role `months`, for the run after this one."""

    def __init__(self, inputs: Inputs, outputs: Outputs, said: Callable[[str], str] = _nothing) -> None:
        """`said`: on what else than its records a month's readings depend (`YYYY-MM` → a text, equal when nothing has changed)."""
        counted = _read(inputs.one("months")) if "months" in inputs.roles() else {}
        now = {month: row._replace(said=_digest(said(month))) for month, row in counted.items()}
        made, self._readings = outputs.before("months"), outputs.before("readings")
        before = _read(made) if made and self._readings else {}
        self._outputs = outputs
        self._now = {month: _known(row, before.get(month)) for month, row in now.items()}
        self.kept = frozenset(month for month, row in self._now.items() if row.fates is not None)
        """Months whose bulk records need not be read."""

    def notes(self) -> dict[str, bytes]:
        """What was noted of the months kept, where anything was."""
        return {month: notes for month in self.kept if (notes := self._now[month].notes) is not None}

    def take_over(self, out: Normalized, source: Columnar) -> None:
        """Give `out` the readings and fates of the months kept."""
        for month in self.kept:
            out.fates.update(self._now[month].fates)
        if not self.kept or self._readings is None:
            return
        kept = np.array(sorted(self.kept), "datetime64[M]")
        with pq.ParquetFile(self._readings.path, read_dictionary=list(WORDS)) as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, use_threads=False)
                mask = np.isin(months(numbers(table, "start")), kept) & source.bulk(table["raw_id"].combine_chunks())
                mask &= ~is_word(table, "scope", "session")  # a session told by bulk records goes by the name of one of them
                out.take_over(table if mask.all() else table.filter(pa.array(mask)))

    def written(self, report: Report, told: Mapping[tuple[str, str], int], notes: Mapping[str, bytes] | None = None) -> Report:
        """Write what the next run is to know; gives the report with the months made and kept. `told`: (month, fate) → records made now;
        `notes`: by month, all of them."""
        fates: dict[str, Counter[str]] = {}
        for (month, fate), records in told.items():
            fates.setdefault(month, Counter())[fate] += records
        rows = []
        for month, row in sorted(self._now.items()):
            found = row.fates if month in self.kept else _lasting(fates.get(month, Counter()))
            text = None if found is None else json.dumps(found, sort_keys=True)
            rows.append((month, row.rows, row.digest, row.said, text, notes.get(month) if notes else None))
        columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in _MADE]
        with self._outputs.open("months") as sink:
            write_table(sink, pa.table(columns, schema=_MADE), _MADE)
        return {**report, "months": {"made": len(self._now) - len(self.kept), "kept": len(self.kept)}}


def _known(now: _Month, before: _Month | None) -> _Month:
    """The month with what came of it when it was the very same; with nothing when it was not."""
    same = before is not None and before[:3] == now[:3]
    return now._replace(fates=before.fates, notes=before.notes) if same and before else now


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest() if text else ""


def _lasting(fates: Counter[str]) -> dict[str, int] | None:
    return None if any(fates[fate] for fate in _MOVING) else {fate: n for fate, n in fates.items() if n}


def _read(file: File) -> dict[str, _Month]:
    """The months of a table; records without a time are of none."""
    rows: list[dict[str, Any]] = pq.read_table(file.path).to_pylist()
    return {
        row["month"]: _Month(
            row["rows"], row["digest"], row.get("said", ""), json.loads(row.get("fates") or "null"), row.get("notes")
        )
        for row in rows
        if row["month"] is not None
    }
