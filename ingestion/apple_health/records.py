"""Apple Health raw artifacts → records: `export.xml` under any name, alone, in its folder or in its zip, read as a stream.

What lies beside it (the clinical document, routes, electrocardiograms) is counted by kind. `raw` is an element's attributes as
received, with `table` naming the element, `metadata` its entries and, of a blood pressure pair, `records` its two halves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from config.errors import SourceRefused
from config.stage import File, Inputs, Outputs, Report
from ingestion.apple_health.columns import FULL
from ingestion.apple_health.elements import KNOWN, Elements
from ingestion.apple_health.rows import VOLATILE
from ingestion.blocks import Block, expanded
from ingestion.export_files import ExportFile, beginning, each_file, is_web_page
from ingestion.records import DeadLetter, Layout, Parsed, collect
from ingestion.xml_stream import begins_with, stream

SCHEMA = str(Path(__file__).with_name("schema.json"))
ROOT = "HealthData"
_HEAD = 1 << 18
_BESIDE = (".gpx", ".csv", ".json", ".pdf", ".jpg", ".jpeg", ".png", ".heic", ".xsl")
"""What the export holds beside its XML: routes, electrocardiograms, clinical records and their attachments."""


def records(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `raw` → roles `records`, `dead_letters`."""
    return collect(inputs, outputs, settings, parse_blocks, SCHEMA)


def parse(file: File, settings: Mapping[str, Any]) -> Iterator[Parsed]:
    """The records of one raw artifact, one by one."""
    for item in parse_blocks(file, settings):
        if isinstance(item, Block):
            yield from expanded(item, VOLATILE)
        else:
            yield item


def parse_blocks(file: File, settings: Mapping[str, Any]) -> Iterator[Parsed | Block]:  # noqa: ARG001  every parse has these two
    """The same with quantities by the ten thousand. SourceRefused for a file that is no part of an export."""
    return each_file(file, _read)


def _read(file: ExportFile) -> Iterator[Parsed | Block]:
    head = beginning(file.file, _HEAD)
    if not head.strip():
        yield Layout("empty_file")
    elif begins_with(head, ROOT):
        yield from _elements(file)
    elif begins_with(head, "ClinicalDocument"):
        yield Layout("file_not_read", 1, "export_cda.xml")
    elif is_web_page(head):
        raise SourceRefused("The file is a web page, not an export.", "Export from the Health app again.", "html")
    elif file.name.lower().endswith(_BESIDE) or file.where:
        path = PurePosixPath(file.name)
        yield Layout("file_not_read", 1, f"{path.parent.name}/*{path.suffix.lower()}".removeprefix("/"))
    else:
        raise SourceRefused("The file is no export of the Health app.", "Drop the export's zip as it is.", "unknown_format")


def _elements(file: ExportFile) -> Iterator[Parsed | Block]:
    elements = Elements(file.where)
    for damage in stream(file.file, ROOT, KNOWN, elements):
        yield from elements.taken()
        if elements.columns.rows >= FULL:
            yield from elements.columns.taken()
        if damage is not None:
            yield DeadLetter(damage.raw, damage.reason, damage.message, f"{file.where}line {damage.line}")
    yield from elements.taken()
    yield from elements.columns.taken()
    yield from elements.aside()
