"""Zepp Life raw artifacts → records: every row of the export's tables, from the tree, a zip or the AES zip that comes by mail.

`raw` is the row as received, texts as texts (`null` too), `naps` parsed; besides it says its `table`, the `account` and the time of
the `export` where a folder's, an archive's or a file's name does. Exports overlap and grow: of one row the newest export's counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from config.errors import SourceRefused
from config.stage import File, Inputs, Outputs, Report
from config.timezones import PersonZones
from ingestion.archives import Member, is_zip, members
from ingestion.records import DeadLetter, Layout, Parsed, Record, collect
from ingestion.strict_json import BadJSONError
from ingestion.zepp_life.lines import Line, cells, lines, naps
from ingestion.zepp_life.stamps import Instant, LocalClock, read_day, read_local, read_stamp
from ingestion.zepp_life.tables import Header, Origin, kind_of_name, origin, understand

SCHEMA = str(Path(__file__).with_name("schema.json"))
_NOT_TABLES = (b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"SQLite format 3", b"\x1f\x8b", b"RIFF")
_WIDE = (b"\xff\xfe", b"\xfe\xff")


def records(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `raw` → roles `records`, `dead_letters`. Settings: timezone, timezone_overrides, zepp_life_password_id; secret
    zepp_life_password."""
    return collect(inputs, outputs, settings, parse, SCHEMA)


def parse(file: File, settings: Mapping[str, Any]) -> Iterator[Parsed]:
    """The rows of one raw artifact: a table or an archive of tables. SourceRefused: what `archives` and `tables` refuse."""
    zones = PersonZones(settings["timezone"], settings["timezone_overrides"])
    with open(file.path, "rb") as opened:
        if not is_zip(opened.read(4)):
            yield from _table_rows(opened, file.name, "", zones)
            return
    for member in _opened(file.path, settings["zepp_life_password"]):
        try:
            yield from _table_rows(member.file, f"{file.name}/{member.name}", f"{member.name} ", zones)
        except SourceRefused as refused:  # one odd member; the others go on
            yield DeadLetter(b"", refused.reason, refused.what, member.name)


def _opened(path: str, password: str) -> Iterator[Member]:
    try:
        yield from members(path, password)
    except SourceRefused as refused:
        if refused.reason not in ("encrypted", "wrong_password"):
            raise
        mend = "Set ZEPP_LIFE_PASSWORD to the password of the mail that brought this archive, or unpack it and drop the files."
        raise SourceRefused(refused.what, mend, refused.reason) from None


def _table_rows(file: BinaryIO, place: str, where: str, zones: PersonZones) -> Iterator[Parsed]:
    file.seek(0)
    head = file.read(1024)
    if not head.removeprefix(b"\xef\xbb\xbf").strip():
        yield Layout("empty_file")
        return
    if where and head.startswith(_NOT_TABLES):
        yield Layout("not_a_table", 1, kind_of_name(place))
        return
    if head.startswith(_WIDE):
        raise SourceRefused("The table is not in UTF-8, as the export itself is.", "Drop the export's own file.", "encoding")
    reader: _Reader | None = None
    unread = 0
    header: Header | None = None
    for line in lines(file):
        if header is None:
            if line.text.strip(" ,") or line.problem:
                header = understand(line.text)
                reader = _Reader(header, origin(place), zones) if header.table else None
                yield Layout("header")
        elif reader is None:
            unread += bool(line.raw.strip())
        elif not line.raw.strip(b" ,"):
            yield Layout("blank")
        else:
            yield reader.read(line, f"{where}line {line.number}")
    if reader is None:
        yield Layout("table_not_read", unread, kind_of_name(place))


class _Reader:
    """Turns the lines of one table into records."""

    def __init__(self, header: Header, source: Origin, zones: PersonZones) -> None:
        self._keys, self._source = header.keys, source
        self._table = header.table.name if header.table else ""
        self._clock = LocalClock(zones)
        self._nights: dict[str, list[str]] = {}

    def read(self, line: Line, position: str) -> Parsed:
        """The record of one line, or why it is none."""
        found = None if line.problem else cells(line.text, self._keys)
        if found is None:
            reason = line.problem or ("short_row" if line.text.count(",") < len(self._keys) - 1 else "long_row")
            return DeadLetter(line.raw, reason, _WHY[reason], position)
        if [cell.strip().lower() for cell in found] == [key.lower() for key in self._keys]:
            return Layout("repeated_header")
        raw: dict[str, Any] = {"table": self._table, **dict(zip(self._keys, found, strict=True))}
        warnings = []
        if raw.get("naps", "").strip() not in ("", "null"):
            try:
                raw["naps"] = naps(raw["naps"])
            except BadJSONError:
                warnings.append("bad_naps")
        when, label, text = self._when(raw)
        if when and when.flag:
            warnings.append(when.flag)
        raw |= {"account": self._source.account, "export": self._source.export}
        return Record(
            f"{self._table}/{self._source.account}/{label}",
            when.utc if when else None,
            raw,
            position,
            self._source.export,
            ("bad_time",) if when is None and self._table != "USER" else (),
            tuple(warnings),
            ("export",),
            text,
            when.offset if when else None,
        )

    def _when(self, raw: Mapping[str, Any]) -> tuple[Instant | None, str, str | None]:
        """The row's moment, what identifies it among the rows of its table, and its time as written."""
        if self._table == "USER":
            return None, raw["userId"], None
        if self._table in _BY_MINUTE:
            text = f"{raw['date']} {raw[_BY_MINUTE[self._table]]}"
            local = read_local(raw["date"], raw[_BY_MINUTE[self._table]])
            if local is None:
                return None, text, text
            moment = self._clock.at(local)
            return moment, f"{local.isoformat()}{'~2' * moment.again}", text
        if "date" in raw:
            day = read_day(raw["date"])
            when = self._clock.midnight(raw["date"])
            if self._table == "SLEEP" and when:
                return read_stamp(raw.get("start", "")) or when, self._night(f"{day}", raw), None
            return when, f"{day or raw['date']}", raw["date"]
        text = next((raw[key] for key in ("time", "timestamp", "startTime") if raw.get(key, "").strip()), "")
        stamp = read_stamp(text)
        return stamp, stamp.utc.isoformat() if stamp else text, text or None

    def _night(self, day: str, raw: Mapping[str, Any]) -> str:
        """A date's rows are told apart by their order in the file; a row that stands there twice is one."""
        content = repr(raw)
        told = self._nights.setdefault(day, [])
        if content not in told:
            told.append(content)
        at = told.index(content)
        return f"{day}#{at + 1}" if at else day


_BY_MINUTE = {
    "HEARTRATE_AUTO": "time",
    "SPO2": "time",
    "SLEEP_MINUTE": "time",
    "ACTIVITY_MINUTE": "time",
    "ACTIVITY_STAGE": "start",
}
"""Table → the column of its clock time; the date is in `date`, both are the person's own."""
_WHY = {
    "short_row": "The row has fewer cells than the header.",
    "long_row": "The row has more cells than the header.",
    "encoding": "The row holds bytes that are not UTF-8.",
    "nul_byte": "The row holds a NUL byte.",
    "field_too_big": "The row is longer than 1 MB.",
}
