"""The source of docs/extend.md, word for word: written into a copy of the project, it brings its numbers home."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli_bench import REPO, environment

TEXT = (REPO / "docs/extend.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, re.DOTALL)
BAD = "2025-03-03T07:00:00+01:00,71;9\nyesterday,70.8\n"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the new source in it, and its export dropped."""
    root = tmp_path_factory.mktemp("house")
    for room in ("config", "pipeline", "ingestion", "processing", "warehouse", "serving", "scripts"):
        shutil.copytree(REPO / room, root / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("main.py", "pyproject.toml"):
        shutil.copy(REPO / name, root / name)
    for language, block in BLOCKS:
        if found := re.match(r"(?:#|//) (\S+\.\w+)\n", block):
            path = root / found[1]
            path.parent.mkdir(exist_ok=True)
            path.write_text(block[found.end() :])
        elif language == "text" and block.startswith("Source("):
            known = root / "config/sources.py"
            known.write_text(known.read_text().replace("    for s in (\n", f"    for s in (\n        {block}", 1))
    (root / "data/inbox/my_scale").mkdir(parents=True)
    (export,) = (block for language, block in BLOCKS if language == "csv")
    (root / "data/inbox/my_scale/weights.csv").write_text(export + BAD + export.partition("\n")[2])
    return root


def main(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = environment(root / "data", TIMEZONE="Europe/Warsaw")
    return subprocess.run([sys.executable, "main.py", *arguments], cwd=root, env=env, capture_output=True, text=True, check=False)


def test_the_new_source_is_ten_lines_and_a_meaning() -> None:
    (parse,) = re.findall(r"(def parse.*?)\n```", TEXT, re.DOTALL)
    assert len([line for line in parse.splitlines() if line.strip()]) <= 10


def test_its_numbers_come_home_and_explain_themselves(house: Path) -> None:
    done = main(house, "my_scale", "--until-stage", "merge", "--strict")
    assert done.returncode == 0, done.stdout + done.stderr
    daily = (house / "data/processed/merged/merged_daily_metrics.csv").read_text()
    assert re.findall(r"71\.[14]", daily) == ["71.4", "71.1"]
    told = json.loads(main(house, "trace", "2025-03-01", "weight", "--json").stdout)
    (record,) = told["readings"][0]["records"]
    assert record["position"] == "line 2"
    assert record["raw"] == {"time": "2025-03-01T07:10:00+01:00", "kg": "71.4"}


def test_repeats_and_what_does_not_fit_are_counted(house: Path) -> None:
    import pyarrow.parquet as pq

    main(house, "my_scale", "--until-stage", "merge")
    records = pq.read_table(house / "data/records/my_scale.parquet").to_pylist()
    assert [(row["position"], row["status"]) for row in records] == [
        ("line 2", "valid"),
        ("line 3", "valid"),
        ("line 4", "invalid"),
        ("line 5", "invalid"),
    ]
    assert "bad_time" in records[3]["errors"]


def test_the_program_knows_it_everywhere(house: Path) -> None:
    assert "my_scale" in main(house, "source", "list").stdout
    assert "ingestion.my_scale.extract" in main(house, "graph").stdout
