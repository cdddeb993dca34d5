"""Requests of REST sources: patience where it helps, none where it does not, and nothing said that is a secret."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from config.errors import PDPError, SettingsError, SourceDenied, SourceUnavailable
from ingestion.rest.limits import Limits
from tests.rest_bench import REPO, MemoryOutputs, declaration, stream
from tests.rest_fake import FakeAPI, fake_api, rows

SECRET = "canary-8f3e"


@pytest.fixture(scope="module")
def server() -> Iterator[FakeAPI]:
    with fake_api() as api:
        yield api


@pytest.fixture
def api(server: FakeAPI) -> Iterator[FakeAPI]:
    server.forget()
    server.lists, server.size, server.token, server.headers = {"hr": rows(7)}, 3, "", {}
    server.refresh_token, server.signed_in, server.rotates = "refresh-0", 0, True
    yield server
    server.token, server.headers = "", {}


def whole(outputs: MemoryOutputs) -> bool:
    return [row["id"] for body in outputs.bodies() for row in body["data"]] == list(range(7))


@pytest.mark.parametrize("kind", ["500", "502", "503", "504", "408", "425", "429", "reset", "truncated", "html", "nonsense"])
def test_what_may_pass_is_asked_for_again(kind: str, api: FakeAPI, tmp_path: Path) -> None:
    api.fail(2, kind, times=2)
    outputs = MemoryOutputs(tmp_path)
    report = outputs.fetch(declaration(api, stream("cursor")))
    assert whole(outputs)
    assert report["findings"] == []
    assert len(api.requests) == 5


@pytest.mark.parametrize("kind", ["400", "403", "404", "405", "409", "418", "451", "501"])
def test_a_refusal_is_not_asked_for_again(kind: str, api: FakeAPI, tmp_path: Path) -> None:
    api.fail(1, kind)
    with pytest.raises(SourceDenied, match=kind):
        MemoryOutputs(tmp_path).fetch(declaration(api, stream("cursor")))
    assert len(api.requests) == 1


def test_an_answer_that_never_comes_is_not_waited_for_for_ever(api: FakeAPI, tmp_path: Path) -> None:
    api.fail(1, "hang", 2)
    outputs = MemoryOutputs(tmp_path)
    outputs.fetch(declaration(api, stream("cursor"), timeout=0.2))
    assert whole(outputs)


@pytest.mark.parametrize("asked", ["0", "-1", "nonsense", "Wed, 01 Jan 2020 00:00:00 GMT", "nan", "inf"])
def test_a_server_that_asks_for_no_wait_is_not_asked_in_a_hot_loop(asked: str, api: FakeAPI, tmp_path: Path) -> None:
    api.fail(1, "429", asked, times=9)
    before = datetime.now(UTC)
    report = MemoryOutputs(tmp_path).fetch(declaration(api, stream("cursor"), retries=3, first_wait=0.02))
    assert datetime.now(UTC) - before >= timedelta(seconds=0.02 + 0.04 + 0.08)
    assert len(api.requests) == 4
    assert [finding["code"] for finding in report["findings"]] == ["incomplete"]


def test_as_long_as_a_server_asks_is_waited(api: FakeAPI, tmp_path: Path) -> None:
    api.fail(1, "429", "0.25")
    outputs, before = MemoryOutputs(tmp_path), datetime.now(UTC)
    outputs.fetch(declaration(api, stream("cursor")))
    assert datetime.now(UTC) - before >= timedelta(seconds=0.25)
    assert whole(outputs)


@pytest.mark.parametrize("date", [False, True])
def test_a_wait_that_is_too_long_ends_the_round_and_the_next_run_goes_on(date: bool, api: FakeAPI, tmp_path: Path) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    api.fail(3, "429", later if date else "3600")
    outputs = MemoryOutputs(tmp_path)
    report = outputs.fetch(declaration(api, stream("cursor")))
    assert [(f["code"], f["where"]) for f in report["findings"]] == [("incomplete", "hr")]
    assert len(outputs.bodies()) == 2
    outputs.fetch(declaration(api, stream("cursor")))
    assert whole(outputs)
    assert len(api.requests) == 4


def test_a_server_that_is_closed_for_an_hour_is_left_until_the_next_run(api: FakeAPI, tmp_path: Path) -> None:
    api.fail(2, "503", "3600")
    report = MemoryOutputs(tmp_path).fetch(declaration(api, stream("cursor")))
    assert [finding["code"] for finding in report["findings"]] == ["incomplete"]
    assert len(api.requests) == 2


def test_a_person_is_told_of_a_wait_in_one_line(api: FakeAPI, tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("ingestion.rest.client._TOLD", 0.1)
    api.fail(1, "429", "0.3")
    MemoryOutputs(tmp_path).fetch(declaration(api, stream("cursor")))
    assert capsys.readouterr().err == "t: waiting 0 s for the rate limit\n"


def test_limits_hold_over_programs_and_over_time(tmp_path: Path) -> None:
    with Limits([(3, 60)], str(tmp_path)) as one, Limits([(3, 60)], str(tmp_path)) as other:
        assert [one.take(), other.take(), one.take()] == [0, 0, 0]
        assert 55 < other.take() < 61
    with Limits([(3, 60)], str(tmp_path)) as later:
        assert later.take() > 50
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.iterdir())


_ASKING = """
import sys
from ingestion.rest.limits import Limits
with Limits([(200, 3600)], sys.argv[1]) as limits:
    print("ready", flush=True)
    sys.stdin.readline()
    print([limits.take() for _ in range(200)].count(0))
"""


def test_limits_hold_for_programs_that_ask_at_once(tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", _ASKING, str(tmp_path)]
    asking = [
        subprocess.Popen(
            arguments, cwd=REPO, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(REPO)}
        )
        for _ in range(3)
    ]
    for each in asking:
        assert each.stdout is not None
        assert each.stdout.readline() == b"ready\n"
    for each in asking:
        assert each.stdin is not None
        each.stdin.write(b"\n")
        each.stdin.flush()
    assert sum(int(each.communicate()[0]) for each in asking) == 200


def test_a_damaged_note_of_requests_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "requests.sqlite").write_bytes(b"no database at all" * 99)
    with Limits([(3, 60), (100, 3600)], str(tmp_path)) as limits:
        assert limits.take() == 0


def test_a_limit_that_is_used_up_ends_the_round(api: FakeAPI, tmp_path: Path) -> None:
    outputs = MemoryOutputs(tmp_path)
    report = outputs.fetch(declaration(api, stream("cursor"), rate="100/s,2/d"))
    assert [f["code"] for f in report["findings"]] == ["incomplete"]
    assert len(api.requests) == 2


def test_a_short_limit_is_waited_for(api: FakeAPI, tmp_path: Path) -> None:
    outputs = MemoryOutputs(tmp_path)
    outputs.fetch(declaration(api, stream("cursor"), rate="2/s"))
    assert whole(outputs)


def test_an_answer_that_is_too_large_is_not_taken(api: FakeAPI, tmp_path: Path) -> None:
    api.fail(1, "huge", 1 << 22)
    with pytest.raises(SourceDenied, match="more than 1 MB"):
        MemoryOutputs(tmp_path).fetch(declaration(api, stream("cursor"), max_response=1 << 20))


def test_a_redirect_elsewhere_does_not_take_the_token_along(api: FakeAPI, tmp_path: Path) -> None:
    with fake_api() as other:
        other.lists = {"hr": rows(2)}
        api.token = "access-0"
        api.fail(1, "redirect", f"{other.url}/single/hr")
        said = declaration(api, stream("single"), auth={"type": "bearer", "token": "HR_TOKEN"})
        MemoryOutputs(tmp_path).fetch(said, {"HR_TOKEN": "access-0"})
        assert api.requests[0].headers["authorization"] == "Bearer access-0"
        assert "authorization" not in other.requests[0].headers


@pytest.mark.parametrize(
    "target", ["http://169.254.169.254/latest", "file:///etc/passwd", "http://example.com/", "https://10.0.0.1/"]
)
def test_a_redirect_to_where_nobody_meant_is_not_followed(target: str, api: FakeAPI, tmp_path: Path) -> None:
    api.fail(1, "redirect", target)
    with pytest.raises(SourceDenied):
        MemoryOutputs(tmp_path).fetch(declaration(api, stream("single")))
    assert len(api.requests) == 1


def test_a_name_that_leads_into_the_own_network_is_refused_unless_that_is_meant(
    api: FakeAPI, tmp_path: Path, monkeypatch: Any
) -> None:
    import socket

    real = socket.getaddrinfo
    monkeypatch.setattr(
        "socket.getaddrinfo", lambda host, *a, **k: real("127.0.0.1" if host == "rebound.example" else host, *a, **k)
    )
    address = api.url.replace("127.0.0.1", "rebound.example")
    with pytest.raises(PDPError):
        MemoryOutputs(tmp_path).fetch(declaration(api, stream("single"), base_url=address.replace("http:", "https:")))
    assert api.requests == []
    outputs = MemoryOutputs(tmp_path)
    outputs.fetch(declaration(api, stream("single"), base_url=address, allow_private=True))
    assert whole(outputs)


AUTHS: list[tuple[dict[str, Any], str]] = [
    ({"type": "bearer", "token": "KEY"}, f"Bearer {SECRET}"),
    ({"type": "header", "name": "Authorization", "token": "KEY", "prefix": "Token "}, f"Token {SECRET}"),
    ({"type": "basic", "user": "KEY", "fixed_password": "api_token"}, "Basic Y2FuYXJ5LThmM2U6YXBpX3Rva2Vu"),
]


@pytest.mark.parametrize(("auth", "header"), AUTHS)
def test_fixed_keys_are_sent_and_told_to_nobody(auth: dict[str, Any], header: str, api: FakeAPI, tmp_path: Path) -> None:
    said = declaration(api, stream("cursor"), auth=auth)
    outputs = MemoryOutputs(tmp_path)
    report = outputs.fetch(said, {"KEY": SECRET})
    assert api.requests[0].headers["authorization"] == header
    api.fail(1, "403")
    with pytest.raises(SourceDenied) as denied:
        outputs.fetch(said, {"KEY": SECRET})
    texts = [
        json.dumps(report),
        str(denied.value),
        repr(denied.value),
        *(json.dumps(p.facts) for p in outputs.streams["hr"].pages),
    ]
    assert not any(SECRET in text for text in texts)


def test_a_key_in_the_address_is_in_no_state_and_no_page_name(api: FakeAPI, tmp_path: Path) -> None:
    api.fail(3, "403")
    api.around = lambda answer: {**answer, "links": {"next": (answer["links"]["next"] or "/") + f"&api_id={SECRET}"}}
    outputs = MemoryOutputs(tmp_path)
    said = declaration(api, stream("json_link"), auth={"type": "query", "param": "api_id", "token": "KEY"})
    try:
        with pytest.raises(SourceDenied):
            outputs.fetch(said, {"KEY": SECRET})
    finally:
        api.around = dict
    assert api.requests[0].params["api_id"] == SECRET
    assert "{{KEY}}" in json.dumps(outputs.streams["hr"].state())
    assert SECRET not in json.dumps([outputs.streams["hr"].state(), [page._asdict() for page in outputs.streams["hr"].pages]])
    assert api.requests[2].params["api_id"] == SECRET


def test_without_its_token_a_source_says_which_is_missing_and_fetches_nothing(api: FakeAPI, tmp_path: Path) -> None:
    from ingestion.rest.declared import check
    from ingestion.rest.secrets import Secrets

    said = declaration(api, stream("cursor"), auth={"type": "bearer", "token": "HR_TOKEN"})
    report = MemoryOutputs(tmp_path).fetch(said, {})
    assert (report["balance"]["came"], api.requests) == (0, [])
    assert check({"rest_t": said, "tokens_t": ""})[0].startswith("off:")
    with pytest.raises(SettingsError, match="HR_TOKEN"):
        Secrets.of("t", {"tokens_t": ""}, ["HR_TOKEN"])


OAUTH: dict[str, Any] = {"client_id": "ID", "client_secret": "SECRET"}
TOKENS = {"ID": "client", "SECRET": "client-secret", "REFRESH": "refresh-0"}


@pytest.mark.parametrize("style", ["body"])
def test_client_credentials_are_changed_for_a_token_that_is_renewed_when_it_ends(
    style: str, api: FakeAPI, tmp_path: Path
) -> None:
    api.token = "nobody has it"
    auth = {"type": "client_credentials", "token_url": f"{api.url}/oauth/token", "style": style, **OAUTH}
    outputs = MemoryOutputs(tmp_path)
    outputs.fetch(declaration(api, stream("cursor"), auth=auth), TOKENS)
    assert whole(outputs)
    assert api.signed_in == 1
    api.fail(2, "401")
    outputs.fetch(declaration(api, stream("cursor"), auth=auth), TOKENS)
    assert api.signed_in == 3  # one for the run, and one when the server did not know it any more


def test_a_rotated_refresh_token_is_kept_sealed_and_used_next_time(api: FakeAPI, tmp_path: Path) -> None:
    api.token = "nobody has it"
    said = declaration(
        api,
        stream("cursor"),
        auth={"type": "refresh", "token_url": f"{api.url}/oauth/token", "refresh_token": "REFRESH", **OAUTH},
    )
    outputs = MemoryOutputs(tmp_path)
    for run in (1, 2, 3):
        outputs.fetch(said, TOKENS)
        assert api.refresh_token == f"refresh-{run}"  # the one before was accepted, and is spent
    kept = json.dumps(outputs.streams["_auth"].state())
    assert not re.search("refresh-|access-|client-secret", kept)
    assert whole(outputs)


def test_a_new_refresh_token_in_the_environment_goes_before_the_kept_one(api: FakeAPI, tmp_path: Path) -> None:
    api.token = "nobody has it"
    said = declaration(
        api,
        stream("cursor"),
        auth={"type": "refresh", "token_url": f"{api.url}/oauth/token", "refresh_token": "REFRESH", **OAUTH},
    )
    outputs = MemoryOutputs(tmp_path)
    outputs.fetch(said, TOKENS)
    api.refresh_token = "refresh-by-hand"
    with pytest.raises(SourceDenied, match="refresh token"):
        outputs.fetch(said, TOKENS)
    outputs.fetch(said, {**TOKENS, "REFRESH": "refresh-by-hand"})
    assert whole(outputs)


def test_a_look_does_not_use_up_a_refresh_token(api: FakeAPI) -> None:
    from ingestion.rest.declared import check

    auth = {"type": "refresh", "token_url": f"{api.url}/oauth/token", "refresh_token": "REFRESH", **OAUTH}
    (line,) = check({"rest_t": declaration(api, stream("cursor"), auth=auth), "tokens_t": TOKENS})
    assert "tried by runs only" in line
    assert api.refresh_token == "refresh-0"


def test_a_server_that_says_farewell_to_its_api_is_quoted_once(api: FakeAPI, tmp_path: Path) -> None:
    api.headers = {"Deprecation": "@1735689600", "Sunset": "Thu, 01 Jan 2026 00:00:00 GMT"}
    report = MemoryOutputs(tmp_path).fetch(declaration(api, stream("cursor"), api_version="v1"))
    (finding,) = report["findings"]
    assert finding["code"] == "deprecated"
    assert "v1" in finding["message"]
    assert "2026-01-01" in finding["message"]


def test_a_version_is_asked_for_by_its_header_and_stands_in_the_call(api: FakeAPI, tmp_path: Path) -> None:
    api.headers = {"X-Request-Id": "abc", "X-RateLimit-Remaining": "17"}
    outputs = MemoryOutputs(tmp_path)
    outputs.fetch(declaration(api, stream("cursor"), api_version="v9", version_header="Api-Version"))
    assert api.requests[0].headers["api-version"] == "v9"
    call = outputs.streams["hr"].pages[0].facts["call"]
    assert call == {
        "api_version": "v9",
        "endpoint": f"{api.url}/cursor/hr",
        "request_id": "abc",
        "response_code": 200,
        "rate_limit": {"x-ratelimit-remaining": 17},
        "state": None,
    }


def test_a_stream_that_fails_does_not_keep_the_others(api: FakeAPI, tmp_path: Path) -> None:
    outputs = MemoryOutputs(tmp_path)
    with pytest.raises(SourceDenied):
        outputs.fetch(declaration(api, stream("cursor", "gone"), stream("cursor")))
    assert whole(outputs)


def test_when_nothing_helps_the_source_is_unavailable(api: FakeAPI, tmp_path: Path) -> None:
    api.fail(1, "500", times=9)
    with pytest.raises(SourceUnavailable, match="HTTP 500"):
        MemoryOutputs(tmp_path).fetch(declaration(api, stream("cursor"), retries=2))
    assert len(api.requests) == 3
