"""Events as objects in an S3 bucket: the same events give the same name and the same bytes, and nothing is ever written over."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, NamedTuple

from config.events import COLUMNS, Event
from ingestion.events.reading import Item

Row = tuple[Event, bytes]
"""An event and its JSON text as received."""


class Object(NamedTuple):
    """What one object holds."""

    name: str
    """Below its prefix."""
    body: bytes
    content_type: str


class Bucket:
    """A bucket objects are created in. Retries of single requests are the client's."""

    def __init__(self, name: str, endpoint: str | None = None) -> None:
        self._name = name
        self._client = _client(endpoint)

    def create(self, key: str, content: Object) -> str:
        """Store it unless it is there; the error's code, or nothing once it is stored."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._client.put_object(
                Bucket=self._name, Key=key, Body=content.body, ContentType=content.content_type, IfNoneMatch="*"
            )
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", "")) or "ClientError"
            return "" if code in {"PreconditionFailed", "412"} else code
        except BotoCoreError as error:
            return type(error).__name__
        return ""


@cache
def _client(endpoint: str | None) -> Any:
    """One client for all invocations of a process. `endpoint` None: AWS, or what AWS_ENDPOINT_URL says."""
    import boto3
    from botocore.config import Config

    patience = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "max_attempts": 3})
    return boto3.client("s3", endpoint_url=endpoint, config=patience)


def by_day(items: Iterable[Item]) -> dict[str, list[Row]]:
    """The events among them by the UTC day they are of, each day's in the order of their ids; the very same event once."""
    days: dict[str, dict[tuple[str, bytes], Event]] = {}
    for item in items:
        if item.event is not None:
            days.setdefault(day_of(item.event), {})[item.event.event_id, item.raw] = item.event
    return {day: [(rows[key], key[1]) for key in sorted(rows)] for day, rows in sorted(days.items())}


def day_of(event: Event) -> str:
    """YYYY-MM-DD, in UTC."""
    return event.ts_utc.date().isoformat()


def parquet(day: str, rows: list[Row]) -> Object:
    """A day's events of one batch, named by their contents."""
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds: Mapping[str, Callable[[], Any]] = {
        "string": pa.string,
        "int32": pa.int32,
        "float64": pa.float64,
        "timestamp[us, UTC]": lambda: pa.timestamp("us", tz="UTC"),
    }
    schema = pa.schema([(name, kinds[kind]()) for name, kind in COLUMNS])
    cells = [(*event, raw.decode()) for event, raw in rows]
    table = pa.table(list(zip(*cells, strict=True)), schema=schema)
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="snappy")  # the one codec every build of Arrow has
    return Object(f"day={day}/{_digest(raw for _, raw in rows)}.parquet", sink.getvalue(), "application/vnd.apache.parquet")


def rejected(items: Iterable[Item]) -> Object | None:
    """The pieces that are no events, each once, with the reasons and the bytes received; None if there are none."""
    bad = dict(sorted((item.raw, item.reasons) for item in items if item.event is None))
    if not bad:
        return None
    listed = [{"digest": hashlib.sha256(raw).hexdigest(), "reasons": reasons, **_shown(raw)} for raw, reasons in bad.items()]
    return Object(f"{_digest(bad)}.json", json.dumps(listed, indent=1).encode(), "application/json")


def _shown(raw: bytes) -> dict[str, str]:
    try:
        return {"text": raw.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw).decode()}


def _digest(pieces: Iterable[bytes]) -> str:
    """Of a list of byte strings; each is measured first, so no two lists run into one another."""
    found = hashlib.sha256()
    for piece in pieces:
        found.update(len(piece).to_bytes(8, "big") + piece)
    return found.hexdigest()[:32]
