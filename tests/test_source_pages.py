"""Pages are committed one by one: an attempt that dies keeps them, the next goes on, and nobody sees a round before it is whole."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from config.errors import PipelineError, StageError, UsageError
from pipeline import Node, Pipeline
from pipeline.execution.calls import load
from pipeline.execution.handles import StageOutputs
from pipeline.execution.pages import Desk
from pipeline.execution.worker import cache_name
from pipeline.registry import Registry
from pipeline.store import Store
from pipeline.upkeep.core import core
from pipeline.upkeep.snapshot import live
from scripts.erase import holdings
from scripts.erase.cutting import Cutting, prepare
from tests.afar_bench import Shelf, snapshot_of
from tests.engine_bench import Project
from tests.paging_bench import EXTRACT, NODES, REPO, Remote, did, held, in_view, machine, rows, stored, stream


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote(tmp_path)


@pytest.fixture
def api(tmp_path: Path, remote: Remote) -> Pipeline:
    return machine(tmp_path / "data", remote)


def test_what_a_dead_attempt_has_committed_is_not_fetched_again_and_not_seen_until_one_has_ended(
    api: Pipeline, remote: Remote
) -> None:
    remote.does(die=3)
    assert did(api.run()) == ["failed", "blocked"]
    assert in_view(api) == []
    assert api.verify() == []
    assert (stream(api).state, stream(api).held) == ({"next": 3}, 3)
    remote.does()
    assert did(api.run()) == ["ran", "ran"]
    assert held(api) == [0, 1, 2, 3, 4]
    assert remote.asked == [0, 1, 2, 3, 4]
    assert [name[:14] for name in in_view(api)] == [f"numbers/00000{n}" for n in range(5)]
    assert did(api.run()) == ["skipped", "skipped"]
    assert api.verify() == []


def test_a_process_killed_within_a_round_goes_on_where_it_was(api: Pipeline, remote: Remote) -> None:
    remote.does(die=2, hard=True)
    folder = os.path.dirname(remote.path)
    code = f"from tests.paging_bench import *; machine(Path({api.data_dir!r}), Remote(Path({folder!r}), die=2, hard=True)).run()"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, check=False)
    assert done.returncode == 9
    remote.does()
    assert did(api.run()) == ["ran", "ran"]
    assert (held(api), remote.asked) == ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4])
    assert rows(api, "SELECT state FROM attempt ORDER BY rowid") == [("aborted",), ("committed",), ("committed",)]
    assert api.verify() == []


def test_new_pages_join_those_there_are_and_nothing_new_changes_nothing_downstream(api: Pipeline, remote: Remote) -> None:
    api.run()
    before = in_view(api)
    remote.grow(2)
    assert did(api.run()) == ["ran", "ran"]
    assert held(api) == list(range(7))
    assert set(before) < set(in_view(api))
    remote.does(mute=True)  # a remote that cannot say whether it has changed is asked each time
    assert did(api.run()) == ["ran", "skipped"]
    assert remote.asked == list(range(7))


def test_a_source_asked_ever_again_does_not_fill_the_registry(api: Pipeline, remote: Remote) -> None:
    remote.does(mute=True)
    counts = []
    for _ in range(3):
        api.run()
        counts.append(
            rows(api, f"SELECT count(*) FROM attempt_output o JOIN attempt a ON a.id = o.attempt_id WHERE node = '{EXTRACT}'")[0]
        )
    assert counts == [(5,), (5,), (5,)]
    assert api.verify() == []


def test_a_round_cut_short_ends_well_and_is_taken_up_whatever_the_fingerprint_says(api: Pipeline, remote: Remote) -> None:
    remote.does(stop=2)
    assert did(api.run()) == ["ran", "ran"]
    assert held(api) == [0, 1]
    (told,) = [f for f in api.plan() if f.node == EXTRACT]
    assert (told.action, told.reasons[0].detail) == ("run", "its last round was not brought to its end, or begins anew")
    with pytest.raises(StageError, match="not brought to its end"):
        api.accept(EXTRACT, "enough")
    remote.does()
    assert did(api.run()) == ["ran", "ran"]
    assert (held(api), remote.asked) == ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4])
    assert did(api.run()) == ["skipped", "skipped"]


def test_pages_of_a_dead_attempt_are_taken_in_though_the_remote_is_as_it_was(api: Pipeline, remote: Remote) -> None:
    api.run()
    numbers = remote.numbers
    remote.grow(2)
    remote.does(die=1)
    assert did(api.run())[0] == "failed"
    remote.numbers = numbers[:5]
    remote.does()
    assert did(api.run()) == ["ran", "ran"]
    assert held(api) == list(range(6))


@pytest.mark.parametrize("damage", ["gone", "damaged"])
@pytest.mark.parametrize("where", ["in force", "waiting"])
def test_a_page_that_is_lost_begins_its_stream_anew_and_says_so(api: Pipeline, remote: Remote, damage: str, where: str) -> None:
    if where == "waiting":
        remote.does(die=3)
    api.run()
    remote.does()
    ((name,),) = rows(api, "SELECT substr(name, 9) FROM artifact WHERE name LIKE 'raw/api/numbers/000001-%'")
    if damage == "gone":
        stored(api, name).unlink()
    else:
        stored(api, name).write_bytes(b"[99]")
    run = api.run()
    assert did(run) == ["ran", "ran"]
    (finding,) = run.outcomes[0].report["findings"]
    assert (finding["code"], finding["count"], finding["where"]) == ("pages_lost", 1, "numbers")
    assert held(api) == [0, 1, 2, 3, 4]
    assert stream(api).repeated == (2 if where == "waiting" else 4)
    assert api.verify() == []


def test_after_clean_everything_is_fetched_again(api: Pipeline, remote: Remote) -> None:
    api.run()
    names = in_view(api)
    assert api.clean(lambda name: name.startswith("raw/"))
    assert in_view(api) == []
    assert did(api.run()) == ["ran", "skipped"]
    assert in_view(api) == names
    assert remote.asked == [*range(5), *range(5)]


def test_gc_spares_a_page_that_waits(api: Pipeline, remote: Remote) -> None:
    remote.does(die=2)
    api.run()
    assert api.gc(0).versions == 0
    remote.does()
    api.run()
    assert remote.asked == [0, 1, 2, 3, 4]


def test_an_erased_page_does_not_come_back_and_its_neighbours_stay(api: Pipeline, remote: Remote) -> None:
    remote.does(die=3)
    api.run()
    remote.does()
    api.run()
    gone = next(name for name in in_view(api) if name.startswith("numbers/000001"))
    erased = api.erase(lambda name: name == f"raw/api/{gone}")
    assert erased.rows["page"] == 1
    assert api.verify() == []
    remote.grow(1)
    assert did(api.run()) == ["ran", "ran"]
    assert held(api) == [0, 2, 3, 4, 5]
    assert remote.asked == [0, 1, 2, 3, 4, 5]
    api.erase(lambda name: name.startswith("raw/api/"), unread=[EXTRACT])
    assert rows(api, "SELECT count(*) FROM page UNION ALL SELECT count(*) FROM stream") == [(0,), (0,)]
    assert gone.encode() not in Path(api.data_dir, "registry.db").read_bytes()


def test_pages_that_stay_when_older_ones_are_erased_are_not_dropped_in_the_inbox(api: Pipeline, remote: Remote) -> None:
    class Opened:
        pipeline, data_dir = api, api.data_dir

    remote.does(die=4)
    api.run()  # nothing is in force yet, and still all is held
    first, *rest = holdings.pages(Opened(), "api")  # type: ignore[arg-type]
    assert len(rest) == 3
    day = date(2025, 3, 2)
    cut = Cutting("api", day, datetime(2025, 3, 2, tzinfo=UTC), [first], rest, 1, 0, [], live=False)
    assert prepare(Opened(), cut) == []  # type: ignore[arg-type]
    assert [p.name for p in Path(api.data_dir, "inbox/api").iterdir()] == ["2025-03-02.kept.parquet"]


def test_a_reset_fetches_anew_what_is_known_is_not_kept_twice(api: Pipeline, remote: Remote) -> None:
    api.run()
    api.set_state(EXTRACT, "numbers", None)
    assert did(api.run()) == ["ran", "skipped"]
    assert (stream(api).repeated, len(in_view(api))) == (5, 5)
    api.set_state(EXTRACT, "numbers", {"next": 3})
    api.run()
    assert remote.asked == [*range(5), *range(5), 3, 4]
    assert did(api.run()) == ["skipped", "skipped"]


def test_a_reset_of_pages_replaces_them_when_a_whole_new_round_is_in(api: Pipeline, remote: Remote) -> None:
    api.run()
    remote.numbers = [10, 11, 12]
    api.set_state(EXTRACT, "numbers", None, replace=True)
    remote.does(stop=1)
    api.run()
    assert held(api) == [0, 1, 2, 3, 4, 10]  # until then the old ones stand
    remote.does(die=1)
    api.run()
    assert held(api) == [0, 1, 2, 3, 4, 10]
    remote.does()
    assert did(api.run()) == ["ran", "ran"]
    assert held(api) == [10, 11, 12]
    assert len(in_view(api)) == 3
    assert api.gc(1, spared="records/").versions == 5  # the newest of their names, and yet nobody's
    assert did(api.run()) == ["skipped", "skipped"]
    assert api.verify() == []


def test_what_a_stage_writes_itself_lives_beside_the_pages(api: Pipeline, remote: Remote) -> None:
    inbox = Path(api.data_dir, "inbox/api/numbers")
    inbox.mkdir(parents=True)
    (inbox / "2020-01-01.kept.parquet").write_text("[-1]")
    (inbox / "dropped.json").write_text("[-2]")
    api.run()
    assert held(api) == [-2, -1, 0, 1, 2, 3, 4]
    shutil.rmtree(inbox)
    api.run()
    assert held(api) == [-2, -1, 0, 1, 2, 3, 4]  # below a stream's folder nothing goes by itself


@pytest.mark.parametrize("way", [{"jobs": 2}, {"strict": True}, {"jobs": 2, "strict": True}])
def test_pages_are_committed_however_the_run_is_made(api: Pipeline, remote: Remote, way: dict[str, Any]) -> None:
    remote.does(die=2)
    assert did(api.run(**way)) == ["failed", "blocked"]
    remote.does()
    assert did(api.run(**way)) == ["ran", "ran"]
    assert (held(api), remote.asked) == ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4])


def test_a_run_that_is_stopped_commits_nothing_more_and_keeps_what_it_has(api: Pipeline, remote: Remote) -> None:
    remote.does(stopped=2)
    with pytest.raises(KeyboardInterrupt):
        api.run(jobs=2)
    kept = stream(api).pages
    assert api.verify() == []
    remote.does()
    assert did(api.run()) == ["ran", "ran"]
    assert kept == 2
    assert stream(api).pages == 5
    assert held(api) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("part", ["whole", "core"])
def test_a_machine_that_takes_the_state_over_goes_on_where_the_other_was(
    api: Pipeline, remote: Remote, tmp_path: Path, part: str
) -> None:
    remote.does(die=3)
    api.run()
    shelf = Shelf(tmp_path / "shelf")
    file = snapshot_of(api, tmp_path / "whole.db")
    core(file, str(tmp_path / "core.db"))
    shelf.put(api, live(file))
    other = machine(tmp_path / "other", remote, shelf)
    other.adopt(str(tmp_path / f"{part}.db"))
    remote.does()
    assert did(other.run()) == ["ran", "ran"]
    assert (held(other), remote.asked) == ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4])
    assert other.verify() == []


@pytest.fixture
def desk(tmp_path: Path) -> Any:
    (tmp_path / "own").mkdir()
    registry = Registry.open(str(tmp_path / "own"))
    with registry.atomic() as db:
        db.execute("INSERT INTO run VALUES ('r', 1.0, NULL, '{}', 'h', 1, 'running', 0)")
        db.execute(
            f"INSERT INTO attempt VALUES ('a', 'r', '{EXTRACT}', 's', 'k', 'started', 'c', 's', 'e', 1.0, 1.0, 1, 1, '{{}}', '[]', NULL)"
        )
    yield Desk(registry, Store(str(tmp_path / "own")), NODES[0], "a", "")
    registry.close()


def test_a_page_says_what_it_is_and_is_known_by_its_digest(desk: Desk) -> None:
    pages = desk.stream("raw", "posts/of-1")
    assert (pages.state(), pages.new(), pages.known("d")) == (None, [], False)
    page = pages.commit(b"a,b", {"at": 1}, facts={"call": {"status": 200}}, records=3, digest="d", suffix=".csv")
    assert page.member == "posts/of-1/000000-1eb7c54d5283.csv"
    assert page.facts == {"call": {"status": 200}}
    assert Path(page.path).read_bytes() == b"a,b"
    assert stat.S_IMODE(os.stat(page.path).st_mode) == 0o600
    pages.advance({"at": 2}, repeated=4)
    assert (pages.state(), pages.new(), pages.known("d")) == ({"at": 2}, [page], True)
    assert desk.registry.db.execute("SELECT pages, records, repeated FROM stream").fetchall() == [(1, 3, 4)]
    assert pages.commit(b"a,b", {"at": 3}, facts={}, records=0).member == "posts/of-1/000001-1eb7c54d5283.json"


@pytest.mark.parametrize(
    ("role", "name", "body", "given"),
    [
        ("calls", "posts", b"", {}),
        ("raw", "../posts", b"", {}),
        ("raw", "a..b", b"", {}),
        ("raw", "", b"", {}),
        ("raw", "posts", b"", {"suffix": "/../x"}),
        ("raw", "posts", b"", {"facts": {"x": object()}}),
        ("raw", "posts", b"", {"state": {"x": float("nan")}}),
        ("raw", "posts", b"", {"state": {"x": "y" * (1 << 18)}}),
    ],
)
def test_what_is_no_page_is_refused(desk: Desk, role: str, name: str, body: bytes, given: dict[str, Any]) -> None:
    with pytest.raises(StageError):
        desk.stream(role, name).commit(
            body, given.get("state", {}), facts=given.get("facts", {}), records=0, suffix=given.get("suffix", ".json")
        )
    assert desk.registry.db.execute("SELECT count(*) FROM page").fetchone() == (0,)


def test_after_a_page_that_was_refused_none_is_taken_and_the_attempt_fails(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = desk.stream("raw", "posts")
    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
        with pytest.raises(OSError, match="full"):
            pages.commit(b"1", {"at": 1}, facts={}, records=1)
    with pytest.raises(OSError, match="full"):  # else the state would pass over the page that is missing
        pages.commit(b"2", {"at": 2}, facts={}, records=1)
    outputs = StageOutputs(NODES[0].outputs, desk.store, {}, "r", "a", desk=desk)
    with pytest.raises(OSError, match="full"):
        outputs.finish()
    assert pages.state() is None
    desk.broken = None
    desk.close()
    with pytest.raises(StageError, match="run is over"):
        pages.advance({"at": 3})


def test_a_node_without_pages_cannot_read_any_and_each_has_a_cache_of_its_own(tmp_path: Path) -> None:
    outputs = StageOutputs({}, Store(str(tmp_path)), {}, "r", "a", cache=cache_name(NODES[0]))
    with pytest.raises(StageError, match=r"Node\.pages"):
        outputs.pages("raw", "posts")
    assert outputs.cache() == str(tmp_path / "cache/api")
    assert stat.S_IMODE(os.stat(outputs.cache()).st_mode) == 0o700
    assert cache_name(NODES[1]) == NODES[1].name


@pytest.mark.parametrize(
    "change",
    [{"pages": "calls"}, {"outputs": {"raw": "raw/one"}}, {"each": "inbox", "remote": None}],
    ids=["role", "file", "mapped"],
)
def test_pages_that_cannot_be_are_refused_before_anything_runs(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(PipelineError):
        Pipeline([Node(**{**NODES[0]._asdict(), **change})], str(tmp_path)).run()


def test_a_method_is_found_by_its_dotted_name_and_its_whole_class_is_its_code(tmp_path: Path) -> None:
    assert load("tests.stages.paging:Paging.extract").__qualname__ == "Source.extract"
    with pytest.raises(StageError):
        load("tests.stages.paging:Paging.nothing")
    project = Project(tmp_path, [{"name": "n", "stage": "s", "run": "mine:Mine.extract"}])
    mine = "from theirs import Base\nclass Mine(Base):\n    @classmethod\n    def extract(cls, i, o, s):\n        return {}\n"
    theirs = "class Root:\n    def deep(self): return 1\nclass Base(Root):\n    pages = 2\n"
    project.write({"mine.py": mine, "theirs.py": theirs})
    assert project.run() == {"n": "ran"}
    assert project.run() == {"n": "skipped"}
    project.write({"theirs.py": theirs.replace("return 1", "return 2")})
    assert project.call(plan=True) == [["n", "run", [["code", "theirs:Root", "changed (theirs.py:1)"]]]]


def test_a_stream_nobody_knows_is_told(api: Pipeline) -> None:
    from argparse import Namespace

    from scripts.source_state import answer

    class Opened:
        pipeline = api

    def ask(**asked: Any) -> Any:
        return answer(Opened(), Namespace(**{"source": "garmin", "stream": None, "value": None, "pages": False, **asked}))  # type: ignore[arg-type]

    with pytest.raises(UsageError, match="no source"):
        ask(what="show", source="nobody")
    with pytest.raises(UsageError, match="no such stream"):
        ask(what="reset")
    with pytest.raises(UsageError, match="JSON object"):
        ask(what="set", stream="posts", value="[1]")
    with pytest.raises(UsageError, match="needs its stream"):
        ask(what="set", stream="posts")
    assert ask(what="show").data == {"source": "garmin", "streams": []}
    ask(what="set", stream="posts", value='{"cursor": "x"}')
    assert ask(what="show").data["streams"][0]["state"] == {"cursor": "x"}
    ask(what="set", stream="_auth", value='{"token": "sealed"}')
    assert 'sealed"' not in str(ask(what="show"))
    assert ask(what="reset").data["reset"] == ["posts"]
    assert "begins anew" in ask(what="show", stream="posts").text
