"""What one raw artifact holds by itself. The records in force do not say: what a file only repeats of another is not among them.

The source's own `records` step reads it, in memory: nothing is written anywhere.
"""

from __future__ import annotations

import io
from datetime import datetime
from typing import BinaryIO, cast

from config.stage import File
from pipeline.execution.calls import load
from pipeline.registry import Artifact
from scripts.project import Project
from scripts.stages import Given


def older(project: Project, source: str, artifact: Artifact, begins: datetime) -> int:
    """How many of its records were measured before `begins`."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    node = project.pipeline.dag.nodes[f"ingestion.{source}.records"]
    file = File(
        artifact.name, project.pipeline.local(artifact), artifact.sha256, artifact.size, artifact.version, artifact.created_at
    )
    made = _Made()
    load(node.run)(Given({"raw": [file]}), made, {name: project.settings[name] for name in (*node.settings, *node.secrets)})
    stamps = pq.read_table(made.files["records"], columns=["source_timestamp"])["source_timestamp"]
    return int(pc.sum(pc.less(stamps, begins)).as_py() or 0)


class _Kept(io.BytesIO):
    """A file that can be read once it is written."""

    def close(self) -> None:
        self.seek(0)


class _Made:
    """`config.stage.Outputs`, in memory."""

    run_id = attempt_id = ""

    def __init__(self) -> None:
        self.files: dict[str, _Kept] = {}

    def open(self, role: str, member: str = "") -> BinaryIO:  # noqa: ARG002 - one shape for every runner
        self.files[role] = _Kept()
        return cast("BinaryIO", self.files[role])

    def path(self, role: str, member: str = "") -> str:
        raise KeyError(f"{role}/{member}")

    def previous(self, role: str) -> dict[str, File]:  # noqa: ARG002
        return {}

    def before(self, role: str) -> File | None:  # noqa: ARG002
        return None

    def keep(self, role: str, member: str) -> None:
        raise KeyError(f"{role}/{member}")
