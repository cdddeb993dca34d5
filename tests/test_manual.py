"""What the program tells of itself: help, the manual page, completion, its version, an invented person to try it with."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from config import VERSION
from config.sources import SOURCES
from pipeline.nodes import STAGES
from scripts import options
from scripts.commandline.completion import completion, places
from scripts.commandline.examples import DESCRIPTIONS, EXAMPLES
from scripts.commandline.help import pages
from scripts.commandline.page import Page
from tests.cli_bench import REPO, Cli

SECTIONS = ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES", "EXIT STATUS", "FILES"]
RUN, COMMANDS = pages()
EVERY = [RUN, *COMMANDS, *(action for page in COMMANDS for action in page.actions)]


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    return Cli(tmp_path_factory.mktemp("manual") / "data")


@pytest.mark.parametrize("page", EVERY, ids=lambda p: p.name or "run")
def test_every_command_and_action_has_an_example_the_program_understands(page: Page) -> None:
    examples = [line for name, lines in EXAMPLES.items() if name == page.name for line, _ in lines]
    assert examples or page.actions, "no example in scripts/commandline/examples.py"
    for line in examples:
        parsed = options.parse(shlex.split(line))
        assert (parsed.command if parsed.command != "run" else "") == page.name.split(" ")[0], line


def test_examples_and_descriptions_are_of_commands_there_are() -> None:
    names = {page.name for page in EVERY}
    assert set(EXAMPLES) <= names
    assert set(DESCRIPTIONS) <= names


@pytest.mark.parametrize("words", [[], ["plan"], ["bronze", "backup"], ["doctor"]], ids=" ".join)
def test_help_is_a_manual_page_and_the_same_as_dash_dash_help(cli: Cli, words: list[str]) -> None:
    page = cli("help", *words)
    assert page.returncode == 0, page.stderr
    headings = [line for line in page.stdout.splitlines() if line and not line.startswith(" ")]
    assert [h for h in headings if h in SECTIONS] == SECTIONS
    assert cli(*words, "--help").stdout == page.stdout
    assert max(map(len, page.stdout.splitlines())) <= 140
    assert json.loads(cli("help", *words, "--json").stdout)["command"] == " ".join(words)


def test_help_needs_no_valid_settings(cli: Cli) -> None:
    assert cli("help", "plan", TIMEZONE="Mars").returncode == 0


@pytest.mark.parametrize("words", [["nosuch"], ["bronze", "nosuch"], ["plan", "nosuch"]], ids=" ".join)
def test_help_on_what_there_is_not_is_a_usage_error(cli: Cli, words: list[str]) -> None:
    done = cli("help", *words)
    assert done.returncode == 2
    assert "nosuch" in done.stderr


def test_the_manual_page_is_as_shipped_and_holds_every_option(cli: Cli) -> None:
    made = cli("help", "--roff").stdout
    assert (REPO / "docs/pdp.1").read_text() == made, "make it again: python main.py help --roff > docs/pdp.1"
    for page in EVERY:
        for option in page.flags:
            assert option.flags[-1].replace("-", "\\-") in made, (page.name, option.flags)


def test_the_manual_page_is_sound_to_mandoc() -> None:
    if shutil.which("mandoc") is None:
        pytest.skip("mandoc is not installed: the manual page is not checked")
    done = subprocess.run(["mandoc", "-Tlint", "-Wwarning", REPO / "docs/pdp.1"], capture_output=True, text=True, check=False)
    remarks = [line for line in (done.stdout + done.stderr).splitlines() if "missing date" not in line]
    assert remarks == []


def test_the_version_is_the_packages(cli: Cli) -> None:
    assert cli("--version").stdout == f"Personal Data Platform {VERSION}\n"
    assert VERSION in (REPO / "CHANGELOG.md").read_text()


def test_completion_knows_every_option_of_every_command() -> None:
    known = {place.at: place for place in places()}
    assert set(known) == {"", "run", *(page.name for page in EVERY)}
    for page in EVERY:
        assert {flag for option in page.flags for flag in option.flags} == {flag for flag, _ in known[page.name].flags}


CASES = [
    ("pl", {"plan"}),
    ("--json st", {"status", "state"}),
    ("mi", {"mi_fitness"}),
    ("mi_fitness --unt", {"--until-stage"}),
    ("plan --start-stage m", {"merge"}),
    ("bronze re", {"reconcile", "restore", "retain"}),
    ("dlq list --state o", {"open", "obsolete"}),
    ("dlq replay mi", {"mi_fitness"}),
    ("explain gold.", {"gold.metrics", "gold.sealed"}),
    ("doctor perm", {"permissions"}),
    ("report --out exp", {"export.html"}),
    ("serve a", {"api"}),
]


def _script(shell: str, folder: Path) -> Path:
    path = folder / f"pdp.{shell}"
    path.write_text(completion(options.parse(["completion", shell])).text + "\n")
    (folder / "export.html").write_text("")
    return path


def _run(shell: str, script: str, folder: Path) -> str:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed: its completion is not tried")
    done = subprocess.run([shell, "-c", script], cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def _answers(text: str) -> list[set[str]]:
    return [set(block.split()) for block in text.split("--end--\n")[:-1]]


def test_bash_completes(tmp_path: Path) -> None:
    calls = "\n".join(f"t pdp {line}" for line, _ in CASES)
    script = f"""source {_script("bash", tmp_path)}
    t() {{ COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _pdp; printf '%s\\n' "${{COMPREPLY[@]}}" --end--; }}
    {calls}"""
    assert _answers(_run("bash", script, tmp_path)) == [wanted for _, wanted in CASES]


def test_fish_completes(tmp_path: Path) -> None:
    calls = "\n".join(f"complete -C {shlex.quote('pdp ' + line)} | string split -f1 \\t; echo --end--" for line, _ in CASES)
    script = f"set -x HOME {tmp_path}; source {_script('fish', tmp_path)}\n{calls}"
    assert _answers(_run("fish", script, tmp_path)) == [wanted for _, wanted in CASES]


def test_zsh_completes(tmp_path: Path) -> None:
    """Its own functions that show what is offered are stood in for: they print it, filtered by what is typed."""
    calls = "\n".join(f"t pdp {line}" for line, _ in CASES)
    script = f"""compdef() {{ : }}
    offered() {{ local w; for w in "$@"; do [[ "$w" == "$typed"* ]] && print -r -- "$w"; done }}
    _describe() {{ [[ "$1" == -o ]] && shift; local name="$2" w; for w in "${{(@P)name}}"; do offered "${{w%%:*}}"; done }}
    compadd() {{ shift; offered "$@" }}
    _files() {{ offered *(N) }}
    source {_script("zsh", tmp_path)}
    t() {{ words=("$@"); CURRENT=$#; typed="$words[-1]"; _pdp; print -- --end-- }}
    {calls}"""
    assert _answers(_run("zsh", script, tmp_path)) == [wanted for _, wanted in CASES]


def test_the_bash_script_is_sound_to_shellcheck(tmp_path: Path) -> None:
    tool = str(Path(sys.executable).with_name("shellcheck"))
    done = subprocess.run([tool, "-s", "bash", _script("bash", tmp_path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_sources_stages_and_steps_are_completed_as_they_are() -> None:
    words = {flag: text.split() for flag, text in next(p for p in places() if p.at == "run").values}
    assert words["--only-stage"] == list(STAGES)
    assert {source for _, *rest in (n.split(".") for n in words["--force"]) for source in rest} >= set(SOURCES)


def test_an_invented_life_becomes_a_data_root_of_its_own(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "try it"
    made = cli.json("mock", "--out", str(folder), "--days", "14")
    assert made["rows"] == sum(f["rows"] for f in made["files"]) > 0
    assert {f["source"] for f in made["files"]} == set(SOURCES) & {"google_sheets", "mi_fitness", "bp_csv"}
    first = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert cli("mock", "--out", str(folder), "--days", "14").returncode == 0
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == first
    *settings, python, program = shlex.split(made["command"])
    assert (python, program) == ("python", "main.py")
    env = dict(setting.split("=", 1) for setting in settings)
    assert cli.json("plan", **env)["nodes"]
    listed = cli.json("source", "list", **env)
    assert not listed["examples"]
    assert all(s["active"] for s in listed["sources"] if s["name"] in {"google_sheets", "mi_fitness", "bp_csv"})


@pytest.mark.parametrize("arguments", [["--days", "3"], ["--hr-minutes", "7"], ["--timezone", "Mars"], ["--end", "tomorrow"]])
def test_a_life_that_cannot_be_invented_is_a_usage_error(cli: Cli, tmp_path: Path, arguments: list[str]) -> None:
    done = cli("mock", "--out", str(tmp_path / "out"), *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_invented_data_is_never_mixed_with_real_data(cli: Cli, tmp_path: Path) -> None:
    mine = tmp_path / "inbox/bp_csv/mine.csv"
    mine.parent.mkdir(parents=True)
    mine.write_text("x")
    done = cli("mock", "--out", str(tmp_path), "--days", "14")
    assert done.returncode == 2
    assert "already holds other files" in done.stderr
    (tmp_path / "own").mkdir()
    (tmp_path / "own/settings.yaml").write_text("timezone: UTC\n")
    assert cli("mock", "--out", str(tmp_path / "own"), "--days", "14").returncode == 2
    assert re.fullmatch(r"timezone: UTC\n", (tmp_path / "own/settings.yaml").read_text())
