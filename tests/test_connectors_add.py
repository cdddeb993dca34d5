"""`source add`: one answer of an API is enough to propose its declaration; what would go wrong is told before anything is written."""

from __future__ import annotations

import io
import json
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.errors import PDPError, UsageError
from scripts import source_add
from scripts.project import Project
from scripts.source_proposals import proposed
from tests.heart_days import TOKEN, serving
from tests.rest_fake import FakeAPI

NOBODY: Project = None  # type: ignore[assignment]  # the command asks the project nothing
OPTIONS = ("name", "url", "auth", "stream", "records", "id", "pages", "cursor", "initial", "reading", "rate")


@pytest.fixture(scope="module")
def api() -> Iterator[FakeAPI]:
    with serving() as found:
        yield found


@pytest.fixture
def rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(source_add, "REST_FOLDER", str(tmp_path / "rest"))
    monkeypatch.setenv("HEART_TOKEN", TOKEN)
    return tmp_path / "rest"


def add(**given: Any) -> dict[str, Any]:
    options = dict.fromkeys(OPTIONS) | {"allow_private": False, "yes": True, "json": False, "dry_run": False}
    return source_add.answer(NOBODY, Namespace(**{**options, **given})).data


def test_records_id_times_units_and_metrics_are_proposed_from_one_answer() -> None:
    rows = [
        {
            "uuid": f"u{n}",
            "device": {"model": "Scale 2"},
            "weight_kg": 71.5,
            "heartRate": {"avg": 61},
            "temp": {"body_temp_f": 98.2},
            "started_at": "2025-03-01T08:00:00+01:00",
            "date": "the first",
            "last_modified": 1_740_812_400,
            "note": "fine",
            "deleted_at": "" if n else "2025-03-02",
        }
        for n in range(3)
    ]
    seen = proposed({"meta": {"tags": [{"a": 1}]}, "data": {"items": rows}})
    assert (seen.records, seen.held, seen.id, seen.time, seen.changed) == ("data.items", 3, "uuid", "started_at", "last_modified")
    assert {(r["metric"], r["value"], r.get("unit", "")) for r in seen.readings} == {
        ("weight", "weight_kg", ""),
        ("heart_rate_mean", "heartRate.avg", ""),
        ("body_temperature", "temp.body_temp_f", "[degF]"),
    }
    assert {r["device"] for r in seen.readings} == {"device.model"}
    assert seen.unify["deleted"] == "deleted_at"


@pytest.mark.parametrize(
    "document", [None, 3, "x", [], {}, [1, 2], {"a": None}, [[{}]], {"data": []}, [{"a": {"b": {"c": {"d": {"e": {}}}}}}]]
)
def test_whatever_an_answer_is_proposals_never_fail(document: Any) -> None:
    seen = proposed(document)
    assert seen.readings == []
    assert seen.id == ""


def test_an_id_is_plain_and_in_no_two_records_the_same() -> None:
    assert proposed([{"id": 1, "post_id": 7}, {"id": 1, "post_id": 8}]).id == "post_id"
    assert proposed([{"id": None}, {"id": 2}]).id == ""


def test_what_is_written_is_what_was_agreed_on(api: FakeAPI, rest: Path) -> None:
    said = add(
        name="heart",
        url=f"{api.url}/heart?per_page=4",
        auth="bearer:HEART_TOKEN",
        cursor="updated_at:updated_since",
        initial="2025-03-01",
        reading=["heart_rate=bpm@measured_at:/min"],
        rate="20/s",
    )
    file = rest / "heart.yaml"
    declared = yaml.safe_load(file.read_text())
    (stream,) = declared["streams"]
    assert stream["params"] == {"per_page": "4"}
    assert stream["cursor"] == {"field": "updated_at", "param": "updated_since", "initial": "2025-03-01"}
    assert declared["readings"] == [{"metric": "heart_rate", "value": "bpm", "time": "measured_at", "unit": "/min"}]
    assert file.stat().st_mode & 0o777 == 0o600
    assert said["written"]
    assert TOKEN not in json.dumps(said)
    with pytest.raises(UsageError, match="There is a source heart already"):
        add(name="heart", url=f"{api.url}/heart", auth="bearer:HEART_TOKEN")


def test_on_a_terminal_it_asks_and_a_person_may_say_otherwise(
    api: FakeAPI, rest: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = ["heart", f"{api.url}/heart", "bearer:HEART_TOKEN", "", "", "single", "updated_at:updated_since", "no"]
    terminal = io.StringIO("\n".join(said) + "\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    add(yes=False)
    declared = yaml.safe_load((rest / "heart.yaml").read_text())
    assert declared["streams"][0]["pages"] == {"type": "single"}
    assert "readings" not in declared
    asked = capsys.readouterr().err
    assert "Which field names a record? [id]" in asked
    assert "Is bpm heart_rate, taken at measured_at? [yes]" in asked


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": ""}, "The new source has no name"),
        ({"name": "omron"}, "a source of this name is shipped"),
        ({"name": "Heart"}, "begins with a small letter"),
        ({"url": ""}, "The address is none to ask"),
        ({"url": "ftp://api.example/x"}, "it should begin with http"),
        ({"url": "https://me:secret@api.example/x"}, "it holds a user or a password"),
        ({"url": "https://api.example/x?api_key=s3cret"}, "what looks like a key (api_key)"),
        ({"auth": "bearer"}, "That is no way to sign in"),
        ({"auth": "bearer:STATE_KEY"}, "a secret of the platform itself"),
        ({"auth": "bearer:OTHER_TOKEN"}, "OTHER_TOKEN is not set"),
        ({"auth": "none"}, "does not accept the sign-in"),
        ({"url": "{api}/nothing"}, "404"),
        ({"reading": ["heart_rate"]}, "is no reading"),
        ({"reading": ["hart_rate=bpm@measured_at"]}, "there is no metric 'hart_rate'"),
        ({"pages": "pagewise"}, "says no known `type`"),
        ({"rate": "fast"}, "rate is wrong"),
    ],
)
def test_what_would_go_wrong_is_told_and_nothing_is_written(api: FakeAPI, rest: Path, given: dict[str, Any], said: str) -> None:
    usual = {"name": "heart", "url": f"{api.url}/heart", "auth": "bearer:HEART_TOKEN"}
    asked = {**usual, **given}
    asked["url"] = asked["url"].replace("{api}", api.url)
    with pytest.raises(PDPError) as wrong:
        add(**asked)
    assert said in str(wrong.value)
    assert "s3cret" not in str(wrong.value)
    assert TOKEN not in str(wrong.value)
    assert not rest.exists()


def test_a_dry_run_shows_the_file_and_writes_none(api: FakeAPI, rest: Path) -> None:
    said = add(name="heart", url=f"{api.url}/heart", auth="bearer:HEART_TOKEN", dry_run=True)
    assert yaml.safe_load(said["yaml"])["streams"][0]["records"] == "data"
    assert not rest.exists()
