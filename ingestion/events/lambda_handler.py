"""The Lambda function: events that come through API Gateway or Kinesis are stored in S3 by day, bad ones kept with their reasons.

Any batch may come any number of times, cut anywhere: objects are named by their contents and created only where there is none.
Environment: EVENTS_BUCKET; EVENTS_PREFIX (`events/`) and REJECTED_PREFIX (`rejected/`); AWS_ENDPOINT_URL for an emulator.
Event shapes: docs.aws.amazon.com, "AWS Lambda proxy integrations" (payload formats 1.0 and 2.0) and "Using Lambda with Kinesis".
"""

from __future__ import annotations

import base64
import json
import os
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from ingestion.events.objects import Bucket, Object, by_day, day_of, parquet, rejected
from ingestion.events.reading import Item, items

TOLD = 100
"""Refused pieces a response lists at most; each is in the store."""


class Stored(NamedTuple):
    """What became of a batch."""

    events: int
    """Different events stored, or there already."""
    failed: frozenset[str]
    """Days whose events could not be stored; `rejected` for the refused ones."""


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """Entry point. Kinesis: the partial-batch response, listing each record that is not wholly stored. API Gateway: 200 with counts,
    400 if nothing in the body is an event, 405, or 503 if the store failed: send the same again, nothing is doubled.

    Raises KeyError without EVENTS_BUCKET, ValueError for an event of another shape: a failed invocation loses nothing.
    """
    del context
    records = event.get("Records")
    if isinstance(records, list) and all("kinesis" in record for record in records):
        return _stream(records)
    if "requestContext" in event or "httpMethod" in event:
        return _request(event)
    raise ValueError("neither API Gateway's nor Kinesis' event shape")


def _stream(records: list[Mapping[str, Any]]) -> dict[str, Any]:
    found = [(str(r["kinesis"]["sequenceNumber"]), _decoded(r["kinesis"]["data"])) for r in records]
    stored = _store([item for _, pieces in found for item in pieces], len(records))
    failures = [sequence for sequence, pieces in found if any(_place(item) in stored.failed for item in pieces)]
    return {"batchItemFailures": [{"itemIdentifier": sequence} for sequence in failures]}


def _request(event: Mapping[str, Any]) -> dict[str, Any]:
    method = event.get("httpMethod") or event["requestContext"].get("http", {}).get("method", "")
    if method != "POST":
        return _response(405, {"error": "send events by POST"}, {"allow": "POST"})
    body = event.get("body") or ""
    found = _decoded(body) if event.get("isBase64Encoded") else items(body.encode("utf-8", "surrogatepass"))
    stored = _store(found, 1)
    if stored.failed:
        return _response(503, {"error": "not stored; send the same again"}, {"retry-after": "1"})
    refused = [{"index": n, "reasons": item.reasons} for n, item in enumerate(found) if item.event is None]
    good = len(found) - len(refused)
    counts = {"received": len(found), "events": stored.events, "repeated": good - stored.events, "rejected": len(refused)}
    return _response(200 if good else 400, {**counts, "refused": refused[:TOLD]})


def _decoded(data: str) -> list[Item]:
    try:
        return items(base64.b64decode(data, validate=True))
    except ValueError:
        return [Item(str(data).encode("utf-8", "surrogatepass"), None, ("not_base64",))]


def _place(item: Item) -> str:
    return "rejected" if item.event is None else day_of(item.event)


def _store(found: list[Item], records: int) -> Stored:
    """Every event by its day, every other piece among the rejected."""
    bucket = Bucket(os.environ["EVENTS_BUCKET"], os.environ.get("AWS_ENDPOINT_URL") or None)
    good, bad = os.environ.get("EVENTS_PREFIX", "events/"), os.environ.get("REJECTED_PREFIX", "rejected/")
    days, letters = by_day(found), rejected(found)
    faults: dict[str, str] = {}
    for day, rows in days.items():
        faults[day] = _create(bucket, good, parquet(day, rows))
    if letters:
        faults["rejected"] = _create(bucket, bad, letters)
    failed = frozenset(place for place, fault in faults.items() if fault)
    stored = Stored(sum(map(len, days.values())), failed)
    refused = Counter(reason for item in found for reason in item.reasons)
    told = {"records": records, "events": stored.events, "objects": len(faults) - len(failed), "rejected": dict(refused)}
    print(json.dumps({**told, "failed": dict(Counter(fault for fault in faults.values() if fault))}))  # noqa: T201
    return stored


def _create(bucket: Bucket, prefix: str, content: Object) -> str:
    return bucket.create(prefix + content.name, content)


def _response(status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json", **(headers or {})},
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }
