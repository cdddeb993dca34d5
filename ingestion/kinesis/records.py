"""Pages of a Kinesis stream → records, one an event, by its id: at least once from the stream becomes exactly once here.

A message of the stream holds an event, a list of events or one a line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from config.errors import SourceRefused
from config.stage import File, Inputs, Outputs, Report
from ingestion.event_records import messages_of, record_of, refused
from ingestion.events.reading import items
from ingestion.records import DeadLetter, Parsed, collect

SCHEMA = str(Path(__file__).with_name("schema.json"))


def records(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `raw` → roles `records`, `dead_letters`, `months`."""
    return collect(inputs, outputs, settings, parse, SCHEMA)


def parse(file: File, settings: Mapping[str, Any]) -> Iterator[Parsed]:  # noqa: ARG001  every source's parse has these two
    """The events of one page. SourceRefused for a file that is none."""
    for number, message in enumerate(messages_of(file.path), 1):
        if message is None:
            if number == 1:
                raise SourceRefused("The file is no page of a stream.", "Drop no other files for this source.", "unknown_format")
            yield DeadLetter(b"", "damaged_line", "The line of the page cannot be read.", f"record {number}")
            continue
        _, data = message
        found = items(data)
        for part, item in enumerate(found, 1):
            position = f"record {number}" if len(found) == 1 else f"record {number} event {part}"
            yield refused(item.raw, item.reasons[0], position) if item.reasons else record_of(item.raw, position)
        if not found:
            yield refused(data, "not_json", f"record {number}")
