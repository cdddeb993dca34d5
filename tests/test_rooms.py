"""Who may know whom, and what the core never loads."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parent.parent
ROOMS = ("config", "pipeline", "ingestion", "processing", "warehouse", "serving", "scripts")
MAY_KNOW = {
    "config": {"config"},
    "pipeline": {"pipeline", "config"},
    "ingestion": {"ingestion", "config"},
    "processing": {"processing", "config"},
    "warehouse": {"warehouse", "config"},
}
FOREIGN_TO_PIPELINE = {
    "pandas",
    "numpy",
    "pyarrow",
    "psycopg",
    "gspread",
    "googleapiclient",
    "google",
    "pydantic",
    "yaml",
    "rich",
}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {a.name.partition(".")[0] for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("room", MAY_KNOW)
def test_a_room_knows_only_its_neighbours(room: str) -> None:
    for path in (REPO / room).rglob("*.py"):
        strangers = imports(path) & set(ROOMS) - MAY_KNOW[room]
        assert not strangers, f"{path.relative_to(REPO)} imports {strangers}"


def test_loading_into_bronze_knows_nothing_of_checking_it() -> None:
    folder = REPO / "warehouse/bronze"
    for path in (folder / "load.py", *(folder / "loading").glob("*.py")):
        assert "warehouse.bronze.checking" not in path.read_text(), path


def test_the_engine_knows_no_data_library_and_no_service() -> None:
    for path in (REPO / "pipeline").rglob("*.py"):
        assert not imports(path) & FOREIGN_TO_PIPELINE, path


ROOM_LINES = {".": 3_150, "code": 1_300, "execution": 1_250, "answers": 1_200, "upkeep": 950}
"""Lines of code at most: deciding and committing; reading source; running a node; answering questions; removing, taking
over, travelling to other machines and merging with theirs."""


def test_every_room_of_the_engine_stays_readable_in_an_evening() -> None:
    rooms: dict[str, list[int]] = {}
    for path in (REPO / "pipeline").rglob("*.py"):
        rooms.setdefault(str(path.parent.relative_to(REPO / "pipeline")), []).append(code_lines(path))
    assert all(max(lines) <= 300 for lines in rooms.values())
    assert {room: sum(lines) for room, lines in rooms.items() if sum(lines) > ROOM_LINES[room]} == {}


def code_lines(path: Path) -> int:
    """Lines that are neither blank, comment nor docstring."""
    text = path.read_text()
    docs = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    return sum(
        1 for n, line in enumerate(text.splitlines(), 1) if line.strip() and not line.strip().startswith("#") and n not in docs
    )


def test_the_dag_is_declared_without_importing_any_stage() -> None:
    code = (
        "import sys; from pipeline.nodes import nodes; from config.sources import SOURCES; nodes(SOURCES, SOURCES)\n"
        "print([m for m in sys.modules if m.partition('.')[0] in ('ingestion', 'processing', 'warehouse')])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


EXTRAS = ["streamlit", "altair", "boto3", "botocore", "distributed", "dask", "ray", "duckdb", "fastapi", "obstore"]
EXTRAS += ["gspread", "googleapiclient", "google.oauth2"]


def test_importing_the_core_loads_no_dashboard_cloud_or_distributed_code() -> None:
    code = (
        "import importlib, pkgutil, sys\n"
        "import main\n"
        "from config.sources import SOURCES\n"
        "from pipeline.nodes import nodes\n"
        "from pipeline.execution.calls import load\n"
        "for node in nodes(SOURCES, ['google_sheets', 'mi_fitness']):\n"
        "    [load(ref) for ref in (node.run, node.remote, node.sink) if ref]\n"
        "for room in ('config', 'pipeline', 'processing', 'warehouse', 'scripts'):\n"
        "    package = importlib.import_module(room)\n"
        "    [importlib.import_module(info.name) for info in pkgutil.walk_packages(package.__path__, room + '.')]\n"
        f"print([m for m in {EXTRAS!r} if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


def test_every_declared_function_exists() -> None:
    from config.sources import SOURCES
    from pipeline.execution.calls import load
    from pipeline.nodes import nodes

    for node in nodes(SOURCES, [s for s in SOURCES if SOURCES[s].live]):
        for ref in (node.run, node.remote, node.sink):
            if ref:
                assert callable(load(ref))


def test_every_source_folder_looks_the_same() -> None:
    from config.sources import SOURCES

    for name, source in SOURCES.items():
        present = {p.name for p in (REPO / "ingestion" / name).iterdir()}
        whole = {"extract.py", "records.py", "schema.json", "check.py"}
        assert {"__init__.py"} | ({"api.py"} if source.rest else whole) <= present, name


def test_no_stage_has_code_that_cannot_be_followed(tmp_path: Path) -> None:
    from config.sources import SOURCES
    from pipeline.files import Files
    from pipeline.identity import Identities
    from pipeline.nodes import nodes

    dag = nodes(SOURCES, [s for s in SOURCES if SOURCES[s].live])
    settings = dict.fromkeys({name for node in dag for name in node.settings})
    identities = Identities(None, Files(None, str(tmp_path)), str(REPO), settings)
    assert {w for node in dag for w in identities.of(node).warnings} == set()
