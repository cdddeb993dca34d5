"""Fan-out: a node mapped over partitions, each cached by itself."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from config.errors import PipelineError
from pipeline import Node, Pipeline
from tests.engine_bench import Project

CODE = """
import os

def split(inputs, outputs, settings):
    months = {}
    for line in open(inputs.one("all").path):
        months.setdefault(line[:7], []).append(line)
    for month, lines in sorted(months.items()):
        with outputs.open("months", month + ".txt") as out:
            out.write("".join(lines).encode())
    return {"rows": {f"months/{m}.txt": len(l) for m, l in months.items()}}

def double(inputs, outputs, settings):
    text = open(inputs.one("month").path).read()
    if "bad" in text:
        raise ValueError("no")
    if os.environ.get("DIE") and os.environ["DIE"] in text:
        os.kill(os.getpid(), 9)
    with outputs.open("out") as out:
        out.write((text + text).encode())
    return {"rows": {"out": text.count("\\n") * 2}}

def total(inputs, outputs, settings):
    with outputs.open("total") as out:
        for file in inputs.many("months"):
            out.write(open(file.path, "rb").read())
"""
MONTHS = [f"{year}-{month:02}" for year in range(2016, 2026) for month in range(1, 13)]
NODES: list[dict[str, Any]] = [
    {"name": "split", "stage": "s", "run": "stage:split", "files": {"all": "all.txt"}, "outputs": {"months": "months/**"}},
    {
        "name": "double",
        "stage": "s",
        "run": "stage:double",
        "inputs": {"month": "months/**"},
        "outputs": {"out": "doubled/**"},
        "each": "month",
    },
    {"name": "total", "stage": "s", "run": "stage:total", "inputs": {"months": "doubled/**"}, "outputs": {"total": "total.txt"}},
]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path, NODES)
    project.write({"stage.py": CODE})
    write(project, dict.fromkeys(MONTHS, "a"))
    return project


def write(project: Project, months: dict[str, str]) -> None:
    project.write({"data/all.txt": "".join(f"{month} {text}\n" for month, text in months.items())})


def test_one_changed_month_of_120_runs_one_part(project: Project) -> None:
    first = project.run()
    assert sum(action == "ran" for name, action in first.items() if name.startswith("double[")) == 120
    months = dict.fromkeys(MONTHS, "a") | {"2020-05": "b"}
    write(project, months)
    assert {n: a for n, a in project.run().items() if a == "ran"} == dict.fromkeys(
        ["split", "double[2020-05.txt]", "double", "total"], "ran"
    )
    assert project.output("total.txt") == "".join(f"{m} {t}\n" * 2 for m, t in months.items())
    assert set(project.run().values()) == {"skipped"}


def test_the_plan_names_the_parts_that_would_run(project: Project) -> None:
    project.run()
    project.write({"stage.py": CODE.replace("text + text", "text * 3")})
    planned = {node: action for node, action, _ in project.call(plan=True)}
    assert planned["double[2016-01.txt]"] == planned["double"] == planned["total"] == "run"
    assert planned["split"] == "skip"
    assert len(planned) == 123


def test_a_month_that_is_gone_takes_its_part_and_its_view_with_it(project: Project) -> None:
    project.run()
    write(project, dict.fromkeys(MONTHS[:-1], "a"))
    done = project.run()
    assert done == {"split": "ran", "double": "restored", "total": "ran"}
    assert not (project.data / "doubled" / "2025-12.txt").exists()
    assert (project.data / "doubled" / "2025-11.txt").exists()
    assert verify(project) == []
    write(project, dict.fromkeys(MONTHS, "a"))
    assert project.run() == {"split": "restored", "double": "restored", "double[2025-12.txt]": "restored", "total": "restored"}


def test_a_failing_part_keeps_the_collection_as_it_was_and_the_good_parts_cached(project: Project) -> None:
    project.run()
    write(project, dict.fromkeys(MONTHS, "a") | {"2020-05": "bad", "2020-06": "new"})
    found = {row[0]: row for row in project.call()}
    assert found["double"][1] == "failed"
    assert "1 of 120 parts failed, first double[2020-05.txt]" in found["double"][3]
    assert found["double[2020-06.txt]"][1] == "ran"
    assert found["total"][1] == "blocked"
    assert project.output("doubled/2020-06.txt") == "2020-06 a\n" * 2
    assert verify(project) == []
    write(project, dict.fromkeys(MONTHS, "a") | {"2020-05": "good", "2020-06": "new"})
    ran = {n for n, a in project.run().items() if a == "ran"}
    assert ran == {"split", "double[2020-05.txt]", "double", "total"}
    assert project.output("doubled/2020-06.txt") == "2020-06 new\n" * 2


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_killed_between_parts_goes_on_where_it_was(project: Project, jobs: int) -> None:
    write(project, dict.fromkeys(MONTHS[:6], "a") | {"2016-04": "kill me"})
    project.env = {"DIE": "kill me"}
    if jobs == 1:
        with pytest.raises(AssertionError):
            project.call()
    else:
        assert project.run(jobs=2)["double[2016-04.txt]"] == "failed"
    project.env = {}
    done = project.run(jobs=jobs)
    assert done["double"] == "ran"
    assert 0 < sum(action == "ran" for name, action in done.items() if name.startswith("double[")) < 6
    assert verify(project) == []


def test_parts_run_side_by_side_and_make_the_same_bytes(project: Project, tmp_path: Path) -> None:
    project.run(jobs=2)
    other = Project(tmp_path / "other", NODES)
    other.write({"stage.py": CODE})
    write(other, dict.fromkeys(MONTHS, "a"))
    other.run()
    assert stored(project) == stored(other)


def test_a_node_is_mapped_over_dropped_files_too(tmp_path: Path) -> None:
    node = {**NODES[1], "inputs": {}, "files": {"month": "inbox/**"}, "name": "double"}
    project = Project(tmp_path, [node])
    project.write({"stage.py": CODE, "data/inbox/a.txt": "a\n", "data/inbox/b/c.txt": "c\n"})
    assert project.run() == {"double[a.txt]": "ran", "double[b/c.txt]": "ran", "double": "ran"}
    project.write({"data/inbox/d.txt": "d\n"})
    assert project.run() == {"double[d.txt]": "ran", "double": "ran"}
    assert project.output("doubled/b/c.txt") == "c\nc\n"


def test_no_member_makes_an_empty_collection(tmp_path: Path) -> None:
    project = Project(tmp_path, [{**NODES[1], "inputs": {}, "files": {"month": "inbox/**"}}, NODES[2]])
    project.write({"stage.py": CODE})
    assert project.run() == {"double": "ran", "total": "ran"}
    assert project.run() == {"double": "skipped", "total": "skipped"}


def test_forcing_a_mapped_node_forces_its_parts(project: Project) -> None:
    write(project, dict.fromkeys(MONTHS[:3], "a"))
    project.run()
    assert [n for n, a in project.run(force=["double"]).items() if a == "ran"] == [
        *(f"double[{m}.txt]" for m in MONTHS[:3]),
        "double",
    ]


def test_a_held_mapped_node_offers_what_it_has(project: Project) -> None:
    project.run()
    assert project.run(hold_nodes=["split", "double"]) == {"split": "skipped", "double": "skipped", "total": "skipped"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"outputs": {"out": "one.txt"}}, "not every side"),
        ({"each": "absent"}, "not every side"),
        ({"remote": "stage:double"}, "a remote, a sink or pages"),
        ({"name": "a[b]"}, "bracket"),
    ],
)
def test_a_mapping_that_cannot_be_is_one_sentence(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    node = {**NODES[1], "inputs": {}, "files": {"month": "inbox/**"}, **change}
    with pytest.raises(PipelineError, match=words):
        Pipeline([Node(**node)], str(tmp_path)).plan()


def verify(project: Project) -> list[str]:
    return Pipeline([], str(project.data)).verify()


def stored(project: Project) -> list[tuple[str, str]]:
    with sqlite3.connect(project.data / "registry.db") as db:
        return db.execute("SELECT name, sha256 FROM artifact ORDER BY name").fetchall()
