"""docs/api.md tells all there is: addresses, parameters, statuses, settings; and its questions are answered."""

from __future__ import annotations

import re
import shlex
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from fastapi import applications
from fastapi.openapi.utils import get_openapi

from config.settings import NOT_FOR_NODES, Settings
from serving.api import parameters
from serving.api.app import application
from serving.api.page import page
from tests.api_bench import WITH_KEY, client, configured
from tests.cli_bench import opened

REPO = Path(__file__).resolve().parent.parent
TEXT = (REPO / "docs/api.md").read_text()


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    with client(opened(tmp_path_factory.mktemp("nothing") / "data")) as asking:
        return dict(asking.get("/openapi.json").json())


def test_threads_that_ask_first_and_at_once_have_the_document_made_once(
    tmp_path: Path, document: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def slowly(**told: Any) -> dict[str, Any]:
        made.append(1)
        time.sleep(0.2)  # FastAPI's own making breaks when two threads are in it
        return get_openapi(**told)

    monkeypatch.setattr(applications, "get_openapi", slowly)
    app = application(opened(tmp_path / "data"), configured())
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(lambda _: page(app.openapi()), range(8))) == {page(document)}
    assert made == [1]


def test_every_address_is_documented_and_no_other(document: dict[str, Any]) -> None:
    assert set(re.findall(r"^\| `GET (\S+)`", TEXT, re.MULTILINE)) == set(document["paths"])


def test_every_parameter_is_documented_in_its_row(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        (row,) = re.findall(rf"^\| `GET {re.escape(path)}` \|(.*)$", TEXT, re.MULTILINE)
        named = set(re.findall(r"`(\w+)`", row))
        for parameter in operations["get"].get("parameters", []):
            assert parameter["in"] == "path" or parameter["name"] in named, (path, parameter["name"])


def test_every_status_is_documented(document: dict[str, Any]) -> None:
    used = {status for operations in document["paths"].values() for status in operations["get"]["responses"]}
    assert used - {"200", "304"} | {"405"} == set(re.findall(r"^\| (\d{3}) \|", TEXT, re.MULTILINE))
    assert "304" in TEXT


def test_every_setting_of_the_api_is_documented_with_what_holds_without_it() -> None:
    mine = {name for name in Settings.model_fields if name.startswith(("api_", "serve_api_", "metrics_open"))}
    assert mine <= NOT_FOR_NODES
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", TEXT, re.MULTILINE))
    assert mine == {name.lower() for name in rows}
    plain = Settings.model_construct()
    for name in ("api_port", "api_rate_limit"):
        assert str(getattr(plain, name)) in rows[name]


def test_the_bounds_that_are_told_are_those_that_hold() -> None:
    largest = parameters.ReadingsQuestion.model_json_schema()["properties"]["page_size"]["maximum"]
    assert f"(up to {largest:,})" in TEXT
    assert f"(up to {parameters.LARGEST_PAGE})" in TEXT


def test_every_question_shown_is_one_the_api_understands(document: dict[str, Any], tmp_path: Path) -> None:
    asked = [word for line in re.findall(r"^curl (.*)$", TEXT, re.MULTILINE) for word in shlex.split(line) if "://" in word]
    assert len(asked) == 5
    with client(opened(tmp_path / "data")) as asking:
        for address in asked:
            place = urlsplit(address)
            answer = asking.get(place.path, params=parse_qsl(place.query), headers=WITH_KEY)
            assert answer.status_code in (200, 404, 503), (address, answer.text)  # nothing has run, but nothing is misspelt
            assert place.path in document["paths"] or place.path.startswith("/trace/")


def test_every_answer_and_every_field_is_described_in_the_document(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        operation = operations["get"]
        assert operation["description"], path
        assert all(p.get("description") or p["schema"].get("description") for p in operation.get("parameters", [])), path
        assert all(answer["description"] for answer in operation["responses"].values()), path
        private = path != "/health"
        assert (operation.get("security") == [{"key": []}, {"bearer": []}]) is private, path
    for name, schema in document["components"]["schemas"].items():
        assert schema.get("description"), name
