"""Kinesis records handed to a function as an event-source mapping does: shard by shard, in order, each until it has a fate.

A checkpoint moves only past records the function has taken, or that lie among the dead letters; so whoever is killed here loses
nothing, and hands on again at most the batch it was at. A batch that fails is cut in two until the record that spoils it is alone;
that one is tried `retries` times more (docs.aws.amazon.com, "Configuring partial batch response with Kinesis").
"""

from __future__ import annotations

import base64
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import accumulate, takewhile
from pathlib import Path
from typing import Any

from scripts.event_stream.aws import client
from scripts.event_stream.checkpoints import Checkpoints, DeadLetters, Shard
from scripts.event_stream.function import LARGEST, Invocable, InvocationFailed

LONGEST_PAUSE = 30.0
"""Seconds between two tries at most."""
_BUSY = {
    "ProvisionedThroughputExceededException",
    "LimitExceededException",
    "ThrottlingException",
    "KMSThrottlingException",
    "InternalFailure",
    "InternalFailureException",
    "ServiceUnavailable",
}


class Poller:
    """Reads one stream. `counts` has records, batches, failures, dead (letters), given (sent again from the dead letters)."""

    def __init__(
        self, function: Invocable, stream: str, folder: Path, *, batch: int = 500, retries: int = 5, pause: float = 0.25
    ) -> None:
        """`folder` for checkpoints and dead letters, held by the caller; `batch` records a try at most; `pause` in seconds is
        the first wait after a failure, doubled each time, and the wait between two looks at an idle stream.
        """
        self._kinesis = client("kinesis")
        self._function, self._stream, self._batch, self._retries, self._pause = function, stream, batch, retries, pause
        summary = self._kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
        self._arn = summary["StreamARN"]
        self._at = Checkpoints(folder, stream, summary["StreamCreationTimestamp"].isoformat())
        self._dead = DeadLetters(folder)
        self._iterators: dict[str, str] = {}
        self._closed: set[str] = set()
        self.counts: Counter[str] = Counter()

    def run(self, until_idle: bool = False, stopped: Callable[[], bool] = lambda: False) -> None:
        """Read on until `stopped`, or once every shard has been read to its present end if `until_idle`."""
        while not stopped():
            busy = False
            for shard in self._ready():
                busy = self._look(shard) or busy
            if not busy:
                if until_idle:
                    return
                time.sleep(self._pause)

    def redrive(self) -> None:
        """Hand the dead letters on again; those the function takes now are gone."""
        for path, record in self._dead:
            if self._first_failure([record]) == 1:
                path.unlink()
                self.counts["given"] += 1

    @property
    def waiting(self) -> int:
        """How many dead letters there are."""
        return len(self._dead)

    def _ready(self) -> list[str]:
        """Shards to be read: not at their end, and no parent of theirs before its end (a record's order is its partition key's)."""
        shards: list[dict[str, Any]] = []
        more: dict[str, str] = {"StreamName": self._stream}
        while more:
            page = self._kinesis.list_shards(**more)
            shards += page["Shards"]
            more = {"NextToken": page["NextToken"]} if page.get("NextToken") else {}
        self._closed = {s["ShardId"] for s in shards if s["SequenceNumberRange"].get("EndingSequenceNumber")}
        open_ = {s["ShardId"] for s in shards if not self._at[s["ShardId"]].done}
        parents = {s["ShardId"]: {s.get("ParentShardId"), s.get("AdjacentParentShardId")} for s in shards}
        return sorted(shard for shard in open_ if not parents[shard] & open_)

    def _look(self, shard: str) -> bool:
        """Read and hand on what comes next; whether there was, or may be, something."""
        from botocore.exceptions import ClientError

        try:
            page = self._kinesis.get_records(ShardIterator=self._iterator(shard), Limit=self._batch)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "ExpiredIteratorException":
                self._iterators.pop(shard, None)
            elif code in _BUSY:
                time.sleep(self._pause)
            else:
                raise
            return True
        records = page["Records"]
        self._deliver(shard, [self._record(shard, r) for r in records])
        behind = bool(records) or page.get("MillisBehindLatest", 0) > 0
        if page.get("NextShardIterator") and (behind or shard not in self._closed):
            self._iterators[shard] = page["NextShardIterator"]
            return behind
        self._iterators.pop(shard, None)
        self._at[shard] = self._at[shard]._replace(done=True)
        return True

    def _iterator(self, shard: str) -> str:
        if shard not in self._iterators:
            after = self._at[shard].after
            where = {"ShardIteratorType": "TRIM_HORIZON"}
            if after:
                where = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": after}
            got = self._kinesis.get_shard_iterator(StreamName=self._stream, ShardId=shard, **where)
            self._iterators[shard] = got["ShardIterator"]
        return self._iterators[shard]

    def _record(self, shard: str, record: dict[str, Any]) -> dict[str, Any]:
        """One record as the function receives it."""
        inner = {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": record["PartitionKey"],
            "sequenceNumber": record["SequenceNumber"],
            "data": base64.b64encode(record["Data"]).decode(),
            "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"].timestamp(),
        }
        return {
            "kinesis": inner,
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": f"{shard}:{record['SequenceNumber']}",
            "eventName": "aws:kinesis:record",
            "awsRegion": self._arn.split(":")[3],
            "eventSourceARN": self._arn,
        }

    def _deliver(self, shard: str, records: Sequence[dict[str, Any]]) -> None:
        """Give every record its fate: taken, or a dead letter."""
        size, failures, alone = len(records), 0, 0
        while records:
            size = self._fitting(records[:size])
            taken = self._first_failure(records[:size])
            if taken == 0:
                failures += 1
                time.sleep(min(self._pause * 2 ** (failures - 1), LONGEST_PAUSE))
                if size > 1:
                    size = (size + 1) // 2
                    continue
                alone += 1
                if alone <= self._retries:
                    continue
                self._dead.put(shard, records[0])
                self.counts["dead"] += 1
                taken = 1
            self._at[shard] = Shard(records[taken - 1]["kinesis"]["sequenceNumber"])
            self.counts["records"] += taken
            records = records[taken:]
            size, failures, alone = len(records), 0, 0

    def _fitting(self, records: Sequence[dict[str, Any]]) -> int:
        """How many of them one invocation can carry; at least one."""
        sizes = accumulate(len(r["kinesis"]["data"]) + 1000 for r in records)
        return max(sum(1 for _ in takewhile(lambda size: size <= LARGEST, sizes)), 1)

    def _first_failure(self, records: Sequence[dict[str, Any]]) -> int:
        """How many records, from the first on, the function has taken for good; none if it failed or answers what AWS would not
        understand.
        """
        self.counts["batches"] += 1
        try:
            answer = self._function.invoke({"Records": list(records)}) or {}
            failed = {f["itemIdentifier"] for f in answer.get("batchItemFailures") or []}
        except (InvocationFailed, AttributeError, KeyError, TypeError):
            self.counts["failures"] += 1
            return 0
        if not failed:
            return len(records)
        self.counts["failures"] += 1
        order = [r["kinesis"]["sequenceNumber"] for r in records]
        return min(order.index(f) for f in failed) if failed <= set(order) else 0
