"""The proofs of bench/state.py in small: jobs at once, killed, over remotes that fail, and two evenings of a scheduled job."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("part", ["contest", "kills", "faults", "month"])
def test_what_is_promised_of_the_state_elsewhere_holds(part: str) -> None:
    done = subprocess.run(
        [sys.executable, "bench/state.py", part, "--quick", "--json"],
        cwd=REPO,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    goals = json.loads(done.stdout.splitlines()[-1])["goals"]
    assert goals
    assert all(goal["met"] for goal in goals), done.stdout + done.stderr
