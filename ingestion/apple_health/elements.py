"""What stands in an export's XML, element by element: records of the types that are read, blood pressure pairs, daily summaries.

Handlers are called millions of times, so they do next to nothing: a quantity's attributes go to the columns as they are, everything
else becomes a record of its own. `type` decides; what is not read is counted by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from xml.parsers import expat

from config.errors import SourceRefused
from ingestion.apple_health.columns import Columns, is_usual
from ingestion.apple_health.lines import Lines, Run
from ingestion.apple_health.rows import Element, to_record
from ingestion.apple_health.stamps import read_stamp
from ingestion.apple_health.types import CORRELATION, READ
from ingestion.records import Layout, Parsed

KNOWN = ("Record", "Correlation", "Workout", "ActivitySummary", "Audiogram", "VisionPrescription", "ClinicalRecord")
"""Elements below the root: where reading goes on after damage."""
_MAX_DEPTH = 100
_TYPE = ["type"]
_HEADER = ("ExportDate", "Me")

Handler = Callable[..., None]


class Elements:
    """Gathers what the handlers see; taken over now and then."""

    def __init__(self, where: str) -> None:
        self.columns = Columns(where)
        self._where = where
        self._singles: list[Element] = []
        self._aside: Counter[tuple[str, str]] = Counter()
        self._lines = Lines(is_usual)
        self._skipped = 0
        self._depth: Callable[[], int] = int
        self._in_text = False

    def runs(self, part: bytes) -> Iterator[Run]:
        """The runs of lines in a part that need no parser."""
        return self._lines.runs(part)

    def take(self, run: Run, line: int) -> bool:
        """Take a run over, if it stands right below the root; `line`: how many lines there are before it."""
        if self._depth() != 1 or self._in_text:
            return False
        for sheaf in run.sheaves:
            if sheaf.shared[1] in READ:
                self.columns.add_sheaf(sheaf._replace(lines=sheaf.lines + line + 1))
            else:
                self._aside["type_not_read", sheaf.shared[1][:200]] += len(sheaf.lines)
        self._skipped += run.lines
        return True

    def attach(self, parser: expat.XMLParserType, lines: int) -> None:
        """Set the handlers of a parser that begins after so many lines."""
        parser.StartElementHandler, parser.EndElementHandler = self._handlers(parser, lines)
        parser.StartCdataSectionHandler, parser.EndCdataSectionHandler = self._text_begins, self._text_ends
        self._in_text = False

    def _text_begins(self) -> None:
        self._in_text = True

    def _text_ends(self) -> None:
        self._in_text = False

    def taken(self) -> Iterator[Parsed]:
        """The records made one by one since the last call."""
        singles, self._singles = self._singles, []
        for element in singles:
            yield to_record(element, self._where, self.columns.exported)

    def aside(self) -> Iterator[Layout]:
        """What is no data or not read, at the end."""
        for (what, name), times in sorted(self._aside.items()):
            yield Layout(what, times, name)

    def _handlers(self, parser: expat.XMLParserType, lines: int) -> tuple[Handler, Handler]:
        depth = line = 0
        self._skipped = 0
        record: list[str] | None = None
        """The attributes of the open element, where it is read."""
        name = ""
        metadata: dict[str, str] | None = None
        children: list[dict[str, Any]] = []
        add, is_read, aside = self.columns.add, READ.__contains__, self._aside

        def start(element: str, attributes: list[str]) -> None:
            nonlocal depth, record, name, line, metadata
            depth += 1
            if depth == 2:
                quick = element == "Record" and attributes[:1] == _TYPE and is_read(attributes[1])
                if quick or self._begins(element, attributes):
                    record, name, line, metadata = attributes, element, lines + self._skipped + parser.CurrentLineNumber, None
                    children.clear()
            elif record is not None:
                if depth == 3 and element == "MetadataEntry":
                    metadata = metadata or {}
                    _note(metadata, attributes)
                else:
                    _inside(name, children, depth, element, attributes, aside)
            if depth > _MAX_DEPTH:
                raise SourceRefused("The XML is nested too deeply.", "Do not trust where it came from.", "too_deep")

        def end(_: str) -> None:
            nonlocal depth, record
            depth -= 1
            if depth == 1 and record is not None:
                if name != "Record" or not add(record, line, metadata):
                    self._singles.append(Element(name, record, line, metadata or {}, list(children)))
                record = None

        self._depth = lambda: depth
        return start, end

    def _begins(self, name: str, attributes: list[str]) -> bool:
        """Whether an element below the root is read; what is not is counted."""
        told = dict(zip(attributes[::2], attributes[1::2], strict=True))
        if name == "ActivitySummary" or (name == "Correlation" and told.get("type") == CORRELATION):
            return True
        if name == "Record" and told.get("type") in READ:
            return True
        if name == "ExportDate" and (stamp := read_stamp(told.get("value"))) is not None:
            self.columns.exported = stamp.seconds * 1_000_000
        if name in _HEADER:
            self._aside["header", ""] += 1
        elif name in ("Record", "Correlation"):
            self._aside["type_not_read", told.get("type", "")[:200] or name] += 1
        else:
            self._aside["element_not_read", name[:200]] += 1
        return False


def _note(metadata: dict[str, str], attributes: list[str]) -> None:
    """Take an entry over. Its attributes are `key` and `value`, in this order but for a stranger's whim."""
    told = dict(zip(attributes[::2], attributes[1::2], strict=True))
    metadata[told.get("key", "")] = told.get("value", "")


def _inside(
    name: str, children: list[dict[str, Any]], depth: int, element: str, attributes: list[str], aside: Counter[tuple[str, str]]
) -> None:
    """An element within one that is read and is called `name`."""
    if depth == 4 and element == "MetadataEntry" and children:
        _note(children[-1].setdefault("metadata", {}), attributes)
    elif depth == 3 and name == "Correlation" and element == "Record":
        children.append(dict(zip(attributes[::2], attributes[1::2], strict=True)))
    elif depth == 3:
        aside["element_not_read", element[:200]] += 1
