"""Parquet objects of events → records, one an event, by its id: an event that several objects hold counts once.

A row's `raw` is the event's JSON text as it was sent; an object without that column gives the event of the others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from config.errors import SourceRefused
from config.events import FIELDS, REQUIRED
from config.stage import File, Inputs, Outputs, Report
from ingestion.event_records import record_of
from ingestion.records import Parsed, collect

SCHEMA = str(Path(__file__).with_name("schema.json"))
_BATCH = 2_000


def records(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `raw` → roles `records`, `dead_letters`, `months`."""
    return collect(inputs, outputs, settings, parse, SCHEMA)


def parse(file: File, settings: Mapping[str, Any]) -> Iterator[Parsed]:  # noqa: ARG001  every source's parse has these two
    """The events of one object, a batch of rows at a time. SourceRefused for one that cannot be read, or that holds none."""
    try:
        with pq.ParquetFile(file.path, pre_buffer=False) as table:
            yield from _events(table)
    except (pa.ArrowException, OSError) as error:
        raise SourceRefused("The file is no Parquet file, or is damaged.", "Send its events again.", "not_parquet") from error


def _events(table: pq.ParquetFile) -> Iterator[Parsed]:
    names = [name for name in (*FIELDS, "raw") if name in table.schema_arrow.names]
    if "raw" not in names and not set(REQUIRED) <= set(names):
        raise SourceRefused("The file holds no events.", "See docs/events.md for its columns.", "unknown_layout")
    wanted = ["raw"] if "raw" in names else names
    number = 0
    for batch in table.iter_batches(batch_size=_BATCH, columns=wanted, use_threads=False):
        for row in batch.to_pylist():
            number += 1
            text = row["raw"] if "raw" in row else json.dumps({name: _plain(value) for name, value in row.items()})
            yield record_of(text if isinstance(text, bytes) else str(text).encode(errors="replace"), f"row {number}")


def _plain(value: Any) -> Any:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
