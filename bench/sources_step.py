"""Steps of the pipeline, the real functions, in a process of their own that tells what each took; and what the parent starts it with.

`read` counts the bytes that went through read calls (`rchar` of /proc/self/io, files that are mapped not among them), `peak` is the
process's largest resident set so far (VmHWM).
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.harness import REPO
from bench.sources_data import ZONE


class Step(NamedTuple):
    """One node's run."""

    node: str
    seconds: float
    """Of the function alone; the process's own wall time is `Ran.seconds`."""
    cpu: float
    peak: float
    """MB."""
    read: int
    report: dict[str, Any]

    @property
    def rows(self) -> dict[str, int]:
        return dict(self.report["rows"])

    @property
    def came(self) -> int:
        return int(self.report["balance"]["came"])


class FailedError(Exception):
    """What was measured did not come to its end."""


class Ran(NamedTuple):
    """A process that ran some nodes one after the other."""

    seconds: float
    """Wall time of the whole process."""
    steps: list[Step]

    @property
    def peak(self) -> float:
        return self.steps[-1].peak

    @property
    def cpu(self) -> float:
        return sum(step.cpu for step in self.steps)


def run_steps(source: str, names: Sequence[str], folder: Path, export: Path | None = None, called: str = "") -> Ran:
    """Run these nodes over `folder`, where the artifacts of earlier ones are. `export`: the raw artifact, under the name `called`."""
    given = [f"raw/{source}/{called or export.name}", str(export)] if export else ["", ""]
    began = time.perf_counter()
    command = [sys.executable, __file__, source, str(folder), *given, *names]
    env = {**os.environ, "TIMEZONE": ZONE, "DATA_DIR": str(folder)}
    done = subprocess.run(command, cwd=REPO, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FailedError(f"{', '.join(names)}: {(done.stderr.strip() or 'killed').splitlines()[-1]}")
    took = time.perf_counter() - began
    return Ran(took, [Step(**json.loads(line)) for line in done.stdout.splitlines() if line.startswith("{")])


def main(source: str, folder: str, called: str, export: str, *names: str) -> None:
    """Run the nodes; one line of JSON each."""
    from config.snapshot import node_settings
    from pipeline.execution.calls import load
    from pipeline.nodes import nodes
    from scripts.stages import Given, Made

    settings = node_settings(str(REPO), [])
    dag = {node.name: node for node in nodes([source])}
    for name in names:
        node = dag[name]
        for artifact in node.outputs.values():
            Path(folder, artifact).unlink(missing_ok=True)
        run = load(node.run)
        given = Given({role: [_file(folder, artifact, called, export)] for role, artifact in node.inputs.items()})
        declared = {name: settings[name] for name in (*node.settings, *node.secrets)}
        read, cpu, began = _read(), _cpu(), time.perf_counter()
        report = run(given, Made(folder, node.outputs), declared)
        took = time.perf_counter() - began
        step = Step(name, took, _cpu() - cpu, _peak(), _read() - read, {key: report[key] for key in ("rows", "balance")})
        print(json.dumps(step._asdict()), flush=True)


def _file(folder: str, artifact: str, called: str, export: str) -> Any:
    """The file behind an artifact; its digest is nobody's business here, and hashing it would be measured."""
    from config.stage import File

    name, path = (called, export) if artifact.startswith("raw/") else (artifact, os.path.join(folder, artifact))
    return File(name, path, "0" * 64, os.path.getsize(path), 1, time.time())


def _read() -> int:
    return int(Path("/proc/self/io").read_text().split()[1])


def _peak() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main(*sys.argv[1:])
