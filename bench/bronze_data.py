"""Heart-rate records as the Mi Fitness source writes them, as many as asked for: `python -m bench.bronze_data FOLDER SPAN`.

A process of its own, so that the one that measures stays small. SPAN is the JSON of a `Span`. Equal spans give equal bytes. What is
the same in all such records, their quality above all, is taken from one the source itself has made.
"""

from __future__ import annotations

import csv
import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bench.bronze_spans import SOURCE, Span, time_of
from config.tables import DEAD_LETTERS, RECORDS, TableWriter
from ingestion.mi_fitness.records import records as source_records
from tests.stage_bench import StageBench

_BATCH = 32_768
_RAW = f"raw/{SOURCE}/export.csv"
_ARRIVED = 1_767_225_600.0


def write(folder: Path, span: Span) -> dict[str, Any]:
    """Write raw lines, records and (no) dead letters to `folder`; gives the inputs of a bronze node, role → `File` fields."""
    folder.mkdir(parents=True, exist_ok=True)
    lines, records, letters = (folder / name for name in ("lines.jsonl", "records.parquet", "dead_letters.parquet"))
    with lines.open("w", encoding="ascii") as out:
        for batch in _batches(span):
            out.writelines(span.raw(n)[0] + "\n" for n in batch)
    raw = _file(_RAW, lines)
    with records.open("wb") as sink, TableWriter(sink, RECORDS) as writer:
        like = as_the_source(Span(0, 1)).to_pylist()[0]
        for batch in _batches(span):
            writer.write(_table(batch, span, like | {"raw_artifact": raw[0], "raw_sha256": raw[2]}))
    with letters.open("wb") as sink, TableWriter(sink, DEAD_LETTERS):
        pass
    return {
        "records": _file(f"records/{SOURCE}.parquet", records),
        "dead_letters": _file(f"records/{SOURCE}.dead_letters.parquet", letters),
        "raw": [raw],
    }


def as_the_source(span: Span) -> pa.Table:
    """The records the Mi Fitness source makes of these rows in the vendor's own table."""
    raws = [json.loads(span.raw(n)[0]) for n in span.numbers]
    with tempfile.TemporaryDirectory() as folder:
        export = Path(folder, "export.csv")
        with export.open("w", newline="") as out:
            writer = csv.DictWriter(out, list(raws[0])[1:], extrasaction="ignore")  # the first is the table's name
            writer.writeheader()
            writer.writerows(raw | {"Value": json.dumps(raw["Value"])} for raw in raws)
        given = {"timezone": "Europe/Warsaw", "timezone_overrides": []}
        _, made = StageBench(Path(folder)).run(source_records, {"raw": str(export)}, given)
        return pq.read_table(made / "records")


def _table(batch: Sequence[int], span: Span, like: dict[str, Any]) -> pa.Table:
    made = [span.raw(n) for n in batch]
    begin = (batch[0] - span.first) // span.stride + 2  # after the header
    places = range(begin, begin + len(made))
    own: dict[str, Any] = {
        "raw_id": [span.raw_id(n) for n in batch],
        "source_timestamp": pa.array([time_of(n) * 1_000_000 for n in batch], pa.int64()).cast(
            RECORDS.field("source_timestamp").type
        ),
        "raw": [raw for raw, _ in made],
        "position": [f"line {n}" for n in places],
        "record_index": list(places),
        "revision": [update * 1_000_000 for _, update in made],
    }
    columns = [pa.array(own.get(f.name, [like.get(f.name)] * len(made)), f.type) for f in RECORDS]
    return pa.Table.from_arrays(columns, schema=RECORDS)


def _batches(span: Span) -> Iterator[range]:
    for begin in range(0, span.size, _BATCH):
        yield span.numbers[begin : begin + _BATCH]


def _file(name: str, path: Path) -> list[Any]:
    with path.open("rb") as data:
        digest = hashlib.file_digest(data, "sha256").hexdigest()
    return [name, str(path), digest, path.stat().st_size, 1, _ARRIVED]


if __name__ == "__main__":
    print(json.dumps(write(Path(sys.argv[1]), Span(*json.loads(sys.argv[2])))))
