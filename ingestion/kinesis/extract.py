"""Records of a Kinesis stream come in: every shard from where it was left, a page an answer, parents before their children.

The sequence number behind a page is committed with the page, so a killed run repeats nothing; what the stream itself delivers twice is
told apart by the event's id when records are made. Setting `kinesis_stream`; credentials as for S3.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from config.stage import Finding, Inputs, Outputs, Pages, Report
from ingestion.event_records import line_of
from ingestion.origins import extraction
from ingestion.reports import joined

if TYPE_CHECKING:
    from ingestion.kinesis.client import Kinesis, Shard

MOST_RECORDS = 1_000
"""Records asked for at once, so about that many are a page."""
_MOST_PAGES = 10_000
"""Of one shard in one round: whoever writes faster than we read does not keep us for ever."""
_MOST_EXPIRED = 3


def fingerprint(settings: Mapping[str, Any]) -> str | None:  # noqa: ARG001  every source's fingerprint has them
    """None: only reading a stream tells whether it holds anything new."""
    return None


def extract(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `inbox`, the origins and the stream → collection `raw`. Raises SettingsError, SourceDenied, SourceUnavailable."""
    report = extraction.extract("kinesis", inputs, outputs, settings)
    if not settings["kinesis_stream"]:
        return report
    from ingestion.kinesis.client import Kinesis

    return joined(report, fetch(outputs, Kinesis(settings)))


def fetch(outputs: Outputs, stream: Kinesis) -> Report:
    """What all shards hold by now."""
    from ingestion.kinesis.client import BusyError

    born, kept_for = stream.about()
    findings: dict[str, Finding] = {}
    open_: set[str] = set()
    count = 0
    for shard in stream.shards():
        reading = _Reading(stream, outputs.pages("raw", shard.name), shard, born, kept_for)
        if open_.isdisjoint(shard.parents):
            try:
                reading.read()
            except BusyError:
                reading.told["incomplete"] = 1
        if not reading.ended:
            open_.add(shard.name)
        count += reading.count
        for code, times in reading.told.items():
            known = findings.setdefault(code, {"code": code, "message": _SAYS[code], "count": 0})
            known["count"] += times
    fates = {"accepted": count} if count else {}
    told = [findings[code] for code in sorted(findings)]
    return {"rows": {}, "balance": {"unit": "file", "came": count, "fates": fates}, "findings": told}


class _Reading:
    """One shard in one round."""

    def __init__(self, stream: Kinesis, pages: Pages, shard: Shard, born: str, kept_for: float) -> None:
        self._stream, self._pages, self._shard, self._born = stream, pages, shard, born
        self.count, self.told = 0, dict[str, int]()
        state = pages.state() or {}
        if state and state["born"] != born:
            self.told["stream_recreated"] = 1
            state = {}
        self.ended = bool(state.get("ended"))
        self._after: str | None = state.get("after")
        self._known = state
        self._fresh = now() - kept_for / 10
        if state and not self.ended and now() - state["seen"] > kept_for:
            self.told["may_be_lost"] = 1

    def read(self) -> None:
        """Commit what there is. Raises BusyError and the errors of the stream; what was committed stays."""
        if self.ended:
            return
        from ingestion.kinesis.client import ExpiredError

        expired = 0
        iterator: str | None = self._stream.iterator(self._shard.name, self._after)
        while iterator is not None:
            try:
                answer = self._stream.records(iterator, MOST_RECORDS)
            except ExpiredError:
                expired += 1
                if expired > _MOST_EXPIRED:
                    self.told["incomplete"] = 1
                    return
                iterator = self._stream.iterator(self._shard.name, self._after)
                continue
            iterator = answer.get("NextShardIterator")
            found, behind = answer["Records"], answer.get("MillisBehindLatest", 0)
            over = iterator is None or (self._shard.closed and not found and not behind)
            if found:
                expired = 0
                self._commit(found, ended=over)
            elif over:
                self.ended = True
            if over or not behind:
                break
            if self.count >= _MOST_PAGES:
                self.told["incomplete"] = 1
                break
        if (self.ended and not self._known.get("ended")) or (not self.count and self._known.get("seen", 0.0) < self._fresh):
            self._pages.advance(self._state())

    def _commit(self, found: list[dict[str, Any]], *, ended: bool) -> None:
        lines = [
            line_of(record["SequenceNumber"], record["ApproximateArrivalTimestamp"].isoformat(), record["Data"])
            for record in found
        ]
        self._after, self.ended = str(found[-1]["SequenceNumber"]), ended
        self._pages.commit(b"".join(lines), self._state(), facts={"shard": self._shard.name}, records=len(found), suffix=".jsonl")
        self.count += 1

    def _state(self) -> dict[str, Any]:
        return {"born": self._born, "after": self._after, "ended": self.ended, "seen": now()}


def now() -> float:
    """Seconds since 1970."""
    return time.time()  # impure: how long ago a shard was looked at, not what it holds


_SAYS = {
    "incomplete": "The stream was too busy to be read to its end; the next run goes on from there.",
    "may_be_lost": "A shard was last read longer ago than the stream keeps its records: some may be lost. Run more often.",
    "stream_recreated": "The stream was deleted and made anew; it is read from its beginning.",
}
