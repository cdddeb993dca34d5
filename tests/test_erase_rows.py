"""What is erased is gone: bytes, rows, free pages, and all that was made from it; what has nothing to do with it stays."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from config.errors import BusyError
from pipeline import Node, Pipeline
from tests.afar_bench import Shelf, actions, machine, put_inbox, snapshot_of, travelled
from tests.crash_bench import COLD, STAGES, made_of
from tests.test_adopt import _killed

NODES: list[dict[str, Any]] = [
    *(
        {
            "name": f"fetch.{s}",
            "stage": "a",
            "run": "letters:gather",
            "files": {"in": f"inbox/{s}/**"},
            "outputs": {"all": f"raw/{s}/**"},
        }
        for s in ("cuff", "band")
    ),
    *(
        {
            "name": f"split.{s}",
            "stage": "b",
            "run": "letters:split",
            "inputs": {"all": f"raw/{s}/**"},
            "outputs": {"even": f"made/{s}.txt", "odd": f"odd/{s}.txt"},
        }
        for s in ("cuff", "band")
    ),
    {
        "name": "both",
        "stage": "c",
        "run": "joining:both",
        "inputs": {"cuff": "made/cuff.txt", "band": "made/band.txt"},
        "outputs": {"all": "both.txt"},
    },
]


@pytest.fixture(autouse=True)
def _stages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(STAGES))


def _two(data: Path, cuff: str = "systolic one\nsystolic two\n", band: str = "steps one\nsteps two\n") -> Pipeline:
    """Two sources that meet in one table."""
    for source, text in (("cuff", cuff), ("band", band)):
        (data / "inbox" / source).mkdir(parents=True, exist_ok=True)
        if text:
            (data / "inbox" / source / f"{source}-export.txt").write_text(text)
    return Pipeline([Node(**n) for n in NODES], str(data), code_root=str(STAGES))


def _rows(data: Path, query: str) -> list[tuple[object, ...]]:
    db = sqlite3.connect(data / "registry.db")
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


def _everything(data: Path) -> bytes:
    """All bytes below the data root, and all names."""
    found = [p.read_bytes() for p in data.rglob("*") if p.is_file() and "inbox" not in p.parts]
    return b"\n".join([*found, *(str(p.relative_to(data)).encode() for p in data.rglob("*") if "inbox" not in p.parts)])


def _cuff(name: str) -> bool:
    return name.startswith("raw/cuff/")


def test_a_source_is_erased_with_all_that_was_made_of_it_and_the_other_stays(tmp_path: Path) -> None:
    data = tmp_path / "data"
    pipeline = _two(data)
    pipeline.run()
    (data / "inbox" / "cuff" / "cuff-export.txt").write_text("systolic three\nsystolic four\n")
    pipeline.run()
    assert b"SYSTOLIC" in _everything(data)
    erased = pipeline.erase(_cuff, note={"what": "source cuff"})
    assert erased.names == ["both.txt", "made/cuff.txt", "odd/cuff.txt", "raw/cuff/cuff-export.txt"]
    assert erased.nodes == ["both", "fetch.cuff", "split.cuff"]
    assert erased.versions == len(erased.sha256) == 8
    left = _everything(data)
    for word in (b"SYSTOLIC", b"cuff-export", b"raw/cuff", b"made/cuff", *(sha.encode() for sha in erased.sha256)):
        assert word not in left, word
    assert {node for (node,) in _rows(data, "SELECT node FROM attempt")} == {"fetch.band", "split.band"}
    assert {node for (node,) in _rows(data, "SELECT node FROM node_state")} == {"fetch.band", "split.band"}
    assert pipeline.verify() == []
    (data / "inbox" / "cuff" / "cuff-export.txt").unlink()
    assert actions(pipeline)["split.band"] == "skipped"
    assert pipeline.verify() == []


def test_the_record_says_that_something_was_erased_and_not_what_it_said(tmp_path: Path) -> None:
    pipeline = _two(tmp_path / "data")
    pipeline.run()
    erased = pipeline.erase(_cuff, note={"what": "source cuff"})
    ((kind, data, selection, status),) = _rows(
        tmp_path / "data", "SELECT e.kind, e.data, r.selection, r.status FROM event e JOIN run r ON r.id = e.run_id"
    )
    assert (kind, status) == ("erased", "succeeded")
    assert json.loads(str(selection)) == {"erase": 4}
    assert json.loads(str(data)) == {"what": "source cuff", "artifacts": 4, "versions": 4, "bytes": erased.size}


def test_a_rehearsal_tells_the_same_and_changes_nothing(tmp_path: Path) -> None:
    pipeline = _two(tmp_path / "data")
    pipeline.run()
    before = snapshot_of(pipeline, tmp_path / "before.db")
    told = pipeline.erase(_cuff, dry_run=True)
    assert Path(snapshot_of(pipeline, tmp_path / "after.db")).read_bytes() == Path(before).read_bytes()
    assert pipeline.verify() == []
    assert told == pipeline.erase(_cuff)
    assert told.rows["artifact"] == 4
    assert told.rows["attempt"] == 3


def test_everything_can_be_erased_and_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    pipeline = _two(data)
    assert pipeline.erase(lambda _: True).names == []
    pipeline.run()
    assert len(pipeline.erase(lambda _: True).names) == 7
    assert pipeline.erase(lambda _: True).names == []
    left = _everything(data)
    for word in (b"SYSTOLIC", b"STEPS", b"-export.txt", b"fetch.cuff"):
        assert word not in left
    assert _rows(data, "SELECT count(*) FROM attempt") == [(0,)]
    assert pipeline.verify() == []
    assert set(actions(pipeline).values()) == {"ran"}


def test_members_that_stay_stay_in_force_and_their_node_runs_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    pipeline = machine(data, COLD)
    pipeline.run()
    erased = pipeline.erase(lambda name: name == "raw/in/b.txt")
    assert "raw/in/a.txt" not in erased.names
    assert (data / "raw" / "in" / "a.txt").read_text() == "ONE\nTWO\n"
    assert not os.path.lexists(data / "raw" / "in" / "b.txt")
    assert pipeline.verify() == []
    left = _everything(data)
    for word in (b"inbox/b.txt", b"raw/in/b.txt", b"THREE", *(sha.encode() for sha in erased.sha256)):
        assert word not in left, word
    assert _rows(data, "SELECT report, rows, reasons FROM attempt") == [(None, None, "[]")]
    put_inbox(data, {"a.txt": COLD["a.txt"]})
    assert actions(pipeline) == dict.fromkeys(("gather", "split", "first", "tail"), "ran")
    assert (data / "end.txt").read_text() == made_of({"a.txt": COLD["a.txt"]})["end.txt"]


def test_attempts_that_failed_over_it_go_too(tmp_path: Path) -> None:
    data = tmp_path / "data"
    _two(data).run()
    assert actions(_two(data, cuff="refuse this\n"))["both"] == "failed"
    assert _rows(data, "SELECT count(*) FROM attempt WHERE state = 'failed'") == [(1,)]
    _two(data).erase(_cuff)
    assert _rows(data, "SELECT count(*) FROM attempt WHERE state = 'failed'") == [(0,)]


def test_a_version_that_lies_elsewhere_is_erased_like_one_that_is_here(tmp_path: Path) -> None:
    home = machine(tmp_path / "home", COLD)
    home.run()
    shelf = Shelf(tmp_path / "shelf")
    arrived = travelled(home, shelf, tmp_path / "arrived", COLD)
    assert arrived.erase(lambda _: True).versions == 6
    assert arrived.elsewhere() == 0
    assert arrived.verify() == []


def test_a_reader_that_keeps_the_log_is_told_of_and_the_same_again_finishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    pipeline = _two(data)
    pipeline.run()
    from pipeline import registry

    kept = registry._connect
    monkeypatch.setattr(registry, "_connect", lambda uri: _impatient(kept(uri)))
    reader = sqlite3.connect(f"file:{data}/registry.db?mode=ro", uri=True, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM artifact").fetchone()
    with pytest.raises(BusyError, match="a reader still holds"):
        pipeline.erase(_cuff)
    reader.close()
    assert pipeline.erase(_cuff).names == []
    assert b"cuff-export" not in _everything(data)


def _impatient(db: sqlite3.Connection) -> sqlite3.Connection:
    db.execute("PRAGMA busy_timeout = 100")
    return db


def test_killed_at_any_step_nothing_is_half_erased_and_the_same_again_finishes(tmp_path: Path) -> None:
    template, data = tmp_path / "template", tmp_path / "data"
    _two(template).run()
    at, reached, after = 0, True, 0
    while reached:
        at += 1
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(template, data, symlinks=True)
        reached = _killed(lambda: _two(data).erase(_cuff) and None, at)
        pipeline = _two(data)
        pipeline.forget(lambda _: False)  # any start recovers
        snapshot_of(pipeline, tmp_path / "now.db")
        names = {name for (name,) in _rows(data, "SELECT name FROM artifact")}
        assert ("raw/cuff/cuff-export.txt" in names) == ("both.txt" in names)
        after += "both.txt" not in names
        assert pipeline.verify() == [], f"at {at}"
        pipeline.erase(_cuff)
        left = _everything(data)
        for word in (b"SYSTOLIC", b"cuff-export", b"raw/cuff"):
            assert word not in left, f"{word!r} at {at}"
        assert pipeline.verify() == [], f"at {at}"
    assert at > after > 3
