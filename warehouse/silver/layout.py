"""The columns of a unified record, in the file and in PostgreSQL alike."""

from __future__ import annotations

import pyarrow as pa

_UTC = pa.timestamp("us", tz="UTC")

UNIFIED = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("source_id", pa.string(), nullable=False),  # identity within the source: one row per (source, source_id)
        pa.field("event_id", pa.string()),  # identity over every transport; told once among all sources
        pa.field("name", pa.string()),
        pa.field("value", pa.float64()),
        pa.field("unit", pa.string()),
        pa.field("description", pa.string()),
        pa.field("occurred_at", _UTC),
        pa.field("created_at", _UTC),
        pa.field("updated_at", _UTC),
        pa.field("deleted", pa.bool_(), nullable=False),  # the source says that it is gone; the row stays
        pa.field("raw_id", pa.string(), nullable=False),  # the record behind it, as `trace` and bronze know it
        pa.field("raw_artifact", pa.string(), nullable=False),
        pa.field("position", pa.string(), nullable=False),
    ]
)
TIMES = ("occurred_at", "created_at", "updated_at")

PLAIN = pa.schema([pa.field(f.name, pa.int64() if f.name in TIMES else f.type, nullable=f.nullable) for f in UNIFIED])
"""The same with times as microseconds since 1970."""
