"""What the documents say of the sources' traps and previews is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ingestion.apple_health import records as apple_health
from ingestion.survey import Survey
from tests import every_vendor
from tests.cli_bench import REPO, Cli
from tests.stage_bench import as_file

TRAPS = (REPO / "docs/traps.md").read_text(encoding="utf-8")
CONNECT = (REPO / "docs/connect.md").read_text(encoding="utf-8")


def test_every_test_named_beside_a_trap_exists() -> None:
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (REPO / "tests").glob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", TRAPS))
    assert len(named) > 100
    assert [name for name in sorted(named) if f"def {name}(" not in tests] == []


def test_every_trap_says_what_is_made_of_it_and_which_test_proves_it() -> None:
    rows = [re.split(r" \| ", line.strip("| ")) for line in TRAPS.splitlines() if line.startswith("| ")]
    assert [row for row in rows if len(row) != 3 or not (row[0] == "trap" or row[2].startswith("`test_"))] == []


@pytest.mark.parametrize("source", ["garmin", "google_fit"])
def test_a_preview_in_the_documents_is_what_the_command_says(tmp_path: Path, source: str) -> None:
    every_vendor.drop(tmp_path / "inbox")
    shown = re.search(rf"```console\n\$ python main.py source preview {source}\n(.*?)```", CONNECT, re.DOTALL)
    assert shown is not None
    assert Cli(tmp_path)("source", "preview", source).stdout == shown[1]


def test_in_a_preview_apples_records_are_told_apart_by_type() -> None:
    survey = Survey(apple_health.parse_blocks, apple_health.SCHEMA, {})
    survey.look(as_file(REPO / "tests/samples/apple_health/export.xml"))
    names = [row["table"] for row in survey.told()["tables"]]
    assert any(name.startswith("HKQuantityTypeIdentifier") for name in names)
    assert "Record" not in names
