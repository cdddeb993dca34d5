"""Which version of everything a daily table rests on: the edges of the attempts that made it, not what happens to be newest."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cached_property
from typing import Any, NamedTuple

from config.errors import UsageError
from config.sources import SOURCES
from pipeline.registry import Artifact, Registry

MERGE = "merge.daily_metrics"

_FACTS = "f.id, f.name, f.version, f.sha256, f.size, f.path, f.removed_at IS NOT NULL, f.created_at"
_MADE_BY = """
SELECT a.id, a.node, a.run_id, a.started_at, a.settings_id FROM attempt_output o JOIN attempt a ON a.id = o.attempt_id
WHERE o.artifact_id = ? AND a.state = 'committed'
ORDER BY a.id IN (SELECT attempt_id FROM node_state) DESC, a.rowid DESC LIMIT 1
"""
"""Equal bytes may have been made several times: the attempt in force tells the story, else the last. One that was accepted made nothing."""


class Attempt(NamedTuple):
    """Who made something, and when."""

    id: str
    node: str
    run_id: str
    started_at: float
    settings_id: str


class Version(NamedTuple):
    """One version of an artifact."""

    id: int
    name: str
    version: int
    sha256: str
    size: int
    path: str
    removed: bool
    """Its bytes were taken away by `gc` or `--clean`."""
    created_at: float

    @property
    def artifact(self) -> Artifact:
        """As the engine knows it."""
        return Artifact(self.id, self.name, self.version, self.sha256, self.size, None, self.path, self.created_at)

    def told(self, role: str, made_by: Attempt) -> dict[str, Any]:
        """As the answer names it."""
        return {
            "role": role,
            "name": self.name,
            "version": self.version,
            "sha256": self.sha256,
            "node": made_by.node,
            "attempt": made_by.id,
            "run_id": made_by.run_id,
            "made_at": utc(made_by.started_at),
        }


def utc(seconds: float) -> str:
    """A moment as ISO text, UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


class Made:
    """An artifact's version with the attempt that made it; from there everything that attempt read and wrote."""

    def __init__(self, registry: Registry, version: Version) -> None:
        self.registry, self.version = registry, version

    @cached_property
    def by(self) -> Attempt:
        return Attempt(*self.registry.db.execute(_MADE_BY, (self.version.id,)).fetchone())

    @cached_property
    def inputs(self) -> dict[str, Made]:
        """Role → what was read; of a collection one member stands for all."""
        query = f"SELECT i.role, {_FACTS} FROM attempt_input i JOIN artifact f ON f.id = i.artifact_id WHERE i.attempt_id = ?"
        return {role: Made(self.registry, Version(*facts)) for role, *facts in self.registry.db.execute(query, (self.by.id,))}

    @cached_property
    def beside(self) -> dict[str, Version]:
        """Role → what the same attempt wrote."""
        query = f"SELECT o.role, {_FACTS} FROM attempt_output o JOIN artifact f ON f.id = o.artifact_id WHERE o.attempt_id = ?"
        return {role: Version(*facts) for role, *facts in self.registry.db.execute(query, (self.by.id,))}

    def told(self, role: str) -> dict[str, Any]:
        """As the answer names it."""
        return self.version.told(role, self.by)


def daily_table(registry: Registry | None) -> Made:
    """The daily table in force. Raises UsageError when there is none."""
    query = (
        f"SELECT {_FACTS} FROM node_state s JOIN attempt_output o ON o.attempt_id = s.attempt_id AND o.role = 'parquet' "
        "JOIN artifact f ON f.id = o.artifact_id WHERE s.node = ?"
    )
    row = registry.db.execute(query, (MERGE,)).fetchone() if registry else None
    if registry is None or row is None:
        raise UsageError("There is no daily table yet.", "Run the pipeline first: python main.py")
    return Made(registry, Version(*row))


def raw_artifact(registry: Registry, name: str, sha256: str) -> Version | None:
    """The version of a raw artifact that has these bytes."""
    row = registry.db.execute(f"SELECT {_FACTS} FROM artifact f WHERE f.name = ? AND f.sha256 = ?", (name, sha256)).fetchone()
    return Version(*row) if row else None


def fetched(registry: Registry, artifact: Version) -> dict[str, Any]:
    """The fetch that first brought these bytes: run, attempt, node, when they were kept, and the dropped file or remote they came from."""
    attempt, node, run_id, kept_at = registry.db.execute(
        "SELECT a.id, a.node, a.run_id, f.created_at FROM artifact f JOIN attempt a ON a.id = f.attempt_id WHERE f.id = ?",
        (artifact.id,),
    ).fetchone()
    inputs = registry.db.execute("SELECT role, name, sha256 FROM attempt_input WHERE attempt_id = ?", (attempt,)).fetchall()
    return {
        "run_id": run_id,
        "attempt": attempt,
        "node": node,
        "at": utc(kept_at),
        "from": _origin(artifact, node, inputs),
    }


def _origin(artifact: Version, node: str, inputs: list[tuple[str, str, str]]) -> dict[str, Any]:
    """A dropped file has the artifact's bytes and its name's end; what was no file came from the source's remote."""
    dropped = [name for role, name, sha in inputs if role == "inbox" and sha == artifact.sha256]
    same = [name for name in dropped if artifact.name.endswith(name.split("/", 2)[-1])]
    if same:
        return {"kind": "inbox", "file": same[0]}
    source = next((s for s in SOURCES.values() if s.name in node.split(".")), None)
    fingerprint = next((sha for role, _, sha in inputs if role == "remote"), None)
    return {"kind": "remote", "remote": source.title if source else node, "fingerprint": fingerprint}
