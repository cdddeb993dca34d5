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
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from config.errors import SourceRefused
from config.stage import File, Finding, Inputs, Outputs, Report
from config.tables import DEAD_LETTERS, RECORDS, TableWriter
from ingestion import drift
from ingestion.ledger import Ledger
from ingestion.quality import Judge, Profile
from ingestion.unread import Unread

if TYPE_CHECKING:
    from ingestion.blocks import Block, Seen

MAX_DEAD_LETTER = 1 << 20
"""Larger offenders keep only their position; the raw artifact has the bytes."""
MAX_RECORD = 16 << 20
_MAX_TIME_TEXT = 200
"""No time is written longer; the record has the text."""
_FUTURE_SLACK = timedelta(days=1)
_WORD = 8
"""Bytes of what is remembered of a revision, and of its content."""


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
    timeless: bool = False
    """A thing that is of no time, such as a user or a note: none the worse without one."""


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
    name: str = ""
    """What a file, table or type that is not read calls itself; it is told as a finding."""


class Standing(NamedTuple):
    """What is made of a record."""

    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    profile: Profile

    @property
    def status(self) -> str:
        """valid | warning | invalid."""
        return "invalid" if self.errors else "warning" if self.warnings else "valid"

    @property
    def codes(self) -> list[str]:
        """Why it is invalid, and what a person should know of it."""
        return [*self.errors, *self.warnings]


Parsed = Record | DeadLetter | Layout
Parse = Callable[[File, Mapping[str, Any]], Iterator[Parsed]]
"""Streams one raw artifact. Raises SourceRefused, before the first record, for a file that cannot be read at all."""


class Rules(NamedTuple):
    """What is asked of the records of one kind of raw artifact."""

    name: str
    schema: dict[str, Any]
    """JSON Schema of a record."""
    on_drift: str | None = None
    """evolve | warn | quarantine; None: as the setting says."""


RulesOf = Callable[[str], Rules]
"""The rules for a raw artifact, by its name; rules of one name are the same."""
ParseBlocks = Callable[[File, Mapping[str, Any]], Iterator["Parsed | Block"]]
"""The same for a source with millions of records."""


def collect(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any], parse: ParseBlocks, schema: str | RulesOf) -> Report:
    """Run `parse` over all raw artifacts (role `raw`); write roles `records`, `dead_letters` and `months`.

    `schema`: path of the source's JSON Schema, or what gives each artifact's rules. A refused file becomes one dead letter and a
    finding; the others go on. Of the
    settings it reads `on_drift_<source>`, which every `records` node declares: evolve (default), warn or quarantine.
    """
    from ingestion import kept

    pa.set_memory_pool(pa.system_memory_pool())  # the others keep what was let go of: some 40 MB
    rules = schema if callable(schema) else _alike(schema)
    files = sorted(inputs.many("raw"), key=lambda file: not kept.is_kept(file.name))  # first: an export repeats them, not they it
    with (
        outputs.open("records") as good,
        outputs.open("dead_letters") as bad,
        TableWriter(good, RECORDS) as records,
        TableWriter(bad, DEAD_LETTERS) as dead,
    ):
        collector = _Collector(records, dead, rules, _begins(files), _on_drift(settings))
        for file in files:
            collector.take(file, kept.parse if kept.is_kept(file.name) else parse, settings)
    with outputs.open("months") as counted:
        collector.months.write(counted)
    return collector.report()


def _alike(path: str) -> RulesOf:
    """One schema for all of a source."""
    with open(path, encoding="utf-8") as text:
        rules = Rules("", json.load(text))
    return lambda _: rules


def _on_drift(settings: Mapping[str, Any]) -> str:
    return next((str(value) for name, value in settings.items() if name.startswith("on_drift_")), "evolve")


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

    def __init__(self, records: TableWriter, dead: TableWriter, rules: RulesOf, begins: datetime | None, on_drift: str) -> None:
        from ingestion.months import Months

        self.months = Months()
        self._records, self._dead, self._rules, self._begins, self._usual = records, dead, rules, begins, on_drift
        self._known: dict[str, tuple[Judge, drift.Drift, str]] = {}
        self._unread = Unread()
        self._seen, self._newest = Ledger(0), Ledger(2 * _WORD)
        self._fates: Counter[str] = Counter()
        self._findings: list[Finding] = []
        self._seen_blocks: Seen | None = None
        self._index = self._erased = 0
        self._latest: datetime | None = None

    def take(self, file: File, parse: ParseBlocks, settings: Mapping[str, Any]) -> None:
        self._index = self._erased = 0
        self._judge, self._drift, self._on_drift = self._ruled(self._rules(file.name))
        self._latest = None if file.arrived is None else datetime.fromtimestamp(file.arrived, UTC) + _FUTURE_SLACK
        try:
            for item in parse(file, settings):
                self._index += 1
                if isinstance(item, Record):
                    self._record(item, file)
                elif isinstance(item, DeadLetter):
                    self._letter(item, file)
                elif not isinstance(item, Layout):
                    self._block(item, file)
                else:
                    self._fates[f"unused:{item.what}"] += item.times
                    if item.name:
                        self._unread.note(item.what, item.name, item.times)
        except SourceRefused as refused:
            self._letter(DeadLetter(b"", refused.reason, refused.what, "file"), file, file.size)
            self._findings.append({"code": refused.reason, "message": str(refused), "where": file.name, "count": 1})
        if self._erased:
            self._fates["unused:erased"] += self._erased
            self._findings.append({"code": "erased", "message": _ERASED, "where": file.name, "count": self._erased})

    def report(self) -> Report:
        fates = dict(sorted((+self._fates).items()))
        return {
            "rows": {"records": self._records.rows, "dead_letters": self._dead.rows},
            "balance": {"unit": "row", "came": sum(fates.values()), "fates": fates},
            "findings": [*self._findings, *self._unread.findings(), *self._drifted()],
        }

    def _ruled(self, rules: Rules) -> tuple[Judge, drift.Drift, str]:
        if rules.name not in self._known:
            judge = Judge(rules.schema)
            self._known[rules.name] = judge, drift.Drift(judge.plans), rules.on_drift or self._usual
        return self._known[rules.name]

    def _drifted(self) -> list[Finding]:
        return [finding for _, found, _ in self._known.values() for finding in found.findings()]

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
        mark = self._mark(record, text)
        if mark is None:
            self._fates["duplicate"] += 1
            return
        self._write(record, text, file, mark)

    def _mark(self, record: Record, text: str) -> bytes | None:
        """A digest of what makes a record; None when these very bytes were seen, or, with a revision, when they say what the newest
        revision so far says.

        A value that goes back (X, Y, X over three exports) is news, not a repeat of the first X.
        """
        if not record.volatile:
            key = _digest(f"{len(record.raw_id)}:{record.raw_id}{text}")
            return key if self._seen.swap(key, b"") is None else None
        key = _digest(record.raw_id)
        content = _digest(repr({k: v for k, v in record.raw.items() if k not in record.volatile}))
        newest = self._newest.get(key)
        if newest is None or record.revision >= int.from_bytes(newest[:_WORD], "big", signed=True):
            self._newest.swap(key, record.revision.to_bytes(_WORD, "big", signed=True) + content[:_WORD])
        return None if newest is not None and newest[_WORD:] == content[:_WORD] else _digest(f"{key.hex()}{content.hex()}")

    def _write(self, record: Record, text: str, file: File, mark: bytes) -> None:
        untimely = self._untimely(record)
        more = untimely if record.timestamp else ()
        standing = self._standing(record.raw, untimely, f"{file.name} {record.position}", (record.errors, more, record.warnings))
        stamp = record.timestamp.astimezone(UTC) if record.timestamp else None
        self._records.append(
            (
                record.raw_id,
                stamp,
                text,
                standing.status,
                standing.codes,
                file.name,
                file.sha256,
                record.position,
                self._index,
                record.revision,
                *_time_as_written(record),
                *standing.profile,
            ),
            len(text),
        )
        self._fates[_fate(standing)] += 1
        self.months.one(stamp, mark, standing)

    def _block(self, block: Block, file: File) -> None:
        """Many records at once; what is asked of each is asked of one of every run."""
        from ingestion.blocks import Seen, sort, table

        self._seen_blocks = self._seen_blocks or Seen()
        told = sort(block, self._seen_blocks, self._begins, self._latest)
        standings = []
        for kind in told.kinds:
            untimely = ("future",) if kind.future else ()
            where = f"{file.name} {block.positions[kind.first]}"
            standing = self._standing(block.runs[kind.run][0], untimely, where, ((), untimely, ()), kind.times)
            self._fates[_fate(standing)] += kind.times
            standings.append(standing)
        self._records.write(table(block, told, self._index, file, standings))
        self.months.many(block.stamps[told.chosen], block.contents[told.chosen], told.of, standings)
        self._index += len(block.raw_ids) - 1
        self._erased += told.erased
        self._fates["duplicate"] += told.repeats

    def _standing(
        self,
        raw: Mapping[str, Any],
        untimely: tuple[str, ...],
        where: str,
        said: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]],
        times: int = 1,
    ) -> Standing:
        """What is made of a record, or of `times` alike. `said`: errors before and after the schema's own, and warnings."""
        verdict = self._judge.verdict(raw, untimely)
        drifted = (drift.CODE,) if self._drift.of(raw, where, times) else ()
        errors = tuple(dict.fromkeys([*said[0], *verdict.refusals, *said[1]]))
        errors += drifted if self._on_drift == "quarantine" else ()
        return Standing(errors, said[2] + (drifted if self._on_drift == "warn" else ()), verdict.profile)

    def _untimely(self, record: Record) -> tuple[str, ...]:
        """Why its time cannot be used: it has none, or one later than its file arrived."""
        if record.timestamp is None:
            return record.errors or (() if record.timeless else ("no_time",))
        return ("future",) if self._latest is not None and record.timestamp > self._latest else ()

    def _letter(self, letter: DeadLetter, file: File, size: int | None = None) -> None:
        raw = letter.raw if len(letter.raw) <= MAX_DEAD_LETTER else None
        size = len(letter.raw) if size is None else size
        self._dead.append(
            (raw, size, letter.reason, letter.message, file.name, file.sha256, letter.position, self._index), len(raw or b"")
        )
        self._fates[f"rejected:{letter.reason}"] += 1


def _fate(standing: Standing) -> str:
    return f"rejected:{standing.errors[0]}" if standing.errors else "accepted"


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
