"""Every first-party code object that runs in a node lies in the closure that was hashed: the proof of "never a wrong skip" by running it.

A code object is checked by the top-level statement it stands in, which must be a leaf of the node's code identity. What an import
executes (the module, class bodies, comprehensions of assignments) is checked by its file: there the closure keeps only what has effects.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.engine_bench import REPO
from tests.soundness_bench import Checker, Recorder

Nodes = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Nodes]:
    """All three at once, each in a process of its own."""
    running = {
        what: subprocess.Popen(
            [sys.executable, "-m", "tests.soundness_bench", what, str(tmp_path_factory.mktemp(what))],
            cwd=REPO,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for what in ("examples", "live", "mutations")
    }
    said = {what: process.communicate() for what, process in running.items()}
    for what, process in running.items():
        assert process.returncode == 0, said[what][1][-3000:]
    return {what: json.loads(out.splitlines()[-1]) for what, (out, _) in said.items()}


def proven(nodes: Nodes, at_least: int) -> int:
    """Nothing ran outside, nothing failed, and enough ran to mean something. Gives the number of code objects."""
    assert {name: n["outside"] for name, n in nodes.items() if n["outside"]} == {}
    assert {name: n["error"] for name, n in nodes.items() if n.get("error")} == {}
    assert {name: n["checked"] for name, n in nodes.items() if n["checked"] < at_least} == {}
    return sum(n["checked"] for n in nodes.values())


def test_every_node_of_the_real_pipeline_runs_only_code_it_was_hashed_with(traced: dict[str, Nodes]) -> None:
    nodes = traced["examples"]
    stages = {"ingestion", "normalization", "validation", "merge", "bronze", "gold"}
    assert {name.partition(".")[0] for name in nodes} == stages
    assert len(nodes) >= 19
    assert proven(nodes, 20) >= 1_500


def test_so_does_every_node_that_fetches_and_its_fingerprint(traced: dict[str, Nodes]) -> None:
    nodes = traced["live"]
    assert {name.partition(".")[2] for name in nodes} >= {"google_sheets.extract", "mi_fitness.extract (fingerprint)"}
    assert proven(nodes, 20) >= 400


def test_so_does_every_project_of_the_mutation_list(traced: dict[str, Nodes]) -> None:
    nodes = traced["mutations"]
    assert len(nodes) >= 290
    assert proven(nodes, 2) >= 1_400


def test_code_outside_a_closure_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table filled by another module than those the stage can reach: what the proof is there to find."""
    (tmp_path / "sound_table.py").write_text("TABLE = {}\ndef run():\n    return TABLE['work']()\n")
    (tmp_path / "sound_filler.py").write_text(
        "from sound_table import TABLE\nclass Work:\n    @classmethod\n    def work(cls):\n        return [(lambda: n)() for n in [1]]\n"
        "TABLE['work'] = Work.work\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with Recorder(tmp_path) as recorder:
        import sound_filler  # type: ignore[import-not-found]

        sound_filler.TABLE["x"] = sys.modules["sound_table"].run()
    checker = Checker(tmp_path)
    names = {place.split()[-1] for place in checker.outside(recorder, checker.closure(["sound_table:run"]))}
    assert names >= {"Work", "Work.work", "<module>"}
    assert "run" not in names
    assert checker.outside(recorder, checker.closure(["sound_filler:Work", "sound_table:run"])) == []
