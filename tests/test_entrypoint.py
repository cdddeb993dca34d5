"""entrypoint.sh: its bats tests; the two questions it and the scheduled workflow ask; a job on two empty machines with one remote state."""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli_bench import CSV, REPO, environment, run

KEY = "5c" * 32


def ask(module: str, data: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=REPO, env=environment(data, **env), capture_output=True, text=True, check=False)


def entrypoint(data: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    data.parent.mkdir(parents=True, exist_ok=True)
    more = {"PDP_PYTHON": sys.executable, "TMPDIR": str(data.parent), "TIMEZONE": "Europe/Warsaw", **env}
    return subprocess.run(
        [REPO / "entrypoint.sh", *arguments], env=environment(data, **more), capture_output=True, text=True, check=False
    )


def last_success(data: Path) -> float:
    db = sqlite3.connect(data / "registry.db")
    try:
        return float(db.execute("SELECT max(ended_at) FROM run WHERE status = 'succeeded'").fetchone()[0])
    finally:
        db.close()


@pytest.mark.skipif(not shutil.which("bats"), reason="NO BATS: entrypoint.sh is not tested against signals and failures")
def test_the_entrypoint_does_what_its_bats_tests_say() -> None:
    heard = functools.partial(
        signal.signal, signal.SIGINT, signal.SIG_DFL
    )  # a suite in the background ignores it, and so would a shell
    done = subprocess.run(
        ["bats", "--tap", "tests/entrypoint.bats"], cwd=REPO, capture_output=True, text=True, check=False, preexec_fn=heard
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\nok ") >= 30


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({}, 3),
        ({"STATE_URL": ""}, 3),
        ({"STATE_URL": "s3://bucket/place"}, 0),
        ({"GOOGLE_DRIVE_STATE_FOLDER_ID": "a-folder"}, 0),
        ({"TIMEZONE": "Nowhere/Land"}, 2),
    ],
)
def test_whether_a_remote_state_is_set_is_told_by_an_exit_code(tmp_path: Path, settings: dict[str, str], code: int) -> None:
    asked = ask("scripts.entrypoint", tmp_path, "remote", **settings)
    assert asked.returncode == code, asked.stderr
    assert (code == 2) == ("time zone" in asked.stderr)


def test_the_examples_are_no_source_of_a_person(tmp_path: Path) -> None:
    assert ask("scripts.entrypoint", tmp_path, "sources").returncode == 2
    (tmp_path / "inbox/bp_csv").mkdir(parents=True)
    (tmp_path / "inbox/bp_csv/a.csv").write_text(CSV)
    assert ask("scripts.entrypoint", tmp_path, "sources").returncode == 0
    assert ask("scripts.entrypoint", tmp_path, "weather").returncode == 2


def test_the_freshness_guard_tells_how_long_ago_a_run_has_succeeded(tmp_path: Path) -> None:
    (tmp_path / "inbox/bp_csv").mkdir(parents=True)
    (tmp_path / "inbox/bp_csv/a.csv").write_text(CSV)
    assert ask("scripts.last_success", tmp_path, "30").returncode == 1
    assert ask("scripts.last_success", tmp_path, "soon").returncode == 2
    assert run(tmp_path, "--until-stage", "ingestion").returncode == 0
    fresh = ask("scripts.last_success", tmp_path, "30")
    assert (fresh.returncode, "0.0 hours ago" in fresh.stdout) == (0, True)
    with sqlite3.connect(tmp_path / "registry.db") as db:
        db.execute("UPDATE run SET ended_at = ?", (time.time() - 31 * 3600,))
    db.close()
    stale = ask("scripts.last_success", tmp_path, "30")
    assert (stale.returncode, "for 31 hours" in stale.stdout) == (1, True)


def test_a_job_on_an_empty_machine_goes_on_from_the_remote_state(tmp_path: Path) -> None:
    remote = {"STATE_URL": (tmp_path / "remote").as_uri(), "STATE_KEY": KEY}
    first, second = tmp_path / "one/data", tmp_path / "two/data"
    (first / "inbox/bp_csv").mkdir(parents=True)
    (first / "inbox/bp_csv/a.csv").write_text(CSV)
    began = entrypoint(first, "job", "--json", "--until-stage", "merge", **remote)
    assert began.returncode == 0, began.stderr
    assert any(node["action"] == "ran" for node in json.loads(began.stdout.splitlines()[-1])["nodes"])
    on = entrypoint(second, "job", "--json", "--until-stage", "merge", **remote)
    assert on.returncode == 0, on.stderr
    assert {node["action"] for node in json.loads(on.stdout.splitlines()[-1])["nodes"]} == {"skipped"}
    guard = tmp_path / "three/data"
    assert run(guard, "state", "pull", **remote).returncode == 0
    assert last_success(guard) == last_success(second), "the guard sees the last run of any machine, also one with nothing to do"
    assert ask("scripts.last_success", guard, "1", **remote).returncode == 0


def test_a_job_whose_remote_cannot_be_read_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = entrypoint(tmp_path / "data", "job", STATE_URL=(tmp_path / "file" / "remote").as_uri(), STATE_KEY=KEY)
    assert done.returncode != 0
    assert "nothing was run" in done.stderr
    assert not os.path.exists(tmp_path / "data/registry.db")
