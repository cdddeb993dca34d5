"""The documents tell the truth: links lead somewhere, names exist, the engine's example runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from config.sources import SOURCES
from pipeline.dag import Dag
from pipeline.nodes import STAGES, nodes
from scripts.options import COMMANDS
from tests.docs_bench import DOCS, REPO, typed_in
from tests.test_graph import refuse_outside


@pytest.mark.parametrize("path", DOCS, ids=lambda p: p.name)
def test_every_link_leads_to_a_file_and_to_a_heading_in_it(path: Path) -> None:
    for target, heading in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", path.read_text()):
        if "://" not in target and not target.startswith("mailto:"):
            found = path.parent / target if target else path
            assert found.exists(), target
            assert not heading or heading in anchors(found), f"{target}#{heading}"


def anchors(path: Path) -> set[str]:
    """As the pages of a forge name the headings of a document."""
    titles = re.findall(r"(?m)^#+ (.*)$", re.sub(r"(?ms)^ *```.*?^ *```", "", path.read_text()))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_document_is_found_from_the_index() -> None:
    index = (REPO / "docs/index.md").read_text()
    linked = {(REPO / "docs" / target).resolve() for target in re.findall(r"\]\(([^)#]+)", index)}
    assert [
        path.name for path in DOCS if path.name != "index.md" and path.parent != REPO / "examples" and path not in linked
    ] == []


@pytest.mark.parametrize("path", DOCS, ids=lambda p: p.name)
def test_every_target_of_make_that_is_named_exists(path: Path) -> None:
    known = set(re.findall(r"(?m)^([a-z-]+):", (REPO / "Makefile").read_text()))
    named = set(re.findall(r"`make ([a-z-]+)", path.read_text())) | {
        found[1] for line in typed_in(path) if (found := re.match(r"make ([a-z-]+)", line))
    }
    assert named <= known


@pytest.mark.parametrize("path", DOCS, ids=lambda p: p.name)
def test_every_file_named_in_code_style_exists(path: Path) -> None:
    names = re.findall(
        r"`((?:config|pipeline|ingestion|processing|warehouse|scripts|tests|bench|docs)/[\w/.-]+\.(?:py|md|yaml|sql|json))`",
        path.read_text(),
    )
    for name in names:
        assert (REPO / name).exists(), name


def test_docstrings_name_documents_that_exist() -> None:
    for path in REPO.rglob("*.py"):
        if not any(p.startswith(".") or p == "tests" for p in path.relative_to(REPO).parts):
            for name in re.findall(r"docs/[\w/-]+\.md", path.read_text()):
                assert (REPO / name).exists(), f"{path.relative_to(REPO)}: {name}"


def test_the_engine_runs_on_its_own_as_documented(tmp_path: Path) -> None:
    text = (REPO / "docs/engine.md").read_text()
    (code,) = [c for c in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "Pipeline(nodes" in c]
    function, _, rest = code.partition("nodes = ")
    (tmp_path / "words.py").write_text(function)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/in.txt").write_text("three small words")
    (tmp_path / "demo.py").write_text(
        f"from pipeline import Node, Pipeline\nif __name__ == '__main__':\n    nodes = {rest.replace(chr(10), chr(10) + '    ')}"
    )
    for action in ("ran", "skipped"):
        env = {"PYTHONPATH": f"{REPO}:{tmp_path}", "PATH": "/usr/bin:/bin"}
        done = subprocess.run([sys.executable, "demo.py"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.stdout.strip() == f"succeeded [('count', '{action}')]", done.stderr
    assert (tmp_path / "data/n.txt").read_text() == "3"


def test_the_shipped_examples_are_those_of_the_script() -> None:
    assert sorted(p.name for p in (REPO / "examples/inbox").iterdir()) == ["bp_csv", "google_sheets", "mi_fitness"]


def test_the_picture_shows_every_step_of_the_shipped_example_and_stands_alone() -> None:
    text = (REPO / "docs/pipeline.svg").read_text()
    dag = Dag(
        nodes(p.name for p in sorted((REPO / "examples/inbox").iterdir(), key=lambda p: list(SOURCES).index(p.name))), STAGES
    )
    titles = re.findall(r'class="card".*?<title>(\S+)', text)
    assert titles == list(dag.order)
    assert text.count("up to date ·") + text.count(">up to date<") == len(titles)
    assert "prefers-color-scheme:dark" in text
    refuse_outside(text)


def test_every_command_is_documented() -> None:
    text = (REPO / "docs/commands.md").read_text()
    assert [c for c in COMMANDS if f"| `{c} " not in text and f"| `{c}`" not in text] == []


def test_every_question_of_the_readme_is_a_command_with_a_day_of_the_examples() -> None:
    asked = re.findall(r"(?m)^python main\.py (\w+)", (REPO / "README.md").read_text())
    assert {"trace", "explain", "plan", "status", "report", "verify"} <= set(asked)
    assert set(asked) <= {*COMMANDS, *SOURCES}
    for day in re.findall(r"main\.py trace (\S+)", (REPO / "README.md").read_text()):
        assert day.startswith("2025-"), day
