"""Each engine's way to do a workload: a project folder as a user of that engine would write it, and the command that runs it.

Ours and the peers get the same files, the same job and one process at a time. Where an engine keys on values and not on files
(Hamilton, joblib, Prefect), the project passes it the SHA-256 of its input files, as its users do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from bench.environments import program
from bench.harness import REPO
from bench.workloads import Workload, shell_job


class Peer(NamedTuple):
    """One engine."""

    name: str
    write: Callable[[Workload, Path], None]
    """Writes what the engine needs into a laid project."""
    command: Callable[[], list[str]]
    once: Callable[[], list[list[str]]] = list
    """Commands that prepare a fresh project; never timed."""
    env: Mapping[str, str] = {}
    """`{project}` stands for the project folder."""
    python: bool = True
    """Whether it is one of the Python peers the goals speak of."""
    note: str = ""


_OURS = """import sys

sys.path.insert(0, REPO)
from pipeline import Node, Pipeline

from dag import JOBS

made = {output for _, _, output in JOBS}
nodes = []
for name, reads, output in JOBS:
    files = {f"r{i}": path for i, path in enumerate(reads) if path not in made}
    inputs = {f"r{i}": path for i, path in enumerate(reads) if path in made}
    nodes.append(Node(name, "bench", "stage:run", inputs, files, {"out": output}))
run = Pipeline(nodes, "data", roots={"in": "in"}).run()
sys.exit(run.status != "succeeded")
"""
_OUR_STAGE = """from job import log, sha256


def run(inputs, outputs, settings):
    found = sha256([file.path for role in sorted(inputs.roles()) for file in inputs.many(role)])
    with outputs.open("out") as out:
        out.write(found.encode() + b"\\n")
    log(found)
"""
_LOOP = """import json

from job import work

for name, inputs, output in json.load(open("dag.json")):
    work(inputs, output)
"""
_FLOOR = """import os
import sqlite3
import sys

db = sqlite3.connect("floor.db")
for path, size, mtime_ns in db.execute("SELECT path, size, mtime_ns FROM file"):
    found = os.stat(path)
    if found.st_size != size or found.st_mtime_ns != mtime_ns:
        sys.exit(1)
"""
_FLOOR_MAKE = """import json
import os
import sqlite3

paths = {path for _, inputs, output in json.load(open("dag.json")) for path in (*inputs, output)}
with sqlite3.connect("floor.db") as db:
    db.execute("DROP TABLE IF EXISTS file")
    db.execute("CREATE TABLE file (path TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER)")
    db.executemany("INSERT INTO file VALUES (?, ?, ?)", [(p, os.stat(p).st_size, os.stat(p).st_mtime_ns) for p in sorted(paths)])
"""
_DOIT = """import json

from job import work

DOIT_CONFIG = {"verbosity": 0, "reporter": "zero"}


def task_node():
    for name, inputs, output in json.load(open("dag.json")):
        yield {"name": name, "actions": [(work, [inputs, output])], "file_dep": inputs, "targets": [output]}
"""
_SNAKEMAKE = """import json

EDGES = {output: inputs for _, inputs, output in json.load(open("dag.json"))}

rule all:
    input: json.load(open("ends.json"))

rule node:
    input: lambda w: EDGES[f"out/{w.name}.txt"]
    output: "out/{name}.txt"
    shell: "SHELL_JOB"
"""
_LUIGI = """import json

import luigi
from job import work

DAG = {output: inputs for _, inputs, output in json.load(open("dag.json"))}


class Given(luigi.ExternalTask):
    path = luigi.Parameter()

    def output(self):
        return luigi.LocalTarget(self.path)


class Made(luigi.Task):
    path = luigi.Parameter()

    def requires(self):
        return [Made(path) if path in DAG else Given(path) for path in DAG[self.path]]

    def output(self):
        return luigi.LocalTarget(self.path)

    def run(self):
        work(DAG[self.path], self.path)


if __name__ == "__main__":
    ends = [Made(path) for path in json.load(open("ends.json"))]
    raise SystemExit(not luigi.build(ends, local_scheduler=True, log_level="ERROR"))
"""
_HAMILTON = """import json
import sys

import flow
from hamilton import driver

sys.setrecursionlimit(100_000)
names = {output: name for name, _, output in json.load(open("dag.json"))}
files = [name for name in dir(flow) if name.startswith("file_")]
dr = driver.Builder().with_modules(flow).with_cache(path=".hamilton", recompute=files).build()
dr.execute([names[end] for end in json.load(open("ends.json"))])
"""
_REDUN = """import json

from job import work
from redun import File, task

redun_namespace = "bench"
DAG = json.load(open("dag.json"))


@task()
def node(inputs: list, output: str) -> File:
    work([file.path for file in inputs], output)
    return File(output)


@task(check_valid="full", cache=False)
def main() -> list:
    made = {}
    for _, inputs, output in DAG:
        made[output] = node([made[path] if path in made else File(path) for path in inputs], output)
    return [made[end] for end in json.load(open("ends.json"))]
"""
_PYTASK = """import json
from pathlib import Path

from job import work
from pytask import task

for name, inputs, output in json.load(open("dag.json")):

    @task(id=name)
    def task_node(
        inputs: list[Path] = [Path(path).absolute() for path in inputs],
        produces: Path = Path(output).absolute(),
    ) -> None:
        here = Path.cwd()
        work([str(path.relative_to(here)) for path in inputs], str(produces.relative_to(here)))
"""
_JOBLIB = """import json

from job import sha256, work
from joblib import Memory

memory = Memory(".joblib", verbose=0)


@memory.cache
def node(inputs, contents, output):
    return work(inputs, output)


if __name__ == "__main__":
    known = {}
    for _, inputs, output in json.load(open("dag.json")):
        for path in inputs:
            if path not in known:
                known[path] = sha256([path])
        known[output] = node(inputs, [known[path] for path in inputs], output)
"""
_PREFECT = """import json

from job import sha256, work
from prefect import flow, task
from prefect.cache_policies import INPUTS, TASK_SOURCE


@task(cache_policy=INPUTS + TASK_SOURCE, persist_result=True)
def node(inputs, contents, output):
    return work(inputs, output)


@flow
def main():
    known = {}
    for _, inputs, output in json.load(open("dag.json")):
        for path in inputs:
            if path not in known:
                known[path] = sha256([path])
        known[output] = node(inputs, [known[path] for path in inputs], output)


if __name__ == "__main__":
    main()
"""
_DAGSTER = """import json

from dagster import AssetKey, DagsterInstance, SourceAsset, asset, materialize
from job import work

jobs = json.load(open("dag.json"))
names = {output: name for name, _, output in jobs}


def make(name, inputs, output):
    @asset(name=name, deps=[AssetKey(names[path]) for path in inputs if path in names], code_version="1")
    def node() -> None:
        work(inputs, output)

    return node


if __name__ == "__main__":
    raise SystemExit(not materialize([make(*job) for job in jobs], instance=DagsterInstance.get()).success)
"""


def _ours(_: Workload, project: Path) -> None:
    (project / "run.py").write_text(_OURS.replace("REPO", repr(str(REPO))))
    (project / "stage.py").write_text(_OUR_STAGE)


def _file(name: str, text: str) -> Callable[[Workload, Path], None]:
    def write(_: Workload, project: Path) -> None:
        (project / name).write_text(text)

    return write


def _floor(workload: Workload, project: Path) -> None:
    _file("loop.py", _LOOP)(workload, project)
    (project / "floor.py").write_text(_FLOOR)
    (project / "make_floor.py").write_text(_FLOOR_MAKE)


def _dvc(workload: Workload, project: Path) -> None:
    lines = ["stages:"]
    for job in workload.jobs:
        lines += [f"  {job.name}:", f"    cmd: {shell_job(job.inputs, job.output)}", "    deps:"]
        lines += [f"    - {path}" for path in job.inputs]
        lines += ["    outs:", f"    - {job.output}"]
    (project / "dvc.yaml").write_text("\n".join(lines) + "\n")


def _hamilton(workload: Workload, project: Path) -> None:
    made = {job.output: job.name for job in workload.jobs}
    given = {path: f"file_{number}" for number, (path, _) in enumerate(workload.files)}
    lines = ["from job import sha256, work", ""]
    for path, name in given.items():
        lines += ["", f"def {name}() -> str:", f"    return sha256([{path!r}])", ""]
    for job in workload.jobs:
        reads = ", ".join(f"{made.get(path) or given[path]}: str" for path in job.inputs)
        lines += ["", f"def {job.name}({reads}) -> str:", f"    return work({list(job.inputs)!r}, {job.output!r})", ""]
    (project / "flow.py").write_text("\n".join(lines))
    (project / "run.py").write_text(_HAMILTON)


def _pytask(_: Workload, project: Path) -> None:
    (project / "pyproject.toml").write_text("[tool.pytask.ini_options]\n")
    (project / "task_dag.py").write_text(_PYTASK)


def _make(workload: Workload, project: Path) -> None:
    lines = [f"all: {' '.join(workload.ends())}", ""]
    for job in workload.jobs:
        lines += [f"{job.output}: {' '.join(job.inputs)}", f"\t@{shell_job(['$^'], '$@')}", ""]
    (project / "Makefile").write_text("\n".join(lines))


def _ninja(workload: Workload, project: Path) -> None:
    lines = ["rule node", f"  command = {shell_job(['$in'], '$out')}", ""]
    lines += [f"build {job.output}: node {' '.join(job.inputs)}" for job in workload.jobs]
    (project / "build.ninja").write_text("\n".join([*lines, ""]))


def _with(peer: str, *arguments: str) -> Callable[[], list[str]]:
    """A command whose program lies in the peer's environment."""
    return lambda: [program(peer, arguments[0]), *arguments[1:]]


OURS = Peer("pdp", _ours, lambda: [sys.executable, "run.py"], python=False)
LOOP = Peer(
    "floor",
    _floor,
    lambda: [sys.executable, "loop.py"],
    python=False,
    note="cold: a plain loop; nothing to do: stat every file, read one SQLite table",
)
FLOOR = [sys.executable, "floor.py"]
FLOOR_MAKE = [sys.executable, "make_floor.py"]
PEERS = {
    p.name: p
    for p in (
        Peer("doit", _file("dodo.py", _DOIT), _with("doit", "doit")),
        Peer(
            "dvc",
            _dvc,
            _with("dvc", "dvc", "repro", "-q"),
            lambda: [[program("dvc", "dvc"), "init", "-q", "--no-scm"]],
            {"DVC_NO_ANALYTICS": "1", "DVC_GLOBAL_CONFIG_DIR": "{project}/.global", "DVC_SITE_CACHE_DIR": "{project}/.site"},
        ),
        Peer(
            "snakemake",
            _file("Snakefile", _SNAKEMAKE.replace("SHELL_JOB", shell_job(["{input}"], "{output}"))),
            _with("snakemake", "snakemake", "--cores", "1", "--quiet", "all"),
            env={"XDG_CACHE_HOME": "{project}/.cache"},
        ),
        Peer("luigi", _file("run.py", _LUIGI), _with("luigi", "python", "run.py"), note="looks only whether outputs exist"),
        Peer("hamilton", _hamilton, _with("hamilton", "python", "run.py"), env={"HAMILTON_TELEMETRY_ENABLED": "false"}),
        Peer("redun", _file("workflow.py", _REDUN), _with("redun", "redun", "run", "workflow.py", "main")),
        Peer("pytask", _pytask, _with("pytask", "pytask", "--verbose", "0"), env={"PYTHONPATH": "{project}"}),
        Peer("joblib", _file("run.py", _JOBLIB), _with("joblib", "python", "run.py")),
        Peer(
            "prefect",
            _file("run.py", _PREFECT),
            _with("prefect", "python", "run.py"),
            env={
                "PREFECT_HOME": "{project}/.prefect",
                "PREFECT_LOGGING_LEVEL": "ERROR",
                "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
                "DO_NOT_TRACK": "1",
            },
        ),
        Peer(
            "dagster",
            _file("run.py", _DAGSTER),
            _with("dagster", "python", "run.py"),
            env={"DAGSTER_HOME": "{project}", "DAGSTER_DISABLE_TELEMETRY": "1"},
            note="materializes everything it is asked for",
        ),
        Peer("make", _make, _with("make", "make", "-s"), python=False),
        Peer("ninja", _ninja, _with("ninja", "ninja", "--quiet"), python=False),
    )
}
