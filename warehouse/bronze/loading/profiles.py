"""What many records have in common, sent once: status, reason codes, quality, raw artifact. A record carries only its number."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from config.stage import File
from warehouse.bronze.loading import arrow
from warehouse.bronze.loading.artifacts import raw_facts
from warehouse.bronze.loading.calls import Call

PROFILE = ("status", "raw_artifact", "raw_sha256", "quality_metrics", "quality_checks")
"""Columns of the records table with few values, read as dictionaries."""
COLUMNS = (
    "profile, status, error_message, errors, faults, quality_metrics, quality_score, quality_checks, file_path, file_hash, file_size, "
    "lineage_id, compression, encoding, api_version, api_endpoint, api_request_id, api_response_code, api_rate_limit_info"
)
"""The profiles' columns, in the order of `rows`."""

STATUSES = frozenset({"valid", "warning", "invalid"})
OUT_OF_RANGE = "timestamp_out_of_range"
_NO_CALL = Call(None, None, None, None, None)
_SEPARATOR = "\x1f"

Key = tuple[Any, ...]


class Profiles:
    """Numbers profiles as records mention them."""

    def __init__(self, raws: list[File], calls: Mapping[str, Call]) -> None:
        self._files = {(f.name, f.sha256): f for f in raws}
        self._calls = calls
        self._numbers: dict[Key, int] = {}

    def numbers(self, batch: pa.RecordBatch, outside: Any) -> pa.Array:
        """The profile of each record of `batch`; `outside` marks those whose time no partition takes."""
        columns = [c if pa.types.is_dictionary(c.type) else c.dictionary_encode() for c in (batch[name] for name in PROFILE)]
        columns.append(pc.binary_join(batch["errors"], arrow.text(_SEPARATOR)).dictionary_encode())
        columns += [batch["quality_score"].dictionary_encode(), arrow.boolean(outside).dictionary_encode()]
        code = np.zeros(batch.num_rows, dtype=np.int64)
        for column in columns:
            indices = arrow.numbers(column.indices.cast(pa.int64()).fill_null(arrow.number(len(column.dictionary))))
            code = code * (len(column.dictionary) + 1) + indices
        _, first, which = np.unique(code, return_index=True, return_inverse=True)
        known = [self._number(tuple(column[int(row)].as_py() for column in columns)) for row in first]
        return arrow.int64(np.asarray(known, dtype=np.int64)[which])

    def rows(self) -> Iterator[Key]:
        """One row per profile, by `COLUMNS`."""
        mentioned = {key[1:3] for key in self._numbers}
        facts = {key: raw_facts(file) for key, file in self._files.items() if key in mentioned}
        for key, number in self._numbers.items():
            status, name, sha256, metrics, checks, joined, score, outside = key
            codes = joined.replace("\0", "").split(_SEPARATOR) if joined else []
            faults = [OUT_OF_RANGE] if outside else []
            file = facts.get((name, sha256))
            yield (
                number,
                "invalid" if faults else status,
                ", ".join([*codes, *faults]) or None,
                json.dumps(codes) if codes else None,
                json.dumps(faults) if faults else None,
                metrics,
                score,
                checks,
                name,
                sha256,
                file.size if file else None,
                file.lineage_id if file else name,
                file.compression if file else None,
                file.encoding if file else None,
                *self._calls.get(name, _NO_CALL),
            )

    def _number(self, key: Key) -> int:
        return self._numbers.setdefault(key, len(self._numbers))
