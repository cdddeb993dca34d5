"""How each engine's user declares one stage function, so that any of the mutations can be made to it.

A project has `stage.py` with `work()`, perhaps helpers beside it, files in `in/` and a `settings.json` of which `used` is declared.
Engines that cache functions cache `work`; engines that compare files are told of `stage.py` and of every file in `in/`.
`run.py` ends by writing `repr` of the result to `out.txt`; `executed.log` gets a line whenever `work` really runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from bench.environments import program
from bench.harness import REPO

_GIVEN = '''"""What the stage is given, and who watches that it runs."""

import glob
import hashlib
import json
import os
import sys
import threading

WITH_DATA = DATA


def paths():
    return sorted(glob.glob("in/*.txt"))


def settings():
    with open("settings.json") as file:
        return json.load(file)


def args(files=None):
    if not WITH_DATA:
        return ()
    contents = [hashlib.sha256(open(p, "rb").read()).hexdigest() for p in paths()] if files is None else files
    return paths(), contents, settings()["used"]


def log():
    fd = os.open("executed.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, b"work\\n")
    os.close(fd)


def save(result):
    with open("out.txt", "w") as out:
        out.write(repr(result))


def watch():
    """Notice calls of `work` from outside: a wrapper would change what the engine sees of it."""

    def called(frame, event, _):
        code = frame.f_code
        if event == "call" and code.co_name == "work" and os.path.basename(code.co_filename) == "stage.py":
            log()

    threading.setprofile(called)
    sys.setprofile(called)
'''
_PLAIN = """import given
import stage

given.log()
given.save(stage.work(*given.args()))
"""
_TRUTH = """import sys

sys.path.insert(0, ".")
import given
import stage

print(repr(stage.work(*given.args())))
"""
_OURS = """import sys

sys.path[:0] = [REPO, "."]
import given
from pipeline import Node, Pipeline

given.watch()
node = Node("work", "bench", "stage:run", files={"in": "here/in/**"}, outputs={"out": "out.txt"}, settings=("used",))
if __name__ == "__main__":
    run = Pipeline([node], "data", given.settings(), roots={"here": "."}).run()
    sys.exit(run.outcomes[0].error)
"""
_JOBLIB = """import given
import stage
from joblib import Memory

given.watch()
given.save(Memory(".joblib", verbose=0).cache(stage.work)(*given.args()))
"""
_HAMILTON = """import inspect

import given
import stage
from hamilton import ad_hoc_utils, driver

given.watch()
for name in inspect.signature(stage.work).parameters:
    stage.work.__annotations__[name] = object
stage.work.__annotations__["return"] = object
flow = ad_hoc_utils.create_temporary_module(stage.work, module_name="flow")
inputs = dict(zip(inspect.signature(stage.work).parameters, given.args()))
dr = driver.Builder().with_modules(flow).with_cache(path=".hamilton").build()
given.save(dr.execute(["work"], inputs=inputs)["work"])
"""
_PREFECT = """import given
import stage
from prefect import flow, task
from prefect.cache_policies import INPUTS, TASK_SOURCE

cached = task(cache_policy=INPUTS + TASK_SOURCE, persist_result=True)(stage.work)


@flow
def main():
    return cached(*given.args())


if __name__ == "__main__":
    given.watch()
    given.save(main())
"""
_REDUN = """import given
import stage
from redun import File, task

given.watch()
redun_namespace = "bench"
work = task(name="work", namespace="bench")(stage.work)


@task(cache=False)
def save(result):
    given.save(result)


@task(cache=False)
def main():
    return save(work(*given.args([File(path) for path in given.paths()])))
"""
_PYTASK = """from pathlib import Path
from typing import Annotated

import given
import stage
from pytask import Product, PythonNode, task


@task
def task_work(
    used: Annotated[object, PythonNode(value=given.settings()["used"], hash=True)],
    files: list[Path] = [Path(p).absolute() for p in ["stage.py", *given.paths()]],
    out: Annotated[Path, Product] = Path("out.txt").absolute(),
) -> None:
    given.log()
    given.save(stage.work(*given.args()))
"""
_DOIT = """import given
from doit.tools import config_changed

DOIT_CONFIG = {"verbosity": 0, "reporter": "zero"}


def action():
    import stage

    given.log()
    given.save(stage.work(*given.args()))


def task_work():
    return {
        "actions": [action],
        "file_dep": ["stage.py", *given.paths()],
        "targets": ["out.txt"],
        "uptodate": [config_changed({"used": given.settings()["used"]})],
    }
"""
_LUIGI = """import given
import luigi
import stage


class Work(luigi.Task):
    used = luigi.Parameter()

    def output(self):
        return luigi.LocalTarget("out.txt")

    def run(self):
        given.log()
        given.save(stage.work(*given.args()))


if __name__ == "__main__":
    raise SystemExit(not luigi.build([Work(str(given.settings()["used"]))], local_scheduler=True, log_level="ERROR"))
"""
_SNAKEMAKE = """import given

rule all:
    input: "out.txt"

rule work:
    input: "stage.py", given.paths()
    output: "out.txt"
    params: used=given.settings()["used"]
    shell: "python plain.py"
"""
_DVC = """stages:
  work:
    cmd: python plain.py
    deps:
    - stage.py
    - in
    params:
    - settings.json:
      - used
    outs:
    - out.txt
"""
_MAKE = """out.txt: stage.py $(wildcard in/*.txt)
	@PYTHON plain.py
"""


class Declaration(NamedTuple):
    """One engine's project."""

    files: Mapping[str, str]
    command: Callable[[], list[str]]
    once: Callable[[], list[list[str]]] = list
    env: Mapping[str, str] = {}
    out: str = "out.txt"


def _at(peer: str, *arguments: str) -> Callable[[], list[str]]:
    return lambda: [program(peer, arguments[0]), *arguments[1:]]


def _path(peer: str) -> str:
    """The peer's own `python` first on the path, for engines that start commands."""
    return f"{Path(program(peer, 'python')).parent}:{{path}}"


DECLARATIONS = {
    "pdp": Declaration(
        {"run.py": _OURS.replace("REPO", repr(str(REPO)))}, lambda: [sys.executable, "run.py"], out="data/out.txt"
    ),
    "joblib": Declaration({"run.py": _JOBLIB}, _at("joblib", "python", "run.py")),
    "hamilton": Declaration(
        {"run.py": _HAMILTON}, _at("hamilton", "python", "run.py"), env={"HAMILTON_TELEMETRY_ENABLED": "false"}
    ),
    "redun": Declaration({"workflow.py": _REDUN}, _at("redun", "redun", "run", "workflow.py", "main")),
    "prefect": Declaration(
        {"run.py": _PREFECT},
        _at("prefect", "python", "run.py"),
        env={
            "PREFECT_HOME": "{project}/.prefect",
            "PREFECT_LOGGING_LEVEL": "ERROR",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
        },
    ),
    "pytask": Declaration(
        {"task_stage.py": _PYTASK, "pyproject.toml": "[tool.pytask.ini_options]\n"}, _at("pytask", "pytask", "--verbose", "0")
    ),
    "doit": Declaration({"dodo.py": _DOIT}, _at("doit", "doit")),
    "dvc": Declaration(
        {"dvc.yaml": _DVC},
        _at("dvc", "dvc", "repro", "-q"),
        lambda: [[program("dvc", "dvc"), "init", "-q", "--no-scm"]],
        {
            "DVC_NO_ANALYTICS": "1",
            "DVC_GLOBAL_CONFIG_DIR": "{project}/.global",
            "DVC_SITE_CACHE_DIR": "{project}/.site",
            "PATH": _path("dvc"),
        },
    ),
    "snakemake": Declaration(
        {"Snakefile": _SNAKEMAKE},
        _at("snakemake", "snakemake", "--cores", "1", "--quiet", "all"),
        env={"XDG_CACHE_HOME": "{project}/.cache", "PATH": _path("snakemake")},
    ),
    "luigi": Declaration({"run.py": _LUIGI}, _at("luigi", "python", "run.py")),
    "make": Declaration({"Makefile": _MAKE.replace("PYTHON", sys.executable)}, _at("make", "make", "-s")),
}
TRUTH = [sys.executable, "-B", "truth.py"]
"""Prints what a correct engine would have in the output now."""


def given(with_data: bool) -> dict[str, str]:
    """Files every project has."""
    return {"given.py": _GIVEN.replace("= DATA", f"= {with_data}"), "plain.py": _PLAIN, "truth.py": _TRUTH}
