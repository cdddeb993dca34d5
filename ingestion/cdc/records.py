"""Pages of a database's changes → records: one for every change of a row, the row as it stands after it; a row that is gone is one, too.

A record says table, operation, place in the log and commit time beside the row. Its identity is table and key, its revision the order
of the log, so a row read again by a later snapshot repeats nothing. A changed key is a deletion and a new row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from config.errors import SourceRefused
from config.stage import File, Finding, Inputs, Outputs, Report
from config.stamps import Stamp, Stamps
from config.timezones import PersonZones
from ingestion.cdc.changes import Emptied, Place, Row, key_of, raw_id
from ingestion.cdc.known import Known
from ingestion.cdc.pages import LOG, ROWS
from ingestion.cdc.pgoutput import Cells, Column, Unchanged, lsn_text
from ingestion.cdc.values import value_of
from ingestion.records import DeadLetter, Parsed, Record, collect

SCHEMA = str(Path(__file__).with_name("schema.json"))
_VOLATILE = ("op", "lsn", "committed_at")
_ISO = re.compile(r"\d{4}-\d\d-\d\d([T ].*)?", re.ASCII)


def records(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `raw` → roles `records`, `dead_letters`. Settings: cdc_time_column, timezone, timezone_overrides."""
    files = sorted((f for f in inputs.many("raw") if _is_page(f.name)), key=lambda f: f.name)
    reading = Reading(files, settings)
    report = collect(inputs, outputs, settings, reading.parse, SCHEMA)
    return {**report, "findings": [*report["findings"], *reading.findings()]}


def _is_page(name: str) -> bool:
    return name.endswith((LOG, ROWS))


class Reading:
    """One run over all pages, in their order."""

    def __init__(self, files: list[File], settings: Mapping[str, Any]) -> None:
        self._numbers = {file.name: number for number, file in enumerate(files)}
        self._files = files
        self._known = Known(self._load)
        self._time_column = settings["cdc_time_column"]
        self._stamps = Stamps(PersonZones(settings["timezone"], settings["timezone_overrides"]))
        self._columns: dict[str, tuple[Column, ...]] = {}
        self._altered: dict[str, int] = {}

    def parse(self, file: File, settings: Mapping[str, Any]) -> Iterator[Parsed]:  # noqa: ARG002  every source's parse has these two
        """The records of one page."""
        if file.name not in self._numbers:
            raise SourceRefused(
                "The file is no page of a database's changes.", "Drop no files for this source.", "unknown_format"
            )
        number = self._numbers[file.name]
        for change in list(self._known.page(number)):
            place = Place(number, change.number)
            if isinstance(change, Emptied):
                for row in self._known.gone(change, place):
                    gone = row._replace(op=change.op, lsn=change.lsn, at=change.at)
                    yield self._record(gone, row.cells, place, deleted=True)
                continue
            self._look_at(change)
            row, lacking = self._known.told(change, place)
            if row.former is not None:
                yield self._gone(row._replace(op="delete", key=row.former), place)
            if row.op == "delete":
                yield self._gone(row, place)
            else:
                yield self._record(row, row.cells, place, lacking=lacking)

    def findings(self) -> list[Finding]:
        """Tables that were altered while they were read."""
        return [
            {
                "code": "schema_change",
                "message": "The table was altered; its records go by its columns then.",
                "where": t,
                "count": n,
            }
            for t, n in sorted(self._altered.items())
        ]

    def _load(self, number: int) -> bytes:
        return Path(self._files[number].path).read_bytes()

    def _look_at(self, row: Row) -> None:
        known = self._columns.setdefault(row.table, row.columns)
        if [c[:2] for c in known] != [c[:2] for c in row.columns]:
            self._columns[row.table] = row.columns
            self._altered[row.table] = self._altered.get(row.table, 0) + 1

    def _gone(self, row: Row, place: Place) -> Record | DeadLetter:
        """A row that was deleted as the log tells of it: all of it before, or its key; the rest is not made up."""
        if row.before is not None:
            return self._record(row, row.before, place, deleted=True)
        which = key_of(row.columns)
        return self._record(row._replace(columns=tuple(row.columns[i] for i in which)), row.key, place, deleted=True)

    def _record(
        self, row: Row, cells: Cells, place: Place, *, deleted: bool = False, lacking: tuple[str, ...] = ()
    ) -> Record | DeadLetter:
        position, ident = f"change {place.number + 1}", raw_id(row.table, row.key)
        try:
            said = _values(row.columns, cells)
        except (UnicodeDecodeError, ValueError):
            return DeadLetter(b"", "not_text", "A value of the row is no text in UTF-8, or not what its type says.", position)
        raw = {
            "table": row.table,
            "id": ident,
            "op": row.op,
            "deleted": deleted,
            "lsn": lsn_text(row.lsn),
            "committed_at": _iso(row.at),
            "row": said,
        }
        when, text = self._time(said, row.at)
        return Record(
            raw_id=ident,
            timestamp=when.utc,
            raw=raw,
            position=position,
            revision=row.lsn,
            errors=(when.error,) if when.error else (),
            warnings=("value_unknown",) if lacking else (),
            volatile=_VOLATILE,
            time_text=text,
            utc_offset=when.offset,
        )

    def _time(self, said: Mapping[str, Any], committed: datetime) -> tuple[Stamp, str | None]:
        """When what the row tells was measured: as the column for it says, else when the change was committed."""
        text = said.get(self._time_column)
        if isinstance(text, str) and _ISO.fullmatch(text):
            return self._stamps.read(text), text
        return Stamp(committed, 0), None


def _values(columns: tuple[Column, ...], cells: Cells) -> dict[str, Any]:
    """Column → JSON value; a large value that nothing told is left out."""
    found: dict[str, Any] = {}
    for column, cell in zip(columns, cells, strict=True):
        if not isinstance(cell, Unchanged):
            found[column.name] = None if cell is None else value_of(cell, column.type_oid)
    return found


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
