"""Backup and restore: one file, all of it on an empty machine, proven before anything is replaced, closed to whoever has no key."""

from __future__ import annotations

import base64
import io
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config.errors import UsageError
from pipeline import lock
from scripts.backup.locked import Lock
from scripts.backup.locked import lock as locked
from tests.cli_bench import REPO, Cli
from tests.erase_bench import HEAD, NAME, OLD, YOUNG_ROWS, daily, drop, person, tree
from tests.keeping_bench import copied
from tests.postgres_bench import sql
from warehouse.bronze.embedded import server

KEY = base64.b64encode(bytes(range(32))).decode()
OTHER_KEY = base64.b64encode(bytes(32)).decode()
ROWS = "SELECT id, raw_id, version, content_hash, ingested_at FROM bronze_bp_csv ORDER BY id"


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A person's data root, run; stopped."""
    return person(tmp_path_factory.mktemp("held") / "data").data


@pytest.fixture(scope="module")
def saved(held: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of it."""
    path = tmp_path_factory.mktemp("saved") / "pdp.backup"
    done = Cli(held)("backup", str(path), STATE_KEY=KEY)
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Cli]:
    """An empty machine."""
    yield Cli(tmp_path / "empty")
    server.release(str(tmp_path / "empty"))
    shutil.rmtree(tmp_path)  # a database for each test fills a disk


def test_an_empty_machine_gets_all_of_it_back_and_finds_nothing_to_do(held: Path, saved: Path, empty: Cli) -> None:
    before = Cli(held).json("verify")
    rows = sql(held, ROWS)
    server.release(str(held))
    done = empty.json("restore", str(saved), STATE_KEY=KEY)
    assert (done["ok"], done["problems"], done["aside"], done["settings"]) == (True, [], "", False)
    assert empty.json("verify") == before == {"ok": True, "problems": []}
    assert daily(empty.data) == daily(held)
    assert (empty.data / f"inbox/bp_csv/{NAME}.csv").read_bytes() == (held / f"inbox/bp_csv/{NAME}.csv").read_bytes()
    assert sql(empty.data, ROWS) == rows
    server.release(str(empty.data))
    assert empty().stdout.startswith("Nothing to do")
    open_to_others = [p for p in empty.data.rglob("*") if not p.is_symlink() and p.stat().st_mode & 0o077]
    assert [p for p in open_to_others if "postgres" not in p.parts] == []
    said = [line["what"] for line in empty.json("audit")["lines"]]
    assert said[-1] == "restore"


def test_a_backup_holds_nothing_anybody_could_read_and_is_its_owners_alone(saved: Path) -> None:
    content = saved.read_bytes()
    for mark in (OLD, NAME, "bp_csv", "registry", "SQLite", "PAR1", "store/"):
        assert mark.encode() not in content
    assert saved.stat().st_mode & 0o777 == 0o600


def test_a_backup_leaves_nothing_in_the_data_root_but_a_line_in_the_audit_log(held: Path, tmp_path: Path) -> None:
    before = tree(held)
    for _ in range(2):
        done = Cli(held)("backup", str(tmp_path / "pdp.backup"), "--force", STATE_KEY=KEY)
        assert done.returncode == 0, done.stderr
    changed = {name for name, digest in tree(held).items() if before.get(name) != digest}
    assert changed == {"audit.jsonl"}
    assert [p.name for p in tmp_path.iterdir()] == ["pdp.backup"]


def test_a_passphrase_opens_what_it_has_locked(held: Path, empty: Cli, tmp_path: Path) -> None:
    (tmp_path / "words").write_text("four random words here\n")
    (tmp_path / "other").write_text("four other words here\n")
    path, words = str(tmp_path / "pdp.backup"), str(tmp_path / "words")
    assert Cli(held)("backup", path, "--passphrase-file", words).returncode == 0
    for typed, told in (
        (["--passphrase-file", str(tmp_path / "other")], "not the passphrase"),
        ([], "there is no key"),
        (["--passphrase-file", str(tmp_path / "none")], "cannot be read"),
    ):
        done = empty("restore", path, *typed)
        assert (done.returncode, told in done.stderr) == (2, True), done.stderr
    assert not (empty.data / "registry.db").exists()
    assert "locked with a passphrase" in empty("restore", path, STATE_KEY=KEY).stderr
    assert empty("restore", path, "--passphrase-file", words).returncode == 0
    assert empty.json("verify")["ok"]


def test_without_a_key_no_backup_is_made(held: Path, tmp_path: Path) -> None:
    (tmp_path / "short").write_text("short")
    for typed, told in (([], "always encrypted"), (["--passphrase-file", str(tmp_path / "short")], "fewer than 12")):
        done = Cli(held)("backup", str(tmp_path / "pdp.backup"), *typed)
        assert (done.returncode, told in done.stderr) == (2, True)
    assert not (tmp_path / "pdp.backup").exists()


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut short": lambda b: b[:-1],
    "cut to its head": lambda b: b[:20],
    "a byte flipped": lambda b: b[: len(b) // 2] + bytes([b[len(b) // 2] ^ 1]) + b[len(b) // 2 + 1 :],
    "something else": lambda b: b"PK\x03\x04" * 100,
    "longer": lambda b: b + b"more",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_backup_replaces_nothing(saved: Path, empty: Cli, tmp_path: Path, damage: str) -> None:
    (tmp_path / "damaged").write_bytes(DAMAGE[damage](saved.read_bytes()))
    drop(empty.data, "bp_csv/mine.csv", HEAD)
    before = tree(empty.data)
    done = empty("restore", str(tmp_path / "damaged"), "--force", STATE_KEY=KEY)
    assert done.returncode == 1, done.stdout
    assert "backup" in done.stderr
    assert "Traceback" not in done.stderr
    assert tree(empty.data) == before


def test_another_key_is_told_and_replaces_nothing(saved: Path, empty: Cli) -> None:
    done = empty("restore", str(saved), STATE_KEY=OTHER_KEY)
    assert (done.returncode, "STATE_KEY is not the key this backup was locked with" in done.stderr) == (2, True)
    assert not (empty.data / "registry.db").exists()


def test_what_is_there_is_replaced_only_when_asked_for_and_then_put_aside(saved: Path, held: Path, tmp_path: Path) -> None:
    cli = Cli(copied(held, tmp_path / "data"))
    (cli.data / "inbox/bp_csv" / f"{NAME}.csv").write_text(HEAD + YOUNG_ROWS[0])
    assert cli().returncode == 0
    newer = daily(cli.data)
    refused = cli("restore", str(saved), STATE_KEY=KEY)
    assert (refused.returncode, "not empty" in refused.stderr) == (2, True)
    assert daily(cli.data) == newer
    aside = cli.json("restore", str(saved), "--force", STATE_KEY=KEY)["aside"]
    assert daily(cli.data) == daily(held) != newer
    assert daily(cli.data / aside) == newer
    assert cli().stdout.startswith("Nothing to do")
    assert cli("erase", "--all", "--yes").returncode == 0
    assert [p.name for p in cli.data.iterdir()] == ["audit.jsonl"]
    server.release(str(cli.data))


@pytest.mark.parametrize("damage", ["corrupt", "missing"])
def test_a_registry_that_cannot_be_used_is_recovered_from(saved: Path, held: Path, tmp_path: Path, damage: str) -> None:
    cli = Cli(copied(held, tmp_path / "data"))
    registry = cli.data / "registry.db"
    (cli.data / "registry.db-wal").unlink(missing_ok=True)
    registry.unlink() if damage == "missing" else registry.write_bytes(b"not a database" * 1000)
    assert cli().returncode == 1
    done = cli("restore", str(saved), "--force", STATE_KEY=KEY)
    assert done.returncode == 0, done.stderr
    assert cli.json("verify")["ok"]
    assert daily(cli.data) == daily(held)
    server.release(str(cli.data))


_KILLED = """
import importlib, os, signal, sys
from scripts.backup import bring
found = getattr(bring, sys.argv[1])
def killed(*given, **named):
    if sys.argv[1] == "sync_folder" and killed.left:
        killed.left -= 1
        return found(*given, **named)
    os.kill(os.getpid(), signal.SIGKILL)
killed.left = int(sys.argv[2])
setattr(bring, sys.argv[1], killed)
import main
main.main(sys.argv[3:])
"""


STEPS = [("_bronze", 0), ("_move_in", 0), ("sync_folder", 1), ("repair_views", 0)]


@pytest.mark.parametrize(("step", "after"), STEPS)
def test_a_killed_restore_is_finished_by_the_same_command(saved: Path, held: Path, empty: Cli, step: str, after: int) -> None:
    command = [sys.executable, "-c", _KILLED, step, str(after), "restore", str(saved)]
    killed = subprocess.run(command, cwd=REPO, env={**empty.env, "STATE_KEY": KEY}, capture_output=True, text=True, check=False)
    assert killed.returncode == -9, killed.stderr
    done = empty("restore", str(saved), *(["--force"] if step == "repair_views" else []), STATE_KEY=KEY)
    assert done.returncode == 0, done.stderr
    assert empty.json("verify")["ok"]
    assert daily(empty.data) == daily(held)
    assert not (empty.data / ".backup").exists()


def test_beside_a_run_neither_is_begun(held: Path, saved: Path, tmp_path: Path) -> None:
    with lock.exclusive(str(held)):
        for command in (["backup", str(tmp_path / "x")], ["restore", str(saved), "--force"]):
            done = Cli(held)(*command, STATE_KEY=KEY)
            assert (done.returncode, "holds this data directory" in done.stderr) == (75, True)


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "store/../../outside", "elsewhere/x"])
def test_a_file_that_wants_to_lie_elsewhere_is_refused(empty: Cli, tmp_path: Path, name: str) -> None:
    def write(plain: object) -> None:
        with tarfile.open(fileobj=plain, mode="w|") as tar:  # type: ignore[call-overload]
            entry = tarfile.TarInfo(name)
            entry.size = 4
            tar.addfile(entry, io.BytesIO(b"evil"))

    with (tmp_path / "evil").open("wb") as target:
        locked(write, target, Lock(KEY, ""))
    done = empty("restore", str(tmp_path / "evil"), STATE_KEY=KEY)
    assert (done.returncode, "damaged" in done.stderr) == (1, True), done.stderr
    assert not list(tmp_path.rglob("*outside*"))
    assert not os.path.exists("/etc/outside")


def test_other_settings_are_laid_beside_and_not_put_in_force(held: Path, empty: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("steps_goal: 9000\n")
    path = str(tmp_path / "pdp.backup")
    assert Cli(held)("backup", path, STATE_KEY=KEY, PDP_SETTINGS=str(tmp_path / "mine.yaml")).returncode == 0
    found = empty.json("restore", path, STATE_KEY=KEY)
    assert found["settings"] is True
    assert (empty.data / "settings.restored.yaml").read_text() == "steps_goal: 9000\n"


def test_where_nothing_has_run_there_is_nothing_to_save(tmp_path: Path) -> None:
    done = Cli(tmp_path / "data")("backup", str(tmp_path / "x"), STATE_KEY=KEY)
    assert (done.returncode, "nothing to back up" in done.stderr) == (2, True)


def test_an_error_while_it_is_written_is_the_error_that_is_told(tmp_path: Path) -> None:
    def write(plain: object) -> None:
        raise UsageError("The source is gone.", "Look for it.")

    with (tmp_path / "x").open("wb") as target, pytest.raises(UsageError, match="source is gone"):
        locked(write, target, Lock(KEY, ""))
