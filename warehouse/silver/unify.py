"""Records of many sources as one table: the newest of each identity, an event told by several transports once, refusals beside them.

What has to be compared over all rows (which is newest, who told it first) is DuckDB's work on disk; memory holds one batch.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from config.stage import File, Finding, Inputs, Outputs, Report
from config.tables import REJECTED_RECORDS, TableWriter, read_batches
from config.timezones import PersonZones
from warehouse.silver.fields import Fields, Reader, Refused
from warehouse.silver.layout import PLAIN, UNIFIED
from warehouse.silver.scratch import scratch

if TYPE_CHECKING:
    import duckdb

_COLUMNS = ["raw_id", "source_timestamp", "raw", "status", "raw_artifact", "position", "record_index", "revision"]
_BATCH = 4_096
_TOLD = pa.schema(
    [
        pa.field("n", pa.int64(), nullable=False),
        *PLAIN,
        pa.field("revision", pa.int64(), nullable=False),
        pa.field("record_index", pa.int64(), nullable=False),
        pa.field("content", pa.binary(16), nullable=False),
    ]
)
_REFUSED = REJECTED_RECORDS.append(pa.field("record_index", pa.int64(), nullable=False))

_JUDGE = """
CREATE TABLE judged AS
WITH told AS (
    SELECT n, source, source_id, event_id, deleted, raw_artifact, record_index, content,
           coalesce(updated_at, occurred_at) AS moment, first_value(content) OVER newest AS truth
    FROM read_parquet($told)
    WINDOW newest AS (PARTITION BY source, source_id ORDER BY revision DESC, updated_at DESC NULLS LAST, content DESC)
)
SELECT n, source, source_id, event_id, deleted, moment,
       CASE WHEN content <> truth THEN 'unused:superseded'
            WHEN row_number() OVER (PARTITION BY source, source_id, content ORDER BY raw_artifact, record_index) > 1 THEN 'duplicate'
            ELSE 'accepted' END AS fate
FROM told
"""
"""The newest is of the highest revision, then of the latest update; between equals the content decides, not who came first. Of
equal tellings the first place stays, so that fetching a page again changes nothing."""
_TOLD_BY_ANOTHER = """
UPDATE judged SET fate = 'unused:same_event' WHERE n IN (
    SELECT n FROM judged WHERE fate = 'accepted' AND event_id IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY event_id ORDER BY moment DESC NULLS LAST, deleted DESC, source, source_id) > 1)
"""
_FATES = "SELECT fate, count(*) FROM judged GROUP BY 1 ORDER BY 1"
_CHOSEN = """
SELECT {columns} FROM read_parquet($told) WHERE n IN (SELECT n FROM judged WHERE fate = 'accepted') ORDER BY source, source_id
"""
_BY_PLACE = "SELECT {columns} FROM read_parquet($refused) ORDER BY source, raw_id, raw_artifact, record_index"


def unify(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Stage function of `silver.unify`.

    Roles read: `<source>` (its records). Settings: `unify_<source>` of each (a `config.mapping.Unify` as plain data), timezone and
    timezone_overrides. Writes role `records` (`layout.UNIFIED`) and role `rejected` (`config.tables.REJECTED_RECORDS`: one row per
    record, its first fault). Unit of the balance: record.
    """
    zones = PersonZones(settings["timezone"], settings["timezone_overrides"])
    fates: Counter[str] = Counter()
    target = outputs.path("records")
    with scratch(target) as (folder, database):
        told, refused = os.path.join(folder, "told"), os.path.join(folder, "refused")
        with (
            open(told, "xb") as first,
            TableWriter(first, _TOLD) as good,
            open(refused, "xb") as second,
            TableWriter(second, _REFUSED) as bad,
        ):
            for source in inputs.roles():
                reader = Reader(settings[f"unify_{source}"], zones)
                for row, said in _read(inputs.one(source), reader):
                    if isinstance(said, Refused):
                        bad.append(
                            (
                                row["raw_id"],
                                said.reason,
                                said.field,
                                source,
                                row["raw_artifact"],
                                row["position"],
                                row["record_index"],
                            )
                        )
                        fates[f"rejected:{said.reason}"] += 1
                    else:
                        good.append(_told(good.rows, source, said, row), size=_size(said))
        database.execute(_JUDGE, {"told": told})
        database.execute(_TOLD_BY_ANOTHER)
        fates.update(dict(database.execute(_FATES).fetchall()))
        with open(target, "xb") as sink:
            _write(database, _CHOSEN, {"told": told}, sink, UNIFIED)
        with outputs.open("rejected") as sink:
            _write(database, _BY_PLACE, {"refused": refused}, sink, REJECTED_RECORDS)
    return {
        "rows": {"records": fates["accepted"], "rejected": _rejected(fates)},
        "balance": {"unit": "record", "came": fates.total(), "fates": {"accepted": 0} | dict(sorted(fates.items()))},
        "findings": _findings(fates),
    }


def _read(records: File, reader: Reader) -> Iterator[tuple[dict[str, Any], Fields | Refused]]:
    for batch in read_batches(records.path, _COLUMNS, _BATCH, threads=False):
        stamps = batch.column("source_timestamp").cast(pa.int64())
        whole = batch.set_column(_COLUMNS.index("source_timestamp"), "source_timestamp", stamps)
        for row in whole.to_pylist():
            if row["status"] == "invalid":
                yield row, Refused("invalid_record")
            else:
                yield row, reader.read(row["raw"], row["raw_id"], row["source_timestamp"])


def _told(n: int, source: str, said: Fields, row: Mapping[str, Any]) -> tuple[Any, ...]:
    content = hashlib.blake2b(repr(said).encode(), digest_size=16).digest()
    return (n, source, *said, row["raw_id"], row["raw_artifact"], row["position"], row["revision"], row["record_index"], content)


def _size(said: Fields) -> int:
    return sum(len(cell) for cell in said if isinstance(cell, str))


def _write(database: duckdb.DuckDBPyConnection, query: str, named: Mapping[str, str], sink: Any, schema: pa.Schema) -> None:
    columns = ", ".join(f'"{name}"' for name in schema.names)
    rows: Any = database.sql(query.format(columns=columns), params=named).to_arrow_reader(_BATCH)
    with TableWriter(sink, schema) as writer:
        for batch in rows:
            writer.write(pa.Table.from_batches([batch]))


def _rejected(fates: Mapping[str, int]) -> int:
    return sum(count for fate, count in fates.items() if fate.startswith("rejected:"))


def _findings(fates: Mapping[str, int]) -> list[Finding]:
    found: list[Finding] = []
    if count := _rejected(fates):
        message = (
            "Records do not say what their source's mapping names, or say it in another type; rejected.parquet has the reasons."
        )
        found.append({"code": "silver_rejected", "message": message, "count": count})
    if count := fates.get("unused:same_event", 0):
        message = "Events came over several transports; each is told once."
        found.append({"code": "same_event", "message": message, "count": count})
    return found
