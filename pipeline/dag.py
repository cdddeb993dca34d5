"""The graph: who needs whom, in which order; every mistake in the declaration is one sentence, before anything runs."""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Sequence

from config.errors import PipelineError, UsageError
from pipeline.declaration import check_names, check_node
from pipeline.node import Node


class Dag:
    """A checked DAG. `upstream[n]` are the nodes `n` reads from; `order` is topological and stable."""

    def __init__(self, nodes: Iterable[Node], stages: Sequence[str] = (), roots: Iterable[str] = ()) -> None:
        self.nodes: dict[str, Node] = {}
        self.producer: dict[str, str] = {}
        for node in nodes:
            self._add(node)
        check_names(self.nodes.values(), roots)
        self.stages = list(stages) or list(dict.fromkeys(n.stage for n in self.nodes.values()))
        self.upstream = {n.name: self._producers(n) for n in self.nodes.values()}
        self.order = self._sorted()

    def stage_index(self, stage: str) -> int:
        """Position of a stage; a UsageError lists the known ones."""
        if stage not in self.stages:
            raise UsageError(f"There is no stage named {stage!r}.", f"Stages are: {', '.join(self.stages)}.")
        return self.stages.index(stage)

    def node(self, name: str) -> Node:
        """The node of this name; a UsageError names near ones."""
        if name not in self.nodes:
            from pipeline.answers.lineage import did_you_mean

            mend = did_you_mean(name, self.nodes) or f"Nodes are: {_listed(self.nodes)}."
            raise UsageError(f"There is no node named {name!r}.", mend)
        return self.nodes[name]

    def _add(self, node: Node) -> None:
        if node.name in self.nodes:
            raise PipelineError(f"Two nodes are named {node.name!r}.", "Give each node a name of its own.")
        check_node(node)
        self.producer.update(dict.fromkeys(node.outputs.values(), node.name))
        self.nodes[node.name] = node

    def _producers(self, node: Node) -> list[str]:
        found: dict[str, None] = {}
        for role, name in node.inputs.items():
            if name not in self.producer:
                raise PipelineError(
                    f"Node {node.name!r} reads {name!r} (role {role!r}), which no node makes.",
                    "Name an artifact some node has in its outputs, or declare it under files.",
                )
            found[self.producer[name]] = None
        return list(found)

    def _sorted(self) -> list[str]:
        try:
            order = list(graphlib.TopologicalSorter(self.upstream).static_order())
        except graphlib.CycleError as error:
            raise PipelineError(
                f"The nodes depend on each other in a circle: {' → '.join(error.args[1])}.", "Remove one of these inputs."
            ) from None
        rank = {name: self.stage_index(self.nodes[name].stage) for name in order}
        for name in order:
            if late := [u for u in self.upstream[name] if rank[u] > rank[name]]:
                raise PipelineError(f"Node {name!r} needs {late[0]!r} of a later stage.", "Mend the stages of these two nodes.")
        return sorted(order, key=rank.__getitem__)  # stable: within a stage the order stays topological


def _listed(names: Iterable[str]) -> str:
    names = sorted(names)
    return ", ".join(names[:12]) + (" …" if len(names) > 12 else "")
