"""Whatever happens in whatever order: no page is lost or doubled, no round is skipped that had more to bring, killed at any step or not."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pipeline import Pipeline, Selection, registry
from pipeline.pages import HELD, REPLACED, RETIRING
from pipeline.upkeep.merge_pages import merged_pages, merged_streams
from pipeline.upkeep.sides import Page, Row, Stream
from pipeline.upkeep.snapshot import live
from tests.afar_bench import Shelf, met, snapshot_of
from tests.paging_bench import EXTRACT, RECORDS, Remote, held, machine, rows, stored

MACHINES = st.sampled_from([0, 1])
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
_LYING = "SELECT substr(f.name, 9) FROM page p JOIN artifact f ON f.id = p.artifact_id WHERE removed_at IS NULL ORDER BY 1"


class Polling(RuleBasedStateMachine):
    """Two machines read one remote that only grows, and meet now and then."""

    @initialize(size=st.integers(1, 3))
    def start(self, size: int) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY))
        self.remote = Remote(self.folder, range(4), size)
        self.shelf = Shelf(self.folder / "shelf")
        self.machines = [machine(self.folder / f"m{n}", self.remote, self.shelf) for n in range(2)]
        self.base: str | None = None
        self.untouched = True
        """Whether nothing but runs has happened: then no page is ever fetched twice."""

    def teardown(self) -> None:
        """Two runs later all is there, once."""
        try:
            for api in getattr(self, "machines", []):
                api.run()
                assert {o.action for o in api.run().outcomes} == {"skipped"}
                assert held(api) == self.remote.numbers
                assert api.verify() == []
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    @rule(count=st.integers(1, 3))
    def grow(self, count: int) -> None:
        self.remote.grow(count)

    @rule(which=MACHINES, does=st.sampled_from(["", "die", "stop"]), after=st.integers(0, 2), thread=st.booleans())
    def run(self, which: int, does: str, after: int, thread: bool) -> None:
        self.remote.does(**({does: after} if does else {}))
        api = self.machines[which]
        run = api.run(Selection(hold_nodes=(RECORDS,)), jobs=2) if thread else api.run()
        self.remote.does()
        extract = run.outcomes[0]
        if (
            not thread
            and extract.action != "failed"
            and not any(f["code"] == "incomplete" for f in extract.report.get("findings", []))
        ):
            assert held(api) == self.remote.numbers

    @rule(which=MACHINES, replace=st.booleans())
    def reset(self, which: int, replace: bool) -> None:
        if self.machines[which].streams(EXTRACT):
            self.untouched = False
            self.machines[which].set_state(EXTRACT, "numbers", None, replace)

    @rule(which=MACHINES, number=st.integers(0, 5), cut=st.booleans())
    def lose(self, which: int, number: int, cut: bool) -> None:
        api = self.machines[which]
        names = rows(api, _LYING) if api.streams(EXTRACT) else []
        path = stored(api, names[number % len(names)][0]) if names else None
        if path is not None and path.exists():
            self.untouched = False
            path.write_bytes(b"[") if cut else path.unlink()

    @rule(which=MACHINES)
    def clean(self, which: int) -> None:
        if self.machines[which].streams(EXTRACT):
            self.untouched = False
            self.machines[which].clean(lambda name: name.startswith("raw/"))

    @rule(which=MACHINES)
    def gc(self, which: int) -> None:
        self.machines[which].gc(0)

    @rule(to=MACHINES)
    def meet(self, to: int) -> None:
        ours, theirs = self.machines[to], self.machines[1 - to]
        if not (ours.streams(EXTRACT) and theirs.streams(EXTRACT)):
            return
        self.untouched = False
        file = snapshot_of(theirs, self.folder / "theirs.db")
        self.shelf.put(theirs, live(file))
        met(ours, file, self.base, self.shelf)
        both = snapshot_of(ours, self.folder / "both.db")
        self.shelf.put(ours, live(both))
        theirs.adopt(both, ours=snapshot_of(theirs, self.folder / "mine.db"))
        self.base = str(shutil.copy(both, self.folder / "base.db"))

    @invariant()
    def nothing_is_fetched_twice_and_the_counts_fit(self) -> None:
        for api in getattr(self, "machines", []) if getattr(self, "untouched", False) else []:
            for one in api.streams(EXTRACT):
                pages = rows(api, "SELECT facts, records FROM page")
                assert len({facts for facts, _ in pages}) == len(pages) == one.held == one.pages
                assert sum(records for _, records in pages) == one.records
                assert one.state == {"next": one.records}


Polling.TestCase.settings = settings(max_examples=25, stateful_step_count=14, deadline=None)
TestAnySequenceOfRunsLossesAndMeetings = Polling.TestCase


# -- killed at any step -----------------------------------------------------------------------------------------------

_CALLS = ("open", "mkdir", "fsync", "replace", "unlink", "symlink")


def _killed_at(step: int, api: Pipeline, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run in a child that is killed before its `step`-th call while the paged node runs and is committed; gives how it ended."""
    if child := os.fork():
        return os.waitpid(child, 0)[1]
    seen, now = [0], [""]

    def count() -> None:
        seen[0] += now[0] == EXTRACT
        if seen[0] == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*given: Any, **named: Any) -> Any:
            count()
            return call(*given, **named)

        return called

    def connect(uri: str) -> sqlite3.Connection:
        db = real(uri)
        db.set_trace_callback(lambda statement: count() if statement.startswith(("BEGIN", "COMMIT")) else None)
        return db

    def begin(event: str, facts: Mapping[str, Any]) -> None:
        now[0] = str(facts["node"]) if event == "node_started" else ""

    real = registry._connect
    try:
        monkeypatch.setattr(registry, "_connect", connect)
        for name in _CALLS:
            monkeypatch.setattr(os, name, counted(getattr(os, name)))
        api.run(listener=begin)
        os._exit(0)
    finally:
        os._exit(1)


def test_killed_at_any_step_the_same_command_finishes_and_no_page_is_kept_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    step, ended = 0, -1
    while ended != 0:
        step += 1
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            remote = Remote(Path(folder), range(2))
            api = machine(Path(folder, "data"), remote)
            ended = _killed_at(step, api, monkeypatch)
            assert ended in {0, signal.SIGKILL}, step
            api.run()
            assert held(api) == [0, 1], step
            assert rows(api, "SELECT s.pages, count(*) FROM stream s, page p") == [(2, 2)], step
            assert len(remote.asked) <= 3, step  # only the page that was in hand
            assert api.verify() == [], step
    assert step > 30


# -- two registries as one --------------------------------------------------------------------------------------------

STREAM: Stream = ("n", "s")


def _row(state: str | None, at: float, pages: int = 0) -> Row:
    return (state, pages, 0, 0, at, "a")


def _page(number: int, fate: int = HELD) -> Page:
    return Page(number, f"d{number}", "{}", 1, "a", 0.0, fate)


_SIDES = st.dictionaries(st.integers(0, 6), st.sampled_from([HELD, RETIRING, REPLACED]), max_size=6)


@given(_SIDES, _SIDES, st.sets(st.integers(0, 6)), st.sampled_from([(1.0, 2.0), (2.0, 1.0)]))
def test_every_page_that_one_side_holds_is_held_and_two_never_have_one_number(
    ours: dict[int, int], theirs: dict[int, int], erased: set[int], at: tuple[float, float]
) -> None:
    streams = {STREAM: _row("ours", at[0])}, {STREAM: _row("theirs", at[1])}
    sides = [{(STREAM, (f"p{k}", "x")): _page(n, fate) for n, (k, fate) in enumerate(side.items())} for side in (ours, theirs)]
    merged = merged_pages(sides[0], sides[1], streams, {(f"p{k}", "x") for k in range(7) if k not in erased})
    assert {at[1][0] for at in merged} == {f"p{k}" for k in (ours.keys() | theirs.keys()) - erased}
    numbers = [page.number for page in merged.values()]
    assert len(set(numbers)) == len(numbers)
    later, earlier = (ours, theirs) if at[0] > at[1] else (theirs, ours)
    for (_, (name, _)), page in merged.items():
        k = int(name[1:])
        if later.get(k, HELD) == HELD and earlier.get(k, HELD) != REPLACED:
            assert page.fate == HELD  # the state that goes on has brought it, and nothing in its place
    for number, key in ((p.number, a) for a, p in sides[1].items() if a in merged):
        assert merged[key].number == number


def test_the_later_state_stands_and_what_a_side_has_forgotten_is_forgotten() -> None:
    base = {STREAM: _row("old", 1.0, pages=3), ("n", "gone"): _row("x", 1.0), ("n", "grown"): _row("x", 1.0)}
    ours = {STREAM: _row("ours", 3.0, pages=5), ("n", "new"): _row("y", 2.0)}
    theirs = {STREAM: _row("theirs", 2.0, pages=4), ("n", "gone"): _row("x", 1.0), ("n", "grown"): _row("z", 2.0)}
    assert merged_streams(ours, theirs, base) == {
        STREAM: ("ours", 6, 0, 0, 3.0, "a"),
        ("n", "new"): _row("y", 2.0),
        ("n", "grown"): _row("z", 2.0),
    }
