"""Versions whose bytes lie in the remote state: skipped, restored and kept as if they were here, brought when somebody reads them."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path

import pytest

from pipeline import Node, Pipeline, Selection
from pipeline.registry import Artifact
from pipeline.upkeep.snapshot import live
from tests.afar_bench import SKIPPED, Shelf, actions, machine, put_inbox, snapshot_of, travelled
from tests.crash_bench import CHANGED, COLD, STAGES, made_of
from tests.engine_bench import Project


@pytest.fixture(autouse=True)
def _stages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(STAGES))


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "shelf")


@pytest.fixture
def home(tmp_path: Path) -> Pipeline:
    """A machine on which everything has run."""
    made = machine(tmp_path / "home", COLD)
    assert made.run().status == "succeeded"
    return made


def _stored(pipeline: Pipeline) -> list[str]:
    return sorted(str(p.relative_to(pipeline.data_dir)) for p in Path(pipeline.data_dir, "store").rglob("*") if p.is_file())


def _artifact(pipeline: Pipeline, name: str) -> Artifact:
    query = "SELECT id, name, version, sha256, size, rows, path, created_at FROM artifact WHERE name = ? ORDER BY version DESC"
    with pipeline.reading() as registry:
        assert registry is not None
        return Artifact(*registry.db.execute(query, (name,)).fetchone())


def test_an_empty_machine_that_has_the_registry_has_nothing_to_do_and_fetches_nothing(
    home: Pipeline, shelf: Shelf, tmp_path: Path
) -> None:
    arrived = travelled(home, shelf, tmp_path / "arrived", COLD)
    assert actions(arrived) == SKIPPED
    assert actions(arrived) == SKIPPED  # nothing is kept of the first answer that would hide a loss
    assert shelf.brought == []
    assert _stored(arrived) == []
    assert arrived.verify() == []
    assert arrived.elsewhere() == 6
    assert not os.path.lexists(os.path.join(arrived.data_dir, "end.txt"))


def test_no_answer_is_kept_that_rests_on_bytes_elsewhere(home: Pipeline, shelf: Shelf, tmp_path: Path) -> None:
    arrived = travelled(home, shelf, tmp_path / "arrived", COLD)
    assert actions(arrived) == SKIPPED
    (shelf.folder / _artifact(arrived, "end.txt").sha256).unlink()
    assert actions(arrived)["tail"] == "ran"


def test_a_source_whose_inbox_did_not_travel_is_held_as_it_is(home: Pipeline, shelf: Shelf, tmp_path: Path) -> None:
    arrived = travelled(home, shelf, tmp_path / "arrived")
    assert actions(arrived, hold_nodes=("gather",)) == SKIPPED
    assert shelf.brought == []


def test_only_what_a_node_reads_is_brought_when_it_has_to_run(home: Pipeline, shelf: Shelf, tmp_path: Path) -> None:
    arrived = travelled(home, shelf, tmp_path / "arrived", COLD)
    assert actions(arrived, force=("tail",)) == SKIPPED | {"tail": "ran"}
    assert shelf.brought == ["made/letter.txt"]
    assert Path(arrived.data_dir, "end.txt").read_text() == made_of(COLD)["end.txt"]
    assert arrived.verify() == []
    assert arrived.elsewhere() == 4  # letter.txt was brought; end.txt was made again


def test_a_change_on_an_empty_machine_gives_what_it_gives_at_home(home: Pipeline, shelf: Shelf, tmp_path: Path) -> None:
    arrived = travelled(home, shelf, tmp_path / "arrived", CHANGED)
    assert set(actions(arrived).values()) == {"ran"}
    for name, text in made_of(CHANGED).items():
        assert Path(arrived.data_dir, name).read_text() == text
    assert arrived.verify() == []


def test_the_previous_members_of_a_collection_are_brought_for_the_node_that_may_keep_them(tmp_path: Path, shelf: Shelf) -> None:
    node = Node("n", "s", "joining:keep", files={"in": "inbox/**"}, outputs={"all": "raw/all/**"})
    home = Pipeline([node], str(tmp_path / "home"), code_root=str(STAGES))
    put_inbox(tmp_path / "home", {"a.txt": "kept"})
    assert actions(home) == {"n": "ran"}
    file = snapshot_of(home, tmp_path / "s.db")
    shelf.put(home, live(file))
    arrived = Pipeline([node], str(tmp_path / "arrived"), code_root=str(STAGES), afar=shelf)
    arrived.adopt(file)
    put_inbox(tmp_path / "arrived", {"b.txt": "new"})
    assert actions(arrived) == {"n": "ran"}
    assert shelf.brought == ["raw/all/a.txt"]
    assert sorted(os.listdir(tmp_path / "arrived" / "raw" / "all")) == ["a.txt", "b.txt"]
    assert arrived.verify() == []


def test_an_earlier_result_comes_back_without_its_bytes(home: Pipeline, shelf: Shelf, tmp_path: Path) -> None:
    put_inbox(Path(home.data_dir), CHANGED)
    home.run()
    arrived = travelled(home, shelf, tmp_path / "arrived", COLD)
    assert set(actions(arrived).values()) == {"restored"}
    assert shelf.brought == []
    assert arrived.verify() == []
    assert not os.path.lexists(os.path.join(arrived.data_dir, "end.txt"))


def test_what_neither_side_has_is_made_again(home: Pipeline, shelf: Shelf, tmp_path: Path) -> None:
    arrived = travelled(home, shelf, tmp_path / "arrived", COLD)
    lost = _artifact(arrived, "made/letter.txt")
    (shelf.folder / lost.sha256).unlink()
    assert arrived.verify() == ["made/letter.txt@v1 is missing from the store."]
    assert actions(arrived) == SKIPPED | {"first": "ran"}
    assert arrived.verify() == []


def test_a_version_that_is_damaged_here_is_made_again_although_the_remote_has_it(
    home: Pipeline, shelf: Shelf, tmp_path: Path
) -> None:
    arrived = travelled(home, shelf, tmp_path / "arrived", COLD)
    path = arrived.local(_artifact(arrived, "end.txt"))
    Path(path).write_text("XXX")
    assert arrived.verify() == ["end.txt@v1 has other bytes than were committed (3 of 3)."]
    assert actions(arrived) == SKIPPED | {"tail": "ran"}
    assert Path(arrived.data_dir, "end.txt").read_text() == made_of(COLD)["end.txt"]


def test_what_was_deliberately_removed_is_not_whole_however_long_the_remote_keeps_it(
    home: Pipeline, shelf: Shelf, tmp_path: Path
) -> None:
    arrived = travelled(home, shelf, tmp_path / "arrived", COLD)
    assert [a.name for a in arrived.clean(lambda name: name == "end.txt")] == ["end.txt"]
    assert shelf.holds(_artifact(arrived, "end.txt").sha256)
    assert actions(arrived) == SKIPPED | {"tail": "ran"}


def test_a_command_that_opens_a_version_has_it_brought_private_and_once(home: Pipeline, shelf: Shelf, tmp_path: Path) -> None:
    arrived = travelled(home, shelf, tmp_path / "arrived", COLD)
    kept = os.umask(0o022)
    try:
        path = arrived.local(_artifact(arrived, "made/even.txt"))
    finally:
        os.umask(kept)
    assert Path(path).read_text() == made_of(COLD)["made/even.txt"]
    assert arrived.local(_artifact(arrived, "made/even.txt")) == path
    assert shelf.brought == ["made/even.txt"]
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    above = os.path.dirname(path)
    while above != arrived.data_dir:
        assert stat.S_IMODE(os.stat(above).st_mode) == 0o700
        above = os.path.dirname(above)


def test_what_is_brought_on_demand_stands_under_its_plain_name(home: Pipeline, shelf: Shelf, tmp_path: Path) -> None:
    arrived = travelled(home, shelf, tmp_path / "arrived", COLD)
    arrived.bring([_artifact(arrived, name) for name in ("end.txt", "made/even.txt", "made/odd.txt")])
    assert sorted(shelf.brought) == ["end.txt", "made/even.txt", "made/odd.txt"]
    assert Path(arrived.data_dir, "end.txt").read_text() == made_of(COLD)["end.txt"]
    assert Path(arrived.data_dir, "made", "even.txt").read_text() == made_of(COLD)["made/even.txt"]
    assert arrived.verify() == []
    assert actions(arrived) == SKIPPED


def test_a_version_nobody_has_gives_its_path_and_nothing_is_there(home: Pipeline, tmp_path: Path) -> None:
    lost = _artifact(home, "end.txt")
    os.unlink(os.path.join(home.data_dir, lost.path))
    assert not os.path.exists(home.local(lost))


def test_a_remote_that_cannot_be_reached_fails_the_node_that_needs_it_and_leaves_nothing(
    home: Pipeline, shelf: Shelf, tmp_path: Path
) -> None:
    arrived = travelled(home, shelf, tmp_path / "arrived", CHANGED)
    shelf.away = True
    run = arrived.run()
    assert {o.node: o.action for o in run.outcomes}["gather"] == "failed"
    assert next(o.error for o in run.outcomes) == "The remote state cannot be reached. Try again."
    assert os.listdir(os.path.join(arrived.data_dir, "state", "incoming")) == []
    assert arrived.verify() == []
    shelf.away = False
    assert set(actions(arrived).values()) == {"ran"}


def test_other_bytes_than_were_committed_never_reach_a_node(home: Pipeline, shelf: Shelf, tmp_path: Path) -> None:
    arrived = travelled(home, shelf, tmp_path / "arrived", COLD)
    shelf.torn = "made/even.txt"
    run = arrived.run(Selection(force=("first",)))
    told = {o.node: (o.action, o.error) for o in run.outcomes}
    assert told["first"][0] == "failed"
    assert "other bytes than were committed" in str(told["first"][1])
    assert told["tail"][0] == "blocked"


def test_a_plain_name_does_not_show_an_older_version_when_the_newer_lies_elsewhere(
    home: Pipeline, shelf: Shelf, tmp_path: Path
) -> None:
    file = snapshot_of(home, tmp_path / "old.db")
    other = travelled(home, shelf, tmp_path / "other", CHANGED)
    other.run()
    shelf.put(other, live(snapshot_of(other, tmp_path / "new.db")))
    here = machine(Path(home.data_dir), COLD, shelf)
    here.adopt(str(tmp_path / "new.db"), ours=file)
    assert not os.path.lexists(os.path.join(here.data_dir, "end.txt"))
    assert here.verify() == []
    here.run()  # back at the earlier inbox: that version is here
    assert Path(here.data_dir, "end.txt").read_text() == made_of(COLD)["end.txt"]


def test_explanations_kept_afar_name_what_has_changed(tmp_path: Path, shelf: Shelf) -> None:
    here = Project(tmp_path / "here")
    here.write(
        {"stage.py": "def run(inputs, outputs, settings):\n    with outputs.open('out') as out:\n        out.write(b'1')\n"}
    )
    here.write({"data/in.txt": "x"})
    assert here.run() == {"n": "ran"}
    nodes = [Node(**n) for n in here.nodes]
    at_home = Pipeline(nodes, str(here.data), code_root=str(here.root))
    file = snapshot_of(at_home, tmp_path / "s.db")
    with at_home.reading() as registry:
        assert registry is not None
        (code,) = registry.db.execute("SELECT id, leaves FROM identity WHERE kind = 'code'").fetchall()
    shelf.explained[code[0]] = json.loads(code[1])
    shelf.put(at_home, live(file))
    (tmp_path / "arrived").mkdir()
    (tmp_path / "arrived" / "in.txt").write_text("x")
    (here.root / "stage.py").write_text((here.root / "stage.py").read_text().replace("b'1'", "b'2'"))
    arrived = Pipeline(nodes, str(tmp_path / "arrived"), code_root=str(here.root), afar=shelf)
    arrived.adopt(file)
    (told,) = arrived.plan()
    assert [(r.kind, r.name) for r in told.reasons] == [("code", "stage:run")]


def test_what_a_killed_process_had_half_fetched_goes_after_an_hour(home: Pipeline, shelf: Shelf, tmp_path: Path) -> None:
    arrived = travelled(home, shelf, tmp_path / "arrived", COLD)
    folder = Path(arrived.data_dir, "state", "incoming")
    for name, age in (("old", 4000), ("young", 10)):
        (folder / name).write_text("half")
        os.utime(folder / name, (time.time() - age,) * 2)
    arrived.local(_artifact(arrived, "end.txt"))
    assert os.listdir(folder) == ["young"]
