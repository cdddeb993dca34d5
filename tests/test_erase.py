"""Erasing: listed first, then gone from every place, what is left is as if the rest had never been, and a killed erase is finished."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli_bench import REPO, Cli
from tests.erase_bench import DAY, HEAD, NAME, OLD, OLD_ROWS, OTHER, YOUNG, YOUNG_ROWS, daily, drop, person, tree, where
from tests.keeping_bench import copied
from tests.made_once import cluster
from tests.postgres_bench import sql
from warehouse.bronze.embedded import server


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A person with two sources and both halves; stopped."""
    return person(tmp_path_factory.mktemp("held") / "data").data


@pytest.fixture
def cli(held: Path, tmp_path: Path) -> Iterator[Cli]:
    """The same for each test."""
    yield Cli(copied(held, tmp_path / "data"))
    server.release(str(tmp_path / "data"))
    shutil.rmtree(tmp_path)  # a database for each test fills a disk


@pytest.fixture(scope="module")
def without_the_source(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The daily table of one who never had the source."""
    return daily(person(tmp_path_factory.mktemp("sheet") / "data", csv=False).data)


@pytest.fixture(scope="module")
def without_the_past(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The daily table of one who began on the day."""
    return daily(person(tmp_path_factory.mktemp("young") / "data", old=False).data)


def erased(cli: Cli, *what: str, **env: str) -> dict[str, object]:
    done = cli("erase", *what, "--yes", "--json", **env)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def agrees(cli: Cli) -> None:
    """`verify` and `bronze reconcile` find nothing."""
    assert cli.json("verify") == {"ok": True, "problems": []}
    assert cli("bronze", "reconcile").returncode == 0


def test_without_yes_everything_is_listed_and_nothing_is_changed(cli: Cli) -> None:
    before = tree(cli.data)
    for what, rows in ((["--source", "bp_csv"], 50), (["--before", DAY], 30), (["--all"], 50)):
        told = cli("erase", *what)
        assert told.returncode == 0, told.stderr
        assert f"Nothing is changed yet. To do it: python main.py erase {' '.join(what)} --yes" in told.stdout
        for word in ("inbox", "bronze_bp_csv: ", "registry", "record", "versions"):
            assert word in told.stdout, told.stdout
        assert OLD not in told.stdout + told.stderr
        found = cli.json("erase", *what)
        assert found["applied"] is False
        assert {share["source"]: share["rows"] for share in found["bronze"]}["bp_csv"] == rows
    assert tree(cli.data) == before
    agrees(cli)


def test_a_source_is_gone_from_every_place_and_the_rest_is_as_if_it_had_never_been(cli: Cli, without_the_source: bytes) -> None:
    assert all(any(part in path for path in where(cli.data, OLD)) for part in ("store/", "inbox/", "postgres/"))
    assert erased(cli, "--source", "bp_csv")["run"] == "succeeded"
    for mark in (OLD, YOUNG, NAME):
        assert where(cli.data, mark) == []
    assert where(cli.data, OTHER)
    assert daily(cli.data) == without_the_source
    agrees(cli)
    assert cli("erase", "--source", "bp_csv").stdout.startswith("Nothing to erase")
    assert cli().stdout.startswith("Nothing to do")


def test_what_is_older_than_a_day_is_gone_from_every_place_and_what_is_younger_stays(cli: Cli, without_the_past: bytes) -> None:
    query = "SELECT id, raw_id, version, content_hash FROM bronze_bp_csv WHERE source_timestamp >= '2025-06-14 22:00' ORDER BY id"
    younger = sql(cli.data, query)
    found = erased(cli, "--before", DAY)
    assert [(s["source"], s["records"], s["kept"]) for s in found["sources"]] == [("google_sheets", 8, 8), ("bp_csv", 30, 20)]  # type: ignore[attr-defined]
    assert where(cli.data, OLD) == []
    assert where(cli.data, YOUNG)
    assert daily(cli.data) == without_the_past
    assert sql(cli.data, query) == younger
    assert len(younger) == 20
    assert sql(cli.data, "SELECT count(*), min(source_timestamp)::date::text FROM bronze_bp_csv") == [(20, "2025-06-16")]
    agrees(cli)
    assert cli("erase", "--before", DAY).stdout.startswith("Nothing to erase")
    assert cli().stdout.startswith("Nothing to do")


def test_an_export_dropped_again_brings_nothing_back_and_doubles_nothing(cli: Cli, without_the_past: bytes) -> None:
    erased(cli, "--before", DAY)
    rows = sql(cli.data, "SELECT raw_id, version FROM bronze_bp_csv ORDER BY 1, 2")
    drop(cli.data, "bp_csv/again.csv", HEAD + "".join([*OLD_ROWS, *YOUNG_ROWS]))
    assert cli().returncode == 0
    assert daily(cli.data) == without_the_past
    assert sql(cli.data, "SELECT raw_id, version FROM bronze_bp_csv ORDER BY 1, 2") == rows
    assert where(cli.data, OLD)  # the file itself holds them
    erased(cli, "--before", DAY)
    assert where(cli.data, OLD) == []
    agrees(cli)


def test_a_file_that_only_repeats_what_goes_goes_too_and_one_that_holds_nothing_older_stays_as_it_is(cli: Cli) -> None:
    drop(cli.data, "bp_csv/zz-again.csv", HEAD + "".join([*OLD_ROWS[-3:], *YOUNG_ROWS[:2]]))
    drop(cli.data, "bp_csv/zz-later.csv", HEAD + "".join(YOUNG_ROWS[-2:]))
    assert cli().returncode == 0
    (bp_csv,) = [s for s in cli.json("erase", "--before", DAY)["sources"] if s["source"] == "bp_csv"]
    assert (bp_csv["raw_artifacts"], bp_csv["inbox_files"], bp_csv["records"], bp_csv["kept"]) == (2, 2, 30, 20)
    erased(cli, "--before", DAY)
    assert where(cli.data, OLD) == []
    assert sorted(p.name for p in (cli.data / "inbox/bp_csv").iterdir()) == [f"{DAY}.kept.parquet", "zz-later.csv"]
    agrees(cli)


def test_a_source_whose_inbox_is_empty_stays_what_it_was(cli: Cli, without_the_past: bytes) -> None:
    shutil.rmtree(cli.data / "inbox")
    erased(cli, "--before", DAY)
    assert not list((cli.data / "inbox").rglob("*.parquet"))
    assert daily(cli.data) == without_the_past
    assert cli().stdout.startswith("Nothing to do")
    agrees(cli)


def test_everything_is_gone_but_the_line_that_says_so(cli: Cli) -> None:
    (cli.data / "mine.txt").write_text("not of this program")
    assert cli("report").returncode == 0
    told = cli("erase", "--all").stdout
    assert "Stays, because it is not ours: mine.txt" in told
    (cli.data / "mine.txt").unlink()
    assert erased(cli, "--all")["applied"] is True
    assert [p.name for p in cli.data.iterdir()] == ["audit.jsonl"]
    (line,) = (cli.data / "audit.jsonl").read_text().splitlines()
    found = json.loads(line)
    assert (found["what"], found["of"], found["records"], found["bronze_rows"]) == ("erase", "--all", 66, 66)
    assert not any(mark in line for mark in (OLD, YOUNG, OTHER, NAME))
    assert cli.json("verify")["ok"]
    assert cli("erase", "--all").stdout.startswith("Nothing to erase")


STEPS = {
    "after the inbox": "pipeline.upkeep.erase:erase",
    "after the registry": "warehouse.bronze.erasing.erase:erase",
    "after bronze's rows": "warehouse.bronze.erasing.erase:forget",
    "before the audit line": "config.audit:record",
}
_KILLED = """
import importlib, os, signal, sys
module, _, name = sys.argv[1].partition(":")
found = importlib.import_module(module)
setattr(found, name, lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL))
import main
main.main(sys.argv[2:])
"""


@pytest.mark.parametrize("step", STEPS)
def test_a_killed_erase_is_finished_by_the_same_command(cli: Cli, without_the_past: bytes, step: str) -> None:
    command = [sys.executable, "-c", _KILLED, STEPS[step], "erase", "--before", DAY, "--yes"]
    killed = subprocess.run(command, cwd=REPO, env=cli.env, capture_output=True, text=True, check=False)
    assert killed.returncode == -9, killed.stdout + killed.stderr
    again = cli("erase", "--before", DAY, "--yes")
    if again.returncode == 2 and "no run has taken in yet" in again.stderr:  # what is kept lies in the inbox already
        assert cli().returncode == 0
        again = cli("erase", "--before", DAY, "--yes")
    assert again.returncode == 0, again.stdout + again.stderr
    assert where(cli.data, OLD) == []
    assert daily(cli.data) == without_the_past
    assert cli.json("verify")["ok"]
    assert (cli.data / "audit.jsonl").read_text().count('"erase"') == 1


@pytest.mark.parametrize("step", ["scripts.erase.rest:remove", "config.audit:record"])
def test_a_killed_erase_of_everything_is_finished_by_the_same_command(cli: Cli, step: str) -> None:
    command = [sys.executable, "-c", _KILLED, step, "erase", "--all", "--yes"]
    killed = subprocess.run(command, cwd=REPO, env=cli.env, capture_output=True, text=True, check=False)
    assert killed.returncode == -9, killed.stdout + killed.stderr
    again = cli("erase", "--all", "--yes")
    assert again.returncode == 0, again.stdout + again.stderr
    assert {p.name for p in cli.data.iterdir()} <= {"audit.jsonl"}


def test_retention_takes_what_a_source_may_no_longer_keep_and_a_run_says_when_it_is_due(cli: Cli) -> None:
    told = cli("erase", "--expired")
    assert (told.returncode, "retention" in told.stderr) == (2, True)
    keep = json.dumps({"bp_csv": 1})
    due = cli("--force", "merge.daily_metrics", RETENTION=keep)
    assert "50 records of bp_csv outlived `retention`" in due.stderr
    found = erased(cli, "--expired", RETENTION=keep)
    assert [s["source"] for s in found["sources"]] == ["bp_csv"]  # type: ignore[attr-defined]
    assert where(cli.data, OLD) == where(cli.data, YOUNG) == []
    assert where(cli.data, OTHER)
    assert cli("erase", "--expired", "--yes", RETENTION=keep).stdout.startswith("Nothing to erase")
    agrees(cli)


def test_the_remote_state_keeps_nothing_of_it_in_any_generation_even_when_it_is_erased_from_another_machine(
    cli: Cli, tmp_path: Path, without_the_past: bytes
) -> None:
    remote = {"STATE_URL": str(tmp_path / "remote"), "STATE_PLAIN": "true"}
    assert cli("state", "push", **remote).returncode == 0
    before = [p for p in (tmp_path / "remote").rglob("*") if p.is_file()]
    drop(cli.data, "bp_csv/more.csv", HEAD + OLD_ROWS[0])
    assert cli(**remote).returncode == 0
    assert cli("state", "push", **remote).returncode == 0
    bare = Cli(cluster(tmp_path / "bare"))
    assert bare("state", "pull", **remote).returncode == 0  # the bytes stay afar
    assert bare.json("erase", "--before", DAY, **remote)["remote"]["generations"] == 2
    erased(bare, "--before", DAY, **remote)
    assert bare.json("state", "show", **remote)["generation"] == 3
    assert len([p for p in before if p.exists()]) < len(before) / 2
    third = Cli(tmp_path / "third")
    assert third("state", "pull", "--all", **remote).returncode == 0
    assert where(third.data, OLD) == where(bare.data, OLD) == []
    assert where(third.data, YOUNG)
    assert daily(third.data) == daily(bare.data) == without_the_past
    assert cli("state", "pull", "--all", **remote).returncode == 0  # the first machine hears of it
    assert daily(cli.data) == without_the_past
    erased(bare, "--all", **remote)
    assert [p.name for p in (tmp_path / "remote").rglob("*") if p.is_file() and p.name != ".lock"] == []
    assert [p.name for p in bare.data.iterdir()] == ["audit.jsonl"]


def test_a_source_that_is_still_connected_is_not_erased(cli: Cli) -> None:
    connected = {"GOOGLE_SHEETS_BP_ID": "a-sheet"}
    told = cli("erase", "--source", "google_sheets", **connected)
    assert "GOOGLE_SHEETS_BP_ID is set, so the next run fetches it again" in told.stdout
    done = cli("erase", "--source", "google_sheets", "--yes", **connected)
    assert done.returncode == 2
    assert "still connected" in done.stderr
    assert where(cli.data, OTHER)


def test_files_no_run_has_looked_into_are_not_guessed_at(cli: Cli) -> None:
    drop(cli.data, "bp_csv/new.csv", HEAD + YOUNG_ROWS[0])
    done = cli("erase", "--before", DAY)
    assert (done.returncode, "no run has taken in yet" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ([], "What is to be erased"),
        (["--all", "--source", "bp_csv"], "--all stands alone"),
        (["--expired", "--before", DAY], "exclude each other"),
        (["--before", "yesterday"], "is no date"),
        (["--before", "2199-01-01"], "a day of the past"),
        (["--source", "nokia"], "no source named 'nokia'"),
        (["--expired"], "Nothing ever expires"),
    ],
)
def test_a_wish_that_means_nothing_is_told(tmp_path: Path, typed: list[str], words: str) -> None:
    done = Cli(tmp_path / "data")("erase", *typed)
    assert (done.returncode, words in done.stderr) == (2, True)


@pytest.mark.parametrize("wrong", ['{"nokia": 3}', '{"bp_csv": 0}', '{"bp_csv": "long"}', "365"])
def test_a_wrong_retention_is_told_with_an_example(tmp_path: Path, wrong: str) -> None:
    done = Cli(tmp_path / "data")("erase", "--expired", RETENTION=wrong)
    assert (done.returncode, "retention" in done.stderr) == (2, True)


def test_where_nothing_is_there_is_nothing_to_erase(tmp_path: Path) -> None:
    assert Cli(tmp_path / "data")("erase", "--all", "--yes").stdout.startswith("Nothing to erase")
    assert list(tmp_path.iterdir()) == []
