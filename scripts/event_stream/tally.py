"""What a bucket holds of events: rows, different events and different rejected pieces, to be held against what was sent."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from scripts.event_stream.aws import client


def tally(bucket: str, prefix: str = "events/", rejected: str = "rejected/") -> dict[str, Any]:
    """Objects, rows, `events` (different ids), `contents` (different events as sent: more than `events` where an id came with two
    contents), `rejected` (different pieces) and how many of these there are for each reason. One object is held at a time.
    """
    import pyarrow.parquet as pq

    store = client("s3")
    ids: set[str] = set()
    contents: set[int] = set()
    refused: dict[str, list[str]] = {}
    objects = rows = 0
    for body in _objects(store, bucket, prefix, ".parquet"):
        table = pq.read_table(io.BytesIO(body), columns=["event_id", "raw"])
        objects, rows = objects + 1, rows + table.num_rows
        ids.update(table["event_id"].to_pylist())
        contents.update(hash(raw) for raw in table["raw"].to_pylist())
    for body in _objects(store, bucket, rejected, ".json"):
        refused.update({piece["digest"]: piece["reasons"] for piece in json.loads(body)})
    reasons = Counter(reason for listed in refused.values() for reason in listed)
    found = {"objects": objects, "rows": rows, "events": len(ids), "contents": len(contents), "rejected": len(refused)}
    return {**found, "reasons": dict(sorted(reasons.items()))}


def _objects(store: Any, bucket: str, prefix: str, ending: str) -> Iterator[bytes]:
    for page in store.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for listed in page.get("Contents", []):
            if listed["Key"].endswith(ending):
                yield store.get_object(Bucket=bucket, Key=listed["Key"])["Body"].read()
