"""Raw artifacts → records and dead letters: the one loop every source's `records` step runs.

A source brings a `parse` that streams what it finds in one raw artifact; this room checks each record against the source's JSON
Schema, drops exact repeats (overlapping exports), writes both tables and counts every unit exactly once.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from config.errors import SourceRefused
from config.stage import File, Finding, Inputs, Outputs, Report
from config.tables import DEAD_LETTERS, RECORDS, TableWriter
from ingestion.quality import Judge

MAX_DEAD_LETTER = 1 << 20
"""Larger offenders keep only their position; the raw artifact has the bytes."""
MAX_RECORD = 16 << 20
_MAX_TIME_TEXT = 200
"""No time is written longer; the record has the text."""
_FUTURE_SLACK = timedelta(days=1)


class Record(NamedTuple):
    """One raw JSON object out of a raw artifact."""

    raw_id: str
    """Identity within the source, from content where possible: an edited record keeps it."""
    timestamp: datetime | None
    """When it was measured, aware; None when the record does not say."""
    raw: dict[str, Any]
    """The record as received, JSON types only."""
    position: str
    """Where in the artifact: `line 12`, `data.csv line 12`, `Log!row 5`."""
    revision: int = 0
    """Among records of one raw_id the highest is the newest (a vendor's update time)."""
    errors: tuple[str, ...] = ()
    """Reason codes that make it invalid: kept, loaded to bronze, never normalized."""
    warnings: tuple[str, ...] = ()
    """Reason codes a person should know; the record is used."""
    volatile: tuple[str, ...] = ()
    """Keys of `raw` that change from export to export without meaning anything; ignored when telling repeats."""
    time_text: str | None = None
    """Its time as it stands in the record, where that is text."""
    utc_offset: int | None = None
    """Seconds east of UTC with which the text was read; None when it was not understood."""


class DeadLetter(NamedTuple):
    """Bytes that could not become a record."""

    raw: bytes
    reason: str
    message: str
    position: str


class Layout(NamedTuple):
    """Rows that are no data: title, header, blank; counted so that nothing vanishes."""

    what: str
    times: int = 1


Parsed = Record | DeadLetter | Layout
Parse = Callable[[File, Mapping[str, Any]], Iterator[Parsed]]
"""Streams one raw artifact. Raises SourceRefused, before the first record, for a file that cannot be read at all."""


def collect(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any], parse: Parse, schema: str) -> Report:
    """Run `parse` over all raw artifacts (role `raw`); write roles `records` and `dead_letters`.

    `schema`: path of the source's JSON Schema. A refused file becomes one dead letter and a finding; the others go on.
    """
    from ingestion import kept

    with open(schema, encoding="utf-8") as text:
        judge = Judge(json.load(text))
    files = sorted(inputs.many("raw"), key=lambda file: not kept.is_kept(file.name))  # first: an export repeats them, not they it
    with (
        outputs.open("records") as good,
        outputs.open("dead_letters") as bad,
        TableWriter(good, RECORDS) as records,
        TableWriter(bad, DEAD_LETTERS) as dead,
    ):
        collector = _Collector(records, dead, judge, _begins(files))
        for file in files:
            collector.take(file, kept.parse if kept.is_kept(file.name) else parse, settings)
    return collector.report()


def _begins(files: list[File]) -> datetime | None:
    """The moment before which everything was erased; None when nothing was."""
    from ingestion import kept

    found = []
    for file in files:
        if kept.is_kept(file.name):
            with suppress(SourceRefused):  # told when its turn comes
                found.append(kept.begins(file))
    return max(found, default=None)


class _Collector:
    """Counts and writes; one per run of a `records` step. What was measured before `begins` was erased and does not come back."""

    def __init__(self, records: TableWriter, dead: TableWriter, judge: Judge, begins: datetime | None) -> None:
        self._records, self._dead, self._judge, self._begins = records, dead, judge, begins
        self._seen: set[bytes] = set()
        self._newest: dict[bytes, tuple[int, bytes]] = {}
        self._fates: Counter[str] = Counter()
        self._findings: list[Finding] = []
        self._index = self._erased = 0
        self._latest: datetime | None = None

    def take(self, file: File, parse: Parse, settings: Mapping[str, Any]) -> None:
        self._index = self._erased = 0
        self._latest = None if file.arrived is None else datetime.fromtimestamp(file.arrived, UTC) + _FUTURE_SLACK
        try:
            for item in parse(file, settings):
                self._index += 1
                if isinstance(item, Record):
                    self._record(item, file)
                elif isinstance(item, DeadLetter):
                    self._letter(item, file)
                else:
                    self._fates[f"unused:{item.what}"] += item.times
        except SourceRefused as refused:
            self._letter(DeadLetter(b"", refused.reason, refused.what, "file"), file, file.size)
            self._findings.append({"code": refused.reason, "message": str(refused), "where": file.name, "count": 1})
        if self._erased:
            self._fates["unused:erased"] += self._erased
            self._findings.append({"code": "erased", "message": _ERASED, "where": file.name, "count": self._erased})

    def report(self) -> Report:
        fates = dict(sorted(self._fates.items()))
        return {
            "rows": {"records": self._records.rows, "dead_letters": self._dead.rows},
            "balance": {"unit": "row", "came": sum(fates.values()), "fates": fates},
            "findings": self._findings,
        }

    def _record(self, record: Record, file: File) -> None:
        if self._begins is not None and record.timestamp is not None and record.timestamp < self._begins:
            self._erased += 1
            return
        try:
            text = json_text(record.raw)
        except (ValueError, RecursionError):
            self._letter(
                DeadLetter(repr(record.raw).encode("utf-8", "backslashreplace"), "not_json", _NOT_JSON, record.position), file
            )
            return
        if len(text) > MAX_RECORD:
            self._letter(DeadLetter(text.encode(), "too_big", "The record is larger than 16 MB.", record.position), file)
            return
        if self._is_repeat(record, text):
            self._fates["duplicate"] += 1
            return
        self._write(record, text, file)

    def _is_repeat(self, record: Record, text: str) -> bool:
        """Whether these very bytes were seen, or, with a revision, whether they say what the newest revision so far says.

        A value that goes back (X, Y, X over three exports) is news, not a repeat of the first X.
        """
        if not record.volatile:
            key = _digest(f"{len(record.raw_id)}:{record.raw_id}{text}")
            known = key in self._seen
            self._seen.add(key)
            return known
        key = _digest(record.raw_id)
        content = _digest(repr({k: v for k, v in record.raw.items() if k not in record.volatile}))
        newest = self._newest.get(key)
        if newest is None or record.revision >= newest[0]:
            self._newest[key] = (record.revision, content)
        return newest is not None and newest[1] == content

    def _write(self, record: Record, text: str, file: File) -> None:
        untimely = self._untimely(record)
        verdict = self._judge.verdict(record.raw, untimely)
        errors = list(dict.fromkeys([*record.errors, *verdict.refusals, *(untimely if record.timestamp else ())]))
        status = "invalid" if errors else "warning" if record.warnings else "valid"
        stamp = record.timestamp.astimezone(UTC) if record.timestamp else None
        self._records.append(
            (
                record.raw_id,
                stamp,
                text,
                status,
                [*errors, *record.warnings],
                file.name,
                file.sha256,
                record.position,
                self._index,
                record.revision,
                *_time_as_written(record),
                *verdict.profile,
            )
        )
        self._fates["accepted" if status != "invalid" else f"rejected:{errors[0]}"] += 1

    def _untimely(self, record: Record) -> tuple[str, ...]:
        """Why its time cannot be used: it has none, or one later than its file arrived."""
        if record.timestamp is None:
            return record.errors or ("no_time",)
        return ("future",) if self._latest is not None and record.timestamp > self._latest else ()

    def _letter(self, letter: DeadLetter, file: File, size: int | None = None) -> None:
        raw = letter.raw if len(letter.raw) <= MAX_DEAD_LETTER else None
        size = len(letter.raw) if size is None else size
        self._dead.append((raw, size, letter.reason, letter.message, file.name, file.sha256, letter.position, self._index))
        self._fates[f"rejected:{letter.reason}"] += 1


_ERASED = "It holds records of a time that was erased; they are not taken in. Erase again to remove them from the file, too."
_NOT_JSON = "The record holds a number or a text that JSON cannot hold."


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def json_text(value: Any) -> str:
    """Compact JSON in key order of arrival; ValueError for NaN, infinities and lone surrogates."""
    text = _ENCODER.encode(value)
    if not text.isascii():
        text.encode("utf-8")  # a lone surrogate has no bytes
    return text


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _time_as_written(record: Record) -> tuple[str | None, int | None]:
    text = record.time_text
    if text is None or len(text) > _MAX_TIME_TEXT or "\0" in text:
        return None, None
    return text, record.utc_offset
