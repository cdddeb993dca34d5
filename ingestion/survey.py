"""What an export holds, told without keeping any of it: tables, rows, time span, what is not read, what has changed. Never a value.

Made by the very `parse` and schema that `records` uses, so it says what a run would find. Records are told apart by their `table`, or by
the field a schema names in `x-named-by` (types of one table).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from config.errors import SourceRefused
from config.stage import File
from ingestion.drift import Drift, printable
from ingestion.quality import Judge
from ingestion.records import DeadLetter, Layout, ParseBlocks, Record
from ingestion.unread import Unread

if TYPE_CHECKING:
    from ingestion.blocks import Block

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_TABLES = 1_000
_OTHERS = "(others)"


class Span(NamedTuple):
    """The records of a table."""

    records: int
    first: datetime | None
    last: datetime | None


class Survey:
    """One look at the files of a source."""

    def __init__(self, parse: ParseBlocks, schema: str, settings: Mapping[str, Any]) -> None:
        with open(schema, encoding="utf-8") as text:
            told = json.load(text)
        self._judge, self._named_by = Judge(told), str(told.get("x-named-by", "table"))
        self._parse, self._settings = parse, settings
        self._drift, self._unread = Drift(self._judge.plans), Unread()
        self._records = 0
        self._tables: dict[str, Span] = {}
        self._reasons: Counter[tuple[str, str]] = Counter()
        self._examples: dict[tuple[str, str], str] = {}
        self._layout: Counter[str] = Counter()
        self._files: list[dict[str, Any]] = []

    def look(self, file: File) -> None:
        """Read one file through."""
        before = self._records
        told: dict[str, Any] = {"name": file.name, "bytes": file.size}
        try:
            for item in self._parse(file, self._settings):
                self._take(item, file.name)
        except SourceRefused as refused:
            told |= {"refused": refused.reason, "why": str(refused)}
            self._note("refused", refused.reason, file.name)
        self._files.append({**told, "records": self._records - before})

    def told(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {
            "files": self._files,
            "tables": [
                {"table": printable(name), "records": span.records, "first": _text(span.first), "last": _text(span.last)}
                for name, span in sorted(self._tables.items())
            ],
            "not_read": [{"what": what, "name": printable(name), "count": n} for what, name, n in self._unread.names()],
            "layout": dict(sorted(self._layout.items())),
            "refused": [
                {"kind": kind, "reason": reason, "count": n, "example": self._examples[kind, reason]}
                for (kind, reason), n in self._reasons.most_common()
            ],
            "drift": [
                {"change": c.kind, "table": printable(c.table), "field": printable(c.field), "count": n, "example": example}
                for c, n, example in self._drift.changes()
            ],
        }

    def _take(self, item: Record | DeadLetter | Layout | Block, name: str) -> None:
        if isinstance(item, Record):
            at = item.timestamp
            self._record(item.raw, f"{name} {item.position}", 1, at, at, item.errors)
        elif isinstance(item, DeadLetter):
            self._note("dead letter", item.reason, f"{name} {item.position}")
        elif not isinstance(item, Layout):
            self._block(item, name)
        elif item.name:
            self._unread.note(item.what, item.name, item.times)
        else:
            self._layout[item.what] += item.times

    def _block(self, block: Block, name: str) -> None:
        begin = 0
        for raw, times in block.runs:
            stamps = block.stamps[begin : begin + times]
            first, last = (_EPOCH + timedelta(microseconds=int(at)) for at in (stamps.min(), stamps.max()))
            self._record(raw, f"{name} {block.positions[begin]}", times, first, last)
            begin += times

    def _record(
        self,
        raw: Mapping[str, Any],
        where: str,
        times: int,
        first: datetime | None,
        last: datetime | None,
        errors: tuple[str, ...] = (),
    ) -> None:
        """A record, or `times` alike between `first` and `last`."""
        self._records += times
        table = raw.get(self._named_by) or raw.get("table")
        table = table if isinstance(table, str) else ""
        if table not in self._tables and len(self._tables) >= _MOST_TABLES:
            table = _OTHERS
        span = self._tables.get(table, Span(0, None, None))
        earliest = min(filter(None, (first, span.first)), default=None)
        latest = max(filter(None, (last, span.last)), default=None)
        self._tables[table] = Span(span.records + times, earliest, latest)
        self._drift.of(raw, where, times)
        for reason in (*errors, *self._judge.verdict(raw).refusals):
            self._note("invalid record", reason, where, times)

    def _note(self, kind: str, reason: str, where: str, times: int = 1) -> None:
        key = kind, reason
        if key in self._reasons or len(self._reasons) < _MOST_TABLES:
            self._reasons[key] += times
            self._examples.setdefault(key, where)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds")
