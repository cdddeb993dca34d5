"""Records from Postgres by DuckDB's own reader, where its extension is installed: a batch at a time from wire to Parquet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from config.errors import WarehouseError

if TYPE_CHECKING:
    from warehouse.bronze.connection import Connection

Reader = Callable[[str, str], int]
"""(source, path of the Parquet file to write) → records."""

_BATCH = 32_768
_TYPED = """
SELECT raw_id, make_timestamptz(source_timestamp) AS source_timestamp, raw, status, from_json(errors, '["VARCHAR"]') AS errors,
       raw_artifact, raw_sha256, position, record_index, revision, time_text, utc_offset, quality_score, quality_metrics, quality_checks
FROM postgres_query('bronze', $statement)
"""


@contextmanager
def attached(session: Connection, *, install: bool) -> Iterator[Reader | None]:
    """Reads from the database this session is on; None where DuckDB has no postgres extension and may not fetch it."""
    import duckdb

    from serving.gold import quoted

    with duckdb.connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}) as reader:
        try:
            if install:
                reader.execute("INSTALL postgres")
            reader.execute("LOAD postgres")
        except duckdb.Error:
            if install:
                raise WarehouseError(
                    "DuckDB's postgres extension could not be fetched.", "Leave --install-extension out: psycopg reads as well."
                ) from None
            yield None
            return
        reader.execute("SET TimeZone = 'UTC'")
        try:
            reader.execute(f"ATTACH {quoted(_dsn(session))} AS bronze (TYPE postgres, READ_ONLY)")
        except duckdb.Error:  # its text may hold the connection string
            raise WarehouseError("DuckDB cannot reach the database.", "Look whether it is up, then run again.") from None

        def read(source: str, path: str) -> int:
            import pyarrow as pa

            from config.tables import RECORDS, TableWriter
            from warehouse.bronze.reading import select_records

            found = reader.sql(_TYPED, params={"statement": select_records(session, source)}).to_arrow_reader(_BATCH)
            with open(path, "xb") as sink, TableWriter(sink, RECORDS) as writer:
                for batch in found:
                    writer.write(pa.Table.from_batches([batch]))
            return writer.rows

        yield read


def _dsn(session: Connection) -> str:
    """How this session reached its database, password included."""
    from psycopg.conninfo import make_conninfo

    return make_conninfo(session.info.dsn, password=session.info.password or None)
