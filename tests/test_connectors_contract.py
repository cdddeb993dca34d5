"""The contract kit: a sound source is killed after every page and loses nothing; a broken one is told what it got wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ingestion.rest import Bearer, Cursor, Incremental, RestSource, Stream
from scripts.source_contract import assert_source
from tests.heart_days import TOKEN, serving
from tests.rest_fake import FakeAPI

HELD = {"HEART_TOKEN": TOKEN}


class Heart(RestSource):
    name = "heart"
    base_url = "https://api.example/v1"
    auth = Bearer("HEART_TOKEN")
    streams = (
        Stream(
            "heart",
            records="data",
            id="id",
            pages=Cursor("next_cursor", "cursor"),
            cursor=Incremental("updated_at", "updated_since"),
        ),
    )


class OnlyTheFirstPage(Heart):
    streams = (Stream("heart", records="data", id="id", pages={"type": "single"}),)


class WrongId(Heart):
    streams = (Stream("heart", records="data", id="device.name", pages=Cursor("next_cursor", "cursor")),)


class WrongPath(Heart):
    streams = (Stream("heart", path="herat", records="data", id="id"),)


@pytest.fixture
def api() -> Iterator[FakeAPI]:
    with serving() as found:
        yield found


def test_a_sound_source_is_killed_after_every_page_and_loses_and_doubles_nothing(api: FakeAPI) -> None:
    kept = assert_source(Heart, api, HELD)
    assert kept == (3, 3, 11, 0)
    assert len(api.asked) == 4  # three pages, and one look at what is new


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (OnlyTheFirstPage, "7 of 11 records of heart are lost (heart:10, heart:11, heart:5 …); the paginator stops early"),
        (WrongId, "11 of 11 records of heart are lost"),
        (WrongPath, "a run that was not killed failed"),
    ],
)
def test_a_broken_source_is_told_what_it_got_wrong(api: FakeAPI, source: type[RestSource], said: str) -> None:
    with pytest.raises(AssertionError) as wrong:
        assert_source(source, api, HELD)
    assert said in str(wrong.value)
    assert str(wrong.value).startswith(f"{source.__name__}: ")


def test_a_server_that_names_a_record_anew_each_time_is_told_apart(api: FakeAPI) -> None:
    api.around = lambda said: {**said, "data": [{**row, "id": f"{row['id']}-{len(api.requests)}"} for row in said["data"]]}
    with pytest.raises(AssertionError, match="records of heart are lost"):
        assert_source(Heart, api, HELD)


def test_a_page_asked_for_twice_after_a_kill_is_told(api: FakeAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.execution.pages import StreamPages

    commit = StreamPages.commit

    def forgetful(self: StreamPages, body: bytes, state: object, **named: object) -> object:
        return commit(self, body, self.state() or {}, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(StreamPages, "commit", forgetful)
    with pytest.raises(AssertionError, match=r"asked for again after a kill|does not come to an end"):
        assert_source(Heart, api, HELD)


def test_a_fake_that_holds_nothing_proves_nothing(api: FakeAPI) -> None:
    api.lists.clear()
    with pytest.raises(AssertionError, match="the fake holds no record"):
        assert_source(Heart, api, HELD)
