"""The DAG with its last states, from the registry: what the lineage page of one's own data shows and what the shipped one was made by.

It tells steps, stages, states, rows and seconds; names of dropped files, paths, hashes and values it does not tell.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scripts.project import Project


def lineage() -> dict[str, Any]:
    """Of the project as its settings, inbox and registry stand now. Raises PDPError where these cannot be read."""
    from scripts.project import open_project

    return told(open_project())


def told(project: Project, *, clock: bool = True) -> dict[str, Any]:
    """`{"as_of", "nodes": [{node, stage, state, look, said, rows, seconds, version, error, upstream}], "edges", "svg"}`.

    Without `clock` nothing of when and how long: equal runs give equal answers.
    `state` is how the step went last, `look` what a run would make of it now (skip: up to date), `said` the latter in words.
    """
    from pipeline.answers.graph import graph
    from pipeline.answers.status import status
    from scripts.discretion import Discretion
    from scripts.drawing import svg
    from scripts.flowchart import said

    forecast = project.pipeline.plan(project.selection())
    with project.pipeline.reading() as registry:
        past = status(registry)
        vertices = graph(project.pipeline.dag, forecast, past)
    prose = Discretion(project.pipeline.dag).prose
    vertices = [
        v._replace(
            reasons=tuple(dict.fromkeys(map(prose, v.reasons))),
            error=v.error and prose(v.error),
            seconds=v.seconds if clock else None,
        )
        for v in vertices
    ]
    versions = {n["node"]: n["outputs"][0]["version"] for n in past["nodes"] if n["outputs"]}
    names = ("node", "stage", "state", "look", "rows", "seconds", "error")
    return {
        "as_of": datetime.now(UTC).isoformat(timespec="seconds") if clock else None,
        "nodes": [
            {name: getattr(v, name) for name in names}
            | {"said": said(v), "version": versions.get(v.node), "upstream": list(v.upstream)}
            for v in vertices
        ],
        "edges": [[u, v.node] for v in vertices for u in v.upstream],
        "svg": svg(vertices),
    }
