"""Events from an object store that speaks S3, over a socket, in the engine: every object once, every event once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingestion.s3_events import extract
from ingestion.s3_events.check import check
from tests.s3_bench import bucket, s3_server
from tests.streams_bench import StreamBench, event, ids_of, object_of, put


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3_server() as found:
        yield found


class Store:
    """A bucket of its own and the source that reads it."""

    def __init__(self, endpoint: str, folder: Path, until: str = "ingestion") -> None:
        self.endpoint, self.bucket = endpoint, bucket(endpoint)
        access = {"access_key_id": "someone", "secret_access_key": "something", "region": "us-east-1", "endpoint": endpoint}
        url = f"s3://{self.bucket}/events"
        self.bench = StreamBench("s3_events", folder, until, s3_events_url=url, object_stores=json.dumps({"s3": access}))

    def put(self, name: str, *events: dict[str, object]) -> None:
        put(self.endpoint, self.bucket, f"events/{name}", object_of(*events))


@pytest.fixture
def store(endpoint: str, tmp_path: Path) -> Store:
    return Store(endpoint, tmp_path)


def test_killed_after_every_page_every_object_is_fetched_once_and_every_event_is_there_once(store: Store) -> None:
    for number in range(3):
        store.put(f"day=2025-03-01/{number}.parquet", *(event(n) for n in range(10 * number, 10 * number + 12)))
    assert store.bench.killed_after_every_page() == 3
    assert store.bench.ids() == ids_of(range(32))
    assert len(store.bench.pages()) == 3


def test_nothing_new_is_a_skip_and_an_object_that_was_replaced_or_added_comes_alone(store: Store) -> None:
    store.put("a.parquet", event(1))
    store.bench.done()
    assert store.bench.run()["extract"].action == "skipped"
    store.put("a.parquet", event(2))
    store.put("b.parquet", event(2), event(3))
    store.bench.done()
    assert store.bench.ids() == ids_of([1, 2, 3])
    assert len(store.bench.pages()) == 3
    put(store.endpoint, store.bucket, "events/a.parquet", None)
    store.bench.done()
    assert store.bench.ids() == ids_of([1, 2, 3])


def test_what_is_no_event_is_a_dead_letter_with_its_place_and_the_rest_goes_on(store: Store) -> None:
    put(store.endpoint, store.bucket, "events/broken.parquet", b"PAR1 no parquet PAR1")
    put(store.endpoint, store.bucket, "events/notes.json", b"[]")
    sink = pa.BufferOutputStream()
    rows = [json.dumps(event(7)), json.dumps(event(8, value="many")), "{", json.dumps(event(9))]
    pq.write_table(pa.table({"raw": rows}), sink)
    put(store.endpoint, store.bucket, "events/mixed.parquet", sink.getvalue().to_pybytes())
    columns = {name: [value] for name, value in event(10).items()}
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    put(store.endpoint, store.bucket, "events/plain.parquet", sink.getvalue().to_pybytes())
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"other": [1]}), sink)
    put(store.endpoint, store.bucket, "events/other.parquet", sink.getvalue().to_pybytes())
    store.bench.done()
    assert store.bench.ids() == ids_of([7, 9, 10])
    letters = {(letter["reason"], letter["position"]) for letter in store.bench.records("dead_letters")}
    assert letters == {("not_parquet", "file"), ("unknown_layout", "file"), ("value_type", "row 2"), ("not_json", "row 3")}
    raw = next(json.loads(row["raw"]) for row in store.bench.records() if row["raw_id"] == "e00007")
    assert raw == event(7)


def test_an_object_that_is_too_large_is_told_and_not_fetched(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put("a.parquet", event(1))
    store.put("b.parquet", *(event(n) for n in range(500)))
    monkeypatch.setattr(extract, "LARGEST", 8_000)
    store.bench.done()
    assert store.bench.ids() == ids_of([1])


def test_events_become_readings_in_the_catalogues_units_and_unknown_metrics_are_counted(endpoint: str, tmp_path: Path) -> None:
    store = Store(endpoint, tmp_path, "normalization")
    store.put(
        "a.parquet",
        event(1),
        event(2, metric="weight", value=154.3, unit="[lb_av]"),
        event(3, metric="body_temperature", value=98.6, unit="[degF]"),
        event(4, metric="mood"),
        event(5, unit="parsec"),
        event(6, user="somebody else"),
    )
    store.bench.done()
    found = pq.read_table(tmp_path / "processed/normalized/s3_events.parquet").to_pylist()
    assert [(r["metric"], r["value"], r["unit"]) for r in found] == [
        ("body_temperature", 37.0, "Cel"),
        ("heart_rate", 61.0, "/min"),
        ("weight", 69.989303, "kg"),
    ]
    assert {(r["utc_offset"], r["device"], r["local_date"].isoformat()) for r in found} == {(3600, "band", "2025-03-01")}
    refused = pq.read_table(tmp_path / "processed/normalized/s3_events.rejected.parquet").to_pylist()
    assert sorted((r["raw_id"], r["reason"]) for r in refused) == [("e00005", "unknown_unit"), ("e00006", "other_user")]


def test_the_order_objects_come_in_never_shows_in_the_readings(endpoint: str, tmp_path: Path) -> None:
    made = []
    for turn in (1, -1):
        store = Store(endpoint, tmp_path / f"{turn}", "normalization")
        for number in (1, 2)[::turn]:
            store.put(f"{number if turn > 0 else 3 - number}.parquet", event(number), event(9, value=60 + number))
        store.bench.done()
        made.append((tmp_path / f"{turn}" / "processed/normalized/s3_events.parquet").read_bytes())
    assert made[0] == made[1]


def test_the_check_says_what_is_there(store: Store) -> None:
    settings = store.bench.settings
    assert check(settings) == ["empty: S3_EVENTS_URL holds no Parquet object yet."]
    store.put("a.parquet", event(1))
    assert check(settings) == ["ok: S3_EVENTS_URL holds 1 objects of events."]
    assert check({**settings, "s3_events_url": "s3://not-here-1"})[0].startswith("denied: The bucket in S3 is not there.")
