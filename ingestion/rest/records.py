"""Pages of a REST source → records: each as it was received, known by its stream and id; what is no record becomes a dead letter.

A page lies in the folder of its stream; one that is dropped in the inbox is read alike when it lies in a folder so named.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from config.errors import SourceRefused
from config.mapping import found
from config.rest import RestDeclaration, Stream
from config.stage import File, Inputs, Outputs, Report
from config.timezones import PersonZones
from ingestion import json_stream
from ingestion.records import DeadLetter, Parsed, Record, Rules, collect, json_text
from ingestion.rest.found import MisshapenError, records_in
from ingestion.rest.moments import mark, moment
from ingestion.strict_json import DECODER, BadJSONError

if TYPE_CHECKING:
    from ingestion.rest import RestSource

_NUMBER = re.compile(r"(\d{6,})-")
_START = datetime(1970, 1, 1, tzinfo=UTC)
_ALWAYS = ("\0",)
"""No record has such a key: said as volatile, it makes the newest page's word count where a record goes back to what it was."""


def records(source: type[RestSource], inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `raw` → roles `records`, `dead_letters`, `months`."""
    declaration = source.declaration(settings)
    streams = {stream.name: stream for stream in declaration.streams}

    def rules(name: str) -> Rules:
        stream = streams.get(_stream_name(name))
        if stream is None:
            return Rules("", {"type": "object"})
        return Rules(stream.name, stream.schema_ or {"type": "object"}, stream.on_drift)

    def parse(file: File, settings: Mapping[str, Any]) -> Iterator[Parsed]:
        return parsed(source, declaration, file, settings)

    return collect(inputs, outputs, settings, parse, rules)


def parsed(source: type[RestSource], declaration: RestDeclaration, file: File, settings: Mapping[str, Any]) -> Iterator[Parsed]:
    """The records of one page. SourceRefused for a file in no stream's folder."""
    stream = next((each for each in declaration.streams if each.name == _stream_name(file.name)), None)
    if stream is None:
        raise SourceRefused(
            "The file lies in no folder of a stream.", f"Drop it in inbox/{declaration.name}/<stream>/.", "unknown_stream"
        )
    return _Page(source, declaration, stream, file, settings).read()


def _stream_name(name: str) -> str:
    """`raw/heart/posts/000017-1f2e3d4c5b6a.json` → `posts`."""
    parts = name.split("/")
    return parts[2] if len(parts) > 3 else ""


class _Page:
    """One page."""

    def __init__(
        self, source: type[RestSource], declaration: RestDeclaration, stream: Stream, file: File, settings: Mapping[str, Any]
    ) -> None:
        self._source, self._stream, self._file = source, stream, file
        self._time = stream.time or next((r.time for r in declaration.readings if r.stream in ("", stream.name)), "")
        known = dict(settings)
        self._zones = PersonZones(known["timezone"], known["timezone_overrides"]) if "timezone_overrides" in known else None
        number = _NUMBER.match(file.name.rpartition("/")[2])
        self._number = int(number[1]) + 1 if number else 0

    def read(self) -> Iterator[Parsed]:
        with open(self._file.path, "rb") as opened:
            body = opened.read()
        if not body.strip():
            return
        try:
            document = DECODER.decode(body.decode("utf-8-sig"))
            items = records_in(document, self._stream)
        except MisshapenError:
            yield DeadLetter(body, "no_records", "The answer does not hold its records where they should be.", "file")
        except (ValueError, RecursionError) as error:
            yield from self._piecewise(body, error)
        else:
            for number, item in enumerate(items, 1):
                yield self._item(item, number)

    def _piecewise(self, body: bytes, error: Exception) -> Iterator[Parsed]:
        """What can be read of a page that cannot be as a whole."""
        path = self._stream.records
        if "." in path or body.lstrip()[:1] not in (b"{", b"["):
            deep = "json_too_deep" if isinstance(error, RecursionError) else "bad_json"
            reason = str(error) if isinstance(error, BadJSONError) else deep
            yield DeadLetter(body, reason, "The answer is no JSON as its standard has it.", "file")
            return
        with open(self._file.path, "rb") as file:
            for item in json_stream.items(file, (path,) if path else ()):
                if isinstance(item, DeadLetter):
                    yield item
                elif item.key == (path or None):
                    yield self._item(item.value, item.number)

    def _item(self, item: Any, number: int) -> Parsed:
        position = f"record {number}"
        if not isinstance(item, dict):
            return DeadLetter(_bytes(item), "not_an_object", "A record is no JSON object.", position)
        time = found(item, self._time)
        stamp, offset = self._moment(time)
        changed = mark(item, self._stream.cursor) if self._stream.cursor else None
        return Record(
            self._raw_id(item),
            stamp,
            item,
            position,
            revision=_revision(changed, self._number),
            errors=(*(("bad_time",) if time is not None and stamp is None else ()), *self._source.faults(self._stream, item)),
            volatile=() if changed is not None else _ALWAYS,
            time_text=time if isinstance(time, str) else None,
            utc_offset=offset,
            timeless=not self._time or time is None,
        )

    def _raw_id(self, record: Mapping[str, Any]) -> str:
        """By the declared fields; by its content where they say nothing."""
        said = self._stream.id
        parts = [found(record, path) for path in ([said] if isinstance(said, str) else said) if path]
        if parts and all(isinstance(part, (str, int, float)) and part != "" for part in parts):
            return f"{self._stream.name}:{'/'.join(str(part) for part in parts)}"
        try:
            text = json_text(dict(sorted(record.items())))
        except (ValueError, RecursionError):
            text = repr(record)
        return f"{self._stream.name}:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"

    def _moment(self, value: Any) -> tuple[datetime | None, int | None]:
        """(in UTC, seconds east of it as written). A time without an offset is the person's clock, where the settings tell that."""
        if not isinstance(value, str):
            return moment(value), None
        try:
            written = datetime.fromisoformat(value.strip())
        except ValueError:
            return moment(value), None
        if written.tzinfo is None and self._zones is not None:
            utc = self._zones.to_utc(written).utc
            return utc, round((written.replace(tzinfo=UTC) - utc).total_seconds())
        offset = written.utcoffset()
        return moment(value), None if offset is None else int(offset.total_seconds())


def _revision(changed: datetime | float | None, number: int) -> int:
    """Microseconds of the change, or a counter; the page's number where arrival is all there is to go by."""
    if isinstance(changed, datetime):
        return (changed - _START) // timedelta(microseconds=1)
    return number if changed is None else int(changed)


def _bytes(value: Any) -> bytes:
    try:
        return json_text(value).encode()
    except (ValueError, RecursionError):
        return repr(value).encode("utf-8", "backslashreplace")
