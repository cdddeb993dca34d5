"""The command `state` as a person types it: what it says, what it prints for programs, how it ends."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli_bench import CSV, Cli, environment
from tests.state_bench import KEY, OTHER_KEY


class Remote:
    """Machines of one person, sharing a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {"STATE_URL": str(folder / "remote"), "STATE_KEY": KEY}

    def machine(self, name: str) -> Cli:
        cli = Cli(self.folder / name)
        cli.env |= self.env
        return cli

    def at_work(self, name: str) -> Cli:
        """A machine that has run up to the merge over a cuff's readings."""
        cli = self.machine(name)
        (cli.data / "inbox/bp_csv").mkdir(parents=True)
        (cli.data / "inbox/bp_csv/cuff.csv").write_text(CSV)
        done = cli("--until-stage", "merge")
        assert done.returncode == 0, done.stderr
        return cli


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Remote:
    remote = Remote(tmp_path_factory.mktemp("state"))
    done = remote.at_work("first")("state", "push")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Generation 1 is committed: ")
    return remote


def test_an_empty_machine_pulls_and_has_nothing_to_do(pushed: Remote) -> None:
    cli = pushed.machine("second")
    told: dict[str, Any] = cli.json("state", "pull")
    assert (told["generation"], told["changed"], told["merged"]) == (1, True, False)
    assert told["elsewhere"] > 3
    assert told["bytes"]["down"] < 100_000
    done = cli("--until-stage", "merge")
    assert "Nothing to do" in done.stdout, done.stdout + done.stderr
    again = cli.json("state", "push")
    assert again["bytes"]["up"] + again["bytes"]["down"] < 100_000
    assert cli("verify").returncode in {0, 1}  # there is no bronze database
    assert "lie in the remote state only" in cli("verify").stdout


def test_files_come_when_a_command_opens_them_or_when_they_are_asked_for(pushed: Remote) -> None:
    cli = pushed.machine("third")
    cli("state", "pull")
    assert not list((cli.data / "store").rglob("*.parquet"))
    told = cli("trace", "2025-03-03", "systolic")
    assert "121" in told.stdout, told.stdout + told.stderr
    assert list((cli.data / "store").rglob("*.parquet"))
    some = cli.json("state", "pull", "processed/merged/*")
    assert some["brought"] > 0
    assert some["bytes"]["down"] > 0
    everything = cli.json("state", "pull", "--all")
    assert (everything["elsewhere"], cli.json("state", "pull", "--all")["brought"]) == (0, 0)
    assert cli("state", "pull", "no/such/*").returncode == 2


def test_show_verify_and_gc_tell_a_person_and_a_program(pushed: Remote) -> None:
    cli = pushed.machine("first")
    assert "This machine has generation 1." in cli("state", "show").stdout
    shown = cli.json("state", "show")
    assert (shown["generation"], shown["local"], shown["sealed"], shown["lease"]) == (1, 1, True, None)
    assert "The remote state is sound" in cli("state", "verify").stdout
    assert cli.json("state", "verify", "--quick")["problems"] == []
    assert cli.json("state", "gc") | {"bytes": {}} == cli.json("state", "gc", "--apply") | {"bytes": {}, "dry_run": True}
    assert "Nobody has asked others to wait." in cli("state", "unlock").stdout


def test_problems_end_with_their_mend_and_their_code(pushed: Remote, tmp_path: Path) -> None:
    bare = Cli(tmp_path / "bare")
    for env, words in (
        ({}, "STATE_URL is not set"),
        ({"STATE_URL": "nonsense://x"}, "STATE_URL names no place"),
        ({"STATE_URL": str(tmp_path / "r")}, "STATE_KEY is not set"),
        ({"STATE_URL": str(tmp_path / "r"), "STATE_KEY": "short"}, "STATE_KEY is no key"),
        (pushed.env | {"STATE_KEY": OTHER_KEY}, "STATE_KEY is not the key"),
    ):
        done = bare("state", "pull", **env)
        assert (done.returncode, words in done.stderr) == (2, True), done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "r").exists()


def test_the_key_may_lie_in_a_file(pushed: Remote, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY + "\n")
    cli = pushed.machine("fourth")
    del cli.env["STATE_KEY"]
    assert cli("state", "show", STATE_KEY_FILE=str(tmp_path / "key")).returncode == 0
    done = cli("state", "show", STATE_KEY_FILE=str(tmp_path / "none"))
    assert (done.returncode, "STATE_KEY_FILE names a file that cannot be read" in done.stderr) == (2, True)


def test_a_data_directory_of_examples_is_not_mixed_with_a_state_elsewhere(pushed: Remote) -> None:
    cli = pushed.machine("examples")
    cli("bp_csv", "--only-stage", "ingestion")
    done = cli("state", "pull")
    assert (done.returncode, "shipped examples" in done.stderr) == (1, True)


def test_rotating_makes_a_key_file_and_says_what_to_do_next(pushed: Remote, tmp_path: Path) -> None:
    shutil.copytree(pushed.folder / "remote", tmp_path / "remote")
    cli = Remote(tmp_path).machine("any")
    done = cli("state", "rotate", "--to-file", str(tmp_path / "new.key"))
    assert done.returncode == 0, done.stderr
    assert "Now set STATE_KEY to the content of" in done.stdout
    key = (tmp_path / "new.key").read_text().strip()
    assert key not in done.stdout
    assert cli("state", "show").returncode == 2
    assert cli.json("state", "show", STATE_KEY=key)["generation"] == 1


def test_a_program_that_has_nothing_to_do_with_a_remote_loads_nothing_of_it(pushed: Remote) -> None:
    cli = pushed.machine("first")
    code = (
        "import sys, main; main.main(['status']); "
        "print([m for m in sys.modules if m.split('.')[0] in ('obstore', 'cryptography', 'googleapiclient')], file=sys.stderr)"
    )
    env = environment(cli.data, **pushed.env, PYTHONPATH=os.getcwd())
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stderr.strip().endswith("[]")
