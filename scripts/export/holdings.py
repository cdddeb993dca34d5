"""What there is to export: the artifacts in force, every raw version that is kept, and which raw files hold other people's rows."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from config.errors import StoreError
from config.sources import SOURCES
from config.tables import read_batches
from pipeline.registry import Artifact, Registry
from processing.normalizers.owners import mine
from scripts.project import Project

_COLUMNS = "f.id, f.name, f.version, f.sha256, f.size, f.rows, f.path, f.created_at"
_IN_FORCE = f"""
SELECT {_COLUMNS} FROM node_state s JOIN attempt_output o ON o.attempt_id = s.attempt_id JOIN artifact f ON f.id = o.artifact_id
WHERE f.removed_at IS NULL ORDER BY f.name
"""
_RAW = f"""
SELECT {_COLUMNS} FROM artifact f WHERE f.name LIKE 'raw/%' AND f.removed_at IS NULL AND (? OR NOT EXISTS (
    SELECT 1 FROM attempt_input i WHERE i.attempt_id = f.attempt_id AND i.name LIKE 'examples/%'
)) ORDER BY f.name, f.version
"""
_FIRST_RUN = "SELECT id FROM run ORDER BY started_at, id LIMIT 1"

Own = Callable[[Mapping[str, Any]], bool]


class Holdings:
    """A registry's artifacts as an export sees them."""

    def __init__(self, project: Project, registry: Registry) -> None:
        self._project = project
        self._in_force = {row[1]: Artifact(*row) for row in registry.db.execute(_IN_FORCE)}
        self.raws = [Artifact(*row) for row in registry.db.execute(_RAW, (project.examples,))]
        """Every version of a raw artifact whose bytes are kept; the shipped examples only while there is nothing else."""
        self.installation = "".join(registry.db.execute(_FIRST_RUN).fetchone() or ())
        """Tells this installation from any other, as long as its registry lives."""
        self._own: dict[str, Own] = {}
        self._mixed: dict[str, set[str]] = {}

    @property
    def sources(self) -> list[str]:
        """Sources there are records of, in the order of a summary."""
        return [name for name in SOURCES if f"records/{name}.parquet" in self._in_force]

    def artifact(self, name: str) -> Artifact | None:
        """The version in force."""
        return self._in_force.get(name)

    def path(self, name: str) -> str:
        """Where the bytes in force are; '' when there are none."""
        found = self._in_force.get(name)
        return self.local(found) if found else ""

    def local(self, artifact: Artifact) -> str:
        """Where a version's bytes are, brought from the remote state if need be. Raises StoreError when nobody has them."""
        path = self._project.pipeline.local(artifact)
        if not os.path.isfile(path):
            raise StoreError(f"{artifact.name}@v{artifact.version} is missing from the store.", "See: python main.py verify")
        return path

    def is_in_force(self, artifact: Artifact) -> bool:
        """Whether this is the version that counts."""
        return self._in_force.get(artifact.name) == artifact

    def own(self, source: str) -> Own:
        """Tells the person's own records of this source from others'."""
        if source not in self._own:
            self._own[source] = mine(source, self.path(f"records/{source}.parquet"), self._project.settings["own_users"])
        return self._own[source]

    def mixed(self, source: str) -> set[str]:
        """Names of the raw artifacts that hold a record of somebody else."""
        if source not in self._mixed:
            own, found = self.own(source), set()
            for batch in read_batches(self.path(f"records/{source}.parquet"), ["raw", "raw_artifact"]):
                for raw, name in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    if name not in found and not own(json.loads(raw)):
                        found.add(name)
            self._mixed[source] = found
        return self._mixed[source]
