"""Toggl Track, against one of our own: windows of days, what changed since, quotas, entries that run and entries that are gone."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pyarrow.parquet as pq
import pytest

from config.errors import SourceUnavailable
from ingestion.rest import Answer, Limited
from ingestion.toggl.api import Toggl, _Entries
from scripts.source_contract import assert_source
from tests import live_bench
from tests.live_bench import Asked, Fake, Said, serving

KEY = "CANARY-toggl-token"
NOW = datetime.now(UTC).replace(microsecond=0)
SIGNED = "Basic " + base64.b64encode(f"{KEY}:api_token".encode()).decode()


def entry(number: int, days_ago: float, **more: Any) -> dict[str, Any]:
    start = NOW - timedelta(days=days_ago)
    return {
        "id": number,
        "workspace_id": 1,
        "project_id": None,
        "start": start.isoformat(),
        "stop": (start + timedelta(minutes=25)).isoformat(),
        "duration": 1500,
        "description": f"CANARY task {number}",
        "tags": [],
        "at": (start + timedelta(minutes=25)).isoformat(),
        "server_deleted_at": None,
        **more,
    }


class Track:
    """The account's entries; `statuses` are answered first, with their headers."""

    def __init__(self) -> None:
        self.entries = [entry(n, n * 2) for n in range(1, 44)]
        self.statuses: list[tuple[int, dict[str, str]]] = []

    def say(self, asked: Asked) -> Said:
        if self.statuses:
            status, headers = self.statuses.pop(0)
            return Said({}, status, headers)
        if asked.path != "/me/time_entries" or asked.headers.get("authorization") != SIGNED:
            return Said("Incorrect username and/or password", 403)
        if "since" in asked.query:
            since = datetime.fromtimestamp(int(asked.query["since"]), UTC)
            if since < NOW - timedelta(days=92):
                return Said("start date must not be earlier", 400)
            return Said([e for e in self.entries if datetime.fromisoformat(e["at"]) >= since])
        begin, end = (date.fromisoformat(asked.query[name]) for name in ("start_date", "end_date"))
        if begin < (NOW - timedelta(days=92)).date():
            return Said("start date must not be earlier", 400)
        return Said(
            [e for e in self.entries if not e["server_deleted_at"] and begin <= date.fromisoformat(e["start"][:10]) < end]
        )


@pytest.fixture
def track() -> Track:
    return Track()


@pytest.fixture
def fake(track: Track) -> Iterator[Fake]:
    with serving(track.say) as fake:
        yield fake


def run(data: Path, fake: Fake) -> CompletedProcess[str]:
    done = live_bench.run(data, "toggl", "--until-stage", "normalization", TOGGL_API_TOKEN=KEY, TOGGL_API=fake.url)
    assert "CANARY" not in done.stdout + done.stderr
    assert b"CANARY" not in (data / "registry.db").read_bytes()
    return done


def records(data: Path) -> dict[str, str]:
    """raw_id → status of its newest version."""
    rows = pq.read_table(data / "records/toggl.parquet", columns=["raw_id", "revision", "status"]).to_pylist()
    return {row["raw_id"]: row["status"] for row in sorted(rows, key=lambda row: row["revision"])}


def test_three_months_come_in_windows_and_later_what_has_changed(tmp_path: Path, fake: Fake, track: Track) -> None:
    done = run(tmp_path, fake)
    assert done.returncode == 0, done.stderr
    assert set(records(tmp_path)) == {f"time_entries:{n}" for n in range(1, 44)}
    windows = [(asked.query["start_date"], asked.query["end_date"]) for asked in fake.asked]
    assert len(windows) == 3
    assert all(end == begin for (_, end), (begin, _) in pairwise(windows))

    track.entries[0] |= {"duration": 1800, "at": NOW.isoformat()}
    track.entries[40] |= {"server_deleted_at": NOW.isoformat(), "at": NOW.isoformat()}
    track.entries.append(entry(44, 0, stop=None, duration=-1))
    fake.asked.clear()
    again = run(tmp_path, fake)
    assert again.returncode == 0, again.stderr
    (asked,) = fake.asked
    assert list(asked.query) == ["since"]
    found = records(tmp_path)
    assert found.pop("time_entries:44") == "invalid"  # it still runs
    assert set(found.values()) == {"valid"}
    rows = pq.read_table(tmp_path / "records/toggl.parquet", columns=["raw_id", "raw"]).to_pylist()
    assert sum('"server_deleted_at":"' in row["raw"] for row in rows) == 1
    assert sum(row["raw_id"] == "time_entries:1" for row in rows) == 2


def test_a_used_up_quota_ends_the_round_and_the_next_run_goes_on(tmp_path: Path, fake: Fake, track: Track) -> None:
    track.statuses = [(429, {"Retry-After": "0"})]
    first = track.say

    def cut(asked: Asked) -> Said:
        return Said({}, 402, {"X-Toggl-Quota-Resets-In": "1800"}) if len(fake.asked) == 3 else first(asked)

    fake.say = cut
    done = run(tmp_path, fake)
    assert done.returncode == 0, done.stderr
    assert "HTTP 402" in done.stdout + done.stderr
    with sqlite3.connect(tmp_path / "registry.db") as registry:
        assert registry.execute("SELECT sum(pages) FROM stream").fetchone() == (1,)
    fake.say = first
    assert run(tmp_path, fake).returncode == 0
    assert len(records(tmp_path)) == 43
    begins = [asked.query["start_date"] for asked in fake.asked]
    assert len(begins) == 5  # 429, the first window, 402; then the two that were left
    assert begins[2] == begins[3]


def test_a_token_that_toggl_does_not_know_is_told(tmp_path: Path, fake: Fake) -> None:
    done = live_bench.run(tmp_path, "source", "check", "toggl", TOGGL_API_TOKEN="CANARY-other", TOGGL_API=fake.url)
    assert "denied: time_entries" in done.stdout
    assert "CANARY" not in done.stdout + done.stderr


def test_a_quota_says_how_long_to_wait() -> None:
    for header, wait in (("90", 90.0), ("", 3600.0), ("-1", 3600.0), ("soon", 3600.0)):
        with pytest.raises(Limited) as limited:
            Toggl.judge(Answer(402, {"X-Toggl-Quota-Resets-In": header}, b"", "https://x"))
        assert limited.value.wait == wait
        assert isinstance(limited.value, SourceUnavailable)
    Toggl.judge(Answer(200, {}, b"[]", "https://x"))


def test_a_full_answer_is_asked_for_again_in_narrower_windows() -> None:
    steps, full = _Entries(), [{}] * 1000
    token = steps.first(None, datetime(2026, 6, 1, 12, tzinfo=UTC))
    assert token == {"from": "2026-03-05", "until": "2026-06-02", "days": 30}
    narrower = steps.after(token, Answer(200, {}, b"", ""), full)
    assert narrower == {**token, "days": 15}
    assert steps.ask(narrower).params == {"start_date": "2026-03-05", "end_date": "2026-03-20"}
    assert steps.after(narrower, Answer(200, {}, b"", ""), [])["from"] == "2026-03-20"
    since = steps.first(datetime(2026, 5, 31, tzinfo=UTC), datetime(2026, 6, 1, 12, tzinfo=UTC))
    assert steps.ask(since).params == {"since": 1780185600}
    assert steps.after(since, Answer(200, {}, b"", ""), [{}]) is None
    assert steps.after(since, Answer(200, {}, b"", ""), full) == token
    assert (
        steps.first(datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 6, 1, 12, tzinfo=UTC)) == token
    )  # longer ago than it tells


def test_an_entry_that_runs_has_no_length_yet() -> None:
    stream = Toggl.streams[0]
    assert Toggl.faults(stream, entry(1, 0, stop=None, duration=-1741000000)) == ("running",)
    assert Toggl.faults(stream, entry(1, 0)) == ()
    assert Toggl.faults(stream, entry(1, 0, duration=-1, server_deleted_at=NOW.isoformat())) == ()


def test_killed_after_every_page_it_loses_and_doubles_nothing(fake: Fake) -> None:
    kept = assert_source(Toggl, live_bench.Held(fake, {"time_entries": list(range(1, 44))}), {"TOGGL_API_TOKEN": KEY}, rate="")
    assert kept == (3, 3, 43, 0)
