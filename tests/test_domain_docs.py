"""`docs/domain.md` names every rule the code applies, with the numbers the code uses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from config.daily import FATES as WHY
from config.daily import REASONS
from config.home_protocols import PRESETS
from config.metrics import METRICS
from processing.aggregators.categories import SCHEMES, names
from processing.aggregators.columns import COLUMNS
from processing.aggregators.fates import FATES, PARTS
from processing.validators.verdicts import FLAGS

ROOT = Path(__file__).parent.parent
DOC = (ROOT / "docs" / "domain.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("word", [*REASONS, *FLAGS, *FATES, *PARTS, *SCHEMES, *PRESETS, *(c for s in SCHEMES for c in names(s))])
def test_every_code_is_documented(word: str) -> None:
    assert f"`{word}`" in DOC


def test_the_columns_are_those_of_the_code() -> None:
    section = DOC.split("### Columns")[1]
    assert re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.MULTILINE) == [(c.name, c.meaning) for c in COLUMNS]


@pytest.mark.parametrize("name", sorted(METRICS))
def test_the_bounds_are_those_of_the_catalogue(name: str) -> None:
    (row,) = (
        line
        for line in DOC.splitlines()
        if line.startswith("| `") and f"`{name}`" in line.split("|")[1] and "–" in line.split("|")[2]
    )
    cells = [cell.strip().replace(" ", "") for cell in row.split("|")[2:4]]
    assert cells == [
        "–".join(f"{bound:g}" if bound < 1e6 else str(bound) for bound in pair)
        for pair in (METRICS[name].reject, METRICS[name].warn)
    ]


def test_every_fate_is_told_in_a_sentence() -> None:
    assert set(WHY) == set(FATES)


def test_validators_use_only_named_reasons_and_flags() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "processing" / "validators").glob("*.py"))
    assert set(re.findall(r'reject\(.*, "(\w+)"\)', source)) == set(REASONS)
    assert set(re.findall(r'\.flag\(.*, "(\w+)"\)', source)) == set(FLAGS)
