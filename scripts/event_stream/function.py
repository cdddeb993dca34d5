"""A Lambda function on this machine: the zip in a process of its own, killed when it takes too long, started again when it died."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, Self

from scripts.event_stream.package import HANDLER

LARGEST = 6_000_000
"""Bytes an invocation may carry (docs.aws.amazon.com, "Lambda quotas": 6 MB)."""
_HANDED_ON = ("AWS_", "EVENTS_", "REJECTED_PREFIX", "HOME", "PATH", "LANG", "TZ", "SSL_CERT_", "LD_LIBRARY_PATH")


class InvocationFailed(Exception):
    """The handler raised, died or ran out of time; says which, in a word."""


class Invocable(Protocol):
    """What events are handed to."""

    def invoke(self, event: Mapping[str, Any]) -> Any:
        """What the handler answers. InvocationFailed if it does not."""


class Function:
    """One execution environment: one invocation at a time, from any thread. A context manager: its process ends with it."""

    def __init__(self, archive: Path, environment: Mapping[str, str], timeout: float = 60.0, handler: str = HANDLER) -> None:
        """`environment` is added to the AWS_* and EVENTS_* variables of this process; `timeout` in seconds."""
        self._command = [sys.executable, "-I", str(Path(__file__).with_name("worker.py")), str(archive.resolve()), handler]
        inherited = {k: v for k, v in os.environ.items() if k.startswith(_HANDED_ON)}
        region = {"AWS_DEFAULT_REGION": os.environ["AWS_REGION"]} if os.environ.get("AWS_REGION") else {}
        self._environment = {**inherited, **region, **environment}
        self._timeout = timeout
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self.invocations = 0
        """How many there were."""
        self.failures = 0
        """How many of them failed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._end()

    def invoke(self, event: Mapping[str, Any]) -> Any:
        """What the handler answers. InvocationFailed if it does not."""
        with self._lock:
            self.invocations += 1
            try:
                return self._ask(event)
            except InvocationFailed:
                self.failures += 1
                raise

    def _ask(self, event: Mapping[str, Any]) -> Any:
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        late = threading.Event()

        def give_up() -> None:
            late.set()
            process.kill()

        watch = threading.Timer(self._timeout, give_up)
        watch.start()
        try:
            process.stdin.write(json.dumps({"id": str(uuid.uuid4()), "event": event}) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            watch.cancel()
        if not line.endswith("\n"):
            self._end()
            raise InvocationFailed("timeout" if late.is_set() else "exited")
        answer = json.loads(line)
        if "error" in answer:
            raise InvocationFailed(str(answer["error"]))
        return answer["result"]

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._end()
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=self._environment,
                encoding="utf-8",
                start_new_session=True,
            )
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue
