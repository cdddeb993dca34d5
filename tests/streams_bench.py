"""One of the sources that read a stream, in the engine, over a data root of its own; and events to put where it reads."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pyarrow.parquet as pq

from config.settings import for_nodes, load
from ingestion.events.objects import by_day, parquet
from ingestion.events.reading import items
from pipeline import Pipeline, Selection
from pipeline.nodes import nodes
from tests.rest_bench import REPO, Killed, dying_after

SECRETS = ("google_credentials", "object_stores", "tokens_cdc", "tokens_s3_events", "tokens_kinesis")


def event(number: int, **changed: Any) -> dict[str, Any]:
    """A good event; `changed` replaces fields."""
    made = {
        "event_id": f"e{number:05}",
        "source": "mock",
        "user": "me",
        "metric": "heart_rate",
        "ts_utc": f"2025-03-{1 + number // 1000 % 28:02}T{number // 60 % 16:02}:{number % 60:02}:00Z",
        "offset_s": 3600,
        "value": 60 + number % 20,
        "unit": "/min",
        "device": "band",
    }
    return made | changed


def text(*events: dict[str, Any]) -> bytes:
    """As one JSON text a line."""
    return b"\n".join(json.dumps(e).encode() for e in events)


def object_of(*events: dict[str, Any]) -> bytes:
    """As the Lambda function stores them; of one day."""
    ((day, rows),) = by_day(items(text(*events))).items()
    return bytes(parquet(day, rows).body)


def put(endpoint: str, bucket: str, name: str, body: bytes | None) -> None:
    """An object in moto's store; None removes it."""
    scope = "AWS4-HMAC-SHA256 Credential=someone/20200101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=none"
    method = "DELETE" if body is None else "PUT"
    headers = {"Authorization": scope, "Content-Type": "application/octet-stream"}
    with urlopen(Request(f"{endpoint}/{bucket}/{name}", data=body, method=method, headers=headers)) as answer:
        assert answer.status < 300


class StreamBench:
    """A source in the engine."""

    def __init__(self, source: str, folder: Path, until: str = "ingestion", **own: Any) -> None:
        self.source, self.folder = source, folder
        stages = ("ingestion", "normalization")[: 1 + (until == "normalization")]
        self.nodes = [node for node in nodes([source], [source]) if node.stage in stages]
        self.settings = {**for_nodes(load([], Path("no.env"))), **dict.fromkeys(SECRETS, ""), **own}

    def run(self) -> dict[str, Any]:
        """Step → its outcome. Raises Killed."""
        run = Pipeline(self.nodes, str(self.folder), self.settings, code_root=str(REPO)).run(Selection())
        return {outcome.node.split(".")[-1]: outcome for outcome in run.outcomes}

    def done(self) -> dict[str, Any]:
        """The same where no step may fail; step → what it reports."""
        outcomes = self.run()
        assert all(outcome.error is None for outcome in outcomes.values()), outcomes
        return {name: outcome.report for name, outcome in outcomes.items()}

    def killed_after_every_page(self, most: int = 60) -> int:
        """Each attempt dies behind one page; gives how many died until one got through."""
        for deaths in range(most):
            with dying_after(1):
                try:
                    self.done()
                except Killed:
                    continue
                return deaths
        raise AssertionError("it never ends")

    def records(self, table: str = "") -> list[dict[str, Any]]:
        """The records, a row each; or another table beside them."""
        suffix = f".{table}" if table else ""
        return [dict(row) for row in pq.read_table(self.folder / f"records/{self.source}{suffix}.parquet").to_pylist()]

    def ids(self) -> list[str]:
        """raw_id of every record."""
        return sorted(row["raw_id"] for row in self.records())

    def pages(self) -> list[Path]:
        """The raw artifacts that are pages."""
        return sorted((self.folder / "raw" / self.source).rglob("*-*.*"))


def ids_of(numbers: Iterable[int]) -> list[str]:
    """The ids of these events, in order."""
    return sorted(f"e{number:05}" for number in numbers)
