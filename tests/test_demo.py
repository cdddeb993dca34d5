"""The public example: made of `examples/` alone, labelled as invented, small, and what the code of today would make again."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from config.settings import Settings
from scripts import demo
from scripts.project import ROOT, Project
from serving.gold import demo as shipped

PLACES = "|".join(re.escape(f"{place}{os.sep}") for place in (ROOT, Path.home(), tempfile.gettempdir()))
SECRETS = re.compile(rf"{PLACES}|BEGIN [A-Z ]*PRIVATE KEY|postgresql://".encode())


@pytest.fixture(scope="module")
def anew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Made again, with every setting of the surroundings turned against it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in Settings.model_fields:
            patch.delenv(name.upper(), raising=False)
        patch.setenv("TIMEZONE", "Pacific/Kiritimati")
        patch.setenv("BP_SCHEME", "esc_2024_home")
        patch.setenv("STEPS_GOAL", "1")
        patch.setenv("DATA_DIR", str(tmp_path_factory.mktemp("elsewhere")))
        made = demo.project(str(tmp_path_factory.mktemp("demo")), bronze=False)
        demo.build(made)
        yield made


def test_the_shipped_tables_are_those_the_code_makes_of_the_examples(anew: Project) -> None:
    made = dict(demo.tables(anew))
    assert {path.stem for path in demo.OUT.glob("*.parquet")} == set(made)
    different = [
        name for name, rows in made.items() if not rows.equals(pq.read_table(demo.OUT / f"{name}.parquet").cast(rows.schema))
    ]
    assert different == [], "make examples"


def test_they_were_made_of_the_examples_alone(anew: Project) -> None:
    inputs = {pattern for node in anew.pipeline.dag.nodes.values() for pattern in node.files.values()}
    assert inputs
    assert all(pattern.startswith("examples/") for pattern in inputs)
    assert anew.pipeline.roots == {"examples": str(Path(ROOT) / "examples" / "inbox")}
    artifacts = set(pq.read_table(demo.OUT / "records.parquet", columns=["raw_artifact"])["raw_artifact"].to_pylist())
    files = {path.name for path in (Path(ROOT) / "examples" / "inbox").rglob("*") if path.is_file()}
    assert {name.split("#")[0].rsplit("/", 1)[-1] for name in artifacts} <= files


def test_they_say_that_they_are_synthetic() -> None:
    with shipped() as gold:
        assert gold.synthetic
        meta = gold.table("SELECT synthetic, environment, timezone FROM meta").to_dict("records")
    assert meta == [{"synthetic": True, "environment": "example", "timezone": "Europe/Warsaw"}]


def test_they_are_small_and_name_no_machine_and_no_secret() -> None:
    files = [path for path in demo.OUT.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 3_000_000
    for path in files:
        text = path.read_bytes() if path.suffix != ".parquet" else _text(pq.read_table(path))
        assert not SECRETS.search(text), path.name


def test_the_lineage_tells_every_step_and_no_clock(anew: Project) -> None:
    told = json.loads((demo.OUT / "lineage.json").read_text())
    assert {node["node"] for node in told["nodes"]} >= set(anew.pipeline.dag.nodes)
    assert {node["stage"] for node in told["nodes"]} == {"ingestion", "normalization", "validation", "merge", "bronze", "gold"}
    assert {node["state"] for node in told["nodes"]} == {"committed"}
    assert told["as_of"] is None
    assert {node["seconds"] for node in told["nodes"]} == {None}
    kept = [{k: v for k, v in node.items() if k != "said"} for node in told["nodes"] if node["stage"] != "bronze"]
    assert kept == [{k: v for k, v in node.items() if k != "said"} for node in demo.lineage(anew)["nodes"]]


def test_writing_it_twice_gives_the_same_bytes(anew: Project, tmp_path: Path) -> None:
    for name in ("a", "b"):
        demo.write(anew, tmp_path / name)
    assert {p.name: p.read_bytes() for p in (tmp_path / "a").iterdir()} == {
        p.name: p.read_bytes() for p in (tmp_path / "b").iterdir()
    }


def _text(table: pa.Table) -> bytes:
    return b"\n".join(
        str(cell).encode() for column in table.columns for cell in pa.compute.unique(column).to_pylist() if isinstance(cell, str)
    )
