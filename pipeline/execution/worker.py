"""Runs one node: the only place where stage code is imported and called. Errors come back as values, so that others go on.

A worker gets plain data and gives plain data; it writes blobs and touches no registry. Executing a task twice does no harm.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from config.errors import BalanceError, StageError
from config.stage import File, Report
from pipeline.execution.calls import load, sentence
from pipeline.execution.handles import Declared, StageInputs, StageOutputs, Written
from pipeline.execution.loaded import refuse_changed
from pipeline.execution.orphans import marked
from pipeline.node import Node, is_collection
from pipeline.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pipeline.execution.pages import Desk
    from pipeline.execution.strict import Watch


DIED = "Its worker process died. Give it more memory, or look into what it calls."


class Task(NamedTuple):
    """All a worker needs to run a node."""

    node: Node
    inputs: dict[str, list[File]]
    settings: Mapping[str, Any]
    """Declared settings and secrets, nothing else."""
    previous: dict[str, dict[str, File]]
    """Members of the node's collections as last committed."""
    data_dir: str
    run_id: str
    attempt_id: str
    code_root: str
    since_ns: int
    """When the process that hashed the code began to load code."""
    strict: bool = False
    """Whether touching a file the node does not declare is an error."""
    roots: Mapping[str, str] = {}
    """The folders that `files` patterns may start with."""
    before: Mapping[str, File] = {}
    """The node's own outputs of an attempt from which only the data differ."""
    proof: Mapping[str, Any] | None = None
    """On a cluster: the code and libraries this machine must prove to have (`pipeline/execution/proof.py`)."""


class Result(NamedTuple):
    """What came of it."""

    seconds: float
    written: list[Written]
    report: Report
    peak_rss: int
    error: str | None = None
    details: str = ""
    """Traceback, for --debug only."""


def execute(task: Task, desk: Desk | None = None) -> Result:
    """Run the node's function. Whatever it raises comes back in `error` as one sentence; its temporary files are gone then.

    `desk` commits the pages of a node that has any; such a task never leaves the coordinator's process.
    """
    began = time.monotonic()
    node = task.node
    watch = _watch(task) if task.strict else None
    store = watch.store if watch else Store(task.data_dir)
    if watch and desk:
        desk.aside, desk.hand = watch.aside, watch.hand
    outputs = StageOutputs(node.outputs, store, task.previous, task.run_id, task.attempt_id, task.before, desk, cache_name(node))
    collections = {role for role, name in {**node.inputs, **node.files}.items() if is_collection(name)}
    try:
        _prove(task, with_data=True)
        with marked(task.run_id), watch or contextlib.nullcontext():
            stage = load(node.run)
            refuse_changed(task.code_root, task.since_ns)
            report: Report = stage(StageInputs(task.inputs, collections), outputs, Declared(task.settings)) or Report()
        _check(report)
        refuse_changed(task.code_root, task.since_ns)
        _prove(task)
        return Result(time.monotonic() - began, outputs.finish(), report, _peak_rss())
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the boundary: one node's failure must not stop the others
        outputs.discard()
        return Result(time.monotonic() - began, [], {}, _peak_rss(), sentence(error), _details(error))
    except BaseException:
        outputs.discard()
        raise


def cache_name(node: Node) -> str:
    """The folder below `cache/` that is a node's: that of the source whose pages it reads, else its own."""
    return node.outputs[node.pages].removesuffix("/**").rpartition("/")[2] if node.pages else node.name


def _watch(task: Task) -> Watch:
    from pipeline.execution.strict import Watch

    handed = [*task.inputs.values(), *(members.values() for members in task.previous.values()), task.before.values()]
    return Watch(task.node, [f for files in handed for f in files], task.data_dir, task.code_root, task.roots)


def _prove(task: Task, with_data: bool = False) -> None:
    if task.proof is not None:
        from pipeline.execution.proof import refuse_other_code, refuse_other_data

        refuse_other_code(task.proof, task.node, task.code_root)
        if with_data:
            refuse_other_data(task.node, task.inputs, task.data_dir)


def _details(error: BaseException) -> str:
    import traceback

    return "".join(traceback.format_exception(error))


def _check(report: Report) -> None:
    """The report must be plain data and its sums must fit."""
    rows = report.get("rows", {})
    if not all(isinstance(n, int) for n in rows.values()):
        raise StageError("The stage reports a row count that is no number.", "Mend the stage.")
    try:
        json.dumps(report, allow_nan=False)
    except (TypeError, ValueError):
        raise StageError("The stage reports something that is not plain data.", "Mend the stage.") from None
    balance = report.get("balance")
    if balance is not None and sum(balance["fates"].values()) != balance["came"]:
        raise BalanceError(
            f"{balance['came']} came in as {balance['unit']} but {sum(balance['fates'].values())} are accounted for.",
            "This is a fault of the program; please report it.",
        )


def _peak_rss() -> int:
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
