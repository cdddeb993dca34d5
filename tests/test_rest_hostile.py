"""A REST source meets a server that means harm: what lets one in goes nowhere else, no link leads away, little is spent."""

from __future__ import annotations

import gzip
import socket
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from config.errors import SourceDenied, SourceError
from config.rest import RestDeclaration
from ingestion.rest.client import Ask, Client
from tests.rest_bench import REPO, Bench, MemoryOutputs, declaration, stream
from tests.rest_fake import FakeAPI, Fault, fake_api, rows

KEY = "only-for-the-api-4711"
SIGN_INS: list[dict[str, Any]] = [
    {"type": "bearer", "token": "T_KEY"},
    {"type": "header", "name": "X-Api-Key", "token": "T_KEY"},
    {"type": "basic", "user": "T_KEY", "fixed_password": "api_token"},
    {"type": "query", "param": "api_key", "token": "T_KEY"},
]


class Thief:
    """A server that notes all it is sent."""

    def __init__(self) -> None:
        self.url, self.seen = "", ""


@pytest.fixture
def thief() -> Iterator[Thief]:
    found = Thief()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.seen += f"{self.requestline}\n{self.headers}"
            body = b'{"data": []}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with serving(Handler) as found.url:
        yield found


@pytest.fixture
def api() -> Iterator[FakeAPI]:
    with fake_api() as found:
        found.size, found.lists = 4, {"hr": rows(12)}
        yield found


def fetched(api: FakeAPI, folder: Path, said: dict[str, Any] | None = None, **more: Any) -> str:
    """What a run against the server says of it: the error, or nothing."""
    try:
        MemoryOutputs(folder).fetch(declaration(api, said or stream("cursor"), **more), {"T_KEY": KEY})
    except SourceError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("auth", SIGN_INS, ids=lambda auth: auth["type"])
def test_a_redirect_to_another_server_takes_nothing_along(
    auth: dict[str, Any], api: FakeAPI, thief: Thief, tmp_path: Path
) -> None:
    api.headers = {"Set-Cookie": "session=1"}
    api.faults[1] = Fault("redirect", f"{thief.url}/elsewhere")
    fetched(api, tmp_path, auth=auth, headers={"X-Client": "mine"})
    assert thief.seen.startswith("GET /elsewhere HTTP")
    for word in (KEY, "authorization", "api_token", "x-api-key", "x-client", "cookie"):
        assert word not in thief.seen.lower(), thief.seen


@pytest.mark.parametrize(
    "link",
    [
        "{thief}/next",
        "//{host}/next",
        "{api}//{host}/next",
        "///{host}/next",
        "{api}/..//{host}/next",
        "/\\{host}/next",
        "{api}@{host}/next",
        "{api}\\@{host}/next",
        "http:{host}/next",
        "\t//{host}/next",
        "/./\t/{host}/next",
    ],
)
@pytest.mark.parametrize("way", ["json_link", "header_link"])
def test_a_link_to_the_next_page_leads_to_no_other_server(
    way: str, link: str, api: FakeAPI, thief: Thief, tmp_path: Path
) -> None:
    target = link.format(thief=thief.url, host=thief.url.removeprefix("http://"), api=api.url)
    if way == "json_link":
        api.around = lambda answer: {**answer, "links": {"next": target}}
    else:
        api.headers = {"Link": f'<{target}>; rel="next"'} if "\t" not in target else {}
    said = {**stream(way), "pages": {"type": way, **({"next": "links.next"} if way == "json_link" else {})}}
    fetched(api, tmp_path, said, auth=SIGN_INS[0])
    assert api.asked
    assert thief.seen == ""


@pytest.mark.parametrize(
    ("base", "more", "leads_to", "told"),
    [
        ("https://api.test", {}, ["127.0.0.1"], "private network"),
        ("https://api.test", {}, ["10.1.2.3"], "private network"),
        ("https://api.test", {}, ["93.184.215.14", "192.168.0.1"], "private network"),
        ("https://api.test", {}, ["64:ff9b::a00:1"], "private network"),
        ("https://api.test", {}, ["::ffff:10.0.0.1"], "private network"),
        ("http://api.test", {"allow_private": True}, ["169.254.169.254"], "private network"),
        ("http://api.test", {"allow_private": True}, ["127.0.0.1"], ""),
    ],
)
def test_a_name_leads_only_where_it_may(
    base: str,
    more: dict[str, Any],
    leads_to: list[str],
    told: str,
    api: FakeAPI,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = int(api.url.rpartition(":")[2])
    kind = {True: socket.AF_INET6, False: socket.AF_INET}
    found = [(kind[":" in address], socket.SOCK_STREAM, 6, "", (address, port)) for address in leads_to]
    monkeypatch.setattr("ingestion.origins.guard.socket.getaddrinfo", lambda *_, **__: found)
    said = {**declaration(api, stream("cursor"), **more), "base_url": f"{base}:{port}"}
    with pytest.raises(SourceError, match=told) if told else nullcontext():
        MemoryOutputs(tmp_path).fetch(said)
    assert len(api.asked) == (0 if told else 3)


def test_a_parent_whose_id_is_a_path_stays_in_its_place(api: FakeAPI, tmp_path: Path) -> None:
    names = ["..", ".", "../../admin", "a?b=c", "a#b", "a/b", "%2e%2e", "\r\nX-Evil: 1", "ä"]
    api.lists = {"hr": [{"id": name, "updated_at": "2025-01-01T00:00:00Z"} for name in names], "notes": []}
    api.size = 50
    child = {
        "name": "notes",
        "path": "cursor/hr/{key}/notes",
        "records": "data",
        "parent": {"stream": "hr", "field": "id", "param": "key"},
    }
    MemoryOutputs(tmp_path).fetch(declaration(api, stream("cursor"), child))
    asked = [request for request in api.requests if request.path != "/cursor/hr"]
    assert asked
    for request in asked:
        assert request.path.startswith("/cursor/hr/"), request.path
        assert request.path.endswith("/notes"), request.path
        assert "/../" not in request.path, request.path
        assert request.path.count("/") == 4, request.path
        assert "b" not in request.params
        assert "x-evil" not in request.headers


@pytest.mark.parametrize("auth", SIGN_INS, ids=lambda auth: auth["type"])
def test_what_lets_one_in_stands_in_no_state_no_log_and_no_message(
    auth: dict[str, Any], api: FakeAPI, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    api.headers = {"X-Echo": KEY}
    api.plan = lambda number: Fault(("500", "403", "html", "reset")[number % 4]) if number > 3 else None
    api.around = lambda answer: {**answer, "links": {"next": f"/json_link/hr?cursor=NA&api_key={KEY}"}}
    said = declaration(api, stream("json_link"), auth=auth, retries=1)
    bench = Bench(tmp_path, said, {"T_KEY": KEY})
    told = [str(outcome.error) for outcome in bench.run().values()]
    told += [capfd.readouterr().err, *(record.getMessage() for record in caplog.records if not record.name.startswith("http"))]
    assert not [text for text in told if KEY in text]
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert {path.suffix for path in kept} <= {".json"}, kept  # a page as it came
    assert all("calls" not in str(path) for path in kept), kept


def test_a_retry_says_nothing_but_what_people_should_read(api: FakeAPI) -> None:
    code = f"""
from ingestion.rest.client import Ask, Client
from config.rest import RestDeclaration
said = RestDeclaration.model_validate({{**{declaration(api, stream("cursor"))!r}, "retries": 2}})
client = Client(said, lambda answer: None)
try:
    client.get(Ask({api.url!r} + "/cursor/none"), lambda answer: answer)
except Exception as error:
    print(error)
"""
    api.plan = lambda _: Fault("500")
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=True)
    assert (done.stdout.count("HTTP 500"), done.stderr) == (1, "")


@pytest.mark.parametrize(
    ("where", "name"),
    [("headers", n) for n in ("Authorization", "X-Api-Key", "Cookie")] + [("params", n) for n in ("api_key", "access_token")],
)
def test_a_secret_is_not_written_into_a_declaration(where: str, name: str) -> None:
    one = {"name": "hr", **({"params": {name: KEY}} if where == "params" else {})}
    said = {"name": "t", "base_url": "https://api.example", "streams": [one]}
    with pytest.raises(ValidationError, match="auth"):
        RestDeclaration.model_validate({**said, **({"headers": {name: KEY}} if where == "headers" else {})})


def test_an_answer_packed_a_million_times_costs_little() -> None:
    body = gzip.compress(gzip.compress(b"\0" * (64 << 20), 6), 6)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Encoding", "gzip, gzip")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with serving(Handler) as url:
        said = {"name": "t", "base_url": url, "streams": [{"name": "hr"}], "max_response": 1 << 20, "first_wait": 0.001}
        client = Client(RestDeclaration.model_validate(said), lambda answer: None)
        tracemalloc.start()
        with pytest.raises(SourceDenied, match="more than 1 MB"):
            client.get(Ask(f"{url}/hr"), lambda answer: answer.body)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        client.close()
    assert peak < 16 << 20


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """A server on this machine; gives its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
