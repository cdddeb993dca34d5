"""Where nodes run: in this process, in a pool of processes or on a cluster, behind `concurrent.futures.Executor`."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from typing import Any


class InlineExecutor(Executor):
    """Runs a task at once, in this process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        future.set_result(fn(*args, **kwargs))
        return future


class DaemonExecutor(Executor):
    """Runs each task in a thread of its own, in this process, which does not wait for it when it ends."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def run() -> None:
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - it is the future's
                future.set_exception(error)

        future.set_running_or_notify_cancel()
        threading.Thread(target=run, daemon=True).start()
        return future


def make_executor(jobs: int, where: str = "") -> Executor:
    """`jobs` nodes at a time: this process for one, else spawned workers that die with it; or a cluster, `where` it is."""
    if where:
        from pipeline.execution.cluster import ClusterExecutor

        return ClusterExecutor(where, jobs)
    if jobs <= 1:
        return InlineExecutor()
    import multiprocessing

    # Spawned, not forked: a forked child would inherit the run lock and the registry's descriptor.
    return ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=begin_worker, initargs=(os.getpid(),))


def kill_workers(executor: Executor) -> None:
    """End a pool's processes at once: their outputs are temporary files that the recovery removes. A cluster's end when it is left."""
    for process in list((getattr(executor, "_processes", None) or {}).values()):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # with whatever it has started itself
        process.kill()
        process.join()


def begin_worker(parent: int) -> None:
    """A worker leaves signals to its parent, writes private files and never outlives it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.umask(0o077)
    os.setpgrp()
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(1)
