"""Wrong skips that were found once, and sentences in place of tracebacks: each here so that it never comes back."""

from __future__ import annotations

import os
import py_compile
import shutil
import sqlite3
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config.errors import PipelineError, UsageError
from pipeline import Node, Pipeline, Selection
from tests.engine_bench import Project

STAGE = """
import helper
def run(inputs, outputs, settings):
    with outputs.open("out") as out:
        out.write(str(helper.X).encode())
"""
NODE: dict[str, Any] = {"name": "n", "stage": "s", "run": "stage:run", "outputs": {"out": "out.txt"}}


def archive(path: Path, x: int) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("helper.py", f"X = {x}\n")


def bytecode(folder: Path, x: int) -> None:
    source = folder.parent / "source.py"
    source.write_text(f"X = {x}\n")
    py_compile.compile(str(source), cfile=str(folder / "helper.pyc"))


FOUND: dict[str, tuple[list[str], Callable[[Path], object], Callable[[Path], object]]] = {
    "a module that appears in an earlier folder": (
        ["a", "b"],
        lambda r: (r / "b/helper.py").write_text("X = 1\n"),
        lambda r: (r / "a/helper.py").write_text("X = 2\n"),
    ),
    "a zip on sys.path": (["a/lib.zip"], lambda r: archive(r / "a/lib.zip", 1), lambda r: archive(r / "a/lib.zip", 2)),
    "bytecode without source": (["a"], lambda r: bytecode(r / "a", 1), lambda r: bytecode(r / "a", 2)),
}


@pytest.mark.parametrize("name", FOUND)
def test_code_found_through_sys_path_counts(name: str, tmp_path: Path) -> None:
    path, before, after = FOUND[name]
    project = Project(tmp_path / "project", [NODE])
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    project.write({"stage.py": STAGE})
    project.extra = [str(tmp_path / entry) for entry in path]
    before(tmp_path)
    assert (project.run(), project.output()) == ({"n": "ran"}, "1")
    after(tmp_path)
    assert (project.run(), project.output()) == ({"n": "ran"}, "2")


def test_an_optional_module_that_appears_on_sys_path_counts(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", [NODE])
    optional = (
        "class helper:\n    X = 0\n    try:\n        import extra\n        X = extra.X\n    except ImportError:\n        pass\n"
    )
    project.write({"stage.py": STAGE.replace("import helper\n", optional)})
    (tmp_path / "a").mkdir()
    project.extra = [str(tmp_path / "a")]
    assert (project.run(), project.output()) == ({"n": "ran"}, "0")
    (tmp_path / "a/extra.py").write_text("X = 2\n")
    assert (project.run(), project.output()) == ({"n": "ran"}, "2")


def test_code_beside_a_linked_code_root_is_the_code_that_runs(tmp_path: Path) -> None:
    for folder in ("app/shared", "releases/3", "releases/shared"):
        (tmp_path / folder).mkdir(parents=True)
    os.symlink("../releases/3", tmp_path / "app/current")
    for shared in ("app/shared", "releases/shared"):
        (tmp_path / shared / "helper.py").write_text("X = 1\n")
    project = Project(tmp_path / "app/current", [NODE])
    project.extra = [str(tmp_path / "app/shared")]
    project.write({"stage.py": STAGE})
    assert project.run() == {"n": "ran"}
    (tmp_path / "app/shared/helper.py").write_text("X = 2\n")
    assert (project.run(), project.output()) == ({"n": "ran"}, "2")


def rows(project: Project, statement: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(project.data / "registry.db") as db:
        return db.execute(statement).fetchall()


@pytest.fixture
def kept(tmp_path: Path) -> Project:
    """A project whose last run kept its answer."""
    project = Project(tmp_path, [{**NODE, "files": {"in": "in.txt"}, "settings": ["mode"]}], {"mode": "very private"})
    (tmp_path / "sp").mkdir()
    project.extra = [str(tmp_path / "sp")]
    project.write({"stage.py": STAGE, "helper.py": "X = 1\n", "data/in.txt": "1"})
    assert project.run() == {"n": "ran"}
    time.sleep(2.1)
    assert project.run() == {"n": "skipped"}
    assert rows(project, "SELECT count(*) FROM standing") == [(1,)]
    return project


def test_an_answer_is_not_kept_while_code_is_read_anew(kept: Project) -> None:
    kept.write({"sp/other-1.0.dist-info/METADATA": "Name: other\nVersion: 1.0\n"})
    assert kept.run() == {"n": "skipped"}
    kept.write({"helper/__init__.py": "X = 5\n"})
    assert (kept.run(), kept.output()) == ({"n": "ran"}, "5")


def test_a_kept_answer_that_lost_its_facts_is_not_believed(kept: Project) -> None:
    for table in ("standing_file", "standing_name"):
        rows(kept, f"DELETE FROM {table}")
    kept.write({"data/in.txt": "2"})
    assert kept.run() == {"n": "ran"}


def test_no_value_of_a_setting_stands_in_the_registry(kept: Project) -> None:
    for file in kept.data.glob("registry.db*"):
        assert b"very private" not in file.read_bytes()


def test_a_file_whose_name_is_no_text_never_stops_a_run_with_nothing_to_do(tmp_path: Path) -> None:
    project = Project(tmp_path, [{**NODE, "files": {"in": "inbox/**"}}])
    project.write({"stage.py": STAGE, "helper.py": "X = 1\n", "data/inbox/a.txt": "1"})
    open(os.fsencode(str(tmp_path / "data/inbox")) + b"/b\xff.txt", "w").close()
    assert project.run() == {"n": "ran"}
    time.sleep(2.1)
    assert [project.run(), project.run()] == [{"n": "skipped"}] * 2


def test_a_listener_that_fails_never_stops_an_answer_from_memory(kept: Project) -> None:
    text = (
        "import sys; sys.path[:0] = {path!r}\n"
        "from pipeline import Node, Pipeline\n"
        "def tell(event, facts):\n    raise BrokenPipeError\n"
        "p = Pipeline([Node(**{node!r})], {data!r}, {{'mode': 'very private'}}, code_root={root!r})\n"
        "print(p.run(listener=tell).status)\n"
    )
    import subprocess
    import sys

    from tests.engine_bench import REPO

    path = [str(REPO), str(kept.root), *kept.extra]
    code = text.format(path=path, node={**kept.nodes[0], "settings": ("mode",)}, data=str(kept.data), root=str(kept.root))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "succeeded\n", done.stderr


def two(first: dict[str, Any], second: dict[str, Any]) -> list[Node]:
    return [Node(**{**NODE, "name": "a", **first}), Node(**{**NODE, "name": "b", **second})]


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        (two({"outputs": {"o": "m/**"}}, {"outputs": {"o": "m/a.csv"}}), "one within the other"),
        (two({"outputs": {"o": "x", "p": "x/y"}}, {"outputs": {}}), "one within the other"),
        (two({"outputs": {"o": "m/**", "p": "m"}}, {"outputs": {}}), "both make"),
        (two({}, {"outputs": {"o": "y.txt"}, "files": {"in": "out.txt"}}), "as a file nobody makes"),
        (two({}, {"outputs": {"o": "drop/out.txt"}, "files": {"in": "drop/**"}}), "as a file nobody makes"),
        (two({}, {"outputs": {"o": "y"}, "files": {"in": "in.txt"}, "inputs": {"in": "out.txt"}}), "inputs and its files"),
    ],
)
def test_names_that_overlap_are_refused_before_anything_runs(nodes: list[Node], words: str, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=words):
        Pipeline(nodes, str(tmp_path)).plan()


def test_a_stage_to_hold_that_does_not_exist_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nonsense"):
        Pipeline([Node(**NODE)], str(tmp_path)).plan(Selection(hold_stages=("nonsense",)))


def test_a_missing_single_input_is_one_sentence(tmp_path: Path) -> None:
    project = Project(tmp_path, [{**NODE, "files": {"in": "absent.txt"}}])
    project.write({"stage.py": 'def run(inputs, outputs, settings):\n    inputs.one("in")\n'})
    assert "There is no file for the input 'in'" in project.call()[0][3]


def test_an_artifact_named_like_a_temporary_file_is_refused(tmp_path: Path) -> None:
    project = Project(tmp_path, [{**NODE, "outputs": {"out": "x.tmp"}}])
    project.write({"stage.py": STAGE, "helper.py": "X = 1\n"})
    assert "not safe to keep" in project.call()[0][3]


PART = """
import os
def part(inputs, outputs, settings):
    gone = os.environ.get("GONE")
    if gone and os.path.exists(gone):
        os.unlink(gone)
    with outputs.open("out") as out:
        out.write(b"".join(open(f.path, "rb").read() for f in inputs.many("in")))
"""
MAPPED: dict[str, Any] = {
    "name": "n",
    "stage": "s",
    "run": "stage:part",
    "files": {"in": "inbox/**"},
    "outputs": {"out": "o/**"},
    "each": "in",
}


def test_a_member_that_goes_away_meanwhile_is_never_committed_as_empty(tmp_path: Path) -> None:
    project = Project(tmp_path, [MAPPED])
    project.write({"stage.py": PART, "data/inbox/a": "a", "data/inbox/b": "b"})
    project.env = {"GONE": str(tmp_path / "data/inbox/b")}
    found = project.run()
    assert (found["n[b]"], found["n"]) == ("failed", "failed")
    assert not (tmp_path / "data/o").exists()
    assert project.run() == {"n": "ran"}


def test_data_read_through_an_importer_is_undeclared(tmp_path: Path) -> None:
    project = Project(tmp_path, [{**NODE, "files": {"in": "in.txt"}}])
    text = 'import pkgutil\ndef run(inputs, outputs, settings):\n    with outputs.open("out") as out:\n'
    project.write(
        {"stage.py": text + '        out.write(pkgutil.get_data("pkg", "d.json"))\n', "pkg/__init__.py": "", "pkg/d.json": "1"}
    )
    project.write({"data/in.txt": "1"})
    project.strict = True
    assert "pkg/d.json" in project.call()[0][3]


def test_members_that_differ_only_in_case_are_refused_as_a_whole(tmp_path: Path) -> None:
    project = Project(tmp_path, [MAPPED])
    project.write({"stage.py": PART, "data/inbox/a.txt": "a", "data/inbox/A.txt": "b"})
    found = {row[0]: row for row in project.call()}
    assert found["n"][1] == "failed"
    assert "differ only in case" in found["n"][3]
    shutil.rmtree(tmp_path / "data")
