"""A registry that travels: its snapshot, its explanations, and taking it over, whole or not at all wherever it is killed."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from config.errors import BusyError, RegistryError, StoreError
from pipeline import Pipeline, lock
from pipeline.registry import LATEST
from pipeline.upkeep.snapshot import joined, live, same
from tests.afar_bench import SKIPPED, Shelf, actions, machine, met, put_inbox, snapshot_of, travelled
from tests.crash_bench import CHANGED, COLD, STAGES, Trap, arm, made_of


@pytest.fixture(autouse=True)
def _stages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(STAGES))


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "shelf")


@pytest.fixture
def home(tmp_path: Path) -> Pipeline:
    """A machine on which everything has run, twice."""
    made = machine(tmp_path / "home", COLD)
    made.run()
    put_inbox(tmp_path / "home", CHANGED)
    assert made.run().status == "succeeded"
    return made


def _ask(file: str, query: str) -> list[tuple[object, ...]]:
    db = sqlite3.connect(file)
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


def test_a_snapshot_has_every_row_and_no_cache_and_is_one_private_file(home: Pipeline, tmp_path: Path) -> None:
    file = snapshot_of(home, tmp_path / "s.db")
    registry = os.path.join(home.data_dir, "registry.db")
    for table in ("run", "attempt", "artifact", "attempt_input", "attempt_output", "node_state", "event"):
        assert _ask(file, f"SELECT * FROM {table} ORDER BY 1") == _ask(registry, f"SELECT * FROM {table} ORDER BY 1")
    assert _ask(file, "SELECT id, kind FROM identity") == _ask(registry, "SELECT id, kind FROM identity")
    for table in ("cache_file", "cache_value", "standing", "standing_file", "source_text"):
        assert _ask(file, f"SELECT count(*) FROM {table}") == [(0,)]
    assert _ask(file, "SELECT DISTINCT leaves FROM identity") == [("[]",)]
    assert [p.name for p in tmp_path.glob("s.db*")] == ["s.db"]
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    assert len(live(file)) == 12


def test_equal_rows_give_equal_bytes_on_every_machine(home: Pipeline, shelf: Shelf, tmp_path: Path) -> None:
    one = snapshot_of(home, tmp_path / "one.db")
    arrived = travelled(home, shelf, tmp_path / "arrived", CHANGED)
    assert actions(arrived) == SKIPPED
    two = snapshot_of(arrived, tmp_path / "two.db")
    assert Path(one).read_bytes() == Path(two).read_bytes()
    assert same(one, two)
    actions(arrived, force=("tail",))
    assert not same(one, snapshot_of(arrived, tmp_path / "three.db"))


def test_a_snapshot_is_refused_beside_a_run(home: Pipeline, tmp_path: Path) -> None:
    with lock.exclusive(home.data_dir), pytest.raises(BusyError):
        home.snapshot(str(tmp_path / "s.db"))
    assert not (tmp_path / "s.db").exists()


def test_a_snapshot_after_a_killed_run_says_that_it_was_interrupted(home: Pipeline, tmp_path: Path) -> None:
    db = sqlite3.connect(os.path.join(home.data_dir, "registry.db"))
    db.execute("INSERT INTO run (id, started_at, selection, host, pid, status) VALUES ('x', 1, '{}', 'h', 1, 'running')")
    db.commit()
    db.close()
    assert _ask(snapshot_of(home, tmp_path / "s.db"), "SELECT status FROM run WHERE id = 'x'") == [("interrupted",)]


def test_explanations_travel_by_themselves_and_only_when_there_are_new_ones(home: Pipeline, shelf: Shelf, tmp_path: Path) -> None:
    base = snapshot_of(home, tmp_path / "s.db")
    texts = home.texts()
    assert home.texts(base) == b""
    assert b"uno" not in texts
    assert any("gather" in text for text in json.loads(texts)["source_text"].values())
    arrived = travelled(home, shelf, tmp_path / "arrived", CHANGED)
    assert arrived.texts() == b""
    actions(arrived)  # looks at the code anew, which nobody has changed
    assert arrived.texts(base) == b""
    bare = machine(tmp_path / "bare")
    bare.adopt(base, texts)
    assert bare.texts() == texts == joined(texts, b"") == joined(b"", texts) == joined(texts, texts)
    assert joined(b"", b"") == b""


def test_a_pull_keeps_the_explanations_that_are_here(home: Pipeline, tmp_path: Path) -> None:
    texts, base = home.texts(), snapshot_of(home, tmp_path / "s.db")
    home.adopt(base, ours=base)
    assert home.texts() == texts
    assert actions(home) == SKIPPED
    assert home.verify() == []


def test_nothing_is_taken_over_when_something_has_run_since(home: Pipeline, tmp_path: Path) -> None:
    before = snapshot_of(home, tmp_path / "before.db")
    put_inbox(Path(home.data_dir), COLD)
    home.run()
    after = snapshot_of(home, tmp_path / "after.db")
    with pytest.raises(BusyError, match="has run here"):
        home.adopt(before, ours=before)
    with pytest.raises(BusyError, match="has run here"):
        home.adopt(before)
    assert same(after, snapshot_of(home, tmp_path / "still.db"))


@pytest.mark.parametrize("what", ["cut", "torn", "foreign", "newer", "rows", "texts"])
def test_a_file_that_cannot_be_trusted_changes_nothing(home: Pipeline, tmp_path: Path, what: str) -> None:
    ours = snapshot_of(home, tmp_path / "ours.db")
    put_inbox(Path(home.data_dir), COLD)
    file = str(tmp_path / "bad.db")
    shutil.copy(ours, file)
    if what == "cut":
        os.truncate(file, os.path.getsize(file) // 2)
    elif what == "torn":
        with open(file, "r+b") as data:
            data.seek(4096 * 3)
            data.write(b"\xff" * 4096)
    elif what in {"foreign", "newer", "rows"}:
        db = sqlite3.connect(file)
        db.execute(
            {
                "foreign": "PRAGMA application_id = 1",
                "newer": f"PRAGMA user_version = {LATEST + 1}",
                "rows": "DELETE FROM run",
            }[what]
        )
        db.commit()
        db.close()
    with pytest.raises((RegistryError, StoreError)):
        home.adopt(file, b"no json" if what == "texts" else b"", ours=ours)
    assert same(ours, snapshot_of(home, tmp_path / "still.db"))
    assert home.verify() == []
    assert os.listdir(os.path.join(home.data_dir, "state", "incoming")) == []


def test_a_snapshot_of_an_older_program_is_brought_up_to_date(home: Pipeline, tmp_path: Path) -> None:
    file = str(tmp_path / "old.db")
    shutil.copy(snapshot_of(home, tmp_path / "new.db"), file)
    db = sqlite3.connect(file)  # as the first migration left it
    for statement in (
        "DROP TABLE page",
        "DROP TABLE stream",
        "DROP INDEX event_run",
        "DROP INDEX event_attempt",
        "DROP INDEX attempt_node",
        "DROP INDEX run_litter",
        "ALTER TABLE run DROP COLUMN litter",
        "DROP TABLE source_text",
        *(f"DROP TRIGGER standing_{t}" for t in ("state_new", "state_other", "state_gone", "artifact")),
        *(f"DROP TABLE standing{t}" for t in ("_file", "_name", "_outcome", "")),
        "PRAGMA user_version = 1",
    ):
        db.execute(statement)
    db.close()
    arrived = machine(tmp_path / "arrived", CHANGED)
    arrived.adopt(file)
    assert same(snapshot_of(arrived, tmp_path / "a.db"), str(tmp_path / "new.db"))
    assert _ask(file, "PRAGMA user_version") == [(1,)]


def test_killed_at_any_step_the_old_rows_stand_or_the_new_ones_and_the_same_again_finishes(tmp_path: Path) -> None:
    """Two machines made the third version of each artifact; ours has to give its number away, with the file."""
    shelf = Shelf(tmp_path / "shelf")
    template = tmp_path / "template"
    ours = machine(template, COLD)
    ours.run()
    base = snapshot_of(ours, tmp_path / "base.db")
    theirs = machine(tmp_path / "theirs", {"a.txt": "zzz\n"})
    theirs.adopt(base)
    theirs.run()
    head = snapshot_of(theirs, tmp_path / "head.db")
    put_inbox(template, CHANGED)
    ours.run()
    mine = snapshot_of(ours, tmp_path / "mine.db")
    shutil.copytree(template, tmp_path / "probe", symlinks=True)
    probe = machine(tmp_path / "probe", afar=shelf)
    shelf.put(theirs, live(head))
    moved = met(probe, head, base, shelf).moves
    merged = str(tmp_path / "probe.merged")
    assert moved, "nothing had to move: this proves nothing"

    def adopt(data: Path) -> None:
        machine(data, afar=shelf).adopt(merged, moves=moved, ours=mine)

    at, reached, data = 0, True, tmp_path / "data"
    while reached:
        at += 1
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(template, data, symlinks=True)
        reached = _killed(lambda: adopt(data), at)
        now = snapshot_of(machine(data, afar=shelf), tmp_path / "now.db")  # recovers
        old = _ask(now, "SELECT count(*) FROM run WHERE status = 'interrupted'") == [(0,)] and same(now, mine)
        assert old or same(now, merged), f"neither at {at}"
        found = machine(data, afar=shelf).verify()
        assert [p for p in found if "does not show" not in p] == [], f"at {at}"
        if old:
            adopt(data)
        assert same(snapshot_of(machine(data, afar=shelf), tmp_path / "now.db"), merged)
        assert machine(data, afar=shelf).verify() == [], f"at {at}"
        for name, text in made_of(CHANGED).items():
            assert text in _versions(data, name), f"{name} lost at {at}"
    assert at > 30


def _versions(data: Path, name: str) -> list[str]:
    return [p.read_text() for p in (data / "store" / name).iterdir()]


def _killed(work: Callable[[], None], at: int) -> bool:
    """Whether a child that does the work was killed before its call number `at` that changes something."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            arm(Trap("kill", at))
            work()
            status = 0
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status in {0, 9}, status
    return status == 9
