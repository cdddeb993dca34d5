"""Where a producer's messages go: an HTTP address, a Kinesis stream or a file. What was handed over once counts; else it is sent again."""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from config.errors import DeliveryError, UsageError
from scripts.event_stream.aws import client
from scripts.event_stream.producer import Message

TRIES = 8
"""How often one batch is sent at most."""
LONGEST_PAUSE = 20.0
"""Seconds between two tries at most."""


class Target(Protocol):
    """Somewhere to send to; a context manager is not needed: `close` says whether all is well."""

    batch: int
    """Messages it takes at once."""
    counts: Counter[str]
    """Batches and retries."""

    def send(self, messages: Sequence[Message]) -> None:
        """Hand them over. DeliveryError if nobody takes them."""

    def close(self, complete: bool) -> None:
        """Nothing more will come; `complete`: everything was handed over."""


def target(to: str, batch: int, pause: float = 0.25) -> Target:
    """`http(s)://…`, `kinesis:STREAM` or a file's path; `pause`: seconds before the first retry. UsageError for anything else."""
    if to.startswith(("http://", "https://")):
        return _Http(to, batch, pause)
    if to.startswith("kinesis:"):
        return _Kinesis(to.removeprefix("kinesis:"), min(batch, 500), pause)
    if "://" in to:
        raise UsageError("Events go to an HTTP address, a stream or a file.", "Write --to URL, --to kinesis:STREAM or --to FILE.")
    return _File(Path(to), batch)


def _wait(counts: Counter[str], tried: int, pause: float, said: str = "") -> None:
    counts["retries"] += 1
    asked = float(said) if said.isdecimal() else 0.0
    time.sleep(min(max(asked, pause * 2**tried), LONGEST_PAUSE))


class _Http:
    """NDJSON by POST. 2xx and 400 mean that every line has its fate; 429, 5xx and a broken connection that it be sent again."""

    def __init__(self, url: str, batch: int, pause: float) -> None:
        import httpx2

        self.batch, self._url, self._pause = batch, url, pause
        self.counts: Counter[str] = Counter()
        self._client = httpx2.Client(timeout=60, trust_env=False)

    def send(self, messages: Sequence[Message]) -> None:
        import httpx2

        body = b"\n".join(m.body for m in messages)
        for tried in range(TRIES):
            said = ""
            try:
                answer = self._client.post(self._url, content=body, headers={"content-type": "application/x-ndjson"})
                if answer.is_success or answer.status_code == 400:
                    self.counts["batches"] += 1
                    return
                if answer.status_code != 429 and answer.status_code < 500:
                    raise DeliveryError(f"The address refused the events: HTTP {answer.status_code}.", "Check --to.")
                said = answer.headers.get("retry-after", "")
            except httpx2.TransportError:
                pass
            if tried + 1 < TRIES:
                _wait(self.counts, tried, self._pause, said)
        raise DeliveryError(
            f"Nobody took a batch of events in {TRIES} tries.", "Send again later: the same events have the same ids."
        )

    def close(self, complete: bool) -> None:  # noqa: ARG002
        self._client.close()


class _Kinesis:
    """A record a message, a user's always in the same shard."""

    def __init__(self, stream: str, batch: int, pause: float) -> None:
        self.batch, self._stream, self._pause = batch, stream, pause
        self.counts: Counter[str] = Counter()
        self._client = client("kinesis")

    def send(self, messages: Sequence[Message]) -> None:
        left: list[dict[str, Any]] = [{"Data": m.body, "PartitionKey": m.user} for m in messages]
        for tried in range(TRIES):
            left = self._refused(left)
            if not left:
                self.counts["batches"] += 1
                return
            if tried + 1 < TRIES:
                _wait(self.counts, tried, self._pause)
        raise DeliveryError(
            f"The stream did not take every event in {TRIES} tries.", "Send again later: the same events have the same ids."
        )

    def _refused(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What of them has to be sent again."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = self._client.put_records(StreamName=self._stream, Records=records)
        except (BotoCoreError, ClientError) as error:
            code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
            raise DeliveryError(
                f"The stream cannot be written to: {code}.", "Check its name, AWS_REGION and the credentials."
            ) from None
        return [r for r, told in zip(records, answer["Records"], strict=True) if "ErrorCode" in told]

    def close(self, complete: bool) -> None:  # noqa: ARG002
        self._client.close()


class _File:
    """NDJSON for its owner alone; it is there once it is complete."""

    def __init__(self, path: Path, batch: int) -> None:
        if path.exists():
            raise UsageError("The file is there already.", "Name another one with --to.")
        self.batch, self._path = batch, path
        self.counts: Counter[str] = Counter()
        try:
            handle, self._waiting = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        except OSError as error:
            raise UsageError(f"The file cannot be written: {error.strerror}.", "Name another one with --to.") from None
        self._out = os.fdopen(handle, "wb")

    def send(self, messages: Sequence[Message]) -> None:
        self._out.write(b"".join(m.body + b"\n" for m in messages))
        self.counts["batches"] += 1

    def close(self, complete: bool) -> None:
        self._out.close()
        if complete:
            os.replace(self._waiting, self._path)
        else:
            Path(self._waiting).unlink(missing_ok=True)
