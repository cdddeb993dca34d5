"""The inside of a local Lambda: a process that knows a zip and the installed libraries, and answers one invocation a line.

Started as a file by `function.py`, in isolated mode: nothing of the project is on its path but what is in the zip.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any


class Context:
    """What AWS tells a handler about its invocation."""

    def __init__(self, invocation: str, name: str) -> None:
        self.aws_request_id = invocation
        self.function_name = name
        self.function_version = "$LATEST"
        self.memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")


def main(archive: str, handler: str) -> None:
    """Serve invocations from stdin until it ends; what the handler prints goes to stderr, as to its log."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.path.insert(0, archive)
    module, _, function = handler.rpartition(".")
    call = getattr(importlib.import_module(module), function)
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer: dict[str, Any] = {"result": call(asked["event"], Context(asked["id"], "local"))}
        except Exception as error:  # noqa: BLE001 - whatever a handler raises is a failed invocation, and it lives on
            answer = {"error": type(error).__name__}
        sys.stdout.flush()
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
