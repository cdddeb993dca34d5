"""A stranger's XML is parsed as a stream: what is forbidden is dropped, what is damaged is told, the rest is read."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any
from xml.parsers import expat

import pytest

from config.errors import SourceRefused
from ingestion import xml_stream
from ingestion.xml_stream import Damage, begins_with, stream


def read(data: bytes, root: str = "All", known: tuple[str, ...] = ("One", "Two")) -> tuple[list[Any], list[tuple[str, int]]]:
    """(name, attributes, line) of every element below the root; (reason, line) of every damage."""
    reader = Everything(root)
    damages = [(d.reason, d.line) for d in stream(io.BytesIO(data), root, known, reader) if isinstance(d, Damage)]
    return reader.seen, damages


class Everything:
    """Leaves everything to the parser."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.seen: list[Any] = []

    def attach(self, parser: expat.XMLParserType, lines: int) -> None:
        def start(name: str, attributes: list[str]) -> None:
            if name != self.root:
                self.seen.append((name, attributes, lines + parser.CurrentLineNumber))

        parser.StartElementHandler = start

    def runs(self, _: bytes) -> Iterator[Any]:
        return iter(())

    def take(self, _: Any, __: int) -> bool:
        return False


GOOD = (
    b'<?xml version="1.0"?>\n<!DOCTYPE All [ <!ENTITY a "b"> ?> broken\n]>\n'
    b'<All x="1">\n <One a="1"/>\n <Two b="&#11;2&#x1F600;\x0b"/>\n</All>\n'
)
BAD = b'<All>\n <One a="1"/>\n <One a=<2/>\n <x>\xff</x>\n <Two b="3"/>\n <One a="&undefined;"/>\n <One a="4"/>\n</All>'


@pytest.fixture(params=[1, 2, 7, 64, 1 << 20])
def any_chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_stream, "_CHUNK", request.param)


@pytest.mark.usefixtures("any_chunk")
def test_what_stands_before_the_root_is_not_parsed_and_lines_still_count() -> None:
    assert read(GOOD) == ([("One", ["a", "1"], 5), ("Two", ["b", "2\U0001f600"], 6)], [])


@pytest.mark.usefixtures("any_chunk")
def test_after_damage_reading_goes_on_at_the_next_known_element() -> None:
    seen, damages = read(BAD)
    assert [(name, attributes) for name, attributes, _ in seen if name != "x"] == [
        ("One", ["a", "1"]),
        ("Two", ["b", "3"]),
        ("One", ["a", "4"]),
    ]
    assert damages == [("damaged_xml", 3), ("damaged_xml", 6)]


@pytest.mark.usefixtures("any_chunk")
def test_an_end_that_is_missing_is_told() -> None:
    assert read(b'<All>\n <One a="1"/>\n <One a="')[1] == [("truncated", 3)]


def test_a_file_damaged_everywhere_is_given_up() -> None:
    seen, damages = read(b"<All>" + b'<One a=/>\n<One a="1"/>\n' * 2_000 + b"</All>")
    assert damages[-1][0] == "too_damaged"
    assert len(seen) < 2_000


def test_what_was_lost_is_in_the_damage() -> None:
    raws = [d.raw for d in stream(io.BytesIO(BAD), "All", ("One", "Two"), Everything("All")) if d]
    assert raws[0].startswith(b"<One a=<2/>") or raws[0].startswith(b"<2/>")


@pytest.mark.parametrize(
    ("data", "reason"), [(b"<Other/>", "unknown_format"), ("<All/>".encode("utf-16"), "encoding"), (b"", "unknown_format")]
)
def test_what_is_not_this_xml_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(SourceRefused) as refused:
        read(data)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<All>", True),
        (b"<!DOCTYPE All [", True),
        (b"  <All x='1'/>", True),
        (b"<Allowed/>", False),
        (b"text <All>", False),
        ("<All>".encode("utf-16"), True),
    ],
)
def test_an_xml_is_known_by_its_root(head: bytes, expected: bool) -> None:
    assert begins_with(head, "All") is expected
