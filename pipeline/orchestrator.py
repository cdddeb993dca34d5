"""One run: asks the planner about each node in turn, runs what has to run, commits it, and lets independent branches go on.

Only this process touches the registry. A node's outputs, lineage and state become true in one transaction or not at all.
"""

from __future__ import annotations

import heapq
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from config.errors import InputMoved
from pipeline.before import outputs_before
from pipeline.commit import Commit
from pipeline.dag import Dag
from pipeline.execution.calls import sentence
from pipeline.execution.desks import Desks
from pipeline.execution.executors import kill_workers, make_executor
from pipeline.execution.loaded import STARTED_NS
from pipeline.execution.worker import DIED, Result, Task
from pipeline.node import Node
from pipeline.outcome import Outcome, Run, as_event, product_rows, silent
from pipeline.partitions import is_joint, is_part, whole
from pipeline.planner import Decision, Planner
from pipeline.registry import Artifact, Committed
from pipeline.selection import Modes, Selection

if TYPE_CHECKING:
    from config.stage import Finding
    from pipeline.outcome import Listener
    from pipeline.registry import Registry


class _Running(NamedTuple):
    node: Node
    decision: Decision
    attempt_id: str
    forced: bool
    retried: bool
    findings: Sequence[Finding] = ()
    """What the engine has to tell of it besides its own report."""


class _Mapped(NamedTuple):
    node: Node
    parts: list[str]
    waiting: set[str]


class Orchestrator:
    """Executes one run, under the run lock."""

    def __init__(
        self,
        dag: Dag,
        planner: Planner,
        commit: Commit,
        run_id: str,
        jobs: int,
        listener: Listener,
        executor: str = "",
        strict: bool = False,
    ) -> None:
        self._dag = dag
        self._rank = {name: number for number, name in enumerate(dag.order)}
        self._planner = planner
        self._commit = commit
        self._run_id = run_id
        self._jobs = max(jobs, 1)
        self._where = executor
        self._strict = strict
        inline = strict or not (executor or self._jobs > 1)
        self._desks = Desks(cast("Registry", planner.registry), planner.store, inline=inline)
        self._executor = make_executor(self._jobs, executor)
        self._at_once = getattr(self._executor, "at_once", self._jobs)
        self._listener = listener
        self._outcomes: dict[str, Outcome] = {}
        self._settled: list[str] = []
        self._running: dict[Future[Result], _Running] = {}
        self._queue: list[tuple[int, int, Node]] = []
        """Ready to begin, earlier stages first."""
        self._mapped: dict[str, _Mapped] = {}
        self._again: list[Node] = []
        """Nodes whose worker was lost, to be tried once more."""

    def run(self, selection: Selection) -> Run:
        """Run the selection. Raises KeyboardInterrupt when stopped: running nodes are dropped, what is committed stays."""
        began = time.monotonic()
        modes = Modes.of(self._dag, selection)
        chosen = modes.looked | modes.held
        sorter = TopologicalSorter({n: [u for u in self._dag.upstream[n] if u in chosen] for n in self._dag.order if n in chosen})
        sorter.prepare()
        try:
            while sorter.is_active():
                for name in sorter.get_ready():
                    heapq.heappush(self._queue, (self._rank[name], 0, self._dag.nodes[name]))
                if self._queue and len(self._running) < self._at_once:
                    self._begin(heapq.heappop(self._queue)[2], modes, selection)
                elif self._running:
                    self._collect()
                elif self._again:
                    again = self._again.pop()
                    self._decide(again, selection.forces(again.name), retried=True)
                while self._settled:
                    sorter.done(self._settled.pop())
        except BaseException:
            self._desks.close()
            kill_workers(self._executor)
            raise
        finally:
            self._executor.shutdown()
        outcomes = [o for n in self._dag.order if n in self._outcomes for o in (*self._part_outcomes(n), self._outcomes[n])]
        failed = any(o.action in {"failed", "blocked"} for o in outcomes)
        self._commit.end(failed, writers_left=getattr(self._executor, "lost", False))
        return Run(self._run_id, "failed" if failed else "succeeded", time.monotonic() - began, outcomes)

    def _begin(self, node: Node, modes: Modes, selection: Selection) -> None:
        if is_part(node.name):
            self._decide(node, selection.forces(node.name))
            return
        culprit = next((u for u in self._dag.upstream[node.name] if self._bad(u)), None)
        if culprit is not None:
            self._settle(node, "blocked", error=f"It needs {culprit}, which {self._outcomes[culprit].action}.")
        elif node.name in modes.held:
            self._hold(node)
        elif node.each:
            self._map(node)
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
                self._submit(node, decision, forced, retried)
        except Exception as error:  # noqa: BLE001 - whatever a node's declaration leads to, the others go on
            self._settle(node, "failed", error=sentence(error))

    def _map(self, node: Node) -> None:
        """Let every part of a mapped node begin; the node itself is settled when the last one is."""
        try:
            parts = self._planner.parts(node)
        except Exception as error:  # noqa: BLE001 - as for any other node
            self._settle(node, "failed", error=sentence(error))
            return
        self._mapped[node.name] = _Mapped(node, [p.name for p in parts], {p.name for p in parts})
        for number, part in enumerate(parts):
            heapq.heappush(self._queue, (self._rank[node.name], number, part))
        if not parts:
            self._join(self._mapped[node.name])

    def _join(self, mapped: _Mapped) -> None:
        """All parts of a mapped node are settled: put them together, or tell that some failed."""
        node, names, _ = mapped
        outcomes = [self._outcomes[name] for name in names]
        bad = [o for o in outcomes if o.action == "failed"]
        if bad:
            self._settle(node, "failed", error=f"{len(bad)} of {len(names)} parts failed, first {bad[0].node}: {bad[0].error}")
            return
        state = self._planner.state
        before, parts = state.get(node.name), [state[name] for name in names]
        ran = any(o.action == "ran" for o in outcomes)
        try:
            if before is not None and is_joint(before, node, parts) and self._planner.hold(node):
                done, action = before, "ran" if ran else "skipped"
            else:
                done = self._commit.join(node, parts, self._planner.identities.of(node), before)
                action = "ran" if ran or before is None else "restored"
        except Exception as error:  # noqa: BLE001 - the transaction is rolled back; the others go on
            self._settle(node, "failed", error=sentence(error))
            return
        mine = set(names)
        for gone in [name for name in state if whole(name) == node.name and name not in mine]:
            del state[gone]
        self._stand(node, action, done)
        took, rows = sum(o.seconds for o in outcomes), [a.rows for _, a in done.outputs if a.rows is not None]
        self._outcomes[node.name] = self._outcomes[node.name]._replace(seconds=took, rows=sum(rows) if rows else None)

    def _part_outcomes(self, name: str) -> list[Outcome]:
        """Outcomes of the parts that did anything."""
        parts = self._mapped[name].parts if name in self._mapped else []
        return [self._outcomes[part] for part in parts if self._outcomes[part].action != "skipped"]

    def _submit(self, node: Node, decision: Decision, forced: bool, retried: bool) -> None:
        attempt_id = uuid.uuid4().hex
        findings = self._commit.forget_lost(node, self._planner.lost_pages(node), attempt_id)
        decision = decision._replace(reads=self._planner.bring(node, decision.reads))
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
            self._strict,
            planner.roots,
            {}
            if forced
            else outputs_before(planner.registry, planner.store, node, decision.identity, planner.state.get(node.name)),
            planner.identities.proof(node) if self._where else None,
        )
        self._commit.start(node, decision, attempt_id, elsewhere=bool(self._where))
        self._tell("node_started", {"node": node.name, "stage": node.stage, "reasons": [r._asdict() for r in decision.reasons]})
        running = _Running(node, decision, attempt_id, forced, retried, findings)
        try:
            self._running[self._desks.submit(task, planner.state, self._executor)] = running
        except BrokenExecutor:
            self._worker_died(running)

    def _collect(self) -> None:
        """Wait for at least one running node and settle it."""
        finished, _ = wait(self._running, return_when=FIRST_COMPLETED)
        for future in finished:
            running = self._running.pop(future)
            self._desks.close(running.attempt_id)
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
        self._executor = make_executor(max(self._jobs, 2), self._where)
        self._at_once = 1
        dead = Result(0.0, [], {}, 0, DIED)
        self._commit.fail(running.attempt_id, dead)
        if running.retried:
            self._settle(running.node, "failed", running.attempt_id, dead, running.decision, error=dead.error)
        else:
            self._again.append(running.node)

    def _finish(self, running: _Running, result: Result) -> None:
        node, decision, attempt_id, _, retried, *_ = running
        if running.findings:
            told = [*result.report.get("findings", []), *running.findings]
            result = result._replace(report={**result.report, "findings": told})
        if any(read.moved() for read in decision.reads):
            moved = InputMoved("An input changed while it was being read.", "Run again when nothing writes to it.")
            self._commit.fail(attempt_id, result._replace(error=str(moved)))
            if not retried:
                self._decide(node, running.forced, retried=True)
                return
            result = result._replace(error=str(moved), written=[])
        elif result.error is None:
            result = self._try_commit(running, result)
        else:
            self._commit.fail(attempt_id, result)
        if result.error is not None:
            self._settle(node, "failed", attempt_id, result, decision, error=result.error)

    def _try_commit(self, running: _Running, result: Result) -> Result:
        node, decision, attempt_id, *_ = running
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
            product_rows(node, result.report if result else {}, outputs),
            outputs,
            error,
            result.details if result else "",
            tuple(decision.reasons) if decision else (),
            result.report if result else {},
            tuple(decision.identity.warnings) if decision else (),
        )
        self._outcomes[node.name] = outcome
        self._tell("node_finished", as_event(outcome))
        if is_part(node.name):
            mapped = self._mapped[whole(node.name)]
            mapped.waiting.discard(node.name)
            if not mapped.waiting:
                self._join(mapped)
        else:
            self._settled.append(node.name)

    def _tell(self, event: str, facts: Mapping[str, Any]) -> None:
        """A listener that fails (its pipe is closed) is not listened to any more; the run goes on."""
        try:
            self._listener(event, facts)
        except Exception:  # noqa: BLE001
            self._listener = silent

    def _bad(self, name: str) -> bool:
        return name in self._outcomes and self._outcomes[name].action in {"failed", "blocked"}
