"""The commands as a person types them: names, exit codes, JSON, and what they say."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.nodes import STAGES
from scripts import options
from tests.cli_bench import CSV, REPO, SHEET, Cli


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    data = tmp_path_factory.mktemp("cli") / "data"
    for name, text in {"google_sheets/log.csv": SHEET, "bp_csv/bp.csv": CSV}.items():
        path = data / "inbox" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    found = Cli(data)
    first = found()
    assert first.returncode == 0, first.stdout + first.stderr
    found.first = first  # type: ignore[attr-defined]
    return found


def test_the_summary_tells_what_ran_what_was_refused_and_where_things_are(cli: Cli) -> None:
    text = cli.first.stdout  # type: ignore[attr-defined]
    assert "merged_daily_metrics.csv" in text
    assert "mi_fitness is left out" in text
    assert text.startswith("Done:")


def test_events_are_json_lines_without_values(cli: Cli) -> None:
    lines = [json.loads(line) for line in cli.first.stderr.splitlines()]  # type: ignore[attr-defined]
    assert {line["event"] for line in lines} == {"node_started", "node_finished", "alert"}
    assert not re.search(r"\b(128|124|119)\b", re.sub(r'"(seconds|rows|at)": [^,}]*', "", cli.first.stderr))  # type: ignore[attr-defined]


def test_the_second_run_does_nothing_and_says_so(cli: Cli) -> None:
    done = cli()
    assert done.returncode == 0
    assert done.stdout.startswith("Nothing to do: all 15 nodes over 2 sources are up to date")


def test_run_json_has_the_promised_shape(cli: Cli) -> None:
    found = cli.json()
    assert set(found) == {"run_id", "status", "seconds", "nodes"}
    assert found["status"] == "succeeded"
    node = next(n for n in found["nodes"] if n["node"] == "normalization.google_sheets")
    assert set(node) == {"node", "stage", "action", "attempt", "seconds", "rows", "outputs", "error"}
    assert node["action"] == "skipped"
    output = node["outputs"][0]
    assert set(output) == {"name", "version", "sha256", "path"}
    assert output["name"] == "processed/normalized/google_sheets.parquet"


def test_plan_json_has_the_promised_shape(cli: Cli) -> None:
    found = cli.json("plan", "--force", "merge.daily_metrics")
    actions = {n["node"]: n for n in found["nodes"]}
    assert actions["merge.daily_metrics"]["action"] == "run"
    assert actions["merge.daily_metrics"]["reasons"][0] == {"kind": "forced", "name": "merge.daily_metrics", "detail": ""}
    assert actions["bronze.bp_csv"]["action"] == "skip"
    assert cli.json("--dry-run") == cli.json("plan")


def test_the_daily_table_is_right(cli: Cli) -> None:
    rows = (cli.data / "processed/merged/merged_daily_metrics.csv").read_text().splitlines()
    table = [dict(zip(rows[0].split(","), row.split(","), strict=True)) for row in rows[1:]]
    first = table[0]
    means = [first[c] for c in ("date", "systolic", "diastolic", "pulse", "bp_readings")]
    assert means == ["2025-03-01", "126", "81", "62.5", "2"]
    assert (first["systolic_morning"], first["systolic_evening"], first["bp_category"]) == ("128", "124", "stage_1")
    assert [r["date"] for r in table] == ["2025-03-01", "2025-03-02", "2025-03-03"]


def test_bronze_holds_every_record(cli: Cli) -> None:
    tables = {t["table"]: t["rows"] for t in cli.json("bronze", "status")["tables"]}
    assert tables == {"bronze_google_sheets": 3, "bronze_bp_csv": 1}


def test_status_lineage_and_verify_answer(cli: Cli) -> None:
    assert {n["state"] for n in cli.json("status")["nodes"]} == {"committed"}
    found = cli.json("lineage", "processed/merged/merged_daily_metrics.csv@v1")
    assert {"raw/google_sheets/log.csv", "raw/bp_csv/bp.csv", "inbox/bp_csv/bp.csv"} <= {s["name"] for s in found["up"]}
    down = cli.json("lineage", "raw/bp_csv/bp.csv", "--down")["down"]
    assert "bronze.bp_csv" in {s["node"] for s in down}
    assert cli.json("verify") == {"ok": True, "problems": []}
    for command in (
        ["status"],
        ["lineage", "records/bp_csv.parquet"],
        ["verify"],
        ["plan"],
        ["source", "list"],
        ["source", "check"],
    ):
        done = cli(*command)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nosuch"], "There is no source named 'nosuch'"),
        (["mi_fitness"], "mi_fitness has nothing to read"),
        (["--start-stage", "cooking"], "Stages are: ingestion"),
        (["--only-stage", "merge", "--until-stage", "bronze"], "--only-stage stands alone"),
        (["--force", "nosuch"], "There is no node named"),
        (["pln"], "There is no command or source named 'pln'.\nDid you mean plan?"),
        (["help", "nosuch"], "There is no command 'nosuch'"),
        (["--jobs", "2", "plan"], "a command comes first"),
        (["plan", "nosuch"], "There is no source named 'nosuch'"),
        (["--force", "merge.daily"], "Did you mean merge.daily_metrics?"),
        (["explain", "merge.daily"], "Did you mean merge.daily_metrics?"),
        (["--raw"], "--raw goes with --clean"),
        (["lineage", "processed/merged/daily.csv"], "Did you mean"),
        (["source", "check", "nosuch"], "There is no source named"),
    ],
)
def test_a_wrong_command_is_one_sentence_and_a_mend(cli: Cli, arguments: list[str], words: str) -> None:
    done = cli(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_setting_ends_with_two(cli: Cli) -> None:
    done = cli(TIMEZONE="Mars/Base")
    assert done.returncode == 2
    assert "no time zone named" in done.stderr


def test_a_database_out_of_reach_leaves_the_earlier_stages_standing(cli: Cli) -> None:
    done = cli("--force", "bronze.bp_csv", DATABASE_URL="postgresql://me:CANARY@127.0.0.1:1/none?connect_timeout=1")
    assert done.returncode == 1
    assert "bronze.bp_csv" in done.stdout
    assert "CANARY" not in done.stdout + done.stderr
    assert (cli.data / "processed/merged/merged_daily_metrics.csv").exists()


def test_clean_shows_first_removes_then_and_all_comes_back(cli: Cli) -> None:
    listed = cli("--clean", "--dry-run").stdout
    assert "processed/merged/merged_daily_metrics.csv@v1" in listed
    assert "raw/" not in listed
    before = (cli.data / "processed/merged/merged_daily_metrics.csv").read_bytes()
    assert cli("--clean").returncode == 0
    assert not (cli.data / "processed").exists()
    assert cli.json("verify")["ok"]
    assert cli("--skip-ingestion").returncode == 1
    assert cli().returncode == 0
    assert (cli.data / "processed/merged/merged_daily_metrics.csv").read_bytes() == before


def test_everything_below_the_data_root_is_private(cli: Cli) -> None:
    found = [p for p in cli.data.rglob("*") if not p.is_symlink() and p.stat().st_mode & 0o077]
    server = cli.data / "postgres"
    assert [p for p in found if server not in [p, *p.parents] and "inbox" not in p.parts] == []


def test_every_command_is_in_the_readme_and_has_help() -> None:
    readme = (REPO / "README.md").read_text()
    for command in options.COMMANDS:
        assert f"main.py {command}" in readme, command
        done = subprocess.run(
            [sys.executable, "main.py", command, "--help"], cwd=REPO, capture_output=True, text=True, check=True
        )
        assert "SYNOPSIS" in done.stdout


def test_every_option_in_the_readme_exists() -> None:
    text = subprocess.run([sys.executable, "main.py", "--help"], cwd=REPO, capture_output=True, text=True, check=True).stdout
    for line in (REPO / "README.md").read_text().splitlines():
        if line.startswith("python main.py --"):
            for option in re.findall(r"--[a-z-]+", line.partition("#")[0]):
                assert option in text, option


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("option", ["--start-stage", "--until-stage", "--only-stage"])
def test_every_stage_goes_with_every_stage_option(stage: str, option: str) -> None:
    import main

    parsed = options.parser_of("run").parse_args([option, stage])
    assert getattr(parsed, option.strip("-").replace("-", "_")) == stage
    umask = os.umask(0o022)  # the program sets its own for the whole process
    try:
        assert main.main([option, stage, "--raw"]) == 2  # reaches the run command, which refuses --raw alone
    finally:
        os.umask(umask)


def test_options_before_a_command_are_understood(cli: Cli) -> None:
    assert json.loads(cli("--json", "plan").stdout)["nodes"]


READING = [
    "plan",
    "status",
    "graph",
    "verify",
    "gc --dry-run",
    "--dry-run",
    "--clean --dry-run",
    "source list",
    "runs",
    "runs last",
]
READING += ["alerts"]
READING += ["report", "openlineage", "lineage x", "history merge.daily_metrics", "explain merge.daily_metrics", "bronze status"]


@pytest.mark.parametrize("command", READING)
def test_who_only_reads_makes_no_data_directory_and_says_that_there_is_nothing(tmp_path: Path, command: str) -> None:
    done = Cli(tmp_path / "data")(*command.split())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()
    assert list(tmp_path.iterdir()) == []


def test_a_terminal_without_the_marks_shows_question_marks(tmp_path: Path) -> None:
    done = Cli(tmp_path)("graph", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0
    assert "? merge.daily_metrics" in done.stdout


def test_the_help_lists_the_commands_and_each_describes_itself() -> None:
    told = options.parser_of("run").format_help()
    for command, words in options.COMMANDS.items():
        assert re.search(rf"^    {command} +{re.escape(words)}$", told, re.MULTILINE), command
        assert words[1:40] in " ".join(options.parser_of(command).format_help().split()), command


def test_clean_takes_no_half_measures(cli: Cli) -> None:
    done = cli("--clean", "bp_csv", "--dry-run")
    assert done.returncode == 2
    assert "takes no sources" in done.stderr
