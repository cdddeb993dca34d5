"""Stage code of `gold.sealed`: every gold table as Parquet, sealed with the person's key; plaintext stays in memory.

The sealed file is what may be synced to a place that is not trusted: the private dashboard opens it (`serving.sealed`).
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from config.sealing import key_of, seal
from config.stage import Inputs, Outputs, Report

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_ROWS = 65_536


def sealed(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Seals gold with `state_key`; `state_key_id` is declared so that a new key makes it run again."""
    parts, rows = tables(inputs.one("gold").path)
    with outputs.open("sealed") as file:
        file.write(seal(parts, key_of(settings["state_key"])))
    return {"rows": {"sealed": rows}}


def tables(path: str) -> tuple[dict[str, bytes], int]:
    """(table → Parquet bytes, rows in all) of a gold file, views included."""
    import duckdb

    with duckdb.connect(path, read_only=True) as gold:
        gold.execute("SET TimeZone = 'UTC'")
        found = gold.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'main' ORDER BY table_name"
        ).fetchall()
        written = {name: _parquet(gold, name) for (name,) in found}
    return {name: part for name, (part, _) in written.items()}, sum(rows for _, rows in written.values())


def _parquet(gold: DuckDBPyConnection, name: str) -> tuple[bytes, int]:
    import pyarrow.parquet as pq

    buffer, rows = io.BytesIO(), 0
    reader = gold.table(name).to_arrow_reader(_ROWS)
    with pq.ParquetWriter(buffer, reader.schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch)
            rows += batch.num_rows
    return buffer.getvalue(), rows
