"""Events of a Kinesis stream, over a socket, in the engine: shards, resharding, faults, and every event once."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.errors import SettingsError, SourceDenied, SourceUnavailable
from ingestion.kinesis import client, extract
from ingestion.kinesis.check import check
from tests.kinesis_fake import KinesisFake, kinesis_fake
from tests.rest_bench import Killed, dying_after
from tests.streams_bench import StreamBench, event, ids_of, text

BUSY = "ProvisionedThroughputExceededException"


@pytest.fixture(scope="module")
def server() -> Iterator[KinesisFake]:
    with kinesis_fake() as found:
        yield found


@pytest.fixture
def kinesis(server: KinesisFake, monkeypatch: pytest.MonkeyPatch) -> KinesisFake:
    """One shard, pages of two records, no patience."""
    server.add("events", 1)
    server.faults.clear()
    server.calls.clear()
    monkeypatch.setenv("AWS_ENDPOINT_URL_KINESIS", server.url)
    monkeypatch.setattr(client, "WAITS", (0.001, 0.001))
    monkeypatch.setattr(extract, "MOST_RECORDS", 2)
    return server


@pytest.fixture
def bench(kinesis: KinesisFake, tmp_path: Path) -> StreamBench:
    access = {"access_key_id": "someone", "secret_access_key": "something", "region": "us-east-1"}
    return StreamBench("kinesis", tmp_path, kinesis_stream="events", object_stores=json.dumps({"s3": access}))


def put(kinesis: KinesisFake, *numbers: int, key: str = "k") -> None:
    kinesis.put("events", *(text(event(n)) for n in numbers), key=key)


def codes(bench: StreamBench) -> list[str]:
    """Codes of what a run tells of the extraction."""
    return [finding["code"] for finding in bench.done()["extract"]["findings"]]


def test_killed_after_every_page_no_record_is_lost_doubled_or_asked_for_twice(kinesis: KinesisFake, bench: StreamBench) -> None:
    put(kinesis, *range(5))
    assert bench.killed_after_every_page() == 3
    assert bench.ids() == ids_of(range(5))
    sequences = [json.loads(line)["sequence"] for page in bench.pages() for line in page.read_bytes().splitlines()]
    assert len(sequences) == len(set(sequences)) == 5
    put(kinesis, 5)
    bench.done()
    assert bench.ids() == ids_of(range(6))


def test_what_the_stream_delivers_twice_is_one_record(kinesis: KinesisFake, bench: StreamBench) -> None:
    put(kinesis, 1, 2, 1)
    put(kinesis, 2)
    bench.done()
    assert bench.ids() == ids_of([1, 2])


def test_after_a_split_and_a_merge_parents_are_read_before_their_children(kinesis: KinesisFake, bench: StreamBench) -> None:
    put(kinesis, 1, 2, 3)
    kinesis.split("events", "shardId-000000000000")
    put(kinesis, *range(4, 9), key="a")
    put(kinesis, *range(9, 14), key="c")
    kinesis.merge("events", *kinesis.open("events"))
    put(kinesis, *range(14, 18))
    for pages in (3, 4):
        with dying_after(pages), pytest.raises(Killed):
            bench.run()
    bench.done()
    assert bench.ids() == ids_of(range(1, 18))
    kinesis.trim("events", "shardId-000000000000")
    put(kinesis, 18)
    bench.done()
    assert bench.ids() == ids_of(range(1, 19))


def test_a_child_waits_until_its_parent_could_be_read_to_its_end(kinesis: KinesisFake, bench: StreamBench) -> None:
    put(kinesis, 1, 2, 3)
    kinesis.split("events", "shardId-000000000000")
    put(kinesis, 4)
    kinesis.faults["GetRecords"] = deque([BUSY] * 3)
    assert codes(bench) == ["incomplete"]
    assert bench.pages() == []
    assert codes(bench) == []
    assert bench.ids() == ids_of([1, 2, 3, 4])


def test_an_expired_iterator_and_a_busy_stream_are_asked_again(kinesis: KinesisFake, bench: StreamBench) -> None:
    put(kinesis, *range(6))
    kinesis.faults["GetRecords"] = deque(["ExpiredIteratorException", BUSY, "ExpiredIteratorException"])
    kinesis.faults["ListShards"] = deque(["LimitExceededException"])
    assert codes(bench) == []
    assert bench.ids() == ids_of(range(6))


def test_a_stream_made_anew_is_read_from_its_beginning_and_told(kinesis: KinesisFake, bench: StreamBench) -> None:
    put(kinesis, 1, 2)
    bench.done()
    kinesis.add("events", 1)
    put(kinesis, 3)
    assert codes(bench) == ["stream_recreated"]
    assert bench.ids() == ids_of([1, 2, 3])
    assert codes(bench) == []


def test_records_older_than_the_stream_keeps_them_are_told_as_perhaps_lost(
    kinesis: KinesisFake, bench: StreamBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(kinesis, 1)
    bench.done()
    late = extract.now() + 25 * 3600
    monkeypatch.setattr(extract, "now", lambda: late)
    assert codes(bench) == ["may_be_lost"]
    assert codes(bench) == []


def test_a_message_may_hold_several_events_and_what_is_none_is_a_dead_letter(kinesis: KinesisFake, bench: StreamBench) -> None:
    several = json.dumps([event(1), event(2, unit=None)]).encode()
    kinesis.put("events", several, text(event(3), event(4)), b"\xff", b"")
    bench.done()
    assert bench.ids() == ids_of([1, 3, 4])
    letters = sorted((letter["position"], letter["reason"]) for letter in bench.records("dead_letters"))
    assert letters == [("record 1", "not_utf8"), ("record 1 event 2", "unit_missing"), ("record 2", "not_json")]


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("ResourceNotFoundException", SourceDenied, "is not there"),
        ("AccessDeniedException", SourceDenied, r"refuses .*AccessDeniedException"),
        ("InternalFailure", SourceUnavailable, "busy, even after retries"),
    ],
)
def test_what_aws_answers_is_told_in_words(
    kinesis: KinesisFake, bench: StreamBench, fault: str, error: type[Exception], words: str
) -> None:
    kinesis.faults["DescribeStreamSummary"] = deque([fault] * 3)
    with pytest.raises(error, match=words):
        client.Kinesis(bench.settings).about()
    kinesis.faults["DescribeStreamSummary"] = deque([fault] * 3)
    assert check(bench.settings)[0].split(":")[0] in ("denied", "unreachable")


def test_a_region_that_is_missing_is_a_setting_and_a_stream_that_is_there_is_ok(
    bench: StreamBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check(bench.settings) == ["ok: KINESIS_STREAM has 1 open and 0 closed shards; it keeps a record 24 hours."]
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "nowhere")
    settings: dict[str, Any] = {**bench.settings, "object_stores": ""}
    with pytest.raises(SettingsError, match="credentials or region are missing"):
        client.Kinesis(settings)
    assert check(settings)[0].startswith("wrong settings: ")
