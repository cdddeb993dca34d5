"""What a run is asked for, and what that means for each node: look at it, hold it or leave it out."""

from __future__ import annotations

from config.errors import UsageError
from pipeline.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pipeline.dag import Dag


class Selection(NamedTuple):
    """What a run is asked for; empty means everything."""

    start_stage: str | None = None
    """Earlier stages are held: their committed outputs are used without looking."""
    until_stage: str | None = None
    """Later stages are left out."""
    only_stage: str | None = None
    hold_stages: tuple[str, ...] = ()
    hold_nodes: tuple[str, ...] = ()
    force: tuple[str, ...] | None = None
    """Nodes that run in any case; `()` means all of them."""

    def forces(self, node: str) -> bool:
        """Whether this node runs in any case, or the node it is a part of."""
        return self.force is not None and (not self.force or node in self.force or node.partition("[")[0] in self.force)


class Modes(NamedTuple):
    """Per node: looked at or held; the others are left out."""

    looked: set[str]
    held: set[str]

    @classmethod
    def of(cls, dag: Dag, selection: Selection) -> Modes:
        """Raises UsageError for a stage or node that does not exist."""
        if not dag.nodes:
            return cls(set(), set())
        first = dag.stage_index(selection.only_stage or selection.start_stage or dag.stages[0])
        last = dag.stage_index(selection.only_stage or selection.until_stage or dag.stages[-1])
        if first > last:
            raise UsageError(
                f"Stage {dag.stages[first]!r} comes after stage {dag.stages[last]!r}.", "Start with the earlier one."
            )
        for stage in selection.hold_stages:
            dag.stage_index(stage)
        hold = {dag.node(n).name for n in selection.hold_nodes}
        for name in selection.force or ():
            dag.node(name)
        looked, held = set[str](), set[str]()
        for node in dag.nodes.values():
            index = dag.stage_index(node.stage)
            if index <= last:
                (held if index < first or node.stage in selection.hold_stages or node.name in hold else looked).add(node.name)
        return cls(looked, _offering(dag, looked, held, first) if first else held)


def _offering(dag: Dag, looked: set[str], held: set[str], first: int) -> set[str]:
    """The held nodes without those of earlier stages that nothing looked at rests on: they may never have run."""
    wanted = set(looked)
    for name in reversed(dag.order):
        if name in wanted:
            wanted.update(dag.upstream[name])
    return {n for n in held if n in wanted or dag.stage_index(dag.nodes[n].stage) >= first}
