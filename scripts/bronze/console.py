"""`bronze psql`: a console on the database."""

from __future__ import annotations

from scripts.bronze.status import for_bronze
from scripts.project import Project


def psql(project: Project, arguments: list[str]) -> int:
    """Open psql on the bronze database; the embedded server lives as long as it does."""
    from warehouse.bronze.console import psql as run

    return run(for_bronze(project), arguments)
