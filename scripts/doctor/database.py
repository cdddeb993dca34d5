"""Can bronze be written: the server there, new enough, encrypted on the way, migrated, with no more rights than it takes?"""

from __future__ import annotations

from typing import Any

from scripts.bronze.status import for_bronze
from scripts.doctor.finding import Findings, Patient, note, ok, problem, warning
from scripts.project import Project

_RIGHTS = "SELECT rolsuper, rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = current_user"


def examine(patient: Patient) -> Findings:
    """The configured server, or what the embedded one needs to start; it is not started for this."""
    if patient.project is None:
        yield note("not examined: the settings come first")
        return
    if not patient.project.settings["database"]:
        yield from _embedded(patient.project)
    elif patient.offline:
        yield note("not asked: --offline")
    else:
        yield from _configured(patient.project)


def _embedded(project: Project) -> Findings:
    from warehouse.bronze.embedded.cluster import locate
    from warehouse.bronze.embedded.server import exists

    cluster = locate(project.data_dir)
    there = "its data is here" if exists(project.data_dir) else "made by the first run"
    yield ok(f"the embedded PostgreSQL {cluster.major}; {there}")


def _configured(project: Project) -> Findings:
    from warehouse.bronze import schema
    from warehouse.bronze.connection import connect, exposed

    with connect(for_bronze(project), create=False, role="doctor") as session:
        version = session.info.server_version
        yield ok(f"PostgreSQL {version // 10000}.{version % 10000} answers")
        if exposed(session):
            yield problem(
                "The database is reached over the internet without encryption.", "Add sslmode=verify-full to DATABASE_URL."
            )
        lacking = schema.migrations().keys() - schema.applied(session)
        if lacking:
            yield note(
                f"{len(lacking)} migrations are not applied yet", "The next run applies them; or: python main.py bronze init"
            )
        row: Any = session.execute(_RIGHTS).fetchone()
        if row and row[0]:
            yield warning("PDP signs in to the database as a superuser.", "Give it a login of its own: docs/bronze_roles.md")
