"""`gold --from-bronze`: the gold tables made again from the raw records in Postgres, by the very functions of a run.

For who has the database and not the files, and as a proof that nothing was lost on the way. What is in force is left alone: the
tables are written beside it, whole or not at all.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from config.errors import BusyError, StoreError, UsageError, WarehouseError
from config.stage import File
from pipeline.dag import Dag
from pipeline.nodes import STAGES, nodes
from scripts.answer import Answer
from scripts.in_force import GOLD
from scripts.looks import printable
from scripts.project import Project
from scripts.stages import as_file, run_stages
from scripts.words import counted, lasted

if TYPE_CHECKING:
    from warehouse.bronze.connection import Connection

_MADE_HERE = ("normalization", "validation", "merge", "gold")
_DEFAULT = os.path.join("gold", "from_bronze.duckdb")


def gold(project: Project, options: Namespace) -> Answer:
    """`gold --from-bronze [--out FILE] [--install-extension]`. WarehouseError when there is nothing to read."""
    out = os.path.abspath(options.out or os.path.join(project.data_dir, _DEFAULT))
    _refuse_others(out)
    began = time.monotonic()
    with _folder(f"{out}.making") as folder:
        files, read, way = _brought(project.settings, folder, install=options.install_extension)
        dag = Dag(nodes(list(read)), STAGES)
        reports = run_stages(dag, _MADE_HERE, files, folder, project.settings)
        _put(files[GOLD][0].path, out)
    seconds = round(time.monotonic() - began, 3)
    rows = reports["gold.metrics"]["rows"]["gold"]
    data = {"path": out, "sources": read, "rows": rows, "read_by": way, "seconds": seconds}
    told = ", ".join(f"{source} {number:,}" for source, number in read.items())
    lines = [
        f"{counted(sum(read.values()), 'record')} read from bronze through {way}: {told}.",
        f"{counted(rows, 'row')} written to {printable(os.path.relpath(out))} in {lasted(seconds)}.",
    ]
    return Answer(data, "\n".join(lines))


def _refuse_others(out: str) -> None:
    """Only a gold made here earlier is replaced."""
    if os.path.islink(out):
        raise UsageError(f"{printable(out)} is a link, perhaps to what is in force.", "Name another file with --out.")
    if os.path.exists(out):
        with open(out, "rb") as file:
            if file.read(12)[8:] != b"DUCK":
                raise UsageError(f"{printable(out)} is there and is no DuckDB file.", "Name another file with --out.")


@contextmanager
def _folder(path: str) -> Iterator[str]:
    """A private folder for what is needed on the way; what a killed run left in it goes. BusyError while another run works in it."""
    try:
        os.makedirs(path, 0o700, exist_ok=True)
        held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise StoreError(f"There cannot be written beside the file: {error.strerror}.", "Name another one with --out.") from None
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError("Another command is making this file.", "Wait for it, or name another file with --out.") from None
        for entry in os.scandir(path):
            shutil.rmtree(entry.path) if entry.is_dir(follow_symlinks=False) else os.unlink(entry.path)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(held)


def _brought(settings: Mapping[str, Any], folder: str, *, install: bool) -> tuple[dict[str, list[File]], dict[str, int], str]:
    """(artifact → files, source → records, how they were read)."""
    from warehouse.bronze import reading
    from warehouse.bronze.connection import connect

    files: dict[str, list[File]] = {}
    read: dict[str, int] = {}
    os.makedirs(os.path.join(folder, "records"))
    with connect(settings, create=False, role="read") as session, reading.snapshot(session):
        from scripts.bronze.duckdb_reader import attached

        with attached(session, install=install) as reader:
            for source in reading.sources(session):
                name = f"records/{source}.parquet"
                path = os.path.join(folder, name)
                read[source] = reader(source, path) if reader else _copied(session, source, path)
                files[name] = [as_file(path, name)]
                letters = f"records/{source}.dead_letters.parquet"
                _letters(session, source, os.path.join(folder, letters))
                files[letters] = [as_file(os.path.join(folder, letters), letters)]
                files[f"raw/{source}/**"] = [
                    File(name, "", sha256, size or 0, version, loaded)
                    for name, sha256, version, size, loaded in reading.artifacts(session, source)
                ]
            way = "DuckDB's postgres extension" if reader else "psycopg"
    if not any(read.values()):
        raise WarehouseError("Bronze holds no records.", "Run the pipeline: python main.py")
    return files, read, way


def _copied(session: Connection, source: str, path: str) -> int:
    from config.tables import RECORDS, TableWriter
    from warehouse.bronze import reading

    with open(path, "xb") as sink, TableWriter(sink, RECORDS) as writer:
        for row in reading.records(session, source):
            writer.append(row)
    return writer.rows


def _letters(session: Connection, source: str, path: str) -> None:
    from config.tables import DEAD_LETTERS, TableWriter
    from warehouse.bronze import reading

    with open(path, "xb") as sink, TableWriter(sink, DEAD_LETTERS) as writer:
        for row in reading.letters(session, source):
            writer.append(row)


def _put(made: str, out: str) -> None:
    """The finished file takes the place of the old one in one step, and only when it is on the disk."""
    os.chmod(made, 0o600)
    with open(made, "rb") as file:
        os.fsync(file.fileno())
    os.replace(made, out)
    held = os.open(os.path.dirname(out), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(held)
    finally:
        os.close(held)
