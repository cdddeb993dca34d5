"""A source declared in YAML: read with the settings, every mistake told with file, key and example, a change never overlooked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from config.declared import held
from config.errors import SettingsError
from config.rest_files import declaration
from config.settings import RESERVED
from config.sources import name_fault
from scripts.source_yaml import written
from tests.cli_bench import REPO, environment

GOOD = """\
base_url: https://api.example/v1
auth: {type: bearer, token: HEART_TOKEN}
streams:
  - {name: heart, records: data, id: id, pages: {type: cursor}, cursor: {field: updated_at, param: since}}
readings:
  - {metric: heart_rate, value: bpm, time: at}
unify: {source_id: id}
"""


def told(folder: Path, text: str | bytes) -> str:
    """What a person reads of a declaration that is wrong."""
    file = folder / "heart.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SettingsError) as wrong:
        declaration("heart", file, frozenset({"STATE_KEY"}))
    assert wrong.value.mend
    assert str(folder) not in str(wrong.value)
    return str(wrong.value)


def test_a_declaration_becomes_the_settings_of_its_nodes(tmp_path: Path) -> None:
    (tmp_path / "heart.yaml").write_text(GOOD)
    said = declaration("heart", tmp_path / "heart.yaml")
    assert said.rest["base_url"] == "https://api.example/v1"
    assert said.readings[0]["metric"] == "heart_rate"
    assert said.unify is not None
    assert said.tokens == ("HEART_TOKEN",)
    assert not {"readings", "unify"} & said.rest.keys()  # a changed mapping fetches nothing anew


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("base_url", "base_ur", "rest/heart.yaml: there is no key 'base_ur'. Did you mean 'base_url'?"),
        ("base_url: https://api.example/v1\n", "", "the key 'base_url' is missing. Address its streams' paths"),
        ("https://api", "ftp://api", "base_url is wrong: it should begin with http:// or https://"),
        ("bearer", "bear", "auth says no known `type`. Known: basic, bearer, client_credentials"),
        ("HEART_TOKEN", "sk-12345", "auth.token is wrong: it should be the name of an environment variable, in capitals"),
        ("HEART_TOKEN", "STATE_KEY", "would send STATE_KEY to its API"),
        ("{type: cursor}", "{type: cursor, nxt: a}", "there is no key 'streams[0].pages.nxt'. Did you mean 'next'?"),
        ("field: updated_at", "fild: updated_at", "there is no key 'streams[0].cursor.fild'. Did you mean 'field'?"),
        ("heart_rate", "hart_rate", "readings[0].metric is wrong: there is no metric 'hart_rate'; near it are heart_rate"),
        ("time: at", "time: at, unit: kg", "heart_rate does not come in 'kg'; it may in /min, /s, /h, Hz"),
        ("time: at", "time: at, stream: hart", "maps a reading of the stream 'hart', which it does not have. Its streams are: heart."),
        ("time: at", "time: .at", "readings[0].time is wrong: it should be a dotted path into the record"),
        ("source_id", "id", "there is no key 'unify.id'"),
        ("auth:", "rate: 20 per second\nauth:", "rate is wrong: it should be written as 20/s or 20/s,1000/h"),
        ("auth:", "auth: {type: header}\nauth:", "the key 'auth' is there twice"),
        ("auth:", "1: x\nauth:", "there is no key '1'"),
        ("auth:", "name: hart\nauth:", "calls its source otherwise than the file is called"),
        ("records: data", "records: [data]", "streams[0].records is wrong: it should be text"),
        ("name: heart,", "name: Heart,", "streams[0].name is wrong"),
        ("streams:", "params: &a [1]\nheaders: *a\nstreams:", "aliases are not followed"),
        ("auth: {", "auth: {{", "is not valid YAML at line"),
        (GOOD, "- just\n- a list\n", "does not hold the declaration of a source"),
        (GOOD, "[" * 5_000, "nested too deep"),
        (GOOD, "a: " + "x" * (1 << 20), "larger than a megabyte"),
        (GOOD, "!!python/object/apply:os.system [id]", "is not valid YAML"),
    ],
)  # fmt: skip
def test_every_mistake_is_told_with_its_file_its_key_and_how_it_should_be(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    message = told(tmp_path, GOOD.replace(old, new, 1))
    assert said in message
    assert message.startswith("rest/heart.yaml")
    assert "sk-12345" not in message


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    assert "rest/heart.yaml is not valid YAML" in told(tmp_path, b"\xff\xfe\x00")


@pytest.mark.parametrize("name", ["", "Heart", "9lives", "heart-cloud", "a" * 31, "omron", "status", "merge", "sleep", "../etc"])
def test_a_name_that_would_be_mistaken_for_something_else_is_refused(name: str) -> None:
    assert name_fault(name)


def test_a_token_is_read_from_the_environment_and_else_from_the_file_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("HEART_TOKEN='of the file'\nOTHER_TOKEN=other\n")
    monkeypatch.delenv("HEART_TOKEN", raising=False)
    monkeypatch.setenv("OTHER_TOKEN", "of the environment")
    found = held(tmp_path / ".env")
    assert (found["HEART_TOKEN"], found["OTHER_TOKEN"]) == ("of the file", "of the environment")
    assert "HEART_TOKEN" not in held(tmp_path / "none")


def test_no_file_may_send_a_secret_of_the_platform_or_of_a_shipped_source_anywhere() -> None:
    assert {"STATE_KEY", "DATABASE_URL", "API_KEY", "AWS_SECRET_ACCESS_KEY", "CDC_DATABASE_URL", "TOGGL_API_TOKEN"} <= RESERVED


def test_what_is_written_for_a_person_is_read_as_it_was_meant() -> None:
    import yaml

    said = {
        "base_url": "https://api.example/v1",
        "auth": {"type": "header", "name": "X-Key", "token": "T"},
        "streams": [{"name": "a", "params": {"q": "yes", "n": "1", "t": "10:30", "e": "", "s": "a: b # c"}, "records": "d.e"}],
        "readings": [{"metric": "weight", "value": "v" * 90, "time": "t" * 50, "unit": "[lb_av]"}],
    }
    assert yaml.safe_load(written(said, "../rest.schema.json")) == said


def plan(data: Path, rest: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    surroundings = environment(data, PDP_REST_SOURCES=str(rest), **env)
    command = [sys.executable, "main.py", *(arguments or ("source", "list", "--json"))]
    return subprocess.run(command, cwd=REPO, env=surroundings, capture_output=True, text=True, check=False, timeout=60)


def row(done: subprocess.CompletedProcess[str], name: str) -> dict[str, object]:
    assert done.returncode == 0, done.stderr
    found: list[dict[str, object]] = json.loads(done.stdout)["sources"]
    return next(source for source in found if source["name"] == name)


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    data, rest = tmp_path / "data", tmp_path / "rest"
    (data / "inbox/heart").mkdir(parents=True)
    rest.mkdir()
    return data, rest


def test_a_declared_source_is_live_when_its_tokens_are_set_and_a_change_is_never_overlooked(places: tuple[Path, Path]) -> None:
    data, rest = places
    file = rest / "heart.yaml"
    file.write_text(GOOD.replace("auth:", "title: Heart Cloud\nauth:"))
    first = row(plan(data, rest), "heart")
    assert (first["title"], first["live"], first["hint"]) == ("Heart Cloud", False, "set HEART_TOKEN in the environment or .env")
    assert row(plan(data, rest, HEART_TOKEN="hidden"), "heart")["live"] is True
    stamp = file.stat()
    file.write_text(GOOD.replace("auth:", "title: Other Cloud\nauth:"))  # as long as before, and of the same time
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert row(plan(data, rest), "heart")["title"] == "Other Cloud"
    assert "hidden" not in "".join(p.read_text() for p in data.glob(".settings-*"))
    file.unlink()
    assert "heart" not in plan(data, rest).stdout


def test_a_wrong_declaration_stops_every_command_with_one_sentence_and_the_mend(places: tuple[Path, Path]) -> None:
    data, rest = places
    (rest / "heart.yaml").write_text(GOOD.replace("base_url", "base_ur"))
    done = plan(data, rest, "plan")
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["rest/heart.yaml: there is no key 'base_ur'.", "Did you mean 'base_url'?"]
    (rest / "heart.yaml").rename(rest / "heart.yml")
    assert "Rename it to heart.yaml." in plan(data, rest, "plan").stderr
    (rest / "heart.yml").rename(rest / "omron.yaml")
    assert "a source of this name is shipped" in plan(data, rest, "plan").stderr


def test_nothing_of_a_declaration_is_read_again_while_it_is_as_it_was(places: tuple[Path, Path]) -> None:
    data, rest = places
    (rest / "heart.yaml").write_text(GOOD)
    plan(data, rest)
    code = (
        "import sys; from scripts.project import open_project; open_project();"
        "print([m for m in ('yaml', 'pydantic', 'httpx2', 'config.rest') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPO,
        env=environment(data, PDP_REST_SOURCES=str(rest)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
