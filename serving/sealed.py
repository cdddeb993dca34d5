"""A person's sealed gold, opened: decrypted in memory only, handed out as `Gold`; no plaintext ever touches a disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from config.sealing import unseal
from serving.gold import Gold, connection, name_of, shut

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY = "1GB"
"""What the opened tables may take, compressed, with what a question needs."""


def open_sealed(data: bytes, key: bytes) -> Gold:
    """The tables of a `gold.sealed`. Raises SettingsError for another key, StoreError for a damaged file or one that holds no gold."""
    parts = unseal(data, key)
    database = connection(MEMORY)
    try:
        database.execute("ATTACH ':memory:' AS gold (COMPRESS)")
        for name in list(parts):
            _take_in(database, name, parts.pop(name))
    except BaseException:
        database.close()
        raise
    shut(database)
    return Gold(database)


def _take_in(database: DuckDBPyConnection, name: str, parquet: bytes) -> None:
    """One table, batch by batch, compressed at once."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(pa.BufferReader(parquet)) as file:
        database.register("incoming", pa.RecordBatchReader.from_batches(file.schema_arrow, file.iter_batches()))
        database.execute(f"CREATE TABLE gold.{name_of(name)} AS FROM incoming")
        database.unregister("incoming")
    database.execute("CHECKPOINT gold")
