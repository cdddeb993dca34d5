"""The Lambda's zip is reproducible and whole, and on this machine it runs as AWS would run it."""

from __future__ import annotations

import ast
import base64
import hashlib
import http.client
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from scripts.event_stream.function import LARGEST, Function, InvocationFailed
from scripts.event_stream.gateway import gateway
from scripts.event_stream.package import MEMBERS, build, content

REPO = Path(__file__).resolve().parent.parent
MINE = """
import os, sys, time
print("this is a log line, no answer")
def handler(event, context):
    print("and this")
    if event.get("raise"): raise LookupError("secret 42")
    if event.get("exit"): os._exit(3)
    if event.get("sleep"): time.sleep(60)
    if event.get("who"): return {"file": __file__, "path": sys.path, "env": dict(os.environ), "id": context.aws_request_id}
    if event.get("body") == "odd": return {"oops": 1}
    return {"statusCode": 202, "headers": {"x-mine": "1"}, "body": __import__("json").dumps(event)}
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("zip") / "mine.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("mine.py", MINE)
    return path


@pytest.fixture(scope="module")
def echo(archive: Path) -> Iterator[Function]:
    with Function(archive, {"EVENTS_BUCKET": "b"}, timeout=0.5, handler="mine.handler") as function:
        yield function


def test_the_zip_is_the_same_wherever_and_whenever_it_is_built(tmp_path: Path) -> None:
    digest = build(tmp_path / "deep/one.zip")
    assert digest == build(tmp_path / "two.zip") == hashlib.sha256((tmp_path / "deep/one.zip").read_bytes()).hexdigest()
    assert sorted(p.name for p in tmp_path.rglob("*.*")) == ["one.zip", "two.zip"]
    with zipfile.ZipFile(tmp_path / "two.zip") as made:
        assert [(i.filename, i.date_time[0], i.external_attr >> 16) for i in made.infolist()] == [
            (name, 1980, 0o100644) for name in sorted(MEMBERS)
        ]


def test_the_zip_holds_all_of_the_project_that_its_handler_reaches_and_nothing_else() -> None:
    rooms = {p.name for p in REPO.iterdir() if (p / "__init__.py").exists()}
    reached, waiting = set(), ["ingestion.events.lambda_handler"]
    while waiting:
        parts = waiting.pop().split(".")
        packages = {"/".join([*parts[:n], "__init__.py"]) for n in range(1, len(parts))}
        path = "/".join(parts) + ".py"
        if path in reached:
            continue
        reached |= {path, *packages}
        for node in ast.walk(ast.parse((REPO / path).read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            waiting += [name for name in names if name.partition(".")[0] in rooms]
    assert sorted(reached) == sorted(MEMBERS)


def test_the_function_runs_what_is_in_the_zip_and_sees_no_more_of_the_environment_than_it_needs(
    archive: Path, echo: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_KEY", "secret")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    with Function(archive, {"EVENTS_BUCKET": "b"}, handler="mine.handler") as function:
        told = function.invoke({"who": 1})
    assert told["file"] == f"{archive}/mine.py"
    assert told["path"][0] == str(archive)
    assert not {"", str(REPO), str(REPO / "scripts/event_stream")} & set(told["path"])
    assert told["id"]
    assert told["env"]["EVENTS_BUCKET"] == "b"
    assert told["env"]["AWS_DEFAULT_REGION"] == "eu-central-1"
    assert not {"STATE_KEY", "PYTHONPATH", "DATABASE_URL"} & set(told["env"])


@pytest.mark.parametrize(("event", "reason"), [({"raise": 1}, "LookupError"), ({"exit": 1}, "exited"), ({"sleep": 1}, "timeout")])
def test_a_failed_invocation_is_told_by_a_word_and_the_next_one_works(echo: Function, event: dict[str, int], reason: str) -> None:
    failures = echo.failures
    with pytest.raises(InvocationFailed, match=f"^{reason}$"):
        echo.invoke(event)
    assert echo.failures == failures + 1
    assert echo.invoke({})["statusCode"] == 202


def ask(url: str, method: str, body: bytes | None, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], Any]:
    address = urlsplit(url)
    assert address.hostname
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
    try:
        connection.request(method, f"{address.path}?a=1&b=2", body, headers or {})
        answer = connection.getresponse()
        return answer.status, dict(answer.headers), json.loads(answer.read())
    finally:
        connection.close()


def test_a_request_reaches_the_handler_in_either_payload_format(echo: Function) -> None:
    with gateway(echo) as url:
        status, headers, two = ask(url, "POST", "zażółć".encode(), {"X-Thing": "x"})
    with gateway(echo, version="1.0") as url:
        _, _, one = ask(url, "POST", b"\xff\x00")
    assert (status, headers["x-mine"]) == (202, "1")
    assert (two["version"], two["body"], two["isBase64Encoded"]) == ("2.0", "zażółć", False)
    assert (two["requestContext"]["http"]["method"], two["rawPath"], two["rawQueryString"]) == ("POST", "/events", "a=1&b=2")
    assert two["headers"]["x-thing"] == "x"
    assert (one["httpMethod"], one["path"], one["queryStringParameters"]) == ("POST", "/events", {"a": "1", "b": "2"})
    assert (one["isBase64Encoded"], base64.b64decode(one["body"])) == (True, b"\xff\x00")


def test_a_gateway_refuses_what_api_gateway_refuses(echo: Function) -> None:
    with gateway(echo) as url:
        assert ask(url, "POST", b"odd")[0] == 502
        assert ask(url, "POST", None, {"Content-Length": str(LARGEST)})[0] == 413
        assert ask(url, "POST", None, {"Content-Length": "x"})[0] == 411
        assert ask(url, "POST", b"{}", {"Origin": "https://example.org"})[0] == 403
        assert ask(url, "GET", None)[2]["requestContext"]["http"]["method"] == "GET"


def test_the_zip_as_built_needs_nothing_of_the_project_around_it(tmp_path: Path) -> None:
    (tmp_path / "lambda.zip").write_bytes(content())
    with Function(tmp_path / "lambda.zip", {}) as function:
        assert function.invoke({"httpMethod": "GET", "requestContext": {}})["statusCode"] == 405
        with pytest.raises(InvocationFailed, match=r"^KeyError$"):
            function.invoke({"httpMethod": "POST", "requestContext": {}, "body": "{}"})
