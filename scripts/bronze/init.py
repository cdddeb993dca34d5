"""`bronze init`: what it made, what was there already, and what is left to do."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from config.sources import SOURCES
from scripts.answer import Answer
from scripts.bronze.status import for_bronze
from scripts.project import Project

_NOT_MADE = "The roles were left out: this login may not make them."
_NOT_SET = "The roles were left as they are: this login may not hand them this database."
_ASK = "Let an administrator of the server run: python main.py bronze init --sql | psql THE_DATABASE"
_GRANT = "Give every person and service a login and a role: GRANT bronze_ingest TO your_login; (docs/bronze_roles.md)"
_RUN = "Load into it: python main.py"


def answer(project: Project, options: Namespace) -> Answer:
    """Bring the database to today's shape with a table for every source and the roles; `--sql` only prints what an administrator runs."""
    from warehouse.bronze.access.roles import ROLES, script

    if options.sql:
        return Answer({"sql": script()}, script())
    from warehouse.bronze.access.initialise import initialise

    made = initialise(for_bronze(project), SOURCES)
    if any(node.stage == "silver" for node in project.pipeline.dag.nodes.values()):
        from warehouse.silver.schema import initialise as initialise_silver

        initialise_silver(for_bronze(project))
    following = [*([] if made.database == "embedded" else [_GRANT] if made.roles.complete else [_ASK]), _RUN]
    data: dict[str, Any] = {
        "database": made.database,
        "server_version": made.server_version,
        "migrations": {"applied": made.migrations_applied, "present": made.migrations_present},
        "tables": {"made": made.tables_made, "upgraded": made.tables_upgraded, "present": made.tables_present},
        "roles": {"made": made.roles.made, "present": made.roles.present, "complete": made.roles.complete},
        "next": following,
    }
    lines = [f"{'database':<12}{made.database}, PostgreSQL {made.server_version}"]
    lines += _told("migrations", ("applied", made.migrations_applied), ("there already", made.migrations_present))
    lines += _told(
        "tables", ("made", made.tables_made), ("upgraded", made.tables_upgraded), ("there already", made.tables_present)
    )
    lines += _told("roles", ("made", made.roles.made), ("there already", made.roles.present))
    if not made.roles.complete:
        lines.append(_NOT_SET if len(made.roles.present) == len(ROLES) else _NOT_MADE)
    return Answer(data, "\n".join([*lines, *following]))


def _told(what: str, *parts: tuple[str, Sequence[str]]) -> list[str]:
    told = [f"{fate}: {', '.join(names)}" for fate, names in parts if names]
    return [f"{what if not n else '':<12}{line}" for n, line in enumerate(told)]
