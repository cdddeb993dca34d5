"""Runs nodes on an existing Dask cluster, behind `concurrent.futures.Executor`. Whatever is lost comes back as one sentence.

A Dask worker lives long and loads a module once. So it only starts processes, one per thread and run (`remote.py`), which must
prove for each node that they have the coordinator's code, libraries and data (`proof.py`). What travels is a function by value:
neither scheduler nor worker imports this project, no log can show its arguments, and a worker that lost the task kills its process.

Dask runs a task at least once. A second execution writes files of its own, which nobody adopts and the next sweep removes.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from config.errors import ClusterError, UsageError
from pipeline.execution.calls import sentence
from pipeline.execution.worker import DIED, Result, Task

_CONNECT_SECONDS = 10
PATIENCE_SECONDS = 30.0
"""How long a cluster may be without any worker before the run gives up on it."""
_LOST = "The connection to the Dask scheduler was lost. Start it again, then run again: what is committed stays."
_ALONE = "The cluster has had no worker for a while. Start one, then run again: what is committed stays."
_KILLED = "Every worker that took it died. Give the workers more memory, or look into what it calls."
_NO_PROJECT = "The worker does not see the project's folder. Mount it at the same path on every machine."
_ELSEWHERE = "The worker wrote to another data directory. Mount the same one at the same path on every machine."
_EX_CONFIG = 78

Call = tuple[bytes, str, str, list[str]]
"""Pickled (function, arguments); the run; the code's root; where to import first-party code from."""
Run = Callable[[Call, Callable[[], bool], list[Any]], tuple[int, bytes]]


class ClusterExecutor(Executor):
    """Nodes on the cluster at `where` (`dask://host:port`); those that feed a database stay here, where the database is.

    `jobs` above one is how many nodes it is given at a time, else as many as the cluster has threads: `at_once`.
    """

    def __init__(self, where: str, jobs: int) -> None:
        self._client = _connect(where)
        self._cluster = self._client.get_executor(pure=False)
        self._here = ThreadPoolExecutor(1)
        self._idle: list[Any] = []
        self._pending: set[Future[Result]] = set()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._gone = ""
        self._workers: set[str] = set()
        self.lost = False
        """Whether somebody out there may still write: a worker left, or the scheduler did."""
        threads = self._look()
        self.at_once = jobs if jobs > 1 else max(threads, 1)
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ARG002
        """Run `fn(task)`. Whatever goes wrong is the result's `error`."""
        future: Future[Result] = Future()
        with self._lock:
            self._pending.add(future)
        if self._gone:
            self._settle(future, _failed(self._gone))
        else:
            try:
                self._send(args[0], pickle.dumps((fn, args))).add_done_callback(lambda done: self._arrived(future, done))
            except Exception as error:  # noqa: BLE001 - the client's own
                self._settle(future, _failed(sentence(error)))
        return future

    def _send(self, task: Task, payload: bytes) -> Future[tuple[int, bytes]]:
        run = _in_process()
        call = (payload, task.run_id, task.code_root, _first_party(task.code_root))
        if task.node.sink:
            return self._here.submit(run, call, self._ended.is_set, self._idle)
        sent: Future[tuple[int, bytes]] = self._cluster.submit(_on_worker(run, call), key=f"{task.node.name}-{task.attempt_id}")
        return sent

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002
        """Leave the cluster. What is still running there is cancelled and its process killed."""
        if not self._ended.is_set():
            self._look()
            self._ended.set()
            with contextlib.suppress(Exception):  # the cluster may be gone
                self._cluster.shutdown(wait=False)
            with contextlib.suppress(Exception):
                self._client.close(timeout=_CONNECT_SECONDS)
            self._here.shutdown()
            for process, *_ in self._idle:
                process.kill()
                process.communicate()

    def _arrived(self, future: Future[Result], done: Future[tuple[int, bytes]]) -> None:
        if done.cancelled():
            self._give_up(_LOST)
        elif error := done.exception():
            self.lost = True
            killed = type(error).__name__ == "KilledWorker"
            self._settle(future, _failed(_KILLED if killed else f"The cluster could not run it: {type(error).__name__}."))
        else:
            self._settle(future, _result(*done.result()))

    def _settle(self, future: Future[Result], result: Result) -> None:
        """The first answer counts."""
        with self._lock:
            waited_for = future in self._pending
            self._pending.discard(future)
        if waited_for:
            future.set_result(result)

    def _give_up(self, why: str) -> None:
        """Everything that was sent fails, and everything that would be."""
        with self._lock:
            self._gone = self._gone or why
            self.lost = True
            pending = list(self._pending)
        for future in pending:
            self._settle(future, _failed(self._gone))

    def _watch(self) -> None:
        """Nothing tells a client that the last worker has left, and a result may be lost on its way when the scheduler goes."""
        seen = time.monotonic()
        while not self._ended.wait(1) and not self._gone:
            if self._client.status != "running":
                return self._give_up(_LOST)
            seen = time.monotonic() if self._look() else seen
            if time.monotonic() - seen > PATIENCE_SECONDS:
                return self._give_up(_ALONE)
        return None

    def _look(self) -> int:
        """How many threads the cluster has; notes which workers have come and gone."""
        try:
            workers = self._client.scheduler_info()["workers"].values() if self._client.status == "running" else []
        except Exception:  # noqa: BLE001 - the client's own; its status tells
            workers = []
        present = {w["id"] for w in workers}
        self.lost |= not self._workers <= present
        self._workers |= present
        return sum(w["nthreads"] for w in workers)


def _connect(where: str) -> Any:
    parts = urlsplit(where)
    try:
        address = f"{parts.hostname}:{parts.port or 8786}" if parts.scheme == "dask" and parts.hostname else ""
    except ValueError:
        address = ""
    if not address or parts.netloc.rpartition("@")[0] or parts.path.strip("/"):
        raise UsageError(f"There is no executor {where!r}.", "Write --executor dask://HOST:8786.")
    try:
        distributed = importlib.import_module("distributed")
    except ImportError:
        raise UsageError("Running on a cluster needs Dask.", "pip install 'personal-data-platform[dask]'") from None
    _be_quiet()
    try:
        return distributed.Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, RuntimeError) as error:
        raise ClusterError(
            f"No Dask scheduler answers at {address}.", "Start it with `dask scheduler`, or mend --executor."
        ) from error


def _be_quiet() -> None:
    """What Dask's client has to say comes as one sentence of ours."""
    import logging

    for name in ("distributed.client", "distributed.comm", "distributed.core", "distributed.batched"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _on_worker(run: Run, call: Call) -> Callable[[], tuple[int, bytes]]:
    """A function that stands on its own, to be sent by value."""

    def run_node() -> tuple[int, bytes]:
        from distributed import get_worker

        worker = get_worker()
        key = worker.get_current_task()

        def stopped() -> bool:
            task = worker.state.tasks.get(key)
            return task is None or task.state == "cancelled" or worker.status.name in {"closing", "closed", "failed"}

        return run(call, stopped, worker.__dict__.setdefault("personal_data_platform", []))

    return run_node


def _in_process() -> Run:
    """A function that makes a call in a process of the run and gives (exit code, answer); by value too, so it imports what it needs."""

    def run(call: tuple[bytes, str, str, list[str]], stopped: Callable[[], bool], idle: list[Any]) -> tuple[int, bytes]:
        import contextlib
        import os
        import select
        import signal
        import subprocess
        import sys
        import time

        payload, run_id, folder, paths = call
        child: Any = None
        while child is None:
            try:
                found, of, since = idle.pop()
            except IndexError:
                break
            if of == run_id and time.monotonic() - since < 5 and found.poll() is None:
                child = found
            else:
                found.kill()
                found.wait()
        code = (
            f"import sys\nsys.path[:0] = {paths!r}\n"
            "try:\n    from pipeline.execution.remote import main\nexcept ImportError:\n    sys.exit(78)\n"
            f"main({os.getpid()})\n"
        )
        try:
            child = child or subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=folder,
                env=os.environ
                | {"PDP_RUN": run_id},  # `pipeline/execution/orphans.py` ends it if it is still there when the run is not
                process_group=0,
            )
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return 78, b""
        with contextlib.suppress(BrokenPipeError):
            child.stdin.write(len(payload).to_bytes(8, "big") + payload)
            child.stdin.flush()
            while not select.select([child.stdout], [], [], 0.2)[0]:
                if stopped():
                    break
            else:
                if size := child.stdout.read(8):
                    answer = child.stdout.read(int.from_bytes(size, "big"))
                    idle.append((child, run_id, time.monotonic()))
                    return 0, answer
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        return child.wait() or 1, b""

    return run


def _first_party(code_root: str) -> list[str]:
    """Folders the process must find first-party code in; an installed engine is the worker's own."""
    engine = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return [code_root] if engine == code_root or "site-packages" in engine else [code_root, engine]


def _result(code: int, answer: bytes) -> Result:
    if code:
        return _failed(_NO_PROJECT if code == _EX_CONFIG else DIED)
    result: Result = pickle.loads(answer)  # noqa: S301 - from our own process
    return result if all(w.tmp is None or os.path.exists(w.tmp) for w in result.written) else _failed(_ELSEWHERE)


def _failed(error: str) -> Result:
    return Result(0.0, [], {}, 0, error)
