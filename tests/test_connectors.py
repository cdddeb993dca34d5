"""docs/connectors.md word for word: a declared API all the way to a number of the day, down to its page, exported, forgotten."""

from __future__ import annotations

import json
import re
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from config.mapping import Mapped
from config.rest_files import checked
from config.sources import Source
from pipeline.nodes import source_nodes
from scripts.source_contract import assert_source
from tests.cli_bench import CSV, REPO, environment
from tests.heart_days import SHOWN, TOKEN, serving
from tests.rest_fake import FakeAPI

TEXT = (REPO / "docs/connectors.md").read_text(encoding="utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(r"```(\w+)\n(.*?)```", TEXT, re.DOTALL)
CONSOLE = "".join(block for language, block in BLOCKS if language == "console")


class House(NamedTuple):
    """A data root, the folder of declarations, and the API."""

    root: Path
    api: FakeAPI

    def main(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        rest = str(self.root / "rest")
        surroundings = environment(self.root / "data", TIMEZONE="Europe/Warsaw", PDP_REST_SOURCES=rest, HEART_TOKEN=TOKEN)
        command = [sys.executable, "main.py", *arguments]
        return subprocess.run(command, cwd=REPO, env={**surroundings, **env}, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with serving() as api:
        (root := tmp_path_factory.mktemp("house")).joinpath("data").mkdir()
        yield House(root, api)


def shown() -> list[tuple[str, str]]:
    """(command, what it prints) of every transcript, in order."""
    parts = re.split(r"^\$ python main\.py (.*)\n", CONSOLE, flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


def fits(said: str, printed: str) -> bool:
    """Whether it is what was printed; `…` stands for what differs from day to day, on a line of its own for any lines."""
    pattern = "".join(
        "(?:.*\n)*?" if line == "…\n" else re.escape(line).replace("…", ".*?") for line in said.splitlines(keepends=True)
    )
    return re.fullmatch(pattern, printed) is not None


def test_the_transcript_is_what_a_person_sees(house: House) -> None:
    for command, said in shown():
        if command == "plan":
            continue
        done = house.main(*(word.replace(SHOWN, house.api.url) for word in shlex.split(command)))
        printed = done.stdout.replace(house.api.url, SHOWN)
        assert fits(said, printed), f"{command}\n{printed}\n{done.stderr}"
    declared = house.root / "rest/heart.yaml"
    assert declared.stat().st_mode & 0o777 == 0o600
    assert len(house.api.asked) == len(set(house.api.asked)) + 4  # the looks before the run: add, check, discover, preview


def test_every_row_of_bronze_tells_the_call_that_brought_it(house: House) -> None:
    sql = "SELECT DISTINCT api_endpoint, response_code FROM bronze_heart"
    found = house.main("bronze", "psql", "--", "-At", "-c", sql)
    if found.returncode == 0:  # without psql on the machine the rows are looked at elsewhere
        assert found.stdout.strip() == f"{house.api.url}/heart|200"


def test_a_second_run_asks_for_what_has_changed_and_an_edited_record_replaces_the_old_one(house: House) -> None:
    house.api.forget()
    edited = house.api.lists["heart"][-1]
    edited |= {"bpm": 90, "updated_at": "2025-03-04T07:00:00Z"}
    done = house.main("heart")
    assert done.returncode == 0, done.stderr
    assert [page for page in house.api.asked if "updated_since" not in page] == []
    days = house.main("query", "--csv", "select max_hr, hr_samples from daily order by date desc limit 1").stdout
    assert days.splitlines()[1] == "90,3"


def test_where_its_streams_go_on_is_shown_set_and_reset(house: House) -> None:
    (block,) = (block for language, block in BLOCKS if language == "sh")
    for line in block.splitlines():
        done = house.main(*shlex.split(line.removeprefix("python main.py "), comments=True))
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    assert '"cursor"' not in house.main("source", "state", "show", "heart").stdout


def test_a_source_whose_declaration_is_gone_is_told(house: House) -> None:
    declared = house.root / "rest/heart.yaml"
    declared.rename(aside := house.root / "heart.aside")
    (cuff := house.root / "data/inbox/bp_csv/cuff.csv").parent.mkdir(parents=True)
    cuff.write_text(CSV)
    told = house.main("--until-stage", "ingestion").stdout
    assert "! heart is declared no more: what it has brought is here still" in told
    assert "Bring heart.yaml back" in told
    aside.rename(declared)
    cuff.unlink()


def test_an_export_holds_it_and_erasing_forgets_it_for_good(house: House) -> None:
    out = house.root / "out"
    assert house.main("export", "--out", str(out), "--source", "heart").returncode == 0
    assert any(b'"bpm":58' in file.read_bytes() or b'"bpm": 58' in file.read_bytes() for file in out.rglob("*") if file.is_file())
    declared = house.root / "rest/heart.yaml"
    refused = house.main("erase", "--source", "heart", "--yes")
    assert refused.returncode == 2
    assert "Write `paused: true` into heart.yaml" in refused.stderr
    declared.write_text(declared.read_text() + "paused: true\n")
    assert "take `paused` out of heart.yaml" in house.main("source", "check", "heart").stdout
    done = house.main("erase", "--source", "heart", "--yes")
    assert done.stdout.startswith("Erased: 12 records of heart"), done.stdout + done.stderr
    left = sqlite3.connect(house.root / "data/registry.db")
    assert left.execute("SELECT count(*) FROM page").fetchone() == (0,)
    assert left.execute("SELECT count(*) FROM stream WHERE state IS NOT NULL").fetchone() == (0,)
    left.close()
    held = [file for file in (house.root / "data/store").rglob("*") if file.is_file() and b'"bpm":' in file.read_bytes()]
    assert held == []


def test_the_token_is_nowhere(house: House) -> None:
    for file in house.root.rglob("*"):
        if file.is_file() and "postgres/" not in str(file):
            assert TOKEN.encode() not in file.read_bytes(), file


def test_a_mistake_is_told_as_the_document_says(house: House) -> None:
    (said,) = (printed for command, printed in shown() if command == "plan")
    declared = house.root / "rest/heart.yaml"
    declared.write_text(declared.read_text().replace("field: updated_at", "fild: updated_at"))
    done = house.main("plan")
    assert (done.returncode, done.stderr) == (2, said)


def yaml_example() -> str:
    return next(block for language, block in BLOCKS if language == "yaml")


def python_example() -> dict[str, Any]:
    """What the first Python block defines."""
    block = next(block for language, block in BLOCKS if language == "python")
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(block, "docs/connectors.md", "exec"), names)
    return names


def test_the_declarations_are_twelve_lines_at_most() -> None:
    assert len(yaml_example().splitlines()) - 1 <= 12  # its first line is for the editor
    python = next(block for language, block in BLOCKS if language == "python")
    (entry,) = (block for language, block in BLOCKS if language == "text")
    lines = [line for line in (python + entry).splitlines() if line.strip() and not line.startswith(("#", "from "))]
    assert len(lines) <= 12


def test_both_examples_are_one_and_the_same_source() -> None:
    said = checked("heart_cloud", yaml.safe_load(yaml_example()), "the example")
    (entry,) = (block for language, block in BLOCKS if language == "text")
    source = eval(entry.strip().rstrip(","), {"Source": Source, "Mapped": Mapped})
    declared = python_example()["HeartCloud"].declared().model_dump(mode="json", by_alias=True, exclude_defaults=True)
    assert {**declared, "title": source.title} == said.rest
    assert [m._asdict() for m in source.readings] == said.readings
    assert source.tokens == said.tokens
    nodes = source_nodes(source, live=True)
    assert [node.run for node in nodes][:2] == [f"{source.rest}.extract", f"{source.rest}.records"]
    assert nodes[0].pages == "raw"


def test_the_python_example_keeps_the_contract() -> None:
    with serving() as api:
        kept = assert_source(python_example()["HeartCloud"], api, {"HEART_TOKEN": TOKEN}, rate="")
    assert kept.again == 0
    assert kept.records == 11


def test_the_schema_for_editors_knows_the_example() -> None:
    import jsonschema_rs

    schema = json.loads((REPO / "config/rest.schema.json").read_text())
    assert jsonschema_rs.is_valid(schema, yaml.safe_load(yaml_example()))
    assert not jsonschema_rs.is_valid(schema, {**yaml.safe_load(yaml_example()), "base_ur": "x"})
