"""The demo API, and API_HOST and API_KEY, which are its or our own API's but never both's."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from config.errors import SettingsError
from config.settings import Settings, for_nodes, load, secrets
from config.sources import is_live
from ingestion.demo_api.api import DemoApi
from scripts.source_contract import assert_source
from serving.api.configuration import configuration, digest
from tests import live_bench
from tests.live_bench import Asked, Fake, Said, serving

KEY = "CANARY-key-of-the-demo-api"
OURS = "CANARY-key-of-our-own-api"
USERS = [{"id": n, "name": f"Person {n}", "company": {"catchPhrase": "words"}} for n in (1, 2)]
POSTS = [{"userId": 1 + n % 2, "id": n, "title": f"post {n}", "body": "text"} for n in range(1, 7)]
TODOS = [{"userId": 1, "id": n, "title": f"task {n}", "completed": n % 2 == 0} for n in range(1, 104)]


def say(asked: Asked) -> Said:
    """json-server's way: `_page` and `_limit`; comments lie below their post."""
    if asked.headers.get("x-api-key", KEY) != KEY:
        return Said({}, 401)
    _, name, *below = asked.path.split("/")
    number = int(below[0]) if below else 0
    comments = [{"postId": number, "id": number * 10 + n, "name": "a comment", "body": "text"} for n in range(number % 3)]
    found: list[Any] = comments if below else {"users": USERS, "posts": POSTS, "todos": TODOS}[name]
    if below:
        return Said(found)
    page, size = int(asked.query["_page"]), int(asked.query["_limit"])
    return Said(found[(page - 1) * size : page * size])


@pytest.fixture
def fake() -> Iterator[Fake]:
    with serving(say) as fake:
        yield fake


def test_people_posts_comments_and_tasks_come_in_page_by_page(tmp_path: Path, fake: Fake) -> None:
    done = live_bench.run(tmp_path, "demo_api", "--until-stage", "normalization", API_HOST=fake.url, API_KEY=KEY)
    assert done.returncode == 0, done.stderr
    records = pq.read_table(tmp_path / "records/demo_api.parquet").to_pylist()
    streams = [row["raw_artifact"].split("/")[2] for row in records]
    assert {name: streams.count(name) for name in sorted(set(streams))} == {"comments": 6, "posts": 6, "todos": 103, "users": 2}
    assert len({row["raw_id"] for row in records}) == len(records) == 117
    assert {row["status"] for row in records} == {"valid"}
    assert {asked.headers["x-api-key"] for asked in fake.asked} == {KEY}
    call = json.loads(next((tmp_path / "raw/demo_api.calls/comments").iterdir()).read_bytes())
    assert call["endpoint"] == f"{fake.url}/posts/{{post_id}}/comments"

    def pages() -> tuple[int, int]:
        with sqlite3.connect(tmp_path / "registry.db") as registry:
            (found,) = registry.execute("SELECT sum(pages), sum(repeated) FROM stream").fetchall()
        return found

    before = pages()
    again = live_bench.run(tmp_path, "demo_api", "--until-stage", "normalization", API_HOST=fake.url, API_KEY=KEY)
    assert again.returncode == 0, again.stderr
    after = pages()
    assert (before[0], after[0]) == (1 + 1 + 4 + 2, before[0])  # two posts of three have comments
    assert after[1] > before[1]
    assert "CANARY" not in done.stdout + done.stderr + again.stdout + again.stderr
    assert b"CANARY" not in (tmp_path / "registry.db").read_bytes()


def test_without_a_key_none_is_sent(tmp_path: Path, fake: Fake) -> None:
    done = live_bench.run(tmp_path, "source", "check", "demo_api", API_HOST=fake.url)
    assert done.returncode == 0, done.stdout
    assert not any("x-api-key" in asked.headers for asked in fake.asked)


def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **env: str) -> Settings:
    for name in ("API_HOST", "API_KEY", "SERVE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return load([], tmp_path / "none.env")


def test_a_web_address_makes_both_the_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = settings(tmp_path, monkeypatch, API_HOST="https://demo.example.org/v1/", API_KEY=KEY)
    plain = for_nodes(said)
    assert is_live("demo_api", plain)
    assert plain["rest_demo_api"] == {"base_url": "https://demo.example.org/v1"}
    assert json.loads(secrets(said)["tokens_demo_api"]) == {"API_KEY": KEY}
    served = configuration(said)
    assert (served.host, served.keys, served.key_name) == ("127.0.0.1", (), "SERVE_API_KEY")
    assert "demo.example.org" not in served.hosts
    with pytest.raises(SettingsError, match="Without SERVE_API_KEY"):
        configuration(said, "0.0.0.0")
    both = configuration(settings(tmp_path, monkeypatch, API_HOST="https://demo.example.org", API_KEY=KEY, SERVE_API_KEY=OURS))
    assert both.keys == (digest(OURS),)


@pytest.mark.parametrize("host", ["0.0.0.0", "health.example.org", "", None])
def test_anything_else_makes_both_our_own_apis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str | None) -> None:
    env = {} if host is None else {"API_HOST": host}
    said = settings(tmp_path, monkeypatch, API_KEY=OURS, **env)
    assert not is_live("demo_api", for_nodes(said))
    assert for_nodes(said)["rest_demo_api"] == {}
    assert secrets(said)["tokens_demo_api"] == ""
    assert configuration(said).keys == (digest(OURS),)
    assert configuration(said).host == (host or "127.0.0.1")
    named = configuration(settings(tmp_path, monkeypatch, SERVE_API_KEY=KEY, API_KEY=OURS, **env))
    assert named.keys == (digest(KEY),)


@pytest.mark.parametrize("host", ["http://demo.example.org", "ftp://demo.example.org", "https://CANARY@demo.example.org"])
def test_an_address_on_which_a_key_could_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    with pytest.raises(SettingsError, match="api_host is wrong") as refused:
        settings(tmp_path, monkeypatch, API_HOST=host)
    assert "CANARY" not in str(refused.value)


def test_our_own_key_never_goes_to_the_demo_api(tmp_path: Path, fake: Fake) -> None:
    assert live_bench.run(tmp_path, "demo_api", "--until-stage", "ingestion", API_HOST=fake.url).returncode == 0
    fake.asked.clear()
    off = live_bench.run(
        tmp_path, "demo_api", "--until-stage", "normalization", API_HOST="127.0.0.1", API_KEY=OURS
    )  # its pages are still here
    assert off.returncode == 0, off.stderr
    assert fake.asked == []
    assert pq.read_table(tmp_path / "records/demo_api.parquet").num_rows == 117  # its pages are still there


def test_killed_after_every_page_it_loses_and_doubles_nothing(fake: Fake) -> None:
    comments = [number * 10 + n for number in range(1, 7) for n in range(number % 3)]
    held = {"users": [1, 2], "posts": list(range(1, 7)), "comments": comments, "todos": list(range(1, 104))}
    kept = assert_source(DemoApi, live_bench.Held(fake, held), {"API_KEY": KEY}, rate="")
    assert (kept.pages, kept.records) == (1 + 1 + 4 + 2, 2 + 6 + 6 + 103)
