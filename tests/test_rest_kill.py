"""A REST source that dies after any page goes on after it: nothing lost, nothing doubled, nothing fetched twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rest_bench import REPO, STYLES, Bench, Killed, declaration, dying_after, stream
from tests.rest_fake import FakeAPI, fake_api, rows


@pytest.fixture(scope="module")
def server() -> Iterator[FakeAPI]:
    with fake_api() as api:
        yield api


@pytest.fixture
def api(looked_at: Path, server: FakeAPI) -> FakeAPI:
    server.forget()
    server.__dict__.update(size=4, once=False, headers={}, _expired=0, lists={"hr": days(18)})
    server._spent.clear()
    return server


@pytest.fixture(scope="module")
def looked_at(server: FakeAPI, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory whose engine has read the code once: a run that dies remembers nothing of that."""
    folder = tmp_path_factory.mktemp("looked_at") / "data"
    server.lists = {"hr": []}
    assert Bench(folder, declaration(server, stream("single"))).run()["extract"].error is None
    return folder


@pytest.fixture
def data(looked_at: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(looked_at, tmp_path / "data"))


def days(count: int) -> list[dict[str, object]]:
    """Two rows a day, for windows of days as for pages."""
    return [{**row, "updated_at": f"2025-01-{1 + row['id'] // 2:02}T12:00:0{row['id'] % 2}Z"} for row in rows(count)]


def killed_after_every_page(bench: Bench) -> int:
    """Each attempt dies after one page; gives how many died until one got through."""
    for kills in range(60):
        with dying_after(1):
            try:
                outcomes = bench.run()
            except Killed:
                continue
            assert all(outcome.error is None for outcome in outcomes.values()), outcomes
            return kills
    raise AssertionError("it never ends")


@pytest.mark.parametrize("style", [style for style in STYLES if style != "single"])
def test_killed_after_every_page_it_loses_doubles_and_repeats_nothing(style: str, api: FakeAPI, data: Path) -> None:
    if style == "windows":  # its last window would be of today
        api.lists["hr"] = [{**row, "updated_at": _recent(int(str(row["id"])))} for row in api.lists["hr"]]
    more = {"cursor": {"field": "updated_at", "initial": _recent(0)[:10]}} if style == "windows" else {}
    bench = Bench(data, declaration(api, {**stream(style), **more}))
    kills = killed_after_every_page(bench)
    assert kills >= 5
    assert sorted(bench.ids()) == sorted(f"hr:{n}" for n in range(18))
    assert api.twice() == {}


def _recent(number: int) -> str:
    from datetime import UTC, datetime, timedelta

    return f"{(datetime.now(UTC) - timedelta(days=10 - number // 2)):%Y-%m-%d}T00:00:0{number % 2}Z"


def test_where_tokens_work_only_once_pages_come_again_but_records_do_not(api: FakeAPI, data: Path) -> None:
    api.once = True
    bench = Bench(data, declaration(api, stream("cursor", reusable=False)))
    for pages in range(1, 6):
        with dying_after(pages), pytest.raises(Killed):
            bench.run()
    outcomes = bench.run()
    assert outcomes["extract"].error is None
    assert sorted(bench.ids()) == sorted(f"hr:{n}" for n in range(18))
    assert api.twice()  # the first page, at least


def test_children_go_on_at_the_parent_they_stood_at(api: FakeAPI, data: Path) -> None:
    api.lists = {"posts": [{"id": n} for n in range(6)], "comments": [{"id": n, "parent": n % 6} for n in range(30)]}
    said = declaration(
        api,
        stream("cursor", "posts"),
        {**stream("cursor", "comments"), "path": "cursor/posts/{id}/comments", "parent": {"stream": "posts"}},
    )
    bench = Bench(data, said)
    assert killed_after_every_page(bench) >= 14
    assert sorted(i for i in bench.ids() if i.startswith("comments")) == sorted(f"comments:{n}" for n in range(30))
    assert api.twice() == {}


_DRIVER = """
import json, os, signal, sys
from pathlib import Path
from tests.rest_bench import Bench
from pipeline.execution.pages import StreamPages
folder, said, pages = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
commit = StreamPages.commit
def counted(self, *args, **named):
    global pages
    done = commit(self, *args, **named)
    pages -= 1
    if not pages:
        os.kill(os.getpid(), signal.SIGKILL)
    return done
StreamPages.commit = counted
Bench(Path(folder), said).run()
"""


def test_killed_by_the_system_it_goes_on_as_well(api: FakeAPI, data: Path) -> None:
    said = declaration(api, stream("cursor"))
    for pages in (2, 1):
        arguments = [sys.executable, "-c", _DRIVER, str(data), json.dumps(said), str(pages)]
        done = subprocess.run(arguments, cwd=REPO, capture_output=True, env={**os.environ, "PYTHONPATH": str(REPO)}, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
    bench = Bench(data, said)
    assert bench.run()["extract"].error is None
    assert sorted(bench.ids()) == sorted(f"hr:{n}" for n in range(18))
    assert api.twice() == {}
    assert len(api.asked) == 5
