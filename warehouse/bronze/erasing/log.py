"""Empties the embedded server's write-ahead log: it holds every row that was ever loaded until its segments are written over.

Segments are recycled, not removed, so what was erased may lie in them for months. After a clean stop nothing in the log is needed
any more, and PostgreSQL's own `pg_resetwal` replaces it by one empty segment.
"""

from __future__ import annotations

from config.errors import WarehouseError
from warehouse.bronze.embedded import server
from warehouse.bronze.embedded.cluster import locate
from warehouse.bronze.embedded.launch import launch


def forget(data_dir: str) -> None:
    """Stop the embedded server and empty its log. BusyError while another command uses it, WarehouseError when it did not stop cleanly."""
    server.release(data_dir)
    server.stop_if_unused(data_dir)
    with server.alone(data_dir, _silent):
        cluster = locate(data_dir)
        with open(cluster.log, "ab") as said:
            code = launch(cluster, cluster.path, "pg_resetwal", (), said).wait()
    if code:
        raise WarehouseError(
            "What was erased may still lie in the embedded database's log: it could not be emptied.",
            "Run the same command again.",
        )


def _silent(text: str) -> None:
    """Nobody waits long enough to be told."""
