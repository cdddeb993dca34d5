"""What a run says while it runs: a live line on a terminal, one JSON line per event anywhere else. Never a value, never a secret."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

_LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40}


def listener(level: str) -> Progress | JsonLines:
    """A listener for `Pipeline.run`: a terminal's progress, or JSON lines from `level` on, both on stderr."""
    return Progress(sys.stderr) if sys.stderr.isatty() else JsonLines(sys.stderr, level)


class JsonLines:
    """One JSON object per event."""

    def __init__(self, stream: TextIO, level: str) -> None:
        self._stream = stream
        self._level = _LEVELS.get(level, 20)

    def __call__(self, event: str, facts: Mapping[str, Any]) -> None:
        level = "ERROR" if "error" in facts else "DEBUG" if facts.get("action") == "skipped" else "INFO"
        if _LEVELS[level] >= self._level:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            print(json.dumps({"at": stamp, "level": level, "event": event, **facts}), file=self._stream, flush=True)

    def close(self) -> None:
        """Nothing to put away."""


class Progress:
    """A spinner with the node that is running; finished nodes scroll by. Drawn by rich, imported only when something runs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._status: Any = None
        self._running: list[str] = []

    def __call__(self, event: str, facts: Mapping[str, Any]) -> None:
        if event == "node_started":
            self._running.append(str(facts["node"]))
            self._show()
        elif event == "node_finished" and facts["action"] != "skipped":
            self._running = [n for n in self._running if n != facts["node"]]
            self._print(facts)
            self._show()

    def close(self) -> None:
        """Give the terminal back."""
        if self._status is not None:
            self._status.stop()

    def _show(self) -> None:
        if self._status is None:
            from rich.console import Console

            self._status = Console(file=self._stream, highlight=False).status("")
            self._status.start()
        self._status.update(f"[dim]running[/] {', '.join(self._running)}" if self._running else "")

    def _print(self, facts: Mapping[str, Any]) -> None:
        mark = {"ran": "[green]✓[/]", "restored": "[cyan]↺[/]", "failed": "[red]✗[/]", "blocked": "[yellow]■[/]"}[
            str(facts["action"])
        ]
        rows = f"{facts['rows']:>10,} rows" if facts.get("rows") is not None else ""
        if self._status is None:
            self._show()
        self._status.console.print(f" {mark} {facts['node']:<34}{facts['seconds']:>7.2f} s {rows}")
