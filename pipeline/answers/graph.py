"""The DAG with what would happen to each node and how it went last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pipeline.answers.forecast import Forecast
from pipeline.dag import Dag
from pipeline.partitions import is_part, whole


class Vertex(NamedTuple):
    """A node of the picture."""

    node: str
    stage: str
    action: str
    """run | restore | skip | blocked; what a run would do now."""
    state: str
    """committed | accepted | failed | aborted | started | never; how it went last."""
    reasons: tuple[str, ...]
    """Why it would not be skipped."""
    rows: int | None
    seconds: float | None
    error: str | None
    upstream: tuple[str, ...]

    @property
    def look(self) -> str:
        """What it is drawn as: a failure is shown as long as nothing has mended it."""
        return "failed" if self.state == "failed" and self.action != "skip" else self.action


def graph(dag: Dag, forecast: Iterable[Forecast], status: Mapping[str, Any]) -> list[Vertex]:
    """The nodes in the order of the DAG. `status` is `pipeline.answers.status.status`'s answer."""
    expected = {f.node: f for f in forecast}
    past = {n["node"]: n | {k: v for k, v in (n["failed"] or {}).items() if k in {"state", "error"}} for n in status["nodes"]}
    broken = {whole(name): n for name, n in past.items() if is_part(name) and n["state"] == "failed"}
    found = []
    for name in dag.order:
        known, f = (
            past.get(name, {}) | ({"state": "failed", "error": broken[name]["error"]} if name in broken else {}),
            expected.get(name),
        )
        reasons = tuple(f"{r.kind}: {r.name}{f' – {r.detail}' if r.detail else ''}" for r in f.reasons) if f else ()
        found.append(
            Vertex(
                name,
                dag.nodes[name].stage,
                f.action if f else "skip",
                known.get("state", "never"),
                reasons,
                known.get("rows"),
                known.get("seconds"),
                known.get("error"),
                tuple(dag.upstream[name]),
            )
        )
    return found
