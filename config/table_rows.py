"""What the rows of a database's tables measure, as paths into the records that hold them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from config.mapping import plain
from config.sources import SOURCES

_PATHS = ("value", "time", "offset", "device", "end")


def mappings(readings: Sequence[dict[str, Any]], time_column: str) -> dict[str, Any]:
    """`readings_cdc` and `unify_cdc`: the person's own mapping of columns, else that of rows which are events; `time_column` is
    where their time is."""
    source = SOURCES["cdc"]
    events = [plain(mapped) | {"time": f"row.{time_column}"} for mapped in source.readings]
    unify = plain(source.unify) | {"occurred_at": f"row.{time_column}"} if source.unify else None
    return {"readings_cdc": [_in_row(said) for said in readings] or events, "unify_cdc": unify}


def _in_row(said: dict[str, Any]) -> dict[str, Any]:
    """Columns as paths: `kg` → `row.kg`, `=kind` → `=row.kind`."""
    paths = {name: f"row.{said[name]}" for name in _PATHS if said[name]}
    read = {name: f"=row.{said[name][1:]}" for name in ("metric", "unit") if said[name].startswith("=")}
    return {**said, **paths, **read, "stream": ""}
