"""What is held of a source: its raw artifacts in force, its dropped files, how old its records are. Reads only."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from pipeline.listing import below
from pipeline.pages import knows_pages
from pipeline.registry import Artifact
from scripts.project import Project

if TYPE_CHECKING:
    import pyarrow as pa

_OUTPUTS = """
SELECT f.id, f.name, f.version, f.sha256, f.size, f.rows, f.path, f.created_at FROM node_state s
JOIN attempt_output o ON o.attempt_id = s.attempt_id JOIN artifact f ON f.id = o.artifact_id
WHERE s.node = ? AND o.role = ? AND f.removed_at IS NULL ORDER BY f.name
"""
_TAKEN_IN = """
SELECT i.name, i.sha256 FROM node_state s JOIN attempt_input i ON i.attempt_id = s.attempt_id WHERE s.node = ? AND i.role = 'inbox'
"""

_PAGES = """
SELECT f.id, f.name, f.version, f.sha256, f.size, f.rows, f.path, f.created_at FROM page p JOIN artifact f ON f.id = p.artifact_id
WHERE p.node = ? AND p.fate < 2 ORDER BY f.name
"""
_REPORT = "SELECT a.report FROM node_state s JOIN attempt a ON a.id = s.attempt_id WHERE s.node = ?"


class Dropped(NamedTuple):
    """A file in the inbox."""

    name: str
    """`inbox/<source>/…`"""
    path: str
    size: int


class Age(NamedTuple):
    """The records of one raw artifact, split at a moment; undated ones count as younger."""

    older: int
    younger: int


def belongs(name: str, source: str) -> bool:
    """Whether an artifact of this name holds a source's data and no other's."""
    return name.startswith((f"raw/{source}/", f"raw/{source}.calls/")) or name in {
        f"records/{source}.parquet",
        f"records/{source}.dead_letters.parquet",
        f"records/{source}.months.parquet",
        f"processed/normalized/{source}.parquet",
        f"processed/normalized/{source}.rejected.parquet",
        f"processed/normalized/{source}.months.parquet",
    }


def outputs(project: Project, node: str, role: str) -> list[Artifact]:
    """What a node has in force in a role."""
    with project.pipeline.reading() as registry:
        rows = registry.db.execute(_OUTPUTS, (node, role)).fetchall() if registry else []
    return [Artifact(*row) for row in rows]


def raw(project: Project, source: str) -> list[Artifact]:
    """The raw artifacts in force."""
    return outputs(project, f"ingestion.{source}.extract", "raw")


def pages(project: Project, source: str) -> list[Artifact]:
    """The pages held of its remote: those in force, and those of runs that died, which the next run takes in."""
    with project.pipeline.reading() as registry:
        known = registry is not None and knows_pages(registry)
        rows = registry.db.execute(_PAGES, (f"ingestion.{source}.extract",)).fetchall() if registry and known else []
    return [Artifact(*row) for row in rows]


def several(project: Project, source: str) -> set[str]:
    """Raw artifacts with earlier versions: what those hold nobody looks into."""
    with project.pipeline.reading() as registry:
        query = "SELECT name FROM artifact WHERE instr(name, ?) = 1 GROUP BY name HAVING count(*) > 1"
        return {name for (name,) in registry.db.execute(query, (f"raw/{source}/",))} if registry else set()


def dropped(project: Project, source: str) -> list[Dropped]:
    """Every file below a source's inbox, hidden ones, too."""
    root = os.path.join(project.data_dir, "inbox", source)
    found = [os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names]
    return sorted(Dropped(os.path.relpath(path, project.data_dir), path, os.lstat(path).st_size) for path in found)


def unseen(project: Project, source: str) -> int:
    """How many dropped files no run in force has taken in as they are."""
    with project.pipeline.reading() as registry:
        rows = registry.db.execute(_TAKEN_IN, (f"ingestion.{source}.extract",)).fetchall() if registry else []
    known = set(rows)
    return sum((name, digest(path)) not in known for name, path in below(project.data_dir, f"inbox/{source}/**"))


def digest(path: str) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def ages(project: Project, source: str, begins: datetime) -> dict[str, Age]:
    """Raw artifact → its records in force, split at `begins`."""
    import pyarrow.compute as pc

    counted: dict[str, list[int]] = {}
    for batch in batches(project, source, ["source_timestamp", "raw_artifact"]):
        older = pc.fill_null(pc.less(batch["source_timestamp"], begins), fill_value=False)
        for value in pc.value_counts(batch["raw_artifact"]).to_pylist():
            counted.setdefault(value["values"], [0, 0])[1] += value["counts"]
        for value in pc.value_counts(batch.filter(older)["raw_artifact"]).to_pylist():
            counted[value["values"]][0] += value["counts"]
    return {name: Age(older, total - older) for name, (older, total) in counted.items()}


def left_out(project: Project, source: str) -> dict[str, int]:
    """Raw artifact → records in it of a time that was erased before; they are nowhere else."""
    with project.pipeline.reading() as registry:
        row = registry.db.execute(_REPORT, (f"ingestion.{source}.records",)).fetchone() if registry else None
    findings = json.loads(row[0]).get("findings", []) if row and row[0] else []
    return {finding["where"]: finding["count"] for finding in findings if finding.get("code") == "erased"}


def younger(project: Project, source: str, begins: datetime, names: set[str]) -> Iterator[pa.RecordBatch]:
    """The records in force of these raw artifacts that are not older than `begins`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = pa.array(sorted(names), pa.string())
    for batch in batches(project, source, None):
        older = pc.fill_null(pc.less(batch["source_timestamp"], begins), fill_value=False)
        yield batch.filter(pc.and_(pc.invert(older), pc.is_in(batch["raw_artifact"], wanted)))


def batches(project: Project, source: str, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
    """The records in force of a source; none before its first run."""
    from config.tables import read_batches

    for artifact in outputs(project, f"ingestion.{source}.records", "records"):
        yield from read_batches(project.pipeline.local(artifact), columns)
