"""A machine that reads a made-up remote page by page, and what a test asks of it."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from pipeline import Node, Pipeline
from pipeline.outcome import Run
from pipeline.pages import Stream
from tests.afar_bench import Shelf

REPO = Path(__file__).resolve().parent.parent
EXTRACT, RECORDS = "ingestion.api.extract", "ingestion.api.records"
NODES = (
    Node(
        EXTRACT,
        "ingestion",
        "tests.stages.paging:Paging.extract",
        files={"inbox": "inbox/api/**"},
        outputs={"raw": "raw/api/**"},
        secrets=("remote",),
        remote="tests.stages.paging:fingerprint",
        pages="raw",
    ),
    Node(
        RECORDS,
        "ingestion",
        "tests.stages.paging:gathered",
        inputs={"raw": "raw/api/**"},
        outputs={"all": "records/api.json"},
    ),
)


class Remote:
    """The file that plays the remote."""

    def __init__(self, folder: Path, numbers: Sequence[int] = range(5), size: int = 1, **does: Any) -> None:
        self.path = str(folder / "remote.json")
        self.numbers = list(numbers)
        self.size = size
        self.does(**does)

    def does(self, **does: Any) -> None:
        """From now on: `die`, `stop`, be `stopped` after so many pages; `hard`, `mute`."""
        Path(self.path).write_text(json.dumps({"numbers": self.numbers, "size": self.size, **does}))

    def grow(self, count: int) -> None:
        """More numbers; whatever it did before it does no longer."""
        self.numbers += range(len(self.numbers), len(self.numbers) + count)
        self.does()

    @property
    def asked(self) -> list[int]:
        """Where each page began that was fetched."""
        path = Path(self.path + ".asked")
        return [int(line) for line in path.read_text().split()] if path.exists() else []


def machine(folder: Path, remote: Remote, afar: Shelf | None = None) -> Pipeline:
    """A data root of its own that reads the remote."""
    return Pipeline(NODES, str(folder), {"remote": remote.path}, code_root=str(REPO), afar=afar)


def did(run: Run) -> list[str]:
    """What became of extract and records."""
    return [o.action for o in run.outcomes]


def held(pipeline: Pipeline) -> list[int]:
    """The numbers in force, as the records node has gathered them."""
    found: list[int] = json.loads((Path(pipeline.data_dir) / "records/api.json").read_text())
    return found


def in_view(pipeline: Pipeline) -> list[str]:
    """Plain names of the pages in force."""
    base = Path(pipeline.data_dir) / "raw/api"
    return sorted(str(p.relative_to(base)) for p in base.rglob("*") if p.is_symlink())


def stream(pipeline: Pipeline) -> Stream:
    """The one stream's row."""
    (found,) = pipeline.streams(EXTRACT)
    return found


def rows(pipeline: Pipeline, query: str) -> list[tuple[Any, ...]]:
    """What the registry says."""
    with closing(sqlite3.connect(os.path.join(pipeline.data_dir, "registry.db"))) as db:
        return db.execute(query).fetchall()


def stored(pipeline: Pipeline, member: str) -> Path:
    """The file a page's bytes lie in."""
    ((path,),) = rows(pipeline, f"SELECT path FROM artifact WHERE name = 'raw/api/{member}' AND removed_at IS NULL")
    return Path(pipeline.data_dir, str(path))
