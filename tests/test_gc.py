"""What `gc` removes, what it never removes, and that being killed in the middle leaves nothing half done."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.registry import Registry
from scripts.keeping import gc
from tests.answers_bench import Bench
from tests.engine_bench import REPO


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    found = Bench(tmp_path)
    for text in ("one", "two", "three", "four"):
        found.feed(text)
    return found


def stored(bench: Bench) -> set[str]:
    return {f"{p.parent.name}@{p.name.partition('-')[0]}" for p in (bench.data / "store").rglob("v*")}


def rows(bench: Bench, query: str) -> list[tuple[object, ...]]:
    registry = Registry.read(str(bench.data))
    assert registry is not None
    try:
        return registry.db.execute(query).fetchall()
    finally:
        registry.close()


def test_the_newest_stay_and_every_row_stays(bench: Bench) -> None:
    before = rows(bench, "SELECT id, sha256 FROM artifact"), rows(bench, "SELECT * FROM attempt_input")
    gone = bench.pipeline.gc(2)
    assert gone.versions == 4
    assert stored(bench) == {"lines.txt@v3", "lines.txt@v4", "loud.txt@v3", "loud.txt@v4"}
    assert (rows(bench, "SELECT id, sha256 FROM artifact"), rows(bench, "SELECT * FROM attempt_input")) == before
    assert bench.pipeline.verify() == []
    assert set(bench.run().values()) == {"skipped"}


def test_a_dry_run_tells_the_same_and_changes_nothing(bench: Bench) -> None:
    before = stored(bench)
    told = bench.pipeline.gc(1, dry_run=True)
    assert stored(bench) == before
    size = sum(p.stat().st_size for p in (bench.data / "store").rglob("v*"))
    gone = bench.pipeline.gc(1)
    assert gone == told
    assert size - sum(p.stat().st_size for p in (bench.data / "store").rglob("v*")) == gone.size
    assert bench.pipeline.gc(1).versions == 0


def test_what_is_in_force_stays_however_old(bench: Bench) -> None:
    assert set(bench.feed("one").values()) == {"restored"}
    bench.pipeline.gc(1)
    assert stored(bench) == {"lines.txt@v1", "lines.txt@v4", "loud.txt@v1", "loud.txt@v4"}
    assert bench.output("loud.txt") == "ONE\n"


def test_what_a_node_in_force_was_made_from_stays(bench: Bench) -> None:
    for text in ("boom 1", "boom 2"):
        assert bench.feed(text) == {"count.lines": "ran", "shout.lines": "failed"}
    bench.pipeline.gc(1)
    assert stored(bench) == {"lines.txt@v4", "lines.txt@v6", "loud.txt@v4"}


def test_removed_bytes_are_made_again_when_they_are_wanted(bench: Bench) -> None:
    bench.pipeline.gc(1)
    assert set(bench.feed("one").values()) == {"ran"}
    assert bench.output("loud.txt") == "ONE\n"
    assert bench.pipeline.verify() == []


@pytest.mark.parametrize("where", ["_unlink", "os.sync"])
def test_killed_in_the_middle_the_next_run_finishes(bench: Bench, where: str) -> None:
    code = (
        f"import os, signal, sys; sys.path[:0] = [{str(REPO)!r}]\n"
        "from pipeline import Pipeline\nfrom pipeline.upkeep import gc\n"
        f"gc.{where} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"Pipeline([], {str(bench.data)!r}).gc(1)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert set(bench.run().values()) == {"skipped"}
    assert stored(bench) == {"lines.txt@v4", "loud.txt@v4"}
    assert bench.pipeline.verify() == []


def test_batches_are_single_transactions(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.upkeep.gc._BATCH", 1)
    assert bench.pipeline.gc(1).versions == 6
    assert len(rows(bench, "SELECT DISTINCT removed_at FROM artifact WHERE removed_at IS NOT NULL")) == 6
    assert bench.pipeline.verify() == []


def test_the_command_lists_artifacts_and_bytes(bench: Bench) -> None:
    answer = bench.ask(gc, keep=3, raw=False, dry_run=True)
    assert answer.data == {
        "keep": 3,
        "dry_run": True,
        "versions": 2,
        "bytes": 8,
        "artifacts": [{"name": "lines.txt", "versions": 1, "bytes": 4}, {"name": "loud.txt", "versions": 1, "bytes": 4}],
    }
    assert "2 superseded versions would go, 8 B" in answer.text
    assert "Nothing to remove" in bench.ask(gc, keep=4, raw=False, dry_run=False).text


def test_artifacts_of_a_spared_name_stay(bench: Bench) -> None:
    assert bench.pipeline.gc(1, spared="loud").versions == 3
    assert {name for name in stored(bench) if name.startswith("loud")} == {f"loud.txt@v{n}" for n in (1, 2, 3, 4)}


def test_without_a_registry_there_is_nothing_to_remove(tmp_path: Path) -> None:
    assert Bench(tmp_path).pipeline.gc(1, dry_run=True).versions == 0
