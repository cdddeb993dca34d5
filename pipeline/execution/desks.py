"""Where nodes with pages run: in the coordinator's process, which alone touches the registry; beside other nodes in a thread of it."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor, Future

from pipeline.execution.executors import DaemonExecutor, InlineExecutor
from pipeline.execution.pages import Desk
from pipeline.execution.worker import Result, Task, execute
from pipeline.node import Node
from pipeline.registry import Committed, Registry
from pipeline.store import Store


class Desks:
    """The desks of one run. `inline`: one node at a time, sharing the coordinator's connection; strict rules are a process's."""

    def __init__(self, registry: Registry, store: Store, *, inline: bool) -> None:
        self._registry = registry
        self._store = store
        self._inline = inline
        self._open: dict[str, Desk] = {}

    def submit(self, task: Task, state: Mapping[str, Committed], elsewhere: Executor) -> Future[Result]:
        """Start a task: `elsewhere` when it has no pages."""
        if not task.node.pages:
            return elsewhere.submit(execute, task)
        desk = self._open[task.attempt_id] = self._desk(task.node, task.attempt_id, state)
        return (InlineExecutor() if self._inline else DaemonExecutor()).submit(execute, task, desk)

    def close(self, attempt_id: str = "") -> None:
        """Let an attempt, or all, commit nothing more: it has ended, or the run was stopped while it goes on in a thread."""
        for ident in [attempt_id] if attempt_id else list(self._open):
            if desk := self._open.pop(ident, None):
                desk.close()

    def _desk(self, node: Node, attempt_id: str, state: Mapping[str, Committed]) -> Desk:
        in_force = state[node.name].id if node.name in state else ""
        if self._inline:
            return Desk(self._registry, self._store, node, attempt_id, in_force)
        return Desk(Registry.beside(self._store.root), self._store, node, attempt_id, in_force, own=True)
