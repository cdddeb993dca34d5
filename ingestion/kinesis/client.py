"""Kinesis as this source asks it: a client with our settings, patience with a busy stream, and AWS's errors in words."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from config.errors import PDPError, SettingsError, SourceDenied, SourceUnavailable

WAITS = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before asking again when the stream is busy: a shard answers five times a second."""
_BUSY = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "LimitExceededException",
        "KMSThrottlingException",
        "ThrottlingException",
        "RequestLimitExceeded",
        "InternalFailure",
        "InternalFailureException",
        "ServiceUnavailable",
    }
)


class BusyError(SourceUnavailable):
    """The stream stayed busy however long we waited: the rest comes with the next round."""


class ExpiredError(Exception):
    """An iterator lives five minutes; this one is over."""


class Shard(NamedTuple):
    """A shard of the stream."""

    name: str
    parents: tuple[str, ...]
    """Whose place it took: to be read before it."""
    closed: bool
    """Whether nothing is written to it any more."""


class Kinesis:
    """One stream."""

    def __init__(self, settings: Mapping[str, Any], waits: Sequence[float] | None = None) -> None:
        self.stream = str(settings["kinesis_stream"])
        self._waits = WAITS if waits is None else waits
        self._client = _client(settings)

    def about(self) -> tuple[str, float]:
        """(What tells this stream from another of its name, seconds it keeps a record)."""
        found = self._asked("describe_stream_summary", StreamName=self.stream)["StreamDescriptionSummary"]
        return found["StreamCreationTimestamp"].isoformat(), 3600.0 * found["RetentionPeriodHours"]

    def shards(self) -> list[Shard]:
        """All that can be read, parents before their children."""
        found: dict[str, Shard] = {}
        asked: dict[str, Any] = {"StreamName": self.stream}
        while asked:
            answer = self._asked("list_shards", **asked)
            found |= {shard.name: shard for shard in map(_shard, answer["Shards"])}
            asked = {"NextToken": answer["NextToken"]} if answer.get("NextToken") else {}
        return _in_order(found)

    def iterator(self, shard: str, after: str | None) -> str:
        """Where to read on: behind a sequence number, or from the oldest record."""
        where: dict[str, str] = {"ShardIteratorType": "TRIM_HORIZON"}
        if after is not None:
            where = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": after}
        answer = self._asked("get_shard_iterator", StreamName=self.stream, ShardId=shard, **where)
        return str(answer["ShardIterator"])

    def records(self, iterator: str, limit: int) -> dict[str, Any]:
        """One answer. Raises ExpiredError."""
        return self._asked("get_records", ShardIterator=iterator, Limit=limit)

    def _asked(self, operation: str, **arguments: Any) -> dict[str, Any]:
        call: Callable[..., dict[str, Any]] = getattr(self._client, operation)
        for wait in (*self._waits, None):
            try:
                return call(**arguments)
            except Exception as error:
                problem, passing = _explained(error)
                if problem is None:
                    raise
                if not passing or wait is None:
                    raise problem from None
            time.sleep(wait)
        raise AssertionError("unreachable")


def _client(settings: Mapping[str, Any]) -> Any:
    """Secret object_stores: key, region and endpoint; what it does not say is the machine's own affair."""
    try:
        import boto3
        from botocore.config import Config
    except ModuleNotFoundError:
        raise SettingsError(
            "KINESIS_STREAM is set, but boto3 is not installed.", "Install it with: pip install 'personal-data-platform[aws]'."
        ) from None
    said = json.loads(settings["object_stores"] or "{}").get("s3", {})
    own = os.environ.get("AWS_ENDPOINT_URL_KINESIS")  # impure: how it is reached, not what it holds
    given = {name: said.get(name[4:]) for name in ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")}
    try:
        return boto3.client(
            "kinesis",
            region_name=said.get("region"),
            endpoint_url=own or said.get("endpoint"),
            config=Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 1, "mode": "standard"}),
            **given,
        )
    except Exception as error:
        problem, _ = _explained(error)
        if problem is None:
            raise
        raise problem from None


def _explained(error: Exception) -> tuple[PDPError | ExpiredError | None, bool]:
    """(What it says as one of our errors, whether it may pass); None for an error that is not AWS's."""
    if not type(error).__module__.startswith("botocore."):
        return None, False
    code, kind = str(getattr(error, "response", {}).get("Error", {}).get("Code", "")), type(error).__name__
    if code == "ExpiredIteratorException":
        return ExpiredError(), False
    if code in _BUSY:
        return BusyError("The stream of KINESIS_STREAM is busy, even after retries.", "The next run goes on from here."), True
    if code == "ResourceNotFoundException":
        return SourceDenied("The stream of KINESIS_STREAM is not there.", "Check its name and AWS_REGION."), False
    if code:
        return SourceDenied(
            f"AWS refuses the stream of KINESIS_STREAM ({code}).", "Check the credentials and their rights."
        ), False
    if kind in ("NoCredentialsError", "PartialCredentialsError", "NoRegionError", "ProfileNotFound", "InvalidRegionError"):
        mend = "Set AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        return SettingsError("KINESIS_STREAM is set, but AWS cannot be asked: credentials or region are missing.", mend), False
    return SourceUnavailable("Kinesis cannot be reached, even after retries.", "Check the network, or run again later."), True


def _shard(said: Mapping[str, Any]) -> Shard:
    parents = tuple(said[name] for name in ("ParentShardId", "AdjacentParentShardId") if said.get(name))
    return Shard(str(said["ShardId"]), parents, bool(said.get("SequenceNumberRange", {}).get("EndingSequenceNumber")))


def _in_order(found: Mapping[str, Shard]) -> list[Shard]:
    order: dict[str, Shard] = {}

    def put(shard: Shard, above: frozenset[str]) -> None:
        for parent in shard.parents:
            if parent in found and parent not in above:
                put(found[parent], above | {parent})
        order.setdefault(shard.name, shard)

    for name in sorted(found):
        put(found[name], frozenset({name}))
    return list(order.values())
