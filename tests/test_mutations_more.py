"""More mutations, written after the engine: each must run the node again or must not, as `tests/mutation_cases.py` says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutation_cases import CASES, Case
from tests.test_mutations import MUST_RERUN, MUST_STAY, actions


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_mutation_runs_the_node_again_exactly_if_it_matters(case: Case, tmp_path: Path) -> None:
    first, _, second, _ = actions(tmp_path, (case.before, case.after))
    assert (first, second) == ("ran", "ran" if case.runs else "skipped")


def test_no_case_is_told_twice() -> None:
    names = [case.name for case in CASES] + list(MUST_RERUN) + list(MUST_STAY)
    assert len(names) == len(set(names))
