"""A kept answer stands only while every fact it rests on does: no change that matters is ever answered from memory."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.engine_bench import REPO
from tests.test_mutations import MUST_RERUN, MUST_STAY

# Each project in a forked child, so that all see a fresh process without paying for one.
SCRIPT = """
import json, os, sys, time
sys.path.insert(0, {repo!r})
from tests import installed_once
installed_once.remember()
import pipeline.orchestrator, pipeline.commit, pipeline.recovery, pipeline.planner, pipeline.execution.worker
from pipeline import Node, Pipeline, Selection
def work(spec):
    sys.path[:0] = [spec["root"], *spec.get("path", [])]
    pipeline.orchestrator.STARTED_NS = time.time_ns()
    nodes = [Node(**{{k: tuple(v) if isinstance(v, list) else v for k, v in n.items()}}) for n in spec["nodes"]]
    asked = Selection(**spec.get("selection", {{}}))
    p = Pipeline(nodes, spec["root"] + "/data", spec.get("settings", {{}}), code_root=spec["root"])
    if spec["do"] == "run":
        return [o.action for o in p.run(asked).outcomes]
    question = p._question(asked)
    stands = p._standing(question) if question else None
    return stands and [[o.node, o.stage, o.action, o.rows, [list(a) for a in o.outputs]] for o in stands]
for line in sys.stdin:
    r, w = os.pipe()
    if os.fork() == 0:
        try:
            said = json.dumps(work(json.loads(line)))
        except BaseException as error:
            said = json.dumps("error " + repr(error))
        with os.fdopen(w, "w") as out:
            out.write(said)
        os._exit(0)
    os.close(w)
    with os.fdopen(r) as said:
        print(said.read(), flush=True)
    os.wait()
"""
NODE = {"name": "n", "stage": "s", "run": "stage:run", "files": {"in": "in.txt"}, "outputs": {"out": "out.txt"}}


def ask(specs: list[dict[str, Any]], do: str) -> list[Any]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(repo=str(REPO))],
        input="".join(json.dumps({**spec, "do": do}) + "\n" for spec in specs),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert not [line for line in said if isinstance(line, str)], said
    return said


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, newline="")


def settle(specs: list[dict[str, Any]]) -> None:
    """Run, grow old, run again: now the answer is kept."""
    ask(specs, "run")
    time.sleep(2.1)
    assert all(set(actions) == {"skipped"} for actions in ask(specs, "run"))


def test_no_change_of_code_that_matters_is_answered_from_memory(tmp_path: Path) -> None:
    cases = {**MUST_RERUN, **MUST_STAY}
    specs = [{"root": str(tmp_path / str(number)), "nodes": [NODE]} for number in range(len(cases))]
    for spec, (before, _) in zip(specs, cases.values(), strict=True):
        write(Path(spec["root"]), {"in.txt": "1", "data/in.txt": "1", **before})
    settle(specs)
    assert [name for name, found in zip(cases, ask(specs, "check"), strict=True) if not found] == []
    for spec, (before, after) in zip(specs, cases.values(), strict=True):
        for name in before.keys() - after.keys():
            (Path(spec["root"]) / name).unlink()
        write(Path(spec["root"]), {name: text for name, text in after.items() if before.get(name) != text})
    stale = [name for name, found in zip(cases, ask(specs, "check"), strict=True) if found and name in MUST_RERUN]
    assert stale == []


STAGE = """
import json, os
def run(inputs, outputs, settings):
    with outputs.open("out") as out:
        out.write(json.dumps([f.name for r in inputs.roles() for f in inputs.many(r)]).encode())
    return {"rows": {"out": 7}}
def load(inputs, outputs, settings):
    open(settings["db"], "w").close()
def holds(inputs, settings):
    return os.path.exists(settings["db"])
def ask(settings):
    return open(settings["remote"]).read()
"""


def bench(root: Path) -> dict[str, Any]:
    write(
        root,
        {"stage.py": STAGE, "sql/a.sql": "1", "data/inbox/a.txt": "a", "data/inbox/b/c.txt": "c", "remote": "v1"},
    )
    many = {"name": "many", "stage": "s", "run": "stage:run", "files": {"in": "inbox/**"}, "outputs": {"out": "o/many.txt"}}
    nodes = [
        {**many, "resources": ["sql/*.sql"], "settings": ["mode"]},
        {"name": "next", "stage": "t", "run": "stage:run", "inputs": {"in": "o/many.txt"}, "outputs": {"out": "o/next.txt"}},
        {
            "name": "sink",
            "stage": "t",
            "run": "stage:load",
            "inputs": {"in": "o/next.txt"},
            "secrets": ["db"],
            "sink": "stage:holds",
        },
        {
            "name": "far",
            "stage": "s",
            "run": "stage:run",
            "secrets": ["remote"],
            "remote": "stage:ask",
            "outputs": {"out": "o/far.txt"},
        },
    ]
    packages = root / "fake-packages"
    packages.mkdir()
    settings = {"mode": 1, "other": 1, "db": str(root / "db"), "remote": str(root / "remote")}
    return {"root": str(root), "nodes": nodes, "settings": settings, "path": [str(packages)]}


def same_size_same_time(path: Path) -> None:
    seen = path.stat()
    with open(path, "r+b") as file:
        file.write(b"#")
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))


def stored(root: Path, name: str) -> Path:
    return next((root / "data/store/o" / name).iterdir())


def sql(root: Path, statement: str) -> None:
    with sqlite3.connect(root / "data/registry.db") as db:
        db.execute(statement)


CHANGES: dict[str, Callable[[Path, dict[str, Any]], object]] = {
    "an input edited, size and time kept": lambda r, s: same_size_same_time(r / "data/inbox/a.txt"),
    "an input replaced by other bytes": lambda r, s: (r / "data/inbox/a.txt").write_text("x"),
    "an input added": lambda r, s: (r / "data/inbox/z.txt").write_text("z"),
    "an input removed": lambda r, s: (r / "data/inbox/b/c.txt").unlink(),
    "an input renamed": lambda r, s: (r / "data/inbox/a.txt").rename(r / "data/inbox/d.txt"),
    "an output edited, size and time kept": lambda r, s: same_size_same_time(stored(r, "next.txt")),
    "an output truncated": lambda r, s: os.truncate(stored(r, "many.txt"), 0),
    "an output removed": lambda r, s: stored(r, "many.txt").unlink(),
    "the store removed": lambda r, s: shutil.rmtree(r / "data/store"),
    "a plain name removed": lambda r, s: (r / "data/o/next.txt").unlink(),
    "a plain name replaced": lambda r, s: ((r / "data/o/next.txt").unlink(), (r / "data/o/next.txt").write_text("mine")),
    "a resource edited": lambda r, s: (r / "sql/a.sql").write_text("2"),
    "a resource added": lambda r, s: (r / "sql/b.sql").write_text("2"),
    "a declared setting changed": lambda r, s: s["settings"].update(mode=True),
    "a node added": lambda r, s: s["nodes"].append(
        {"name": "x", "stage": "t", "run": "stage:run", "outputs": {"out": "o/x.txt"}}
    ),
    "a role renamed": lambda r, s: s["nodes"][1].update(inputs={"other": "o/many.txt"}),
    "another selection": lambda r, s: s.update(selection={"until_stage": "s"}),
    "a library installed": lambda r, s: (r / "fake-packages/lib-1.0.dist-info").mkdir(),
    "a remote with another fingerprint": lambda r, s: (r / "remote").write_text("v2"),
    "a remote that cannot be asked": lambda r, s: (r / "remote").unlink(),
    "a database that lost the load": lambda r, s: (r / "db").unlink(),
    "a node taken out of force": lambda r, s: sql(r, "DELETE FROM node_state WHERE node = 'next'"),
    "a version declared gone": lambda r, s: sql(r, "UPDATE artifact SET removed_at = 1 WHERE name = 'o/next.txt'"),
    "a run that never ended": lambda r, s: sql(r, "INSERT INTO run VALUES ('r', 0, NULL, '{}', 'h', 1, 'running', 0)"),
    "a worker that was lost": lambda r, s: sql(r, "INSERT INTO run VALUES ('r', 0, 0, '{}', 'h', 1, 'failed', 1)"),
    "the data copied elsewhere": lambda r, s: (
        shutil.copytree(r / "data", r / "copy", symlinks=True),
        shutil.rmtree(r / "data"),
        (r / "copy").rename(r / "data"),
    ),
}


def test_no_other_change_that_matters_is_answered_from_memory(tmp_path: Path) -> None:
    specs = {}
    for name in [*CHANGES, "nothing", "an undeclared setting changed"]:
        (tmp_path / str(len(specs))).mkdir()
        specs[name] = bench(tmp_path / str(len(specs)))
    settle(list(specs.values()))
    whole = ask(list(specs.values()), "check")
    assert all(
        [(row[0], row[2]) for row in found] == [(n, "skipped") for n in ("many", "far", "next", "sink")] for found in whole
    )
    assert [row[3] for row in whole[0]] == [7, 7, 7, None]
    for name, change in CHANGES.items():
        change(Path(specs[name]["root"]), specs[name])
    specs["an undeclared setting changed"]["settings"]["other"] = 2
    found = dict(zip(specs, ask(list(specs.values()), "check"), strict=True))
    assert {name for name, stands in found.items() if stands} == {"nothing", "an undeclared setting changed"}


def test_a_young_file_is_not_believed(tmp_path: Path) -> None:
    spec = {"root": str(tmp_path), "nodes": [NODE]}
    write(tmp_path, {"stage.py": STAGE, "data/in.txt": "1"})
    assert ask([spec, spec, spec], "run") == [["ran"], ["skipped"], ["skipped"]]
    assert ask([spec], "check") == [None]


def test_a_run_answered_from_memory_loads_neither_planner_nor_typing(tmp_path: Path) -> None:
    spec = {"root": str(tmp_path), "nodes": [NODE], "path": []}
    write(tmp_path, {"stage.py": STAGE, "data/in.txt": "1"})
    code = (
        f"import sys; sys.path[:0] = [{str(REPO)!r}, {str(tmp_path)!r}]; before = set(sys.modules)\n"
        f"from pipeline import Node, Pipeline\n"
        f"run = Pipeline([Node(**{NODE!r})], {str(tmp_path / 'data')!r}, code_root={str(tmp_path)!r}).run()\n"
        "print(run.outcomes[0].action, *sorted(m for m in sys.modules if m.startswith('pipeline.')))\n"
        "print(*sorted({'typing', 'json', 'hashlib', 'shutil', 'graphlib', 'concurrent'} & (set(sys.modules) - before)))"
    )

    def run() -> tuple[list[str], list[str]]:
        done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
        one, two = done.stdout.split("\n")[:2]
        return one.split(), two.split()

    run()
    time.sleep(2.1)
    run()
    loaded, heavy = run()
    assert loaded == [
        "skipped",
        *("pipeline.installed", "pipeline.lock", "pipeline.node", "pipeline.outcome", "pipeline.pipeline"),
        *("pipeline.registry", "pipeline.selection", "pipeline.signals", "pipeline.standing", "pipeline.tuples"),
    ]
    assert heavy == []
    assert spec
