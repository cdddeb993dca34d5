"""Raw CSV files → records: one per row, as written, with its time worked out and its texts named by the file's preset.

Rows that sum others up are records that are no measurement (`summary_row`); blank rows and repeated headers are layout; a row with
more or fewer fields than the header is a dead letter, because nobody can say which field is missing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, NamedTuple

from config.errors import SourceRefused
from config.stage import File, Inputs, Outputs, Report
from config.timezones import PersonZones
from ingestion.blood_pressure_layout import is_summary
from ingestion.bp_csv.detect import Choice, choose_preset
from ingestion.clock import Clock, read_epoch, read_format, read_time
from ingestion.date_column import Dated, read_column
from ingestion.dropped_text import Line, is_empty, kind_of, ragged, read_bytes, read_lines
from ingestion.occasions import Occasion, any_cell, content_key, occasion, ordinals, time_text
from ingestion.records import DeadLetter, Layout, Parsed, Record, collect
from ingestion.words import fold

SCHEMA = os.path.join(os.path.dirname(__file__), "schema.json")
_EPOCHS = {"timestamp_ms": 1000, "timestamp_s": 1}
_HAS_TIME = re.compile(r"%[HIXcs]")


def records(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `raw` → roles `records`, `dead_letters`. Settings: `timezone`, `timezone_overrides`, `bp_csv_presets`."""
    return collect(inputs, outputs, settings, parse, SCHEMA)


def parse(file: File, settings: Mapping[str, Any]) -> Iterator[Parsed]:
    """The records of one CSV file. SourceRefused: what it is instead of a CSV, `preset_undecided`, `duplicate_headers`, `ragged`."""
    return parse_bytes(read_bytes(file.path), file.name, settings)


def parse_bytes(data: bytes, name: str, settings: Mapping[str, Any]) -> Iterator[Parsed]:
    """The records of a CSV's bytes; `name` may say which user of a cuff they are of. SourceRefused as `parse`."""
    zones = PersonZones(settings["timezone"], settings["timezone_overrides"])
    if is_empty(data):
        return iter((Layout("empty_file"),))
    if kind_of(data) != "text":
        raise SourceRefused("The file is no CSV.", "Drop the CSV export itself.", "unknown_format")
    choice = choose_preset(data, settings["bp_csv_presets"])
    encoding = "utf-8-sig" if choice.preset.encoding == "utf-8" else choice.preset.encoding
    lines = read_lines(data, choice.delimiter, encoding, padded=choice.preset.padded)
    return iter(_Reader(choice, zones, _user_in_name(choice, name)).read(lines))


class _Found(NamedTuple):
    """A row before it has its id."""

    line: Line
    raw: dict[str, Any]
    label: str
    when: Occasion
    time_text: str | None


class _Reader:
    """The rows of one file under its preset."""

    def __init__(self, choice: Choice, zones: PersonZones, user: str | None) -> None:
        self._choice, self._zones, self._user = choice, zones, user
        self._unit = choice.unit
        self._header = [fold(name) for name in choice.header]
        self._names = [name.strip() or f"column {i}" for i, name in enumerate(choice.header, 1)]

    def read(self, lines: list[Line | DeadLetter]) -> list[Parsed]:
        start = next((i for i, line in enumerate(lines) if isinstance(line, Line) and self._is_header(line)), None)
        if start is None:
            raise SourceRefused("The header holds bytes that are not in the file's encoding.", "Save it as UTF-8.", "encoding")
        items: list[_Found | Parsed] = [Layout("title", start)] if start else []
        items.append(Layout("header"))
        data = [self._classify(line) for line in lines[start + 1 :]]
        self._refuse_shifted(data)
        whole = [line for line in data if isinstance(line, Line)]
        found = iter(self._found(line, dated) for line, dated in zip(whole, self._dates(whole), strict=True))
        items += [next(found) if isinstance(item, Line) else item for item in data]
        return _with_ids(items, self._choice.preset.name)

    def _classify(self, line: Line | DeadLetter) -> Line | Parsed:
        if isinstance(line, DeadLetter):
            return line
        if not any_cell(line.cells):
            return Layout("blank")
        if self._is_header(line):
            return Layout("repeated_header")
        return line if len(line.cells) == len(self._names) else ragged(line, len(self._names))

    def _is_header(self, line: Line) -> bool:
        return len(line.cells) == len(self._header) and all(fold(c) == h for c, h in zip(line.cells, self._header, strict=True))

    def _refuse_shifted(self, data: list[Line | Parsed]) -> None:
        """One field more than the header in every row: which value belongs to which name is anybody's guess."""
        bad = sum(isinstance(item, DeadLetter) and item.reason == "ragged" for item in data)
        if bad > 1 and not any(isinstance(item, Line) for item in data):
            raise SourceRefused("No row has as many fields as the header.", "Export it again.", "ragged")

    def _dates(self, lines: list[Line]) -> list[Dated | None]:
        """What the date cells mean where they are recognised, not declared: decided from all rows of the file."""
        field = "datetime" if "datetime" in self._choice.columns else "date"
        if self._choice.preset.date_formats or field not in self._choice.columns:
            return [None] * len(lines)
        cells = [line.cells[self._choice.columns[field]] for line in lines]
        dated = iter(read_column([c for c in cells if c.strip()]))
        return [next(dated) if c.strip() else None for c in cells]

    def _found(self, line: Line, dated: Dated | None) -> _Found:
        preset, columns = self._choice.preset, self._choice.columns
        texts = {field: line.cells[i] for field, i in columns.items() if line.cells[i].strip()}
        fields = {f: text for f, text in texts.items() if f in _TIMED or fold(text) not in preset.na}
        if self._user is not None:
            fields.setdefault("user", self._user)
        raw = {
            "preset": preset.name,
            "unit": self._unit,
            "decimal": preset.decimal,
            "ownUser": preset.own_user,
            "fields": fields,
            "row": dict(zip(self._names, line.cells, strict=True)),
        }
        when = self._when(fields, dated)
        if when.errors and any(is_summary(cell) for cell in [c for c in line.cells if c.strip()][:1]):
            when = Occasion(None, "", ("summary_row",))
        user = fields.get("user", "").strip()
        label = f"{user}/{when.label}" if user and when.label else when.label
        return _Found(line, raw, label, when, self._time_text(fields, when))

    def _time_text(self, fields: Mapping[str, str], when: Occasion) -> str | None:
        if "summary_row" in when.errors or _EPOCHS.keys() & self._choice.columns.keys():
            return None
        return time_text(fields.get("datetime", fields.get("date")), fields.get("time"))

    def _when(self, fields: Mapping[str, str], dated: Dated | None) -> Occasion:
        for name, per_second in _EPOCHS.items():
            if name in self._choice.columns:
                utc = read_epoch(fields.get(name, "").strip(), per_second) if name in fields else "date_missing"
                return Occasion(None, "", (utc,)) if isinstance(utc, str) else Occasion(utc, utc.isoformat())
        text = fields.get("datetime", fields.get("date"))
        if text is None:
            return Occasion(None, "", ("date_missing",))
        if dated is None:
            return self._declared(text, fields.get("time", ""))
        if dated.day is None:
            return Occasion(None, "", (dated.error or "bad_date",))
        when = self._occasion(dated.day, fields.get("time", ""), dated.clock, dated.written.offset)
        return when._replace(warnings=(*when.warnings, *([dated.warning] if dated.warning else [])))

    def _declared(self, text: str, time_text: str) -> Occasion:
        """By the preset's formats, and nothing but them."""
        for form in self._choice.preset.date_formats:
            found = read_format(text, (form,))
            if not isinstance(found, str):
                clock = Clock(found.time()) if _HAS_TIME.search(form) else Clock()
                return self._occasion(found.date(), time_text, clock, found.tzinfo)
        code = read_format(text, self._choice.preset.date_formats)
        return Occasion(None, "", (code if isinstance(code, str) else "bad_date",))

    def _occasion(self, day: date, time_text: str, clock: Clock, offset: Any) -> Occasion:
        if time_text.strip():
            clock, offset = self._time(time_text), None
        return occasion(day, clock, None, self._zones, None, offset)

    def _time(self, text: str) -> Clock:
        formats = self._choice.preset.time_formats
        if not formats:
            return read_time(text)
        found = read_format(f"2000-01-01 {text.strip()}", tuple(f"%Y-%m-%d {form}" for form in formats))
        return Clock(error="bad_time") if isinstance(found, str) else Clock(found.time())


_TIMED = ("timestamp_ms", "timestamp_s", "datetime", "date", "time")
_VALUES = {"systolic", "diastolic", "pressure"}


def _with_ids(items: list[_Found | Parsed], preset: str) -> list[Parsed]:
    """Ids last: the ordinals of measurements of one time need all of them."""
    keys = [(item.label, content_key(item.raw["row"], item.raw["fields"])) for item in items if isinstance(item, _Found)]
    numbers = ordinals(keys)
    names = iter([f"{preset}:{f'{label}#{numbers[label, content]}' if label else f'row:{content}'}" for label, content in keys])
    return [_record(item, next(names)) if isinstance(item, _Found) else item for item in items]


def _record(found: _Found, raw_id: str) -> Record:
    fields = found.raw["fields"]
    pulse_only = "pulse" in fields and not _VALUES & fields.keys()
    return Record(
        raw_id=raw_id,
        timestamp=found.when.utc,
        raw=found.raw,
        position=f"line {found.line.number}",
        errors=found.when.errors,
        warnings=(*found.when.warnings, *(["pulse_only"] if pulse_only else [])),
        time_text=found.time_text,
        utc_offset=found.when.offset,
    )


def _user_in_name(choice: Choice, name: str) -> str | None:
    """The cuff's user where the file's name says it: omblepy writes user1.csv and user2.csv."""
    pattern = choice.preset.user_in_name
    found = re.search(pattern, os.path.basename(name)) if pattern else None
    return found[1] if found else None
