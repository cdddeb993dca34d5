"""A Withings account, against a Withings of our own: errors inside HTTP 200, refresh tokens that change, offsets, what changed since."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pyarrow.parquet as pq
import pytest

from config.errors import SourceDenied
from ingestion.rest import Answer, Busy, Limited, Unauthorized
from ingestion.withings.extract import STREAMS
from ingestion.withings.live import WithingsApi
from scripts.source_contract import assert_source
from tests import live_bench
from tests.live_bench import Asked, Fake, Said, serving

ENV = {
    f"WITHINGS_{name}": f"CANARY-{value}"
    for name, value in (("CLIENT_ID", "client"), ("CLIENT_SECRET", "secret"), ("REFRESH_TOKEN", "refresh-0"))
}
START = 1_740_819_600
PATHS = {"/measure": "measuregrps", "/v2/measure": "activities", "/v2/sleep": "series"}


def weighed(number: int, grams: int = 75_500, modified: int = 0) -> dict[str, Any]:
    date = START + number * 86_400
    return {
        "grpid": number,
        "attrib": 0,
        "date": date,
        "created": date,
        "modified": modified or date,
        "category": 1,
        "deviceid": "d",
        "measures": [{"value": grams, "type": 1, "unit": -3}],
    }


class Withings:
    """The account; three measurements to an answer. `statuses` are said first, inside HTTP 200."""

    def __init__(self) -> None:
        self.measures = [weighed(number) for number in range(1, 8)]
        self.statuses: list[int] = []
        self.renewals = 0

    def say(self, asked: Asked) -> Said:
        if asked.path == "/v2/oauth2":
            return self._token(asked.form)
        if asked.headers.get("authorization") != f"Bearer CANARY-access-{self.renewals}":
            return Said({"status": 401, "body": {}, "error": "CANARY"})
        if self.statuses and (status := self.statuses.pop(0)):
            return Said({"status": status, "error": "CANARY"})
        since = int(asked.form["lastupdate"])
        found = [group for group in self.measures if group["modified"] >= since] if asked.path == "/measure" else []
        begin = int(asked.form.get("offset", 0))
        more = begin + 3 < len(found)
        body = {"updatetime": self.renewals + START, "timezone": "Europe/Warsaw", PATHS[asked.path]: found[begin : begin + 3]}
        return Said({"status": 0, "body": body | ({"more": 1, "offset": begin + 3} if more else {"more": 0, "offset": 0})})

    def _token(self, form: dict[str, str]) -> Said:
        wanted = {
            "action": "requesttoken",
            "grant_type": "refresh_token",
            "refresh_token": f"CANARY-refresh-{self.renewals}",
            "client_id": ENV["WITHINGS_CLIENT_ID"],
            "client_secret": ENV["WITHINGS_CLIENT_SECRET"],
        }
        if form != wanted:
            return Said({"status": 503, "error": "CANARY"})
        self.renewals += 1
        tokens = {"access_token": f"CANARY-access-{self.renewals}", "refresh_token": f"CANARY-refresh-{self.renewals}"}
        return Said({"status": 0, "body": {"userid": "1", "expires_in": 10800, "token_type": "Bearer", **tokens}})


@pytest.fixture
def withings() -> Withings:
    return Withings()


@pytest.fixture
def fake(withings: Withings) -> Iterator[Fake]:
    with serving(withings.say) as fake:
        yield fake


def run(data: Path, fake: Fake, **env: str) -> CompletedProcess[str]:
    done = live_bench.run(data, "withings", "--until-stage", "normalization", **(ENV | {"WITHINGS_API": fake.url} | env))
    assert "CANARY" not in done.stdout + done.stderr
    assert b"CANARY" not in (data / "registry.db").read_bytes()
    return done


def weights(data: Path) -> list[float]:
    rows = pq.read_table(data / "processed/normalized/withings.parquet").to_pylist()
    return [round(row["value"], 1) for row in sorted(rows, key=lambda row: row["start"]) if row["metric"] == "weight"]


def pages(data: Path) -> int:
    with sqlite3.connect(data / "registry.db") as registry:
        return int(registry.execute("SELECT count(*) FROM page").fetchone()[0])


def test_measurements_come_in_by_offsets_then_only_what_has_changed(tmp_path: Path, fake: Fake, withings: Withings) -> None:
    first = run(tmp_path, fake)
    assert first.returncode == 0, first.stderr
    assert weights(tmp_path) == [75.5] * 7
    assert pages(tmp_path) == 3
    asked = [asked for asked in fake.asked if asked.path == "/measure"]
    assert [asked.form.get("offset") for asked in asked] == [None, "3", "6"]
    assert {(asked.method, asked.form["action"]) for asked in asked} == {("POST", "getmeas")}
    call = json.loads(next((tmp_path / "raw/withings.calls/measures").iterdir()).read_bytes())
    assert (call["endpoint"], call["api_version"]) == (f"{fake.url}/measure", "v2")

    withings.measures[0] = weighed(1, 70_000, START + 30 * 86_400)
    fake.asked.clear()
    again = run(tmp_path, fake)  # signs in with the token that came with the first sign-in
    assert again.returncode == 0, again.stderr
    assert (withings.renewals, weights(tmp_path)) == (2, [70.0] + [75.5] * 6)
    assert [asked.form.get("offset") for asked in fake.asked if asked.path == "/measure"] == [None]


def test_errors_inside_an_answer_are_heeded(tmp_path: Path, fake: Fake, withings: Withings) -> None:
    withings.statuses = [401, 0, 601]  # the hour is over; then a page; then a pause
    done = run(tmp_path, fake)
    assert done.returncode == 0, done.stderr
    assert withings.renewals == 2
    assert "no more requests for now (status 601)" in done.stdout + done.stderr
    assert weights(tmp_path) == [75.5] * 3
    fake.asked.clear()
    assert run(tmp_path, fake).returncode == 0
    assert weights(tmp_path) == [75.5] * 7
    assert [asked.form.get("offset") for asked in fake.asked if asked.path == "/measure"] == ["3", "6"]
    withings.statuses = [293]
    refused = run(tmp_path, fake)
    assert refused.returncode == 1
    assert "Withings refuses the request (status 293)" in refused.stdout + refused.stderr
    assert weights(tmp_path) == [75.5] * 7


def test_what_lies_in_the_inbox_stays_beside_the_account(tmp_path: Path, fake: Fake) -> None:
    (tmp_path / "inbox/withings").mkdir(parents=True)
    dropped = 'Date,"Weight (kg)","Fat mass (kg)","Bone mass (kg)","Muscle mass (kg)","Hydration (kg)",Comments\n'
    (tmp_path / "inbox/withings/weight.csv").write_text(dropped + '"2025-01-01 08:00:00",80.0,,,,,\n')
    assert run(tmp_path, fake).returncode == 0
    assert weights(tmp_path) == [80.0] + [75.5] * 7
    calls = sorted(path.name for path in (tmp_path / "raw/withings.calls").rglob("*.json"))
    assert run(tmp_path, fake, WITHINGS_CLIENT_SECRET="").returncode == 0  # the account is off; what it brought stays
    assert weights(tmp_path) == [80.0] + [75.5] * 7
    assert sorted(path.name for path in (tmp_path / "raw/withings.calls").rglob("*.json")) == calls != []
    assert tuple(stream.name for stream in WithingsApi.streams) == STREAMS


@pytest.mark.parametrize(
    ("status", "error"),
    [(100, Unauthorized), (401, Unauthorized), (601, Limited), (522, Busy), (293, SourceDenied), ("x", SourceDenied)],
)
def test_the_status_of_an_answer_says_what_is_wrong(status: Any, error: type[Exception]) -> None:
    with pytest.raises(error) as raised:
        WithingsApi.judge(Answer(200, {}, json.dumps({"status": status, "error": "CANARY"}).encode(), ""))
    assert type(raised.value) is error
    assert "CANARY" not in str(raised.value)
    for body in (b'{"status": 0, "body": {}}', b"[]", b"<html>"):
        WithingsApi.judge(Answer(200, {}, body, ""))


def test_a_refresh_token_that_is_used_up_is_told_with_its_mend(tmp_path: Path, fake: Fake) -> None:
    done = run(tmp_path, fake, WITHINGS_REFRESH_TOKEN="CANARY-used-up")
    assert done.returncode == 1
    assert "refresh token" in done.stdout + done.stderr


def test_killed_after_every_page_it_loses_and_doubles_nothing(fake: Fake, withings: Withings) -> None:
    api = live_bench.Held(fake, {"measures": list(range(7))}, ("/v2/oauth2", "/v2/measure", "/v2/sleep"))
    kept = assert_source(WithingsApi, api, ENV, rate="")
    assert (kept.pages, kept.records) == (3, 7)
    assert withings.renewals == kept.kills + 2  # a token for every run, each the one the run before it was given
