"""The Airflow DAG is what the node list says, imports nothing but Airflow, and loads in Airflow's own environment."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from config.sources import SOURCES
from pipeline.dag import Dag
from pipeline.nodes import STAGES, nodes
from scripts import airflow_dag

REPO = Path(__file__).resolve().parent.parent
FILE = REPO / "dags/pdp.py"


def edges() -> list[list[str]]:
    """Stage to stage, straight from the nodes."""
    dag = Dag(nodes(SOURCES, [s for s in SOURCES if SOURCES[s].live]), STAGES)
    found = {(dag.nodes[up].stage, node.stage) for node in dag.nodes.values() for up in dag.upstream[node.name]}
    return sorted([a, b] for a, b in found if a != b)


def test_the_committed_dag_is_that_of_the_node_list() -> None:
    assert FILE.read_text() == airflow_dag.text(), "write it anew: python -m scripts.airflow_dag"


def test_it_is_written_where_it_is_wanted(tmp_path: Path) -> None:
    assert airflow_dag.main(["--out", str(tmp_path / "new/pdp.py")]) == 0
    assert (tmp_path / "new/pdp.py").read_text() == airflow_dag.text()


def test_it_imports_nothing_but_airflow_and_the_standard_library() -> None:
    found = set()
    for node in ast.walk(ast.parse(FILE.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level
            found.add(str(node.module).partition(".")[0])
    assert found - sys.stdlib_module_names == {"airflow"}


def test_it_names_every_node_and_no_path_of_a_machine() -> None:
    stages = next(
        node.value
        for node in ast.parse(FILE.read_text()).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "STAGES"
    )
    named = ast.literal_eval(stages)
    dag = Dag(nodes(SOURCES, [s for s in SOURCES if SOURCES[s].live]), STAGES)
    assert {stage: set(names) for stage, (_, names) in named.items()} == {
        stage: {n.name for n in dag.nodes.values() if n.stage == stage} for stage in named
    }
    assert sorted([a, stage] for stage, (after, _) in named.items() for a in after) == edges()
    assert str(REPO) not in FILE.read_text()


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What Airflow finds in the file, with a home of its own."""
    python = Path(os.environ.get("PDP_AIRFLOW_PYTHON", REPO / ".venv-airflow/bin/python"))
    if not python.exists():
        pytest.skip("Airflow's environment is NOT THERE, so the DAG was not loaded by Airflow: make airflow")
    home = tmp_path_factory.mktemp("airflow")
    env = {
        **{k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(FILE.parent),
        "DATA_DIR": "/srv/pdp/data",
        "PDP_HOME": "/srv/the pdp",
        "PDP_PYTHON": "/srv/the pdp/bin/python",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [python.absolute(), REPO / "tests/airflow_bench.py", FILE]
    done = subprocess.run(command, cwd=home, env=env, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_airflow_loads_it_without_an_error(loaded: Any) -> None:
    assert loaded["errors"] == {}
    assert loaded["dags"] == ["pdp"]
    assert loaded["edges"] == edges()
    stages = {node.stage for node in nodes(SOURCES)}
    assert loaded["commands"] == {stage: f"'/srv/the pdp/bin/python' main.py --only-stage {stage}" for stage in stages}
    assert loaded["data_dirs"] == ["/srv/pdp/data"]
    assert (loaded["catchup"], loaded["active"], loaded["retries"]) == (False, [1, 1], [3])
    assert "- `merge.daily_metrics`" in loaded["docs"]["merge"]


def test_only_a_wrong_setting_is_not_tried_again(loaded: Any) -> None:
    ends = loaded["ends"]
    assert ends["0"] == []
    assert {code: "AirflowFailException" in raised for code, raised in ends.items()} == {
        "0": False,
        "1": False,
        "2": True,
        "75": False,
    }
    assert "AirflowException" in ends["1"]
    assert "AirflowException" in ends["75"]
    assert not [code for code, raised in ends.items() if "AirflowSkipException" in raised]
