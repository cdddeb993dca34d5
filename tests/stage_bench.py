"""Runs one stage function without the engine: the same handles, plain files below."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from config.stage import File, Report
from scripts.stages import Given


def as_file(path: str | Path, name: str | None = None) -> File:
    """A file on disk as a stage sees it."""
    data = Path(path).read_bytes()
    return File(name or Path(path).name, str(path), hashlib.sha256(data).hexdigest(), len(data), 1)


class BenchOutputs:
    run_id = "run-1"
    attempt_id = "attempt-1"

    def __init__(self, folder: Path, previous: Mapping[str, dict[str, File]] | None = None, before: Path | None = None) -> None:
        self.folder = folder
        self._before = before
        self._previous = previous or {}
        self.kept: list[tuple[str, str]] = []

    def path(self, role: str, member: str = "") -> str:
        target = self.folder / role / member if member else self.folder / role
        target.parent.mkdir(parents=True, exist_ok=True)
        return str(target)

    def open(self, role: str, member: str = "") -> BinaryIO:
        return open(self.path(role, member), "xb")

    def previous(self, role: str) -> dict[str, File]:
        return self._previous.get(role, {})

    def before(self, role: str) -> File | None:
        return as_file(self._before / role) if self._before else None

    def keep(self, role: str, member: str) -> None:
        self.kept.append((role, member))
        Path(self.path(role, member)).write_bytes(Path(self._previous[role][member].path).read_bytes())


class StageBench:
    """`run` gives the report and the folder's files by role; a collection's by member."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._runs = 0

    def run(
        self,
        stage: Callable[..., Report],
        inputs: Mapping[str, str | Path | list[str | Path] | File | list[File]],
        settings: Mapping[str, Any] | None = None,
        previous: Mapping[str, dict[str, File]] | None = None,
        before: Path | None = None,
    ) -> tuple[Report, Path]:
        """`before`: the folder an earlier run gave, whose files are the node's own last outputs."""
        self._runs += 1
        out = self.folder / f"out{self._runs}"
        out.mkdir(parents=True)
        files = {
            role: [f if isinstance(f, File) else as_file(f) for f in (given if isinstance(given, list) else [given])]
            for role, given in inputs.items()
        }
        report = stage(Given(files), BenchOutputs(out, previous, before), dict(settings or {}))
        balance = report.get("balance")
        assert balance is None or balance["came"] == sum(balance["fates"].values()), balance
        return report, out
