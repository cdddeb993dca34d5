"""Is this artifact in bronze? Answered from a file after a clean stop, without a database driver and without a server.

When the last client leaves, the embedded server is stopped and `postgres/ledger.json` written: the loads in the database and the
SHA-256 of the cluster's control file. Every start of the server changes the control file, so the file is believed only while
nothing has started since; otherwise the database itself is asked.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

LOADER_VERSION = "2"
"""Changes when what is taken out of a record (raw_id, timestamp, hash) changes; then everything is loaded again."""
DEAD_LETTERS = "bronze_dead_letters"

_SHARED = frozenset(
    {"loads", "dead_letters", "migrations", "loaded_months", "revisions", "quality", "retired", "catalog", "growth"}
)
"""`bronze_<name>` of these are tables and views of all sources."""

Load = tuple[str, str, str, str, bool]
"""(source, table, sha256 of the artifact, loader version, is it example data); of silver only the newest one"""


def source_of(records: str) -> str:
    """`records/<source>.parquet` → `<source>`. ValueError for anything that is no name of a source."""
    found = re.fullmatch(r"(?:.*/)?([a-z][a-z0-9_]{0,40})\.parquet", records)
    if not found or found[1] in _SHARED or re.search(r"^tmp_|_(default|current|known|y\d+m\d\d)$", found[1]):
        raise ValueError("no source has this name")
    return found[1]


def wanted_loads(records: tuple[str, str], dead_letters: tuple[str, str], environment: str) -> list[Load]:
    """The ledger rows that must be there once both artifacts, each (name, sha256), are loaded."""
    source, example = source_of(records[0]), environment == "example"
    return [
        (source, f"bronze_{source}", records[1], LOADER_VERSION, example),
        (source, DEAD_LETTERS, dead_letters[1], LOADER_VERSION, example),
    ]


def holds(inputs: Mapping[str, Sequence[tuple[str, str, int | None]]], settings: Mapping[str, Any]) -> bool:
    """Are these inputs, role → [(name, sha256, version)], loaded? False also when the database cannot be reached.

    Reads the settings `database`, `data_dir` and `environment`.
    """
    records, dead_letters = inputs["records"][0], inputs["dead_letters"][0]
    return are_loaded(wanted_loads(records[:2], dead_letters[:2], settings["environment"]), settings)


def are_loaded(wanted: list[Load], settings: Mapping[str, Any]) -> bool:
    """Are these loads in the database of `settings` (database, data_dir)? False also when it cannot be reached."""
    if settings["database"]:
        return _ask(wanted, settings)
    cluster = cluster_folder(settings["data_dir"])
    if cluster is None:
        return False
    known = _recorded(cluster)
    return _ask(wanted, settings) if known is None else set(wanted) <= known


def cluster_folder(data_dir: str) -> str | None:
    """The newest cluster's folder below the data root."""
    folder = os.path.join(os.path.realpath(data_dir), "postgres")
    try:
        found = [entry for entry in os.listdir(folder) if re.fullmatch(r"pg\d+", entry)]
    except OSError:
        return None
    return os.path.join(folder, max(found, key=lambda entry: int(entry[2:]))) if found else None


def save(folder: str, cluster: str, loads: list[Load]) -> None:
    """Write `ledger.json` for a server that has just been stopped cleanly: old or new, never between."""
    content = {"cluster": cluster, "control": _control(os.path.join(folder, cluster)), "loads": sorted(loads)}
    path = os.path.join(folder, "ledger.json")
    building = path + ".tmp"
    try:
        handle = os.open(building, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as text:
            json.dump(content, text)
            text.flush()
            os.fsync(text.fileno())
        os.replace(building, path)
    except OSError:
        return  # a disk that is full costs the short cut, nothing else: the database will be asked


def snapshot(dsn: str) -> list[Load] | None:
    """All loads the database at `dsn` holds, of tables that are there; None when it cannot say."""
    from warehouse.bronze import connection

    return connection.all_loads(dsn)


def _recorded(cluster: str) -> set[Load] | None:
    folder, name = os.path.split(cluster)
    try:
        with open(os.path.join(folder, "ledger.json"), encoding="utf-8") as text:
            content = json.load(text)
        if content["cluster"] != name or content["control"] != _control(cluster):
            return None
        return {(row[0], row[1], row[2], row[3], row[4]) for row in content["loads"]}
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return None


def _control(cluster: str) -> str:
    with open(os.path.join(cluster, "global", "pg_control"), "rb") as control:
        return hashlib.sha256(control.read()).hexdigest()


def _ask(wanted: list[Load], settings: Mapping[str, Any]) -> bool:
    from config.errors import WarehouseError
    from warehouse.bronze import connection

    try:
        return set(wanted) <= set(connection.all_loads_of(settings))
    except WarehouseError:
        return False
