"""What a run gives back: one outcome per node, and the run they belong to."""

from __future__ import annotations

from pipeline.node import is_collection
from pipeline.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from pipeline.node import Node
    from pipeline.planner import Reason
    from pipeline.registry import Artifact

    Listener = Callable[[str, Mapping[str, Any]], None]
    """Told what happens: (event, facts). Facts never hold values or secrets."""


class Outcome(NamedTuple):
    """What became of a node."""

    node: str
    stage: str
    action: str
    """ran | restored | skipped | failed | blocked"""
    attempt: str | None = None
    seconds: float = 0.0
    rows: int | None = None
    outputs: Sequence[Artifact] = ()
    error: str | None = None
    details: str = ""
    reasons: tuple[Reason, ...] = ()
    report: Mapping[str, Any] = {}
    warnings: tuple[str, ...] = ()
    held: bool = False
    """Not looked at: its committed outputs were taken as they are."""


class Run(NamedTuple):
    """What became of a run."""

    run_id: str
    status: str
    """succeeded | failed"""
    seconds: float
    outcomes: list[Outcome]


def as_event(outcome: Outcome) -> dict[str, Any]:
    """What a listener is told of it."""
    facts: dict[str, Any] = {
        "node": outcome.node,
        "stage": outcome.stage,
        "action": outcome.action,
        "seconds": round(outcome.seconds, 3),
        "rows": outcome.rows,
    }
    return facts | {"error": outcome.error} if outcome.error else facts


def product_rows(node: Node, report: Mapping[str, Any], outputs: Sequence[Artifact]) -> int | None:
    """Rows of the node's first output: its product; the others go with it. A sink reports its own."""
    if not node.outputs:
        return next(iter(report.get("rows", {}).values()), None)
    name = next(iter(node.outputs.values()))
    counts = [
        a.rows
        for a in outputs
        if a.rows is not None and (a.name == name or (is_collection(name) and a.name.startswith(name[:-2])))
    ]
    return sum(counts) if counts else None


def silent(event: str, facts: Mapping[str, Any]) -> None:
    """A listener that does not listen."""
