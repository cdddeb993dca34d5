"""Work over the remote state: pulled before, pushed after; and in a folder of which nothing stays."""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from config.errors import StoreError
from scripts.stateless.folder import in_memory, private_folder
from tests.cli_bench import CSV, REPO, SHEET, Cli

KEY = base64.b64encode(bytes(range(32))).decode()
UNTIL, BRIEF = ("--until-stage", "merge"), ("--until-stage", "normalization")
DAY = "2025-03-03"


class Machine(Cli):
    """A data root, and the remote it shares with others."""

    def __init__(self, folder: Path, remote: Path, **inbox: str) -> None:
        super().__init__(folder / "data")
        (folder / "room").mkdir(parents=True)
        self.room = folder / "room"
        self.env.update(STATE_URL=str(remote), STATE_KEY=KEY, STATELESS_DIR=str(self.room))
        for source, text in inbox.items():
            path = self.data / "inbox" / source / "export.csv"
            path.parent.mkdir(parents=True)
            path.write_text(text)

    def done(self, *arguments: str, **env: str) -> str:
        """What it prints; it has to succeed."""
        found = self(*arguments, **env)
        assert found.returncode == 0, found.stdout + found.stderr
        return found.stdout

    def actions(self, *arguments: str) -> dict[str, str]:
        """Node → what a run did with it."""
        return {n["node"]: n["action"] for n in self.json(*arguments)["nodes"]}


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state pushed by a stateless run; its machine's folder lies beside it."""
    place = tmp_path_factory.mktemp("stateless")
    machine = Machine(place / "first", place / "remote", bp_csv=CSV)
    machine.done("--stateless", *UNTIL)
    return place / "remote"


def test_nothing_of_a_stateless_run_stays_on_the_disk(remote: Path) -> None:
    first = remote.parent / "first"
    there = [
        p.name for p in (first / "data").iterdir() if not p.name.startswith(".settings-")
    ]  # what settings.yaml says, validated
    assert there == ["inbox"]
    assert list((first / "room").iterdir()) == []
    kept = b"".join(p.read_bytes() for p in remote.rglob("*") if p.is_file())
    assert kept
    assert b"SQLite format" not in kept
    assert b"2025-03-03" not in kept


def test_an_empty_machine_goes_on_where_the_other_ended(remote: Path, tmp_path: Path) -> None:
    machine = Machine(tmp_path, remote)
    assert set(machine.actions("--stateless", *UNTIL).values()) == {"skipped"}
    assert not machine.data.exists()
    assert list(machine.room.iterdir()) == []


def test_any_command_runs_over_a_fresh_pull(remote: Path, tmp_path: Path) -> None:
    machine = Machine(tmp_path, remote)
    found = machine.done("state", "with", "--", "trace", DAY, "systolic")
    assert DAY in found
    assert "export.csv" in found
    shown = machine.done("state", "with", "--", "sh", "-c", 'ls "$DATA_DIR"; ls "$TMPDIR/.."')
    assert "registry.db" in shown
    assert list(machine.room.iterdir()) == []


def test_a_commands_exit_code_is_that_of_the_whole(remote: Path, tmp_path: Path) -> None:
    machine = Machine(tmp_path, remote)
    assert machine("state", "with", "--", "sh", "-c", "exit 9").returncode == 9
    assert machine("state", "with", "--", "explain", "nosuch").returncode == 2
    assert machine("state", "with", "--", "/no/such/program").returncode == 2
    assert machine("state", "with").returncode == 2
    assert list(machine.room.iterdir()) == []


def test_what_a_command_changes_is_pushed_only_when_asked_for(remote: Path, tmp_path: Path) -> None:
    machine = Machine(tmp_path, remote)
    head = (remote / "head").read_bytes()
    machine.done("state", "with", "--", "--force", "merge.daily_metrics", *UNTIL)
    assert (remote / "head").read_bytes() == head
    machine.done("state", "with", "--push", "--", "--force", "merge.daily_metrics", *UNTIL)
    assert (remote / "head").read_bytes() != head
    assert machine.done("state", "with", "--", "history", "merge.daily_metrics").count("forced") == 1


def test_without_a_remote_state_nothing_starts(tmp_path: Path) -> None:
    for command in (["--stateless"], ["--sync"], ["state", "with", "--", "status"]):
        done = Cli(tmp_path / "data")(*command)
        assert done.returncode == 2, done.stdout
        assert "STATE_URL" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_shipped_examples_never_get_into_a_remote_state(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "m", tmp_path / "remote")
    done = machine("--stateless", *UNTIL)
    assert done.returncode == 2
    assert "no source has anything to read" in done.stderr
    assert not (tmp_path / "remote/head").exists()


def test_two_machines_that_sync_know_each_others_runs(tmp_path: Path) -> None:
    one = Machine(tmp_path / "one", tmp_path / "remote", bp_csv=CSV)
    two = Machine(tmp_path / "two", tmp_path / "remote", google_sheets=SHEET)
    one.done("--sync", *UNTIL)
    two.done("--sync", *UNTIL)
    (merge,) = [n for n in one.json("--sync", *UNTIL)["nodes"] if n["node"] == "merge.daily_metrics"]
    one.done("state", "pull", "processed/merged/*")
    (path,) = [o["path"] for o in merge["outputs"] if o["name"].endswith("metrics.csv")]
    table = (one.data / path).read_text()
    assert [line[:10] for line in table.splitlines()[1:]] == ["2025-03-01", "2025-03-02", "2025-03-03"]
    assert one.json("verify")["ok"]


def test_what_a_failed_run_has_finished_is_pushed(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "m", tmp_path / "remote", bp_csv=CSV)
    gone = "postgresql://me:CANARY@127.0.0.1:1/none?connect_timeout=1"
    done = machine("--stateless", DATABASE_URL=gone)
    assert done.returncode == 1
    assert "CANARY" not in done.stdout + done.stderr
    found = machine.json("state", "with", "--", "plan", "--json", *UNTIL)
    assert {n["action"] for n in found["nodes"]} == {"skip"}


def test_what_others_push_meanwhile_is_merged_and_worked_over_once_more(tmp_path: Path) -> None:
    one = Machine(tmp_path / "one", tmp_path / "remote", bp_csv=CSV)
    two = Machine(tmp_path / "two", tmp_path / "remote", google_sheets=SHEET)
    one.done("--stateless", *BRIEF)
    meanwhile = [sys.executable, "main.py", "--stateless", *BRIEF]
    harness = f"""
import subprocess, sys
from scripts.project import open_project
from scripts.stateless.around import synced
times = []
def work(project):
    times.append(sorted(project.sources))
    if len(times) == 1:
        project.pipeline.run(project.selection(until_stage="normalization", force=("normalization.bp_csv",)))
        subprocess.run({meanwhile!r}, env={two.env!r}, check=True, stdout=subprocess.DEVNULL)
    return 0
assert synced(open_project(), work) == 0
print(times)
"""
    done = subprocess.run([sys.executable, "-c", harness], cwd=REPO, env=one.env, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[['bp_csv'], ['bp_csv', 'google_sheets']]", done.stderr


def _started(machine: Machine) -> subprocess.Popen[str]:
    """A stateless program that has pulled and waits."""
    words = ["state", "with", "--", "sh", "-c", "echo up; exec sleep 300"]
    command = [sys.executable, "main.py", *words]
    started = subprocess.Popen(command, cwd=REPO, env=machine.env, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert started.stdout
    assert started.stdout.readline() == "up\n"
    return started


def test_a_signal_leaves_no_folder_behind(remote: Path, tmp_path: Path) -> None:
    machine = Machine(tmp_path, remote)
    with _started(machine) as program:
        assert len(list(machine.room.iterdir())) == 1
        program.send_signal(signal.SIGTERM)
        assert program.wait(60) == 128 + signal.SIGTERM
    assert list(machine.room.iterdir()) == []


@pytest.mark.parametrize("when", ["before the program", "as it starts"])
def test_a_signal_that_comes_early_leaves_no_folder_behind(remote: Path, tmp_path: Path, when: str) -> None:
    """Sent from within, so that it comes just then."""
    machine = Machine(tmp_path, remote)
    harness = f"""
import os, signal, subprocess, sys
import scripts.state.sync as sync
from main import main
class Popen(subprocess.Popen):
    def __init__(self, command, **how):
        super().__init__(command, **how)
        if command[0] == "sh":
            os.kill(os.getpid(), signal.SIGTERM)
if {when!r} == "before the program":
    sync.pull = lambda project: os.kill(os.getpid(), signal.SIGTERM)
else:
    subprocess.Popen = Popen
sys.exit(main(["state", "with", "--", "sh", "-c", "exec sleep 300"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", harness], cwd=REPO, env=machine.env, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 128 + signal.SIGTERM, done.stderr
    assert list(machine.room.iterdir()) == []


def test_what_outlived_its_retention_goes_before_the_push(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "m", tmp_path / "remote", bp_csv=CSV, google_sheets=SHEET)
    machine.done("--stateless", *UNTIL)
    done = machine("--stateless", *UNTIL, RETENTION='{"google_sheets": 30}')
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"event": "retention_applied", "sources": ["google_sheets"]' in done.stderr
    found = machine.done("state", "with", "--", "trace", DAY, "systolic")
    assert "bp_csv" in found
    again = machine("--stateless", *UNTIL, RETENTION='{"google_sheets": 30}')
    assert "retention_applied" not in again.stderr


def test_a_run_that_is_stopped_pushes_what_it_has_finished(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "m", tmp_path / "remote", bp_csv=CSV)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # a database that never answers
        address = f"postgresql://me@127.0.0.1:{silent.getsockname()[1]}/none?connect_timeout=300"
        env = {**machine.env, "DATABASE_URL": address}
        command = [sys.executable, "main.py", "--stateless"]
        with subprocess.Popen(command, cwd=REPO, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as run:
            assert run.stderr
            heard = ""
            while '"node_started", "node": "bronze.bp_csv"' not in heard:
                heard = run.stderr.readline()
                assert heard, "it ended before bronze"
            run.send_signal(signal.SIGTERM)
            rest = run.stderr.read()
            assert run.wait(120) == 128 + signal.SIGTERM
    assert '"state_pushed"' in rest
    assert list(machine.room.iterdir()) == []
    found = machine.json("state", "with", "--", "plan", "--json", *UNTIL)
    assert {n["action"] for n in found["nodes"]} == {"skip"}


def test_what_a_killed_one_leaves_goes_with_the_next(remote: Path, tmp_path: Path) -> None:
    machine = Machine(tmp_path, remote)
    with _started(machine) as program:
        os.killpg(program.pid, signal.SIGKILL)
        program.wait(60)
    (left,) = machine.room.iterdir()
    assert (left / "data/registry.db").exists()
    machine.done("state", "with", "--", "true")
    assert list(machine.room.iterdir()) == []


def test_the_folder_of_one_that_lives_is_not_swept(tmp_path: Path) -> None:
    with private_folder(str(tmp_path)) as first:
        with private_folder(str(tmp_path)) as second:
            assert sorted(tmp_path.iterdir()) == sorted([Path(first), Path(second)])
            assert Path(first).stat().st_mode & 0o777 == 0o700
        assert list(tmp_path.iterdir()) == [Path(first)]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="STATELESS_DIR"), private_folder(str(tmp_path / "none")):
        pass


def test_memory_is_told_from_a_disk(tmp_path: Path) -> None:
    kinds = {line.split()[1]: line.split()[2] for line in Path("/proc/mounts").read_text().splitlines()}
    assert in_memory("/dev/shm") == (kinds.get("/dev/shm") == "tmpfs")
    assert not in_memory("/proc")
