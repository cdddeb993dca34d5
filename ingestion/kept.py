"""Records kept when older ones were erased: a raw artifact in the platform's own format, read like any other by every source.

What an export holds of days that are to go cannot be cut out of it: raw artifacts are never edited. So `erase --before` takes the
export away and leaves in its place the records it still stands for, `<name>.kept.parquet`, with the moment in it before which
nothing is taken in again. That moment holds for all raw artifacts of the source: an export dropped later brings nothing older back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, BinaryIO

from config.errors import SourceRefused
from config.stage import File
from config.tables import RECORDS
from ingestion.records import Parsed, Record

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIX = ".kept.parquet"
_FROM = b"pdp.kept_from"


def is_kept(name: str) -> bool:
    """Whether a raw artifact of this name is one of ours."""
    return name.endswith(SUFFIX)


def write(sink: BinaryIO, records: Iterable[pa.RecordBatch], begins: datetime) -> int:
    """Write records (`config.tables.RECORDS`) as what is kept from `begins`, aware; gives how many."""
    import pyarrow.parquet as pq

    schema = RECORDS.with_metadata({_FROM: begins.astimezone(UTC).isoformat().encode()})
    rows = 0
    with pq.ParquetWriter(sink, schema, compression="zstd", version="2.6") as writer:
        for batch in records:
            writer.write_batch(batch.select(RECORDS.names).cast(schema))
            rows += batch.num_rows
    return rows


def begins(file: File) -> datetime:
    """The moment before which nothing is taken in. SourceRefused for a file that is none of ours."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        kept = (pq.read_schema(file.path).metadata or {})[_FROM]
        return datetime.fromisoformat(kept.decode()).astimezone(UTC)
    except (pa.ArrowException, OSError, KeyError, ValueError):
        raise SourceRefused(
            "The file is named like records kept by an erase and is none.", "Drop the export itself.", "unknown_format"
        ) from None


def parse(file: File, settings: Mapping[str, Any]) -> Iterator[Parsed]:  # noqa: ARG001  every source's parse has these two
    """The records of one such file, as they were."""
    import json

    from config.tables import read_batches

    begins(file)
    number = 0
    for batch in read_batches(file.path):
        for row in batch.to_pylist():
            number += 1
            yield _record(row, json.loads(row["raw"]), number)


def _record(row: Mapping[str, Any], raw: dict[str, Any], number: int) -> Record:
    said = tuple(row["errors"] or ())
    refused = row["status"] == "invalid"
    return Record(
        raw_id=row["raw_id"],
        timestamp=row["source_timestamp"],
        raw=raw,
        position=f"row {number}",
        revision=row["revision"],
        errors=said if refused else (),
        warnings=() if refused else said,
        volatile=_revision_keys(raw, row["revision"]),
        time_text=row["time_text"],
        utc_offset=row["utc_offset"],
    )


def _revision_keys(raw: Mapping[str, Any], revision: int) -> tuple[str, ...]:
    """The keys its revision was read from: they change from export to export without meaning anything."""
    from config.epoch import epoch_micros

    return tuple(key for key, value in raw.items() if epoch_micros(value) == revision) if revision else ()
