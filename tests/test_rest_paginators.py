"""Whatever the size of pages and whatever goes wrong: the records that come are those that are there."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.errors import PDPError, SourceRefused
from tests.rest_bench import STYLES, MemoryOutputs, declaration, stream
from tests.rest_fake import FakeAPI, Fault, fake_api, rows

PASSING = [
    Fault("429", 0),
    Fault("429", -1),
    Fault("429", 0.001),
    Fault("429", "Wed, 01 Jan 2020 00:00:00 GMT"),
    Fault("429"),
    Fault("500"),
    Fault("503", 0.001),
    Fault("reset"),
    Fault("truncated"),
    Fault("html"),
    Fault("nonsense"),
    Fault("expired"),
    Fault("duplicate"),
]
PAGED = [style for style in STYLES if style not in ("single", "windows")]


@pytest.fixture(scope="module")
def api() -> Iterator[FakeAPI]:
    with fake_api() as server:
        yield server


def until_whole(outputs: MemoryOutputs, said: dict[str, Any]) -> int:
    """Attempts it took."""
    for attempt in range(1, 60):
        try:
            report = outputs.fetch(said)
        except PDPError:
            continue
        if not report["findings"]:
            return attempt
    raise AssertionError("it never ends")


def ids(outputs: MemoryOutputs) -> list[int]:
    found = []
    for body in outputs.bodies():
        records = body if isinstance(body, list) else body.get("data", []) if isinstance(body, dict) else []
        found += [record["id"] for record in records]
    return found


@pytest.mark.parametrize("style", PAGED)
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    count=st.integers(0, 23),
    size=st.integers(1, 7),
    smaller=st.none() | st.tuples(st.integers(1, 12), st.integers(1, 7)),
    faults=st.dictionaries(st.integers(1, 30), st.sampled_from(PASSING), max_size=8),
)
def test_the_set_of_records_is_exact(
    api: FakeAPI, style: str, count: int, size: int, smaller: tuple[int, int] | None, faults: dict[int, Fault]
) -> None:
    api.forget()
    api._last.clear()
    api.lists, api.size = {"hr": rows(count)}, size
    api.faults = {n: f for n, f in faults.items() if not (f.kind in ("html", "nonsense") and style == "header_link")}
    if smaller is not None and (style not in ("page", "auto_page") or smaller[1] <= size):
        api.faults[smaller[0]] = Fault("size", smaller[1])
    folder = Path(tempfile.mkdtemp())
    try:
        outputs = MemoryOutputs(folder)
        until_whole(outputs, declaration(api, stream(style), retries=3, first_wait=0))
        assert set(ids(outputs)) == set(range(count))
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("style", ["page", "auto_page"])
def test_pages_that_grow_within_a_round_begin_it_anew(style: str, api: FakeAPI, tmp_path: Path) -> None:
    api.forget()
    api.lists, api.size = {"hr": rows(20)}, 3
    api.fail(3, "size", 5)
    outputs = MemoryOutputs(tmp_path)
    outputs.fetch(declaration(api, stream(style)))
    assert set(ids(outputs)) == set(range(20))


@pytest.mark.parametrize("style", ["cursor", "json_link", "header_link"])
def test_tokens_that_expire_begin_the_round_anew_from_where_it_began(style: str, api: FakeAPI, tmp_path: Path) -> None:
    api.forget()
    api.lists, api.size = {"hr": rows(20)}, 3
    outputs = MemoryOutputs(tmp_path)
    api.fail(4, "403")
    with pytest.raises(PDPError):
        outputs.fetch(declaration(api, stream(style)))
    api.expire()
    outputs.fetch(declaration(api, stream(style)))
    assert ids(outputs) == list(range(20))  # the pages that came again were known


def test_a_page_beyond_the_last_may_be_told_by_a_status(api: FakeAPI, tmp_path: Path) -> None:
    api.forget()
    api.lists, api.size = {"hr": rows(6)}, 3
    api.fail(3, "404")
    outputs = MemoryOutputs(tmp_path)
    outputs.fetch(declaration(api, {**stream("page"), "pages": {"type": "page", "end_status": 404}}))
    assert (ids(outputs), len(api.requests)) == (list(range(6)), 3)


def test_a_token_that_comes_again_is_refused_and_not_followed_for_ever(api: FakeAPI, tmp_path: Path) -> None:
    api.forget()
    api.lists, api.size = {"hr": rows(20)}, 3
    api.plan = lambda number: Fault("loop") if number > 2 else None
    try:
        with pytest.raises(SourceRefused) as refused:
            MemoryOutputs(tmp_path).fetch(declaration(api, stream("cursor"), retries=2))
    finally:
        api.plan = lambda _: None
    assert refused.value.reason == "endless_pages"
    assert len(api.requests) == 5


def test_a_server_that_knows_no_pages_is_refused_and_not_asked_for_ever(api: FakeAPI, tmp_path: Path) -> None:
    api.forget()
    api.lists = {"hr": rows(5)}
    with pytest.raises(SourceRefused) as refused:
        MemoryOutputs(tmp_path).fetch(declaration(api, {**stream("single"), "pages": {"type": "page"}}, retries=1))
    assert refused.value.reason == "endless_pages"


def test_a_list_that_says_it_is_not_whole_is_not_passed_off_as_whole(api: FakeAPI, tmp_path: Path) -> None:
    api.forget()
    api.lists, api.size = {"hr": rows(5)}, 2
    api.around = lambda answer: {"data": answer["data"], "total": 5}
    try:
        with pytest.raises(SourceRefused) as refused:
            MemoryOutputs(tmp_path).fetch(declaration(api, {**stream("offset"), "pages": {"type": "auto"}}))
    finally:
        api.around = dict
    assert refused.value.reason == "unknown_pages"
    assert "pages" in str(refused.value)


@pytest.mark.parametrize("link", ["https://evil.example/next", "//evil.example/next", "{url}//evil.example/next"])
def test_a_link_to_another_server_is_not_followed(link: str, api: FakeAPI, tmp_path: Path) -> None:
    api.forget()
    api.lists, api.size = {"hr": rows(5)}, 2
    api.around = lambda answer: {**answer, "links": {"next": link.format(url=api.url)}}
    try:
        with pytest.raises(SourceRefused) as refused:
            MemoryOutputs(tmp_path).fetch(declaration(api, stream("json_link")))
    finally:
        api.around = dict
    assert refused.value.reason == "foreign_link"
    assert len(api.requests) == 1
