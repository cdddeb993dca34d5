"""Who is let in: keys, names, origins, how often; and what goes out with every answer. Over a data root where nothing has run yet."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from pathlib import Path

import pytest

from config import settings as module
from config.errors import SettingsError
from scripts.project import Project
from serving.api.configuration import configuration
from serving.api.limiter import MOST, Limiter, network
from tests.api_bench import KEY, OLD_KEY, WITH_KEY, client
from tests.cli_bench import opened

PRIVATE = (
    "/data",
    "/stats",
    "/readings",
    "/daily",
    "/lineage/x",
    "/trace/2025-03-01/systolic",
    "/sources",
    "/metrics",
    "/nowhere",
)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A data root where nothing has run."""
    return opened(tmp_path_factory.mktemp("empty") / "data")


@pytest.mark.parametrize("path", PRIVATE)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": ""},
        {"X-API-Key": "not-the-key-at-all"},
        {"X-API-Key": KEY[:-1]},
        {"X-API-Key": KEY + "x"},
        {"X-API-Key": f"{OLD_KEY},{KEY}"},
        {"Authorization": "Bearer"},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": KEY},
        {"Authorization": "Bearer not-the-key-at-all"},
        {"Cookie": f"X-API-Key={KEY}"},
        {b"X-API-Key": "schlüssel-schlüssel".encode()},
    ],
)
def test_without_a_known_key_nothing_private_is_told(empty: Project, path: str, headers: dict[str, str]) -> None:
    with client(empty) as ask:
        answer = ask.get(path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.json()["error"]["code"] == "unauthorized"


def test_a_key_in_the_address_opens_nothing(empty: Project) -> None:
    with client(empty) as ask:
        assert ask.get(f"/stats?api_key={KEY}&X-API-Key={KEY}").status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": KEY},
        {"X-API-Key": OLD_KEY},
        {"Authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer  {OLD_KEY}"},
        {"X-API-Key": "wrong", "Authorization": f"Bearer {KEY}"},
    ],
)
def test_every_key_that_is_set_opens_in_either_header(empty: Project, headers: dict[str, str]) -> None:
    with client(empty) as ask:
        assert ask.get("/stats", headers=headers).status_code == 200


def test_without_any_key_set_nothing_private_is_told_to_anybody(empty: Project) -> None:
    with client(empty, keys=()) as ask:
        for headers in ({}, {"X-API-Key": ""}, {"Authorization": "Bearer "}, WITH_KEY):
            answer = ask.get("/stats", headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "no_key_set")
        assert ask.get("/health").json().keys() == {"status"}


def test_health_tells_a_stranger_its_status_alone(empty: Project) -> None:
    with client(empty) as ask:
        assert ask.get("/health").json() == {"status": "degraded"}
        known = ask.get("/health", headers=WITH_KEY).json()
        assert known["reasons"] == ["Nothing has run yet."]
        assert known["db_connected"] is False


def test_metrics_answer_without_a_key_only_when_the_settings_say_so(empty: Project) -> None:
    with client(empty, metrics_open=True) as ask:
        assert ask.get("/metrics").status_code == 200
        assert ask.get("/stats").status_code == 401


def test_before_the_first_run_what_is_not_there_is_said(empty: Project) -> None:
    with client(empty) as ask:
        for path, status, code in (
            ("/daily", 503, "unavailable"),
            ("/readings", 503, "unavailable"),
            ("/data", 503, "database"),
            ("/lineage/x", 404, "not_found"),
            ("/trace/2025-03-01/systolic", 404, "not_found"),
        ):
            answer = ask.get(path, headers=WITH_KEY)
            assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), path
            assert answer.json()["error"]["message"]
            assert answer.json()["error"]["mend"]
    assert not Path(empty.data_dir, "postgres").exists()


def test_the_page_and_the_document_load_nothing_from_elsewhere(empty: Project) -> None:
    with client(empty) as ask:
        page = ask.get("/")
        style = re.findall(r"<style>(.*?)</style>", page.text, re.DOTALL)
        assert len(style) == 1
        assert b64encode(hashlib.sha256(style[0].encode()).digest()).decode() in page.headers["Content-Security-Policy"]
        assert not re.search(r"<script|<img|<link|@import|url\(|src=|https?://(?!127\.0\.0\.1)", page.text)
        paths = ask.get("/openapi.json").json()["paths"]
        assert [path for path in paths if f">{path}<" not in page.text.replace("</span>", "</span>>")] == []
        assert ask.get("/docs").status_code == 401


def test_every_answer_carries_the_security_headers_and_names_no_server(empty: Project) -> None:
    with client(empty) as ask:
        asked = [ask.get("/"), ask.get("/health"), ask.get("/stats"), ask.get("/none", headers=WITH_KEY), ask.post("/health")]
        asked += [ask.get("/data?page=0", headers=WITH_KEY), ask.get("/", headers={"Host": "evil.example"})]
        assert [answer.status_code for answer in asked] == [200, 200, 401, 404, 405, 422, 400]
        for answer in asked:
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
            assert "server" not in answer.headers
            assert "x-powered-by" not in answer.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_but_reading_is_answered(empty: Project, method: str) -> None:
    with client(empty) as ask:
        for path in ("/data", "/daily", "/health", "/trace/2025-03-01/systolic"):
            answer = ask.request(method, path, headers=WITH_KEY)
            assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method")


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "", "127.0.0.1.evil.example:80", "localhost@evil", "[::2]:80"]
)
def test_a_name_that_is_not_ours_is_refused(empty: Project, host: str) -> None:
    with client(empty) as ask:
        answer = ask.get("/health", headers={"Host": host})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "host")


def test_names_of_the_settings_are_ours_whatever_the_port_and_the_case(empty: Project) -> None:
    with client(empty, hosts=frozenset({"health.example.org", "[::1]"})) as ask:
        for host in ("health.example.org", "HEALTH.example.org:8443", "[::1]:8000", "[::1]"):
            assert ask.get("/health", headers={"Host": host}).status_code == 200, host
        assert ask.get("/health").status_code == 400
    with client(empty, hosts=frozenset({"*"})) as ask:
        assert ask.get("/health", headers={"Host": "anything"}).status_code == 200


def test_other_pages_may_not_read_unless_the_settings_name_them(empty: Project) -> None:
    asking = {"Origin": "https://charts.example.org", "Access-Control-Request-Method": "GET"}
    asking |= {"Access-Control-Request-Headers": "x-api-key"}
    with client(empty) as ask:
        assert "access-control-allow-origin" not in ask.options("/stats", headers=asking).headers
        assert "access-control-allow-origin" not in ask.get("/stats", headers=WITH_KEY | asking).headers
    with client(empty, origins=("https://charts.example.org",)) as ask:
        before = ask.options("/stats", headers=asking)
        assert (before.status_code, before.headers["Access-Control-Allow-Origin"]) == (200, asking["Origin"])
        assert ask.get("/stats", headers=WITH_KEY | asking).headers["Access-Control-Allow-Origin"] == asking["Origin"]
        refused = ask.get("/stats", headers={"Origin": asking["Origin"]})
        assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (401, asking["Origin"])
        other = asking | {"Origin": "https://evil.example"}
        assert "access-control-allow-origin" not in ask.options("/stats", headers=other).headers
        assert "access-control-allow-origin" not in ask.get("/stats", headers=WITH_KEY | other).headers


def test_who_asks_too_often_is_told_when_to_come_back_and_locks_nobody_else_out(empty: Project) -> None:
    with client(empty, rate=5) as ask:
        strangers = [ask.get("/stats").status_code for _ in range(8)]
        assert strangers == [401] * 5 + [429] * 3
        refused = ask.get("/health")
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["Retry-After"]) <= 12
        owner = [ask.get("/stats", headers=WITH_KEY).status_code for _ in range(6)]
        assert owner == [200] * 5 + [429]
        assert ask.get("/stats", headers={"X-API-Key": OLD_KEY}).status_code == 200


def test_a_bucket_fills_with_time_and_holds_no_more_than_a_minute() -> None:
    now = [0.0]
    limiter = Limiter(60, lambda: now[0])
    assert [limiter.wait("a") for _ in range(61)] == [0] * 60 + [1]
    now[0] = 1.0
    assert [limiter.wait("a") for _ in range(2)] == [0, 1]
    now[0] = 3600.0
    assert [limiter.wait("a") for _ in range(61)] == [0] * 60 + [1]
    assert Limiter(1, lambda: 0.0).wait("b") == 0


def test_no_crowd_of_addresses_fills_the_memory() -> None:
    limiter = Limiter(1, lambda: 0.0)
    for number in range(MOST + 10):
        limiter.wait(str(number))
    assert len(limiter._buckets) == MOST


def test_one_customer_is_one_address() -> None:
    assert network("2001:db8::1") == network("2001:db8::ffff") != network("2001:db8:0:1::1")
    assert network("::ffff:192.0.2.1") == network("192.0.2.1")
    assert network("192.0.2.1") != network("192.0.2.2")
    assert network("unix") == "unix"


def test_the_log_tells_the_address_as_declared_and_no_value(empty: Project) -> None:
    log: list[dict[str, object]] = []
    with client(empty, log) as ask:
        ask.get("/trace/2025-03-01/systolic?canary=1", headers=WITH_KEY)
        ask.get("/data?search=canary", headers=WITH_KEY)
        ask.get("/canary")
        ask.request("canary", "/data", headers=WITH_KEY)
    assert [line["route"] for line in log] == ["/trace/{date}/{metric}", "/data", "(none)", "/data"]
    assert [line["status"] for line in log] == [422, 503, 401, 405]
    assert [line["method"] for line in log] == ["GET", "GET", "GET", "(other)"]
    assert "canary" not in str(log).lower()
    assert KEY not in str(log)


def test_what_breaks_is_told_without_its_traceback(empty: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[dict[str, object]] = []

    def broken(*_: object) -> None:
        raise RuntimeError("canary 120/80")

    monkeypatch.setattr("serving.api.registry.runs", broken)
    with client(empty, log) as ask:
        answer = ask.get("/stats", headers=WITH_KEY)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "canary" not in answer.text + str(log)
    assert {"event": "failure", "route": "/stats", "error": "RuntimeError"} in log


def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str = "", env: str = "") -> module.Settings:
    for name in module.Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    (tmp_path / "settings.yaml").write_text(text)
    (tmp_path / ".env").write_text(env)
    return module.load([tmp_path / "settings.yaml"], tmp_path / ".env")


def test_the_settings_decide_how_it_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = configuration(settings(tmp_path, monkeypatch))
    assert (plain.host, plain.port, plain.keys, plain.origins, plain.rate, plain.metrics_open) == (
        "127.0.0.1",
        8000,
        (),
        (),
        600,
        False,
    )
    lines = ("api_port: 9000", "api_rate_limit: 7", "api_allowed_hosts: [Health.example.org]", "metrics_open: true")
    text = "\n".join((*lines, "api_cors_origins: ['https://a.example']"))
    said = configuration(settings(tmp_path, monkeypatch, text, f"API_KEY={OLD_KEY}, {KEY}\nAPI_HOST=0.0.0.0"))
    assert (said.host, said.port, len(said.keys), said.rate, said.metrics_open) == ("0.0.0.0", 9000, 2, 7, True)
    assert said.origins == ("https://a.example",)
    assert {"health.example.org", "localhost", "0.0.0.0"} <= said.hosts
    assert configuration(settings(tmp_path, monkeypatch), "::1", 1).hosts >= {"[::1]"}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.10", "health.example.org", "10.0.0.1"])
def test_without_a_key_no_network_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    with pytest.raises(SettingsError, match="this machine only"):
        configuration(settings(tmp_path, monkeypatch), host)
    with pytest.raises(SettingsError, match="this machine only"):
        configuration(settings(tmp_path, monkeypatch, env=f"API_HOST={host}\nAPI_KEY="))


@pytest.mark.parametrize("key", ["short", "x" * 15, f"{'x' * 20},short", "has a space in it, yes it does", "schlüsselschlüssel"])
def test_a_key_that_can_be_guessed_or_not_be_sent_is_refused_and_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    with pytest.raises(SettingsError, match="API_KEY") as error:
        configuration(settings(tmp_path, monkeypatch, env=f"API_KEY='{key}'"))
    assert key not in str(error.value)
    assert "token_urlsafe" in error.value.mend


@pytest.mark.parametrize(
    "text",
    [
        "api_port: 0",
        "api_rate_limit: 0",
        "api_cors_origins: ['*']",
        "api_cors_origins: ['https://a.example/path']",
        "api_cors_origins: ['null']",
        "api_allowed_hosts: ['a b']",
        "api_allowed_hosts: ['https://a.example']",
        "metrics_open: perhaps",
    ],
)
def test_wrong_settings_of_the_api_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    with pytest.raises(SettingsError, match=text.partition(":")[0]):
        settings(tmp_path, monkeypatch, text)
