"""Mi Fitness raw artifacts → records: every row of the export's tables, whatever the copy was named, packed or encoded as.

`raw` is the row with its `Value` parsed; ids stay text, epoch times become numbers. The same row in several exports is one
record: `UpdateTime` changes with every export and does not count.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from config.epoch import epoch_micros
from config.errors import SourceRefused
from config.stage import File, Inputs, Outputs, Report
from config.timezones import PersonZones
from ingestion.archives import is_zip, members
from ingestion.csv_text import Row, rows
from ingestion.mi_fitness.encodings import table_encoding
from ingestion.mi_fitness.tables import Header, Table, understand
from ingestion.mi_fitness.values import parse_value
from ingestion.records import DeadLetter, Layout, Parsed, Record, collect
from ingestion.strict_json import BadJSONError

SCHEMA = str(Path(__file__).with_name("schema.json"))

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})", re.ASCII)
_DAY = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOT_TABLES = (b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"PK\x03\x04", b"SQLite format 3", b"\x1f\x8b")


def records(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `raw` → roles `records`, `dead_letters`. Settings: timezone, timezone_overrides (for rows stamped by day)."""
    return collect(inputs, outputs, settings, parse, SCHEMA)


def parse(file: File, settings: Mapping[str, Any]) -> Iterator[Parsed]:
    """The rows of one raw artifact: a table or an archive of tables."""
    zones = PersonZones(settings["timezone"], settings["timezone_overrides"])
    with open(file.path, "rb") as opened:
        if is_zip(opened.read(4)):
            yield from _archive(file.path, zones)
        else:
            yield from _table_rows(opened, "", zones, file.name)


def _archive(path: str, zones: PersonZones) -> Iterator[Parsed]:
    for member in members(path):
        try:
            yield from _table_rows(member.file, member.name + " ", zones, member.name)
        except SourceRefused as refused:  # one odd member; the others go on
            yield DeadLetter(b"", refused.reason, refused.what, member.name)


def _table_rows(file: BinaryIO, where: str, zones: PersonZones, name: str) -> Iterator[Parsed]:
    file.seek(0)
    head = file.read(1024)
    if not head.strip():
        yield Layout("empty_file")
        return
    if where and head.startswith(_NOT_TABLES):  # the export's own PDF and pictures
        yield Layout("not_a_table", name=_own_name(name))
        return
    if head.lstrip(b"\xef\xbb\xbf \r\n\t").lower().startswith((b"<!doctype", b"<html")):
        raise SourceRefused("The file is a web page, not a table.", "Download the export again, logged in.", "html")
    encoding = table_encoding(file)
    header, line = _header(file, encoding)
    if header.table is None:
        yield Layout("table_not_read", sum(1 for _ in rows(file, header.delimiter, encoding)), _own_name(name))
        return
    reader = _Reader(header, header.table, zones)
    for row in rows(file, header.delimiter, encoding):
        if isinstance(row, DeadLetter):
            yield row._replace(position=where + row.position)
        elif not any(row.cells):
            yield Layout("blank")
        elif row.line == line:
            yield Layout("header")
        else:
            yield reader.read(row, f"{where}line {row.line}")


def _own_name(name: str) -> str:
    """A file's name without folder, date and account: `MiFitness_user_profile.csv`."""
    return re.sub(r"^(?:\d+_)+", "", name.rpartition("/")[2])


def _header(file: BinaryIO, encoding: str) -> tuple[Header, int]:
    """The header and the line it stands on: blank lines may come first."""
    file.seek(0)
    text = io.TextIOWrapper(file, encoding=encoding, errors="replace" if encoding != "utf-7" else "strict")
    try:
        for number in range(1, 100):
            line = text.readline(1 << 20)
            if line.strip(" ,;\t\r\n"):
                return understand(line.rstrip("\r\n")), number
    except UnicodeError:
        raise SourceRefused("The file is in no known encoding.", "Save it as UTF-8.", "encoding") from None
    finally:
        text.detach()
    raise SourceRefused("The file begins with nothing but blank lines.", "Drop the export's own CSV files.", "unknown_table")


class _Reader:
    """Turns the rows of one table into records; what the header decides is decided once."""

    def __init__(self, header: Header, table: Table, zones: PersonZones) -> None:
        self._header, self._table, self._zones = header, table, zones
        keys = set(header.keys)
        older = table.name == "user_fitness_data_records"
        self._stamp = "time" if older else "Time" if "Time" in keys else "CreateTime"
        self._must_have_time = "Time" in keys or older
        self._value = next((k for k in ("Value", "value") if k in keys), None)
        self._tag = next((k for k in ("Tag", "tag") if k in keys), None)
        self._epochs = [k for k in (self._stamp, table.revision) if k in keys]
        self._identity = [k for k in ("Uid", "Sid", "Tag", "Key", "uid", "did", "tag", "key") if k in keys]
        self._warnings = ("unknown_column",) if header.unknown else ()
        self._volatile = (table.revision,)

    def read(self, row: Row, position: str) -> Record | DeadLetter:
        """The record of one row, or why it is none."""
        keys = self._header.keys
        if len(row.cells) != len(keys):
            return self._letter(row, "short_row" if len(row.cells) < len(keys) else "long_row", position)
        raw: dict[str, Any] = {"table": self._table.name}
        raw.update(zip(keys, row.cells, strict=True))
        if self._value is not None:
            cell = raw[self._value]
            try:
                raw[self._value] = parse_value(cell)
            except BadJSONError as bad:
                repeated = cell.strip().lower() == "value"
                return self._letter(row, "repeated_header" if repeated else str(bad), position)
        for key in self._epochs:
            if _INTEGER.fullmatch(raw[key]):
                raw[key] = int(raw[key])
        return self._record(raw, position)

    def _record(self, raw: dict[str, Any], position: str) -> Record:
        stamp = raw.get(self._stamp)
        micros = epoch_micros(stamp)
        return Record(
            self._raw_id(raw, micros),
            None if micros is None else self._moment(micros, raw),
            raw,
            position,
            epoch_micros(raw.get(self._table.revision)) or 0,
            ("bad_time",) if micros is None and self._must_have_time else (),
            self._warnings,
            self._volatile,
            stamp if isinstance(stamp, str) and stamp.strip() else None,
        )

    def _raw_id(self, raw: dict[str, Any], micros: int | None) -> str:
        """From what identifies a row in every export: table, account, device, kind and time; never its place in a file."""
        parts = [self._table.name, *[raw[k] for k in self._identity]]
        if self._must_have_time:
            whole = micros is not None and micros % 1_000_000 == 0
            parts.append(str(micros // 1_000_000) if micros is not None and whole else str(raw[self._stamp]))
        return "/".join(parts)

    def _moment(self, micros: int, raw: dict[str, Any]) -> datetime:
        """When it was measured. A row of a whole day is stamped with the midnight of the local day as if it were UTC."""
        utc = _EPOCH + timedelta(microseconds=micros)
        if micros % _DAY == 0 and self._is_day(raw):
            return self._zones.to_utc(datetime.combine(utc.date(), time())).utc
        return utc

    def _is_day(self, raw: dict[str, Any]) -> bool:
        tag = raw[self._tag] if self._tag else ""
        value = raw[self._value] if self._value else None
        return (
            tag.startswith("daily") or tag == "days" or (isinstance(value, dict) and value.get("date_time") == raw[self._stamp])
        )

    def _letter(self, row: Row, reason: str, position: str) -> DeadLetter:
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=self._header.delimiter, lineterminator="").writerow(row.cells)
        return DeadLetter(text.getvalue().encode("utf-8", "surrogateescape"), reason, _WHY[reason], position)


_WHY = {
    "short_row": "The row has fewer cells than the header.",
    "long_row": "The row has more cells than the header.",
    "repeated_header": "The header stands in the file a second time.",
    "bad_value_json": "The row's value is no JSON.",
    "duplicate_json_keys": "The row's value names a key twice, so one of the two would be lost.",
    "not_json": "The row's value holds NaN or Infinity, which JSON does not know.",
    "json_too_deep": "The row's value nests more than 100 levels deep.",
}
