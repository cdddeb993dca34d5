"""What comes in as an event is stored once and whole, what is none is kept with its reasons, however it is delivered."""

from __future__ import annotations

import base64
import io
import json
import random
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.events import COLUMNS
from ingestion.events import lambda_handler
from tests.s3_fake import S3Fake, s3_fake

GOOD = {
    "event_id": "e-1",
    "source": "mock_api",
    "user": "user-1",
    "metric": "heart_rate",
    "ts_utc": "2025-03-30T00:59:59.250Z",
    "offset_s": 3600,
    "value": 61,
    "unit": "/min",
    "device": "band",
}


def text(**changed: Any) -> bytes:
    return json.dumps({**GOOD, **changed}).encode()


@pytest.fixture(scope="module")
def server() -> Iterator[S3Fake]:
    with s3_fake() as fake:
        yield fake


@pytest.fixture
def store(server: S3Fake, monkeypatch: pytest.MonkeyPatch) -> S3Fake:
    server.objects.clear()
    server.refuse = lambda _: False
    access = {"AWS_ACCESS_KEY_ID": "someone", "AWS_SECRET_ACCESS_KEY": "something", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in {**access, "AWS_ENDPOINT_URL": server.url, "EVENTS_BUCKET": "bucket"}.items():
        monkeypatch.setenv(name, value)
    return server


def http1(body: bytes) -> dict[str, Any]:
    return {"httpMethod": "POST", "requestContext": {"stage": "prod"}, **coded(body)}


def http2(body: bytes) -> dict[str, Any]:
    return {"version": "2.0", "requestContext": {"http": {"method": "POST"}}, **coded(body)}


def coded(body: bytes) -> dict[str, Any]:
    try:
        return {"body": body.decode(), "isBase64Encoded": False}
    except UnicodeDecodeError:
        return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}


def kinesis(*records: tuple[int, bytes]) -> dict[str, Any]:
    return {
        "Records": [
            {"eventSource": "aws:kinesis", "kinesis": {"sequenceNumber": str(n), "data": base64.b64encode(body).decode()}}
            for n, body in records
        ]
    }


def handle(event: dict[str, Any]) -> dict[str, Any]:
    return lambda_handler.handler(event, None)


def held(store: S3Fake) -> tuple[set[tuple[str, str]], dict[bytes, list[str]]]:
    """((event id, text) of all rows, rejected bytes → reasons)."""
    rows: set[tuple[str, str]] = set()
    refused: dict[bytes, list[str]] = {}
    for path, body in store.objects.items():
        if path.startswith("/bucket/events/day="):
            table = pq.read_table(io.BytesIO(body))
            days = {str(at.date()) for at in table["ts_utc"].to_pylist()}
            assert days == {path.partition("day=")[2][:10]}
            rows |= set(zip(table["event_id"].to_pylist(), table["raw"].to_pylist(), strict=True))
        else:
            assert path.startswith("/bucket/rejected/")
            for piece in json.loads(body):
                raw = piece["text"].encode() if "text" in piece else base64.b64decode(piece["base64"])
                refused[raw] = piece["reasons"]
    return rows, refused


def test_a_request_is_answered_with_counts_and_reasons_but_no_value(store: S3Fake, capsys: pytest.CaptureFixture[str]) -> None:
    body = b"\n".join([text(), text(), text(event_id="e-2", value=7_777_777), text(value="9999")])
    for shape in (http1, http2):
        answer = handle(shape(body))
        assert answer["statusCode"] == 200
        told = json.loads(answer["body"])
        refused = [{"index": 3, "reasons": ["value_type"]}]
        assert told == {"received": 4, "events": 2, "repeated": 1, "rejected": 1, "refused": refused}
        assert "7777" not in (printed := capsys.readouterr().out + answer["body"])
        assert "9999" not in printed
        assert "user-1" not in printed
    assert len(store.objects) == 2


def test_a_row_has_every_column_and_the_text_as_received(store: S3Fake) -> None:
    raw = b'{ "event_id":"e-1","source":"s","metric":"mood","ts_utc":"2025-03-30T00:59:59.1234567Z","value":1e2,"unit":"1","x":[1.50]}'
    handle(http2(raw))
    (body,) = store.objects.values()
    table = pq.read_table(io.BytesIO(body))
    assert [(f.name, str(f.type).replace("tz=", "").replace("double", "float64")) for f in table.schema] == list(COLUMNS)
    (row,) = table.to_pylist()
    assert row.pop("ts_utc").isoformat() == "2025-03-30T00:59:59.123456+00:00"
    empty = dict.fromkeys(("user", "offset_s", "device"))
    assert row == {"event_id": "e-1", "source": "s", "metric": "mood", "value": 100.0, "unit": "1", "raw": raw.decode(), **empty}


def test_an_event_is_filed_under_its_day_in_utc(store: S3Fake) -> None:
    handle(http2(text(ts_utc="2025-03-30T23:59:59.999999Z") + b"\n" + text(event_id="e-2", ts_utc="2025-03-31T00:00:00Z")))
    assert sorted(path.split("/")[3] for path in store.objects) == ["day=2025-03-30", "day=2025-03-31"]


def test_a_request_without_an_event_says_so_and_keeps_what_it_got(store: S3Fake) -> None:
    assert handle(http2(b"oops"))["statusCode"] == 400
    assert held(store) == (set(), {b"oops": ["not_json"]})
    assert handle(http2(b""))["statusCode"] == 400
    assert handle({"httpMethod": "GET", "requestContext": {}})["statusCode"] == 405
    assert handle({**http1(b""), "body": "no base64!", "isBase64Encoded": True})["statusCode"] == 400
    assert held(store)[1][b"no base64!"] == ["not_base64"]


def test_a_request_that_could_not_be_stored_is_to_be_sent_again(store: S3Fake) -> None:
    store.refuse = lambda path: "03-31" in path
    body = text() + b"\n" + text(event_id="e-2", ts_utc="2025-03-31T00:00:00Z")
    answer = handle(http2(body))
    assert (answer["statusCode"], answer["headers"]["retry-after"]) == (503, "1")
    store.refuse = lambda _: False
    assert handle(http2(body))["statusCode"] == 200
    assert {name for name, _ in held(store)[0]} == {"e-1", "e-2"}


def test_only_records_that_are_not_wholly_stored_are_reported_as_failed(store: S3Fake) -> None:
    other = text(event_id="e-2", ts_utc="2025-03-31T00:00:00Z")
    batch = kinesis((11, text()), (12, b"bad"), (13, other), (14, text(event_id="e-3") + b"\n" + other))
    store.refuse = lambda path: "03-31" in path
    assert handle(batch) == {"batchItemFailures": [{"itemIdentifier": "13"}, {"itemIdentifier": "14"}]}
    store.refuse = lambda path: "rejected" in path
    assert handle(batch) == {"batchItemFailures": [{"itemIdentifier": "12"}]}
    store.refuse = lambda _: False
    assert handle(batch) == {"batchItemFailures": []}


def test_an_event_of_another_shape_or_without_a_bucket_fails_the_invocation(
    store: S3Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="shape"):
        handle({"Records": [{"s3": {}}]})
    monkeypatch.delenv("EVENTS_BUCKET")
    with pytest.raises(KeyError):
        handle(http2(text()))


BAD = [b"oops", b"7", text(value="x"), text()[:-3], text(unit=None), text(ts_utc="2025-03-30"), text(value=float("nan"))]


@st.composite
def pieces(draw: st.DrawFn) -> bytes:
    if draw(st.integers(0, 4)) == 0:
        return draw(st.sampled_from(BAD))
    day, value = draw(st.integers(29, 31)), draw(st.integers(60, 61))
    return text(event_id=f"e-{draw(st.integers(0, 12))}", value=value, ts_utc=f"2025-03-{day}T12:00:00Z")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(pieces(), min_size=1, max_size=30), st.integers(0, 2**32).map(random.Random))
def test_any_batches_in_any_shape_and_order_delivered_any_number_of_times_over_a_failing_store_leave_exactly_the_events(
    store: S3Fake, sent: list[bytes], draw: random.Random
) -> None:
    store.objects.clear()
    store.refuse = lambda _: draw.random() < 0.3
    waiting = sent + draw.choices(sent, k=draw.randint(0, len(sent)))
    draw.shuffle(waiting)
    while waiting:
        size = draw.randint(1, len(waiting))
        batch, waiting = waiting[:size], waiting[size:]
        if draw.random() < 0.5:
            shape, join = draw.choice((http1, http2)), draw.choice((b"\n".join, array))
            while handle(shape(join(batch)))["statusCode"] == 503:
                pass
        else:
            groups = [batch[n : n + 3] for n in range(0, len(batch), 3)]
            failed = handle(kinesis(*((n, b"\n".join(group)) for n, group in enumerate(groups))))["batchItemFailures"]
            if failed:  # from the first that failed on, as AWS does: cut otherwise the next time
                first = min(int(f["itemIdentifier"]) for f in failed)
                waiting = [piece for group in groups[first:] for piece in group] + waiting
    rows, refused = held(store)
    good = {piece for piece in sent if piece not in BAD}
    assert rows == {(json.loads(piece)["event_id"], piece.decode()) for piece in good}
    assert set(refused) == set(sent) - good
    assert all(refused.values())


def array(batch: list[bytes]) -> bytes:
    """An array where every piece can be an element; lines where one cannot."""
    broken = {BAD[0], BAD[3]}
    return b"\n".join(batch) if broken & set(batch) else b"[" + b",".join(batch) + b"]"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(pieces(), min_size=1, max_size=12), st.integers(0, 2**32).map(random.Random))
def test_the_same_batch_gives_the_same_objects_byte_for_byte_whatever_its_order_and_shape(
    store: S3Fake, sent: list[bytes], draw: random.Random
) -> None:
    store.objects.clear()
    handle(http2(b"\n".join(sent)))
    first = dict(store.objects)
    store.objects.clear()
    again = sent + draw.choices(sent, k=3)
    draw.shuffle(again)
    handle(kinesis(*enumerate(again)))
    assert store.objects == first
