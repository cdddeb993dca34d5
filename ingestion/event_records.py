"""An event (`config.events`) as a record, whatever brought it: its id is the record's, so the same event over two ways counts once.

Events do not change: of unequal contents under one id the same one counts whichever came first (`revision` is always 0).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from typing import Any

from config.events import check, instant
from ingestion.records import DeadLetter, Record
from ingestion.strict_json import DECODER, BadJSONError


def record_of(text: bytes, position: str) -> Record | DeadLetter:
    """The record of an event's JSON text; a dead letter with the reason where it is none."""
    try:
        event = DECODER.decode(text.decode())
    except BadJSONError as error:
        return refused(text, str(error), position)
    except UnicodeDecodeError:
        return refused(text, "not_utf8", position)
    except (ValueError, RecursionError):
        return refused(text, "not_json", position)
    if reasons := check(event):
        return refused(text, reasons[0], position)
    when = event["ts_utc"]
    return Record(event["event_id"], instant(when), event, position, time_text=when, utc_offset=0)


def refused(text: bytes, reason: str, position: str) -> DeadLetter:
    """What is no event."""
    return DeadLetter(text, reason, "The event cannot be stored; its reason code says which field is wrong.", position)


def line_of(sequence: str, arrived: str, data: bytes) -> bytes:
    """A message of a stream as a line of a raw page: what the stream says of it, and its bytes as they came."""
    said = {"sequence": sequence, "arrived": arrived, "data": base64.b64encode(data).decode()}
    return json.dumps(said, separators=(",", ":")).encode() + b"\n"


def messages_of(path: str) -> Iterator[tuple[str, bytes] | None]:
    """(Sequence number, bytes) of each line of such a page; None for a line that is none."""
    with open(path, "rb") as page:
        for line in page:
            yield _message(line)


def _message(line: bytes) -> tuple[str, bytes] | None:
    try:
        said: Any = json.loads(line)
        return str(said["sequence"]), base64.b64decode(said["data"], validate=True)
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error):
        return None
