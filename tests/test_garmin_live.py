"""A Garmin account by python-garminconnect, against a Garmin Connect of our own: pages by day and kind, pauses, renewed tokens."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess

import pyarrow.parquet as pq
import pytest

from tests import live_bench
from tests.live_bench import Asked, Fake, Said, serving

TODAY = datetime.now(UTC).date()
NAME = "CANARY-display-name"
GIVEN = {"di_token": "CANARY-access-1", "di_refresh_token": "CANARY-refresh-1", "di_client_id": "app"}
NOTHING = Said(b"", 204)


class Garmin:
    """What the account holds, and in which mood the server is."""

    def __init__(self) -> None:
        self.token, self.renewals = "CANARY-access-1", 0
        self.steps = 5000
        self.statuses: dict[int, int] = {}
        """Number of a call for data → the status it gets."""
        self.calls = 0

    def say(self, asked: Asked) -> Said:
        if asked.path.endswith("/oauth/token"):
            self.renewals += 1
            good = asked.form["refresh_token"] == f"CANARY-refresh-{self.renewals}"
            self.token = f"CANARY-access-{self.renewals + 1}"
            renewed = {"access_token": self.token, "refresh_token": f"CANARY-refresh-{self.renewals + 1}"}
            return Said(renewed) if good else Said({}, 400)
        if asked.headers["authorization"] != f"Bearer {self.token}":
            return Said({"message": "CANARY"}, 401)
        if asked.path == "/userprofile-service/socialProfile":
            return Said({"displayName": NAME})
        self.calls += 1
        if status := self.statuses.get(self.calls):
            return Said({"message": "CANARY"}, status)
        if asked.path == f"/usersummary-service/usersummary/daily/{NAME}":
            day = asked.query["calendarDate"]
            return Said({"calendarDate": day, "totalKilocalories": 2000.0, "totalSteps": self.steps, "restingHeartRate": 55})
        if asked.path == f"/wellness-service/wellness/dailyHeartRate/{NAME}":
            noon = int(datetime.fromisoformat(asked.query["date"]).replace(tzinfo=UTC, hour=12).timestamp() * 1000)
            return Said({"calendarDate": asked.query["date"], "heartRateValues": [[noon, 61], [noon + 120_000, None]]})
        return NOTHING


@pytest.fixture
def garmin() -> Garmin:
    return Garmin()


@pytest.fixture
def fake(garmin: Garmin) -> Iterator[Fake]:
    with serving(garmin.say) as fake:
        yield fake


def run(data: Path, fake: Fake, days: int = 2, **env: str) -> CompletedProcess[str]:
    since = (TODAY - timedelta(days=days - 1)).isoformat()
    told = {"GARMIN_TOKENS": json.dumps(GIVEN), "GARMIN_SINCE": since, "GARMIN_API": fake.url, "TIMEZONE": "UTC"} | env
    return live_bench.run(data, "garmin", "--until-stage", "normalization", **told)


def steps(data: Path) -> dict[date, float]:
    rows = pq.read_table(data / "processed/normalized/garmin.parquet").to_pylist()
    return {row["local_date"]: row["value"] for row in rows if row["metric"] == "steps"}


def pages(data: Path) -> dict[str, int]:
    with sqlite3.connect(data / "registry.db") as registry:
        return dict(registry.execute("SELECT stream, count(*) FROM page GROUP BY stream"))


def data_calls(fake: Fake) -> int:
    return sum(not path.endswith(("/socialProfile", "/token")) for path in fake.paths())


def nothing_told(data: Path, *runs: CompletedProcess[str]) -> None:
    """No token and no name in what was printed or is kept, but in what Garmin itself answered."""
    for done in runs:
        assert "CANARY" not in done.stdout + done.stderr
    assert b"CANARY" not in (data / "registry.db").read_bytes()
    assert not any(b"CANARY" in path.read_bytes() for path in data.rglob("*.json") if path.is_file())


def test_each_day_of_each_kind_is_a_page_and_becomes_readings(tmp_path: Path, fake: Fake, garmin: Garmin) -> None:
    done = run(tmp_path, fake)
    assert done.returncode == 0, done.stderr
    assert steps(tmp_path) == {TODAY - timedelta(days=1): 5000, TODAY: 5000}
    assert pages(tmp_path) == {"daily": 2, "heart_rate": 2}
    call = json.loads(next((tmp_path / "raw/garmin.calls/heart_rate").iterdir()).read_bytes())
    assert call["endpoint"] == f"{fake.url}/wellness-service/wellness/dailyHeartRate/{{displayName}}"
    assert (call["api_version"], call["response_code"]) == ("connectapi", 200)
    assert json.loads(next((tmp_path / "raw/garmin/heart_rate").iterdir()).read_bytes())["heartRateValues"][0][1] == 61

    garmin.steps = 6000  # the watch was synchronised late
    again = run(tmp_path, fake)
    assert steps(tmp_path) == {TODAY - timedelta(days=1): 6000, TODAY: 6000}
    assert pages(tmp_path) == {"daily": 4, "heart_rate": 2}
    nothing_told(tmp_path, done, again)


def test_where_garmin_wants_a_pause_the_round_ends_and_the_next_goes_on(tmp_path: Path, fake: Fake, garmin: Garmin) -> None:
    garmin.statuses = {31: 429}
    cut = run(tmp_path, fake, days=10)
    assert cut.returncode == 0, cut.stderr
    assert "pause" in cut.stdout + cut.stderr
    assert data_calls(fake) == 31
    assert pages(tmp_path)["daily"] == 4 - 1
    whole = run(tmp_path, fake, days=10)
    assert pages(tmp_path) == {"daily": 10, "heart_rate": 10}
    assert len(steps(tmp_path)) == 10
    assert data_calls(fake) == 31 + 70 + 30  # the last three days are asked for again
    nothing_told(tmp_path, cut, whole)


def test_what_was_committed_before_garmin_broke_down_is_not_fetched_again(tmp_path: Path, fake: Fake, garmin: Garmin) -> None:
    garmin.statuses = dict.fromkeys(range(42, 45), 500)
    broken = run(tmp_path, fake, days=10)
    assert broken.returncode == 1
    assert "Garmin answers HTTP 500" in broken.stdout + broken.stderr
    assert pages(tmp_path)["daily"] == 5
    assert run(tmp_path, fake, days=10).returncode == 0
    assert pages(tmp_path) == {"daily": 10, "heart_rate": 10}
    nothing_told(tmp_path, broken)


def test_tokens_the_server_renews_are_kept_sealed(tmp_path: Path, fake: Fake, garmin: Garmin) -> None:
    garmin.token = "CANARY-access-9"  # those given have expired
    first = run(tmp_path, fake)
    assert first.returncode == 0, first.stderr
    assert garmin.renewals == 1
    garmin.token = "CANARY-access-9"
    second = run(tmp_path, fake)
    assert second.returncode == 0, second.stderr  # with the refresh token that came with the first renewal
    assert garmin.renewals == 2
    nothing_told(tmp_path, first, second)


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (
            json.dumps(GIVEN | {"di_token": "CANARY-other", "di_refresh_token": "CANARY-other"}),
            "Garmin refuses the tokens (HTTP 401)",
        ),
        ("{}", "holds no tokens"),
        ("CANARY password", "is not what python-garminconnect saved"),
    ],
)
def test_tokens_that_do_not_let_one_in_are_told(tmp_path: Path, fake: Fake, tokens: str, said: str) -> None:
    done = run(tmp_path, fake, GARMIN_TOKENS=tokens)
    assert done.returncode in (1, 2)
    assert said in done.stdout + done.stderr
    assert "CANARY" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_an_answer_without_end_is_not_held(tmp_path: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingestion.garmin.connect._LARGEST", 60)
    done = run(tmp_path, fake)
    assert done.returncode == 1
    assert "Garmin answers with more than" in done.stdout + done.stderr
    assert pages(tmp_path) == {}
