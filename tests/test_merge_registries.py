"""Registries that grew apart become one: no run is lost, the order of merging does not matter, what was erased stays erased."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import Pipeline
from pipeline.registry import Registry
from pipeline.store import Store
from pipeline.upkeep.core import core
from pipeline.upkeep.erase import erase
from pipeline.upkeep.merge import merge, merged_sides
from pipeline.upkeep.sides import EMPTY, Attempt, Kept, Key, Side, read_side, write_side
from pipeline.upkeep.snapshot import live, new_file, opened
from tests.afar_bench import SKIPPED, Shelf, actions, machine, met, put_inbox, snapshot_of, travelled
from tests.crash_bench import CHANGED, COLD, STAGES

GRAPH = {"a": (), "b": (), "mid": ("a",), "top": ("mid", "b"), "load": ("top",)}
"""Node → the nodes it reads. `load` writes nothing the registry knows: a sink."""
OPERATIONS = st.one_of(
    st.tuples(st.just("run"), st.sampled_from(sorted(GRAPH)), st.integers(0, 2)),
    st.tuples(st.just("restore"), st.sampled_from(sorted(GRAPH)), st.integers(0, 3)),
    st.tuples(st.just("gc"), st.sampled_from(sorted(GRAPH)), st.just(0)),
    st.tuples(st.just("forget"), st.sampled_from(sorted(GRAPH)), st.just(0)),
)
ERASING = st.one_of(OPERATIONS, st.tuples(st.just("erase"), st.sampled_from(["a", "b", "mid"]), st.just(0)))
STEPS, STEPS_WITH_ERASING = st.lists(OPERATIONS, max_size=7), st.lists(ERASING, max_size=7)
_DONE = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)


@pytest.fixture(autouse=True)
def _stages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(STAGES))


class Machine:
    """Grows a side as an engine would, without files; each has its own clock, and names its runs after itself."""

    def __init__(self, name: str, side: Side, clock: float) -> None:
        self.name, self.clock = name, clock
        self.side = Side(*map(dict, side))  # type: ignore[arg-type]

    def grown(self, steps: list[tuple[str, str, int]]) -> Side:
        for what, node, number in steps:
            getattr(self, what)(node, number)
        return self.side

    def run(self, node: str, salt: int) -> None:
        side = self.side
        sources = [key for n in GRAPH[node] if n in side.state for key, _ in side.attempts[side.state[n]].made]
        if len(sources) < len(GRAPH[node]):
            return
        self.clock += 2
        ident = f"{self.name}{len(side.attempts)}-{self.clock}"
        side.runs[ident] = (ident, self.clock, self.clock, "{}", self.name, 1, "succeeded", 0)
        made: tuple[tuple[Key, str], ...] = ()
        if node != "load":
            key = (node, hashlib.sha256(repr((sources, salt)).encode()).hexdigest())
            made = ((key, "out"),)
            if key not in side.versions:
                number = 1 + max((v.version for k, v in side.versions.items() if k[0] == node), default=0)
                side.versions[key] = Kept(number, 10, None, ident, self.clock, None)
            else:
                side.versions[key] = side.versions[key]._replace(removed_at=None)
        row = (ident, ident, node, "s", repr((sources, salt)), "committed", f"code {node}", "settings", "environment", self.clock)
        read = tuple((f"in{n}", key[0], key, key[1], 10) for n, key in enumerate(sources))
        side.attempts[ident] = Attempt((*row, 0.1, None, 1, "{}", "[]", None), read, made)
        side.identities[f"code {node}"] = (f"code {node}", "code", "[]")
        side.state[node] = ident

    def restore(self, node: str, number: int) -> None:
        side = self.side
        there = [
            a for a in side.attempts.values() if a.node == node and all(side.versions[k].removed_at is None for k, _ in a.made)
        ]
        if number < len(there):
            self.clock += 2
            side.state[node] = there[number].row[0]
            side.events[self.clock, there[number].run, there[number].row[0], "restored", f'"{self.name}"'] = None

    def gc(self, node: str, _: int) -> None:
        side = self.side
        self.clock += 2
        used = {key for ident in side.state.values() for key in side.attempts[ident].sources}
        used |= {key for ident in side.state.values() for key, _ in side.attempts[ident].made}
        for key, kept in side.versions.items():
            if key[0] == node and key not in used and kept.removed_at is None:
                side.versions[key] = kept._replace(removed_at=self.clock)

    def forget(self, node: str, _: int) -> None:
        self.side.state.pop(node, None)

    def erase(self, node: str, _: int) -> None:
        """By the engine's own means, on a real file."""
        with tempfile.TemporaryDirectory() as folder:
            write(self.side, os.path.join(folder, "registry.db"))
            os.mkdir(os.path.join(folder, "state"))
            registry = Registry.open(folder)
            try:
                erase(registry, Store(folder), lambda name: name == node, {"what": self.name})
                self.side = read_side(registry.db)
            finally:
                registry.close()


def write(side: Side, path: str) -> None:
    with new_file(path) as db:
        write_side(db, side, Store("").version_path)


def content(side: Side) -> dict[str, Any]:
    """What a side says, without local numbers and order; which of two makers was first is order, too."""
    return {
        "runs": side.runs,
        "attempts": side.attempts,
        "versions": {k: (v.size, v.rows, v.removed_at) for k, v in side.versions.items()},
        "state": side.state,
        "identities": side.identities,
        "events": set(side.events),
    }


def sides(steps: tuple[list[Any], list[Any], list[Any]], clock: float = 1.5) -> tuple[Side, Side, Side]:
    """(ours, theirs, base): two machines that went on from the same."""
    base = Machine("base", EMPTY, 0).grown(steps[0])
    ours = Machine("ours", base, 100).grown(steps[1])
    theirs = Machine("theirs", base, 100 + clock).grown(steps[2])
    return ours, theirs, base


def sound(side: Side) -> None:
    """As SQLite and `verify` want it: every reference leads somewhere, no version number is missing or given twice."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "merged.db")
        write(side, path)
        with closing(sqlite3.connect(path)) as db:
            assert db.execute("PRAGMA foreign_key_check").fetchall() == []
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            gaps = "SELECT name FROM artifact GROUP BY name HAVING max(version) <> count(*) OR min(version) <> 1"
            assert db.execute(gaps).fetchall() == []
            again = read_side(db)
    assert content(again) == content(side)
    for node, ident in side.state.items():
        assert side.attempts[ident].node == node


@_DONE
@given(st.tuples(STEPS, STEPS, STEPS))
def test_no_run_no_attempt_and_no_version_is_lost(steps: tuple[list[Any], list[Any], list[Any]]) -> None:
    ours, theirs, base = sides(steps)
    merged = merged_sides(ours, theirs, base)
    assert merged.runs.keys() == ours.runs.keys() | theirs.runs.keys()
    assert merged.attempts == ours.attempts | theirs.attempts
    assert merged.versions.keys() == ours.versions.keys() | theirs.versions.keys()
    assert set(merged.events) == set(ours.events) | set(theirs.events)
    for key, kept in theirs.versions.items():
        assert merged.versions[key].version == kept.version, "what is committed keeps its number"
    used = {k for ident in merged.state.values() for k in merged.attempts[ident].sources}
    for key in used | {k for ident in merged.state.values() for k, _ in merged.attempts[ident].made}:
        there = [side.versions[key].removed_at for side in (ours, theirs) if key in side.versions]
        assert merged.versions[key].removed_at is None or None not in there, "what is in force stays whole"
    sound(merged)


@_DONE
@given(st.tuples(STEPS_WITH_ERASING, STEPS_WITH_ERASING, STEPS_WITH_ERASING))
def test_who_merges_whom_makes_no_difference_and_merging_again_changes_nothing(
    steps: tuple[list[Any], list[Any], list[Any]],
) -> None:
    ours, theirs, base = sides(steps)
    merged = merged_sides(ours, theirs, base)
    assert content(merged_sides(theirs, ours, base)) == content(merged)
    assert content(merged_sides(merged, merged, merged)) == content(merged)
    assert content(merged_sides(merged, merged, base)) == content(merged)
    assert content(merged_sides(ours, merged, ours)) == content(merged)
    assert merged_sides(base, merged, base) == merged
    sound(merged)


@_DONE
@given(st.tuples(STEPS_WITH_ERASING, STEPS_WITH_ERASING))
def test_a_side_that_has_not_moved_leaves_the_other_as_it_is(steps: tuple[list[Any], list[Any]]) -> None:
    ours, _, base = sides((steps[0], steps[1], []))
    assert content(merged_sides(ours, base, base)) == content(ours)
    assert content(merged_sides(base, ours, base)) == content(ours)


@_DONE
@given(st.tuples(STEPS, STEPS, STEPS), st.sampled_from(["a", "b", "mid"]))
def test_what_one_has_erased_is_gone_with_all_that_the_other_has_made_of_it_since(
    steps: tuple[list[Any], list[Any], list[Any]], name: str
) -> None:
    ours, theirs, base = sides(([("run", "a", 0), ("run", "b", 0), ("run", "mid", 0), *steps[0]], *steps[1:]))
    eraser = Machine("theirs", theirs, 500)
    eraser.erase(name, 0)
    merged = merged_sides(ours, eraser.side, base)
    below = {name} | {"a": {"mid", "top"}, "b": {"top"}, "mid": {"top"}}[name]
    assert {key[0] for key in merged.versions} & {name} == set()
    assert not {n for a in merged.attempts.values() for _, n, _, _, _ in a.read} & {name}
    for attempt in merged.attempts.values():
        assert not attempt.sources - merged.versions.keys()
        assert attempt.node not in below or attempt.row[0] in ours.attempts
    assert [e for e in merged.events if e[3] == "erased"] == [e for e in eraser.side.events if e[3] == "erased"]
    untouched = {a.run for a in ours.attempts.values() if a.node == "a"} if name in {"b", "mid"} else set()
    assert untouched <= merged.runs.keys()
    sound(merged)


@settings(_DONE, max_examples=25)
@given(st.tuples(STEPS, STEPS, STEPS))
def test_a_machine_that_had_only_the_core_of_a_registry_loses_nothing_of_the_rest(
    steps: tuple[list[Any], list[Any], list[Any]],
) -> None:
    whole = Machine("base", EMPTY, 0).grown([("run", "a", 0), ("run", "a", 1), ("run", "a", 0), *steps[0]])
    base = _core(whole)
    ours = Machine("ours", base, 100).grown([s for s in steps[1] if s[0] != "restore"])
    theirs = Machine("theirs", whole, 101.5).grown(steps[2])
    merged = merged_sides(ours, theirs, base)
    assert merged.runs.keys() == ours.runs.keys() | theirs.runs.keys()
    assert {k: merged.attempts[k] for k in theirs.attempts} == theirs.attempts
    assert merged.attempts.keys() == ours.attempts.keys() | theirs.attempts.keys()
    assert merged.versions.keys() == ours.versions.keys() | theirs.versions.keys()
    assert all(merged.versions[key].version == kept.version for key, kept in theirs.versions.items())
    sound(merged)


def _core(side: Side) -> Side:
    with tempfile.TemporaryDirectory() as folder:
        whole, part = os.path.join(folder, "whole.db"), os.path.join(folder, "core.db")
        write(side, whole)
        core(whole, part)
        with opened(part) as db:
            return read_side(db)


def test_two_that_never_met_lose_nothing_and_erase_nothing() -> None:
    ours = Machine("ours", EMPTY, 0).grown([("run", "a", 0), ("run", "mid", 0)])
    theirs = Machine("theirs", EMPTY, 1).grown([("run", "a", 1), ("run", "mid", 0), ("run", "a", 0)])
    merged = merged_sides(ours, theirs, EMPTY)
    assert len(merged.runs) == 5
    assert sorted((k[0], v.version) for k, v in merged.versions.items()) == [("a", 1), ("a", 2), ("mid", 1), ("mid", 2)]
    sound(merged)


def test_of_two_that_put_something_in_force_the_later_stands() -> None:
    base = Machine("base", EMPTY, 0).grown([("run", "a", 0)])
    early = Machine("early", base, 10).grown([("run", "a", 1)])
    late = Machine("late", base, 20).grown([("run", "a", 2)])
    for merged in (merged_sides(early, late, base), merged_sides(late, early, base)):
        assert merged.state == late.state


def test_bytes_that_one_removed_and_the_other_put_in_force_again_stay() -> None:
    base = Machine("base", EMPTY, 0).grown([("run", "a", 0), ("run", "a", 1)])
    first = next(key for key, kept in base.versions.items() if kept.version == 1)
    cleaner = Machine("cleaner", base, 10).grown([("gc", "a", 0)])
    assert cleaner.versions[first].removed_at is not None
    restorer = Machine("restorer", base, 10).grown([("restore", "a", 0)])
    assert merged_sides(cleaner, restorer, base).versions[first].removed_at is None
    assert merged_sides(cleaner, base, base).versions[first].removed_at is not None


def test_a_version_that_both_removed_was_removed_when_the_last_of_them_did() -> None:
    base = Machine("base", EMPTY, 0).grown([("run", "a", 0), ("run", "a", 1)])
    one, other = (Machine(str(clock), base, clock).grown([("gc", "a", 0)]) for clock in (10, 20))
    for merged in (merged_sides(one, other, base), merged_sides(other, one, base)):
        assert sorted(kept.removed_at or 0 for kept in merged.versions.values()) == [0, 22]


def test_what_is_committed_keeps_its_numbers_and_what_is_new_here_comes_after() -> None:
    base = Machine("base", EMPTY, 0).grown([("run", "a", 0)])
    ours = Machine("ours", base, 10).grown([("run", "a", 1)])
    theirs = Machine("theirs", base, 20).grown([("run", "a", 2), ("run", "a", 3)])
    merged = merged_sides(ours, theirs, base)
    assert [(key in theirs.versions, kept.version) for key, kept in merged.versions.items()] == [
        (True, 1),
        (True, 2),
        (True, 3),
        (False, 4),
    ]


# -- machines that really run ---------------------------------------------------------------------------------------------


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "shelf")


@pytest.fixture
def apart(tmp_path: Path, shelf: Shelf) -> tuple[Pipeline, Pipeline, str]:
    """(ours, theirs, base): both have run something else since."""
    ours = machine(tmp_path / "ours", COLD, shelf)
    ours.run()
    base = snapshot_of(ours, tmp_path / "base.db")
    theirs = travelled(ours, shelf, tmp_path / "theirs", {"a.txt": "zzz\n"})
    theirs.run()
    put_inbox(tmp_path / "ours", CHANGED)
    ours.run()
    return ours, theirs, base


def test_after_a_merge_both_machines_hold_the_same_and_both_results_come_back_without_running(
    apart: tuple[Pipeline, Pipeline, str], shelf: Shelf, tmp_path: Path
) -> None:
    ours, theirs, base = apart
    head = snapshot_of(theirs, tmp_path / "head.db")
    shelf.put(theirs, live(head))
    found = met(ours, head, base, shelf)
    assert (found.added_runs, found.erased) == (1, 0)
    assert found.renumbered == len(found.moves) > 0
    assert ours.verify() == []
    put_inbox(tmp_path / "ours", {"a.txt": "zzz\n"})
    assert set(actions(ours).values()) <= {"restored", "skipped"}
    put_inbox(tmp_path / "ours", CHANGED)
    assert set(actions(ours).values()) <= {"restored", "skipped"}
    assert actions(ours) == SKIPPED
    assert ours.verify() == []


def test_the_same_version_made_on_both_is_one(tmp_path: Path, shelf: Shelf) -> None:
    ours, theirs = machine(tmp_path / "ours", COLD, shelf), machine(tmp_path / "theirs", COLD, shelf)
    ours.run()
    theirs.run()
    head = snapshot_of(theirs, tmp_path / "head.db")
    found = met(ours, head, None, shelf)
    assert (found.added_runs, found.added_versions, found.renumbered, found.moves) == (1, 0, 0, [])
    assert actions(ours) == SKIPPED
    assert ours.verify() == []


def test_an_erasure_elsewhere_takes_the_bytes_here_along(
    apart: tuple[Pipeline, Pipeline, str], shelf: Shelf, tmp_path: Path
) -> None:
    ours, theirs, base = apart
    assert theirs.erase(lambda name: name == "raw/in/b.txt").versions > 0
    head = snapshot_of(theirs, tmp_path / "head.db")
    shelf.put(theirs, live(head))
    found = met(ours, head, base, shelf)
    assert found.erased > 0
    assert not os.path.exists(os.path.join(ours.data_dir, "store", "raw", "in", "b.txt"))
    assert ours.verify() == []
    assert "failed" not in actions(ours).values()
    assert ours.verify() == []


def test_a_merge_is_written_to_a_new_file_and_leaves_the_three_alone(
    apart: tuple[Pipeline, Pipeline, str], shelf: Shelf, tmp_path: Path
) -> None:
    ours, theirs, base = apart
    mine, head = snapshot_of(ours, tmp_path / "mine.db"), snapshot_of(theirs, tmp_path / "head.db")
    before = [Path(p).read_bytes() for p in (mine, head, base)]
    merge(mine, head, base, str(tmp_path / "into.db"))
    assert [Path(p).read_bytes() for p in (mine, head, base)] == before
    assert sorted(p.name for p in tmp_path.glob("into.db*")) == ["into.db"]
