"""Messages, pages and values of change data capture as bytes: what goes in comes out, and what is none is refused, never passed over."""

from __future__ import annotations

import json
import struct
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import SourceRefused
from ingestion.cdc import pages
from ingestion.cdc.changes import Emptied, Row, changes, raw_id
from ingestion.cdc.pgoutput import Begin, Cell, Column, Commit, Relation, Unchanged, Update, decode, lsn_number, lsn_text
from ingestion.cdc.values import value_of

COLUMNS = (Column("id", 23, True), Column("note", 25, False))


def begin(commit: int = 900, micros: int = 0, xid: int = 7) -> bytes:
    return b"B" + struct.pack(">QqI", commit, micros, xid)


def end(commit: int = 900) -> bytes:
    return b"C" + struct.pack(">BQQq", 0, commit, commit + 8, 0)


def relation(oid: int = 1, name: str = "t", columns: tuple[Column, ...] = COLUMNS, identity: bytes = b"d") -> bytes:
    head = b"R" + struct.pack(">I", oid) + b"public\0" + name.encode() + b"\0" + identity + struct.pack(">H", len(columns))
    return head + b"".join(bytes([c.key]) + c.name.encode() + b"\0" + struct.pack(">Ii", c.type_oid, -1) for c in columns)


def cells(*values: Cell) -> bytes:
    def one(value: Cell) -> bytes:
        if value is None:
            return b"n"
        return b"u" if isinstance(value, Unchanged) else b"t" + struct.pack(">i", len(value)) + value

    return struct.pack(">H", len(values)) + b"".join(map(one, values))


def insert(*values: Cell, oid: int = 1) -> bytes:
    return b"I" + struct.pack(">I", oid) + b"N" + cells(*values)


def page_of(*messages: bytes, keys: dict[str, list[str]] | None = None) -> bytes:
    writer = pages.Writer(keys or {})
    for number, data in enumerate(messages):
        message = decode(data)
        assert message is not None
        writer.add(pages.Frame(100 + number, 7, data), message)
    return writer.take()


@given(st.binary(max_size=200))
def test_bytes_that_are_no_message_are_refused_and_never_end_in_another_error(data: bytes) -> None:
    with suppress(SourceRefused):
        decode(data)


@given(st.data())
def test_a_message_cut_short_or_with_something_behind_it_is_refused(data: st.DataObject) -> None:
    message = data.draw(st.sampled_from([begin(), end(), relation(), insert(b"1", b"a")]))
    cut = data.draw(st.integers(1, len(message) - 1))
    for wrong in (message[:cut], message + b"x"):
        with pytest.raises(SourceRefused):
            decode(wrong)


@given(st.lists(st.one_of(st.none(), st.binary(max_size=40), st.just(Unchanged())), max_size=6))
def test_every_cell_of_a_row_comes_out_as_it_went_in(values: list[Cell]) -> None:
    found = decode(b"U" + struct.pack(">I", 1) + b"N" + cells(*values))
    assert found == Update(1, None, tuple(values))


def test_a_message_says_what_postgres_says_it_does() -> None:
    assert decode(begin(2**40 + 5, 1_000_000)) == Begin(2**40 + 5, datetime(2000, 1, 1, 0, 0, 1, tzinfo=UTC), 7)
    assert decode(end(900)) == Commit(900, 908, datetime(2000, 1, 1, tzinfo=UTC))
    assert decode(relation()) == Relation(1, "public", "t", "d", COLUMNS)
    assert decode(b"O" + bytes(9)) is None
    assert (lsn_text(2**40 + 5), lsn_number("100/5")) == ("100/5", 2**40 + 5)


@given(st.binary(max_size=300))
def test_bytes_that_are_no_page_end_in_no_other_error(data: bytes) -> None:
    for body in (data, b'{"pdp":"changes","version":1,"keys":{}}\n' + data):
        with suppress(SourceRefused):
            list(changes(pages.read(body)))


def test_a_page_that_begins_within_a_transaction_can_be_read_alone() -> None:
    writer = pages.Writer({})
    made = []
    for number, data in enumerate([begin(), relation(), insert(b"1", b"a"), insert(b"2", None), end()]):
        message = decode(data)
        assert message is not None
        writer.add(pages.Frame(100 + number, 7, data), message)
        if data[:1] == b"I":
            made.append(writer.take())
    told = [change for body in made for change in changes(pages.read(body))]
    assert [(c.key, c.lsn, c.number) for c in told if isinstance(c, Row)] == [((b"1",), 102, 0), ((b"2",), 103, 0)]


def test_a_change_of_a_table_the_page_does_not_tell_is_refused() -> None:
    with pytest.raises(SourceRefused):
        page_of(begin(), insert(b"1", b"a"))
    whole = page_of(begin(), relation(), insert(b"1", b"a"), end())
    with pytest.raises(SourceRefused):
        list(changes(pages.read(whole[:-3])))


def test_a_table_that_logs_whole_rows_is_told_apart_by_its_primary_key() -> None:
    everything = tuple(column._replace(key=True) for column in COLUMNS)
    update = b"U" + struct.pack(">I", 1) + b"O" + cells(b"1", b"a") + b"N" + cells(b"2", b"b")
    body = page_of(begin(), relation(columns=everything, identity=b"f"), update, keys={"public.t": ["id"]})
    (row,) = changes(pages.read(body))
    assert isinstance(row, Row)
    assert (row.key, row.former, row.before) == ((b"2",), (b"1",), (b"1", b"a"))


def test_an_emptied_table_is_one_change() -> None:
    body = page_of(begin(), relation(), relation(2, "u"), b"T" + struct.pack(">IBII", 2, 0, 1, 2))
    (change,) = changes(pages.read(body))
    assert isinstance(change, Emptied)
    assert (change.op, change.tables) == ("truncate", ("public.t", "public.u"))


@given(
    st.lists(
        st.one_of(st.none(), st.text(alphabet=st.characters(exclude_characters="\0", codec="utf-8"))), min_size=2, max_size=2
    )
)
def test_a_row_as_copy_writes_it_comes_out_as_it_was(values: list[str | None]) -> None:
    means = {"\\": r"\\", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v"}
    written = ["\\N" if v is None else "".join(means.get(c, c) for c in v) for v in values]
    header = pages.Rows(datetime(2025, 1, 1, tzinfo=UTC), 5, "0/9", pages.Table("public", "t", COLUMNS), (), [])
    found = pages.read(pages.rows_page(header, ("\t".join(written) + "\n").encode()))
    assert isinstance(found, pages.Rows)
    assert found.rows == [tuple(None if v is None else v.encode() for v in values)]


@pytest.mark.parametrize(
    ("text", "oid", "value"),
    [
        ("t", 16, True),
        ("-32768", 21, -32768),
        ("9223372036854775807", 20, 9223372036854775807),
        ("NaN", 701, "NaN"),
        ("0.1", 701, 0.1),
        ("72.50", 1700, 72.5),
        ("0.1000000000000000000001", 1700, "0.1000000000000000000001"),
        ("12345678901234567890", 1700, "12345678901234567890"),
        ('{"a": [1, null]}', 3802, {"a": [1, None]}),
        ('{"a": 1, "a": 2}', 114, '{"a": 1, "a": 2}'),
        ("2025-03-01 07:15:00.5+00", 1184, "2025-03-01T07:15:00.5Z"),
        ("2025-03-01 07:15:00", 1114, "2025-03-01T07:15:00"),
        ("infinity", 1184, "infinity"),
        ("0044-03-15 00:00:00+00 BC", 1184, "0044-03-15 00:00:00+00 BC"),
        ("\\x00ff", 17, "\\x00ff"),
        ("{1,2}", 1007, "{1,2}"),
    ],
)
def test_a_value_is_what_its_type_says_and_loses_nothing(text: str, oid: int, value: Any) -> None:
    found = value_of(text.encode(), oid)
    assert found == value
    assert type(found) is type(value)
    json.dumps(found, allow_nan=False)


def test_keys_of_several_columns_and_of_one_are_never_taken_for_each_other() -> None:
    keys: list[tuple[Cell, ...]] = [(b"1", b"2"), (b"1,2",), (b'["1","2"]',), (b"12",), (None,), (b"1", None)]
    assert len({raw_id("public.t", key) for key in keys}) == len(keys)
    assert raw_id("public.t", (b"17",)) == "public.t:17"
