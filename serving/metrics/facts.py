"""What is known of the platform at a moment: runs, steps, freshness, rate limits, storage, bronze. Gathered on demand; reads only."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import NamedTuple

from pipeline.registry import telling
from scripts.project import Project
from serving.metrics.bronze_facts import Bronze, read_bronze
from serving.metrics.freshness import Readings, read_freshness
from serving.metrics.rate_limits import RateLimit, read_rate_limits
from serving.metrics.registry_facts import History, Step, read_history, read_steps
from serving.metrics.storage import Storage, read_storage


class Facts(NamedTuple):
    """All of it. What cannot be told is None or empty, never guessed."""

    now: float
    """When it was gathered: seconds since 1970, like every time here."""
    last_start: float | None
    """When the last run, or another command that writes, began; also one that found nothing to do and left no other trace."""
    history: History | None
    """None before the first run."""
    steps: list[Step]
    """The steps of the DAG that have outputs in force, in its order."""
    readings: list[Readings] | None
    """Per source and kind; None without gold."""
    rate_limits: list[RateLimit]
    storage: Storage
    bronze: Bronze | None
    """None when it was not asked for, and while the embedded server sleeps."""


def gather(project: Project, *, now: float | None = None, bronze: bool = True) -> Facts:
    """The facts as they stand. `bronze=False` asks no database. Raises PDPError when the registry cannot be read."""
    with telling(), project.pipeline.reading() as registry:
        history = read_history(registry) if registry else None
        steps = read_steps(registry, list(project.pipeline.dag.nodes)) if registry else []
        limits = read_rate_limits(registry, project.data_dir, project.sources) if registry else []
        readings = read_freshness(registry, project.data_dir) if registry else None
        storage = read_storage(registry, project.data_dir)
    return Facts(
        time.time() if now is None else now,
        _last_start(project.data_dir),
        history,
        steps,
        readings,
        limits,
        storage,
        read_bronze(_database(project)) if bronze else None,
    )


def _last_start(data_dir: str) -> float | None:
    """Whoever takes the run lock signs it."""
    try:
        return os.stat(os.path.join(data_dir, ".lock")).st_mtime
    except OSError:
        return None


def _database(project: Project) -> Mapping[str, str]:
    return {"database": str(project.settings["database"]), "data_dir": project.data_dir}
