"""JSON of any size is read element by element; what is damaged is told with its place and the rest goes on."""

from __future__ import annotations

import io
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.json_stream import Item, items
from ingestion.records import DeadLetter

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def read(data: str | bytes, *arrays: str) -> list[Any]:
    found = []
    for item in items(io.BytesIO(data.encode() if isinstance(data, str) else data), arrays):
        found.append(tuple(item) if isinstance(item, Item) else (item.reason, item.position, item.raw))
    return found


def test_an_array_gives_its_elements_with_their_numbers() -> None:
    assert read('\ufeff [ {"a": 1}, 2.5,\n"x" ] ') == [(None, 1, {"a": 1}), (None, 2, 2.5), (None, 3, "x")]


def test_an_object_gives_its_members_and_named_arrays_element_by_element() -> None:
    text = '{"Data Source": "s", "Data Points": [{"a": 1}, {"a": 2}], "rest": [1]}'
    assert read(text, "Data Points") == [
        ("Data Source", 0, "s"),
        ("Data Points", 1, {"a": 1}),
        ("Data Points", 2, {"a": 2}),
        ("rest", 0, [1]),
    ]
    assert read(text) == [(None, 0, json.loads(text))]


def test_an_empty_file_gives_nothing() -> None:
    assert read(" \n") == []


@pytest.mark.parametrize(
    ("element", "reason"),
    [
        ('{"a": NaN}', "not_json"),
        ('{"a": -Infinity}', "not_json"),
        ('{"a": 1, "a": 2}', "duplicate_json_keys"),
        ('{"a" 1}', "bad_json"),
        ('{"a": tru}', "bad_json"),
        ('{"a": "b\\q, ]}"}', "bad_json"),
        ("nonsense", "bad_json"),
        ("[" * 3000 + "]" * 3000, "json_too_deep"),
        ("9" * 5000, "bad_json"),
    ],
)
def test_a_damaged_element_does_not_cost_the_others(element: str, reason: str) -> None:
    assert read(f'[{{"n": 1}}, {element}, {{"n": 3}}]') == [
        (None, 1, {"n": 1}),
        (reason, "item 2", element.encode()),
        (None, 3, {"n": 3}),
    ]


@pytest.mark.parametrize("text", ['[{"a": 1}, {"a": ', '[{"a": 1}, {"a": "xy', '[{"a": 1}, {"a": 1', '[{"a": 1}, ', '[{"a": 1}'])
def test_a_file_cut_off_keeps_what_is_whole_and_says_so(text: str) -> None:
    first, *rest = read(text)
    assert first == (None, 1, {"a": 1})
    assert [r[0] for r in rest] == ["json_truncated"]


def test_bytes_that_are_no_utf8_stay_visible_to_whoever_writes_them() -> None:
    ((_, _, value),) = read(b'["\xff"]')
    with pytest.raises(UnicodeEncodeError):
        value.encode()


def test_something_after_the_end_is_told() -> None:
    assert read("[1] [2]") == [(None, 1, 1), ("bad_json", "after the end", b"")]


def test_an_element_of_200_mb_is_refused_in_little_memory_and_the_next_is_read() -> None:
    class Endless(io.RawIOBase):
        """`[{"a": "xxx…"}, 7]` without ever holding it."""

        def __init__(self) -> None:
            self._left = [b'[{"a": "', b"", b'"}, 7]']
            self._body = 200 << 20

        def readable(self) -> bool:
            return True

        def seekable(self) -> bool:
            return True

        def seek(self, *_: int) -> int:
            return 0

        def readinto(self, target: Any) -> int:
            if len(self._left) == 3:
                piece = self._left.pop(0)
            elif self._body:
                piece = b"x" * min(self._body, len(target))
                self._body -= len(piece)
            else:
                piece = self._left.pop() if len(self._left) == 2 else b""
            target[: len(piece)] = piece
            return len(piece)

    tracemalloc.start()
    found = list(items(io.BufferedReader(Endless(), 1 << 16)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(found[0], DeadLetter)
    assert (found[0].reason, found[0].position) == ("too_big", "item 1")
    assert found[1] == Item(None, 2, 7)
    assert peak < 150 << 20


@settings(max_examples=80)
@given(st.lists(_JSON, max_size=6), st.integers(1, 40), st.booleans())
def test_whatever_the_window_an_array_reads_as_json_reads_it(values: list[Any], window: int, spaced: bool) -> None:
    text = json.dumps(values, indent=1 if spaced else None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ingestion.json_stream._CHUNK", window)
        assert [i.value for i in items(io.BytesIO(text.encode())) if isinstance(i, Item)] == values


@settings(max_examples=80)
@given(st.text(st.sampled_from('[]{},:"\\ 1ae.-\n'), max_size=60), st.integers(1, 9))
def test_no_text_at_all_can_stop_or_hang_the_reading(text: str, window: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ingestion.json_stream._CHUNK", window)
        found = list(items(io.BytesIO(text.encode()), ("a",)))
    assert len(found) <= len(text) + 2
