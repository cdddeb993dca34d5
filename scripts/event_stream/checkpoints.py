"""How far each shard of a stream has been handed on, and the records nobody could process: files that outlive any kill."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from config.errors import BusyError, StoreError


class Shard(NamedTuple):
    """How far one shard is."""

    after: str = ""
    """Sequence number of the last record with a fate; empty before the first."""
    done: bool = False
    """It is closed and read to its end: its children may be read."""


class Checkpoints:
    """Of one stream, in one file of a folder; each write is whole and on the disk before it counts."""

    def __init__(self, folder: Path, stream: str, born: str) -> None:
        """`born` says when the stream was made: one of the same name made later begins anew. StoreError for a damaged file."""
        self._path = folder / f"{stream}.json"
        self._born = born
        self._shards = _read(self._path, born)

    def __getitem__(self, shard: str) -> Shard:
        return self._shards.get(shard, Shard())

    def __setitem__(self, shard: str, state: Shard) -> None:
        self._shards[shard] = state
        written = {"born": self._born, "shards": {name: kept._asdict() for name, kept in sorted(self._shards.items())}}
        write(self._path, json.dumps(written, indent=1).encode())


def _read(path: Path, born: str) -> dict[str, Shard]:
    try:
        held = json.loads(path.read_bytes())
        return {name: Shard(**state) for name, state in held["shards"].items()} if held["born"] == born else {}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise StoreError(
            "The checkpoints of a stream are damaged.", f"Remove {path.name}: its records are handed on again."
        ) from None


class DeadLetters:
    """Records given up on, each a file in a folder `dlq` with its whole invocation record; to be tried again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "dlq"

    def put(self, shard: str, record: Mapping[str, Any]) -> None:
        """Keep one; the same record again is the same file."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        write(self._folder / f"{shard}-{record['kinesis']['sequenceNumber']}.json", json.dumps(record).encode())

    def __iter__(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        for path in sorted(self._folder.glob("[!.]*.json")):
            yield path, json.loads(path.read_bytes())

    def __len__(self) -> int:
        return sum(1 for _ in self._folder.glob("[!.]*.json"))


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """The folder for this process alone. BusyError if another has it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError("Another run-lambda uses this folder.", "Name another one with --state, or end the other.") from None
        yield
    finally:
        os.close(handle)


def write(path: Path, body: bytes) -> None:
    """A file for its owner alone: the old one or the new one, whatever happens."""
    waiting = path.with_name(f".{path.name}")  # the folder is ours alone, so what a kill left is written over
    with os.fdopen(os.open(waiting, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(body)
        out.flush()
        os.fsync(out.fileno())
    os.replace(waiting, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
