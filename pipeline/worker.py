"""Runs one node: the only place where stage code is imported and called. Errors come back as values, so that others go on.

A worker gets plain data and gives plain data; it writes blobs and touches no registry. Executing a task twice does no harm.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from config.errors import BalanceError, PDPError, StageError
from config.stage import File, Report
from pipeline.handles import Declared, StageInputs, StageOutputs, Written
from pipeline.loaded import refuse_changed
from pipeline.node import Node, is_collection
from pipeline.store import Store


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


class Result(NamedTuple):
    """What came of it."""

    seconds: float
    written: list[Written]
    report: Report
    peak_rss: int
    error: str | None = None
    details: str = ""
    """Traceback, for --debug only."""


def execute(task: Task) -> Result:
    """Run the node's function. Whatever it raises comes back in `error` as one sentence; its temporary files are gone then."""
    began = time.monotonic()
    node = task.node
    outputs = StageOutputs(node.outputs, Store(task.data_dir), task.previous, task.run_id, task.attempt_id)
    collections = {role for role, name in {**node.inputs, **node.files}.items() if is_collection(name)}
    try:
        stage = load(node.run)
        refuse_changed(task.code_root, task.since_ns)
        report: Report = stage(StageInputs(task.inputs, collections), outputs, Declared(task.settings)) or Report()
        _check(report)
        refuse_changed(task.code_root, task.since_ns)
        return Result(time.monotonic() - began, outputs.finish(), report, _peak_rss())
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the boundary: one node's failure must not stop the others
        outputs.discard()
        return Result(time.monotonic() - began, [], {}, _peak_rss(), sentence(error), _details(error))
    except BaseException:
        outputs.discard()
        raise


def load(ref: str) -> Callable[..., Any]:
    """The function a `"module:function"` reference names. Raises StageError when there is none."""
    module, _, name = ref.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise StageError(f"{ref!r} cannot be loaded: {error}.", "Install what it needs, or mend the node's reference.") from error
    return found  # type: ignore[no-any-return]


def sentence(error: BaseException) -> str:
    """An error as a person reads it. A foreign exception gives its type and place only: its text may hold values."""
    if isinstance(error, PDPError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"The disk or network refused: {error.strerror}{_folder(error)}. Mend that, then run again."
    if isinstance(error, MemoryError):
        return "The node ran out of memory. Give it more, or feed it less at once."
    return f"{type(error).__name__} in {_place(error)}. Run again with --debug to see where."


def _folder(error: OSError) -> str:
    """The folder a file error is about; the file's own name is a person's, and not told."""
    return f" (in {os.path.basename(os.path.dirname(error.filename)) or '.'})" if isinstance(error.filename, str) else ""


def _place(error: BaseException) -> str:
    frame, place = error.__traceback__, "an unknown place"
    while frame is not None:
        code = frame.tb_frame.f_code
        if "site-packages" not in code.co_filename and not code.co_filename.startswith("<"):
            place = f"{os.path.basename(code.co_filename)}:{frame.tb_lineno}"
        frame = frame.tb_next
    return place


def _details(error: BaseException) -> str:
    import traceback

    return "".join(traceback.format_exception(error))


def ask(ref: str, *arguments: Any) -> Any:
    """Call a node's fingerprint or sink function. Whatever foreign it raises becomes a StageError without its text."""
    function = load(ref)
    try:
        return function(*arguments)
    except (PDPError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise StageError(sentence(error)) from error


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
