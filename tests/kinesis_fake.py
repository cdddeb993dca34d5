"""A Kinesis that reshards as AWS's does (moto's keeps writing to closed shards and never ends one) and fails when told to.

Speaks JSON 1.1 over a real socket: CreateStream is `add`, resharding `split` and `merge`; the rest is asked by any client.
"""

from __future__ import annotations

import base64
import json
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import md5
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.web_bench import served

FIRST = 49590338271490256608559692538361571095921575989136588898
"""Sequence numbers are 56 digits long, as AWS' are: no float holds one."""

KEYS = 2**128
"""Hash keys of partition keys: their MD5."""


@dataclass
class Shard:
    """One shard: its records, and whose place it took."""

    name: str
    parents: tuple[str, ...] = ()
    records: list[tuple[str, str, str]] = field(default_factory=list)
    """(sequence number, partition key, data in base64)."""
    closed: bool = False
    keys: tuple[int, int] = (0, KEYS)
    """Hash keys it takes: from, and up to without the last."""


class KinesisFake:
    """Streams, and what happened to them."""

    def __init__(self) -> None:
        self.url = ""
        self.streams: dict[str, list[Shard]] = {}
        self.born: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.faults: dict[str, deque[str]] = {}
        """Operation → error codes its next calls are answered with."""
        self.refuse: Callable[[int], bool] = lambda _: False
        """Which records of a PutRecords call are refused, by how many have been offered so far."""
        self._offered = self._made = 0
        self._sequence = FIRST
        self._iterators: dict[str, tuple[str, str, int]] = {}
        self._lock = threading.Lock()

    def add(self, stream: str, shards: int = 1) -> None:
        """A new stream; one of the same name is gone."""
        ends = [KEYS * n // shards for n in range(shards + 1)]
        self.streams[stream] = [Shard(f"shardId-{n:012}", keys=(ends[n], ends[n + 1])) for n in range(shards)]
        self.born[stream] += 1

    def put(self, stream: str, *bodies: bytes, key: str = "k") -> None:
        """Records, without a client."""
        for body in bodies:
            self._put(stream, key, base64.b64encode(body).decode())

    def split(self, stream: str, shard: str) -> None:
        """Close one, and two take its place."""
        low, high = self._shard(stream, shard).keys
        self._replace(stream, (shard,), [(low, (low + high) // 2), ((low + high) // 2, high)])

    def merge(self, stream: str, one: str, other: str) -> None:
        """Close two whose keys adjoin, and one takes their place."""
        (low, middle), (same, high) = sorted((self._shard(stream, one).keys, self._shard(stream, other).keys))
        assert middle == same, "only neighbours merge"
        self._replace(stream, (one, other), [(low, high)])

    def open(self, stream: str) -> list[str]:
        """The shards that take records, neighbours side by side."""
        return [s.name for s in sorted(self.streams[stream], key=lambda s: s.keys) if not s.closed]

    def trim(self, stream: str, shard: str) -> None:
        """A closed shard past the retention period is in no list any more."""
        self.streams[stream] = [s for s in self.streams[stream] if s.name != shard]

    def _replace(self, stream: str, parents: tuple[str, ...], children: list[tuple[int, int]]) -> None:
        listed = self.streams[stream]
        for shard in listed:
            shard.closed = shard.closed or shard.name in parents
        self._made += len(children)
        listed += [Shard(f"shardId-{self._made * 1000 + n:012}", parents, keys=keys) for n, keys in enumerate(children)]

    def _put(self, stream: str, key: str, data: str) -> tuple[str, str]:
        at = int(md5(key.encode()).hexdigest(), 16)
        shard = next(s for s in self.streams[stream] if not s.closed and s.keys[0] <= at < s.keys[1])
        self._sequence += 1
        shard.records.append((str(self._sequence), key, data))
        return shard.name, str(self._sequence)

    def answer(self, operation: str, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and body of one call."""
        with self._lock:
            self.calls[operation] += 1
            if self.faults.get(operation):
                return 400, {"__type": self.faults[operation].popleft(), "message": "as told"}
            stream = asked.get("StreamName")
            if stream is not None and stream not in self.streams:
                return 400, {"__type": "ResourceNotFoundException", "message": "no such stream"}
            answer: dict[str, Any] = getattr(self, f"_{operation}")(asked)
            return (400 if "__type" in answer else 200), answer

    def _DescribeStreamSummary(self, asked: dict[str, Any]) -> dict[str, Any]:
        name = asked["StreamName"]
        about = {
            "StreamName": name,
            "StreamARN": f"arn:aws:kinesis:us-east-1:123456789012:stream/{name}",
            "StreamStatus": "ACTIVE",
        }
        more = {"RetentionPeriodHours": 24, "EnhancedMonitoring": [], "OpenShardCount": 1}
        return {"StreamDescriptionSummary": {**about, **more, "StreamCreationTimestamp": 1.7e9 + self.born[name]}}

    def _ListShards(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Two a page."""
        name, _, at = asked.get("NextToken", f"{asked.get('StreamName')}|0").partition("|")
        shards = self.streams[name]
        page = [self._shown(s) for s in shards[int(at) : int(at) + 2]]
        return {"Shards": page, **({"NextToken": f"{name}|{int(at) + 2}"} if int(at) + 2 < len(shards) else {})}

    def _shown(self, shard: Shard) -> dict[str, Any]:
        parents = dict(zip(("ParentShardId", "AdjacentParentShardId"), shard.parents, strict=False))
        ending = {"EndingSequenceNumber": str(self._sequence)} if shard.closed else {}
        hashes = {"StartingHashKey": str(shard.keys[0]), "EndingHashKey": str(shard.keys[1] - 1)}
        numbers = {"StartingSequenceNumber": str(FIRST), **ending}
        return {"ShardId": shard.name, **parents, "HashKeyRange": hashes, "SequenceNumberRange": numbers}

    def _GetShardIterator(self, asked: dict[str, Any]) -> dict[str, Any]:
        shard = self._shard(asked["StreamName"], asked["ShardId"])
        after = int(asked.get("StartingSequenceNumber", 0))
        kinds = {"AFTER_SEQUENCE_NUMBER": after, "AT_SEQUENCE_NUMBER": after - 1, "TRIM_HORIZON": 0, "LATEST": self._sequence}
        held = [int(s) for s, *_ in shard.records]
        at = sum(s <= kinds[asked["ShardIteratorType"]] for s in held)
        return {"ShardIterator": self._iterator(asked["StreamName"], shard.name, at)}

    def _GetRecords(self, asked: dict[str, Any]) -> dict[str, Any]:
        where = self._iterators.pop(asked["ShardIterator"], None)
        if where is None:
            return {"__type": "ExpiredIteratorException", "message": "used or expired"}
        stream, name, at = where
        shard = self._shard(stream, name)
        found = shard.records[at : at + asked.get("Limit", 10_000)]
        end = at + len(found)
        over = shard.closed and end == len(shard.records)
        after = {} if over else {"NextShardIterator": self._iterator(stream, name, end)}
        records = [
            {"SequenceNumber": s, "PartitionKey": key, "Data": data, "ApproximateArrivalTimestamp": 1.7e9}
            for s, key, data in found
        ]
        return {"Records": records, "MillisBehindLatest": 1000 * (len(shard.records) - end), **after}

    def _PutRecords(self, asked: dict[str, Any]) -> dict[str, Any]:
        told: list[dict[str, Any]] = []
        for record in asked["Records"]:
            self._offered += 1
            if self.refuse(self._offered):
                told.append({"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "as told"})
            else:
                shard, sequence = self._put(asked["StreamName"], record["PartitionKey"], record["Data"])
                told.append({"SequenceNumber": sequence, "ShardId": shard})
        return {"FailedRecordCount": sum("ErrorCode" in t for t in told), "Records": told}

    def _shard(self, stream: str, name: str) -> Shard:
        return next(s for s in self.streams[stream] if s.name == name)

    def _iterator(self, stream: str, shard: str, at: int) -> str:
        name = f"iterator-{len(self._iterators)}-{self.calls['GetRecords']}-{self.calls['GetShardIterator']}-{shard}"
        self._iterators[name] = (stream, shard, at)
        return name

    def expire(self) -> None:
        """All iterators, as after five minutes."""
        self._iterators.clear()


@contextmanager
def kinesis_fake() -> Iterator[KinesisFake]:
    """One behind an address of its own (`url`, for AWS_ENDPOINT_URL_KINESIS or a client's endpoint_url)."""
    fake = KinesisFake()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = fake.answer(self.headers["X-Amz-Target"].partition(".")[2], asked)
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with served(Handler) as fake.url:
        yield fake
