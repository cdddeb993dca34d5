"""One run: asks the planner about each node in turn, runs what has to run, commits it, and lets independent branches go on.

Only this process touches the registry. A node's outputs, lineage and state become true in one transaction or not at all.
"""

from __future__ import annotations

import heapq
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from graphlib import TopologicalSorter
from typing import Any, NamedTuple

from config.errors import InputMoved
from pipeline.commit import Commit
from pipeline.dag import Dag
from pipeline.executors import kill_workers, make_executor
from pipeline.loaded import STARTED_NS
from pipeline.node import Node, is_collection
from pipeline.planner import Decision, Planner, Reason
from pipeline.registry import Artifact, Committed
from pipeline.selection import Modes, Selection
from pipeline.worker import Result, Task, execute, sentence

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
    outputs: tuple[Artifact, ...] = ()
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


class _Running(NamedTuple):
    node: Node
    decision: Decision
    attempt_id: str
    retried: bool


class Orchestrator:
    """Executes one run, under the run lock."""

    def __init__(self, dag: Dag, planner: Planner, commit: Commit, run_id: str, jobs: int, listener: Listener) -> None:
        self._dag = dag
        self._planner = planner
        self._commit = commit
        self._run_id = run_id
        self._jobs = max(jobs, 1)
        self._at_once = self._jobs
        self._executor = make_executor(self._jobs)
        self._listener = listener
        self._outcomes: dict[str, Outcome] = {}
        self._settled: list[str] = []
        self._running: dict[Future[Result], _Running] = {}
        self._again: list[Node] = []
        """Nodes whose worker was lost, to be tried once more."""

    def run(self, selection: Selection) -> Run:
        """Run the selection. Raises KeyboardInterrupt when stopped: running nodes are dropped, what is committed stays."""
        began = time.monotonic()
        modes = Modes.of(self._dag, selection)
        chosen = modes.looked | modes.held
        sorter = TopologicalSorter({n: [u for u in self._dag.upstream[n] if u in chosen] for n in self._dag.order if n in chosen})
        sorter.prepare()
        rank = {name: number for number, name in enumerate(self._dag.order)}
        queue: list[tuple[int, str]] = []  # earlier stages first
        try:
            while sorter.is_active():
                for name in sorter.get_ready():
                    heapq.heappush(queue, (rank[name], name))
                if queue and len(self._running) < self._at_once:
                    self._begin(self._dag.nodes[heapq.heappop(queue)[1]], modes, selection)
                elif self._running:
                    self._collect()
                elif self._again:
                    self._decide(self._again.pop(), forced=False, retried=True)
                while self._settled:
                    sorter.done(self._settled.pop())
        except BaseException:
            kill_workers(self._executor)
            raise
        finally:
            self._executor.shutdown()
        outcomes = [self._outcomes[n] for n in self._dag.order if n in self._outcomes]
        failed = any(o.action in {"failed", "blocked"} for o in outcomes)
        self._commit.end(failed)
        return Run(self._run_id, "failed" if failed else "succeeded", time.monotonic() - began, outcomes)

    def _begin(self, node: Node, modes: Modes, selection: Selection) -> None:
        culprit = next((u for u in self._dag.upstream[node.name] if self._bad(u)), None)
        if culprit is not None:
            self._settle(node, "blocked", error=f"It needs {culprit}, which {self._outcomes[culprit].action}.")
        elif node.name in modes.held:
            self._hold(node)
        else:
            self._decide(node, selection.forces(node.name))

    def _hold(self, node: Node) -> None:
        attempt = self._planner.hold(node)
        if attempt is None:
            self._settle(
                node, "blocked", error=f"{node.name} has nothing whole to offer. Run it first: leave out the stage options."
            )
        else:
            self._stand(node, "skipped", attempt)
            self._outcomes[node.name] = self._outcomes[node.name]._replace(held=True)

    def _decide(self, node: Node, forced: bool, retried: bool = False) -> None:
        try:
            decision = self._planner.decide(node, forced)
            if decision.action == "skip" and decision.attempt:
                self._stand(node, "skipped", decision.attempt, decision)
            elif decision.action == "restore":
                self._stand(node, "restored", self._commit.restore(node, decision, self._planner.state.get(node.name)), decision)
            else:
                self._submit(node, decision, retried)
        except Exception as error:  # noqa: BLE001 - whatever a node's declaration leads to, the others go on
            self._settle(node, "failed", error=sentence(error))

    def _submit(self, node: Node, decision: Decision, retried: bool) -> None:
        attempt_id = uuid.uuid4().hex
        inputs: dict[str, list[Any]] = {role: [] for role in (*node.inputs, *node.files)}
        for read in decision.reads:
            if read.path is not None:
                inputs[read.role].append(self._planner.as_file(read))
        planner = self._planner
        task = Task(
            node,
            inputs,
            planner.needs(node),
            planner.previous(node),
            planner.store.root,
            self._run_id,
            attempt_id,
            planner.code_root,
            STARTED_NS,
        )
        self._commit.start(node, decision, attempt_id)
        self._tell("node_started", {"node": node.name, "stage": node.stage, "reasons": [r._asdict() for r in decision.reasons]})
        running = _Running(node, decision, attempt_id, retried)
        try:
            self._running[self._executor.submit(execute, task)] = running
        except BrokenExecutor:
            self._worker_died(running)

    def _collect(self) -> None:
        """Wait for at least one running node and settle it."""
        finished, _ = wait(self._running, return_when=FIRST_COMPLETED)
        for future in finished:
            running = self._running.pop(future)
            try:
                result = future.result()
            except BrokenExecutor:
                self._worker_died(running)
            else:
                self._finish(running, result)

    def _worker_died(self, running: _Running) -> None:
        """The pool is gone and with it what ran beside the culprit. What is left of the run goes one at a time: only the culprit fails."""
        kill_workers(self._executor)
        self._executor.shutdown(wait=False)
        self._executor = make_executor(max(self._jobs, 2))
        self._at_once = 1
        dead = Result(0.0, [], {}, 0, "Its worker process died. Give it more memory, or look into what it calls.")
        self._commit.fail(running.attempt_id, dead)
        if running.retried:
            self._settle(running.node, "failed", running.attempt_id, dead, running.decision, error=dead.error)
        else:
            self._again.append(running.node)

    def _finish(self, running: _Running, result: Result) -> None:
        node, decision, attempt_id, retried = running
        if any(read.moved() for read in decision.reads):
            moved = InputMoved("An input changed while it was being read.", "Run again when nothing writes to it.")
            self._commit.fail(attempt_id, result._replace(error=str(moved)))
            if not retried:
                self._decide(node, forced=False, retried=True)
                return
            result = result._replace(error=str(moved), written=[])
        elif result.error is None:
            result = self._try_commit(running, result)
        else:
            self._commit.fail(attempt_id, result)
        if result.error is not None:
            self._settle(node, "failed", attempt_id, result, decision, error=result.error)

    def _try_commit(self, running: _Running, result: Result) -> Result:
        node, decision, attempt_id, _ = running
        try:
            done = self._commit.succeed(node, decision, attempt_id, result, self._planner.state.get(node.name))
        except Exception as error:  # noqa: BLE001 - the transaction is rolled back; the others go on
            failed = result._replace(error=sentence(error), written=[])
            self._commit.fail(attempt_id, failed)
            return failed
        self._planner.state[node.name] = done
        self._planner.settle(node, done.outputs)
        self._settle(node, "ran", attempt_id, result, decision, outputs=tuple(a for _, a in done.outputs))
        return result

    def _stand(self, node: Node, action: str, attempt: Committed, decision: Decision | None = None) -> None:
        self._planner.state[node.name] = attempt
        self._planner.settle(node, attempt.outputs)
        self._settle(node, action, attempt.id, None, decision, outputs=tuple(a for _, a in attempt.outputs))

    def _settle(
        self,
        node: Node,
        action: str,
        attempt: str | None = None,
        result: Result | None = None,
        decision: Decision | None = None,
        outputs: tuple[Artifact, ...] = (),
        error: str | None = None,
    ) -> None:
        outcome = Outcome(
            node.name,
            node.stage,
            action,
            attempt,
            result.seconds if result else 0.0,
            _rows(node, result, outputs),
            outputs,
            error,
            result.details if result else "",
            tuple(decision.reasons) if decision else (),
            result.report if result else {},
            tuple(decision.identity.warnings) if decision else (),
        )
        self._outcomes[node.name] = outcome
        self._settled.append(node.name)
        self._tell(
            "node_finished",
            {"node": node.name, "stage": node.stage, "action": action, "seconds": round(outcome.seconds, 3), "rows": outcome.rows}
            | ({"error": error} if error else {}),
        )

    def _tell(self, event: str, facts: Mapping[str, Any]) -> None:
        """A listener that fails (its pipe is closed) is not listened to any more; the run goes on."""
        try:
            self._listener(event, facts)
        except Exception:  # noqa: BLE001
            self._listener = _nobody

    def _bad(self, name: str) -> bool:
        return name in self._outcomes and self._outcomes[name].action in {"failed", "blocked"}


def _nobody(event: str, facts: Mapping[str, Any]) -> None:
    """Nobody listens."""


def _rows(node: Node, result: Result | None, outputs: tuple[Artifact, ...]) -> int | None:
    """Rows of the node's first output: its product; the others go with it. A sink reports its own."""
    if not node.outputs:
        reported = result.report.get("rows", {}) if result else {}
        return next(iter(reported.values()), None)
    name = next(iter(node.outputs.values()))
    counts = [
        a.rows
        for a in outputs
        if a.rows is not None and (a.name == name or (is_collection(name) and a.name.startswith(name[:-2])))
    ]
    return sum(counts) if counts else None
