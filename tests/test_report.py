"""The page of a run: complete, on its own, private, and without anything it must not tell."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from config.errors import StoreError, UsageError
from pipeline.answers.report import report as engine_report
from pipeline.dag import Dag
from pipeline.node import Node
from scripts.discretion import Discretion
from scripts.report import as_page, report
from tests.answers_bench import Bench
from tests.test_graph import Tags, refuse_outside

COLLECT = """
def copy(inputs, outputs, settings):
    findings = []
    for file in inputs.many("drop"):
        with outputs.open("raw", file.name.rpartition("/")[2]) as out:
            out.write(open(file.path, "rb").read())
        findings.append({"code": "seen", "message": "A file in " + file.name, "where": file.name, "count": 1})
    return {"rows": {}, "findings": findings}
def count(inputs, outputs, settings):
    file = inputs.one("raw")
    text = open(file.path).read()
    if "boom" in text:
        from config.errors import PDPError
        raise PDPError(f"It could not be read in {file.name}.", "Mend it.")
    with outputs.open("lines") as out:
        out.write(text.upper().encode())
    return {"rows": {"lines": 1}}
"""
COLLECTED: list[dict[str, Any]] = [
    {"name": "copy", "stage": "a", "run": "stage:copy", "files": {"drop": "inbox/bp/**"}, "outputs": {"raw": "raw/bp/**"}},
    {
        "name": "each.lines",
        "stage": "b",
        "run": "stage:count",
        "inputs": {"raw": "raw/bp/**"},
        "outputs": {"lines": "lines/**"},
        "each": "raw",
    },
]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    found = Bench(tmp_path_factory.mktemp("report"))
    for n in range(3):
        found.feed(*[f"reading {n}"] * 10)
    found.feed("reading 7", "bad")
    return found


def page(bench: Bench, tmp_path: Path, run: str = "") -> str:
    out = tmp_path / "page.html"
    bench.ask(report, run=run, out=str(out))
    return out.read_text()


def test_the_page_names_nodes_reasons_rows_refusals_outputs_and_anomalies(bench: Bench, tmp_path: Path) -> None:
    text = page(bench, tmp_path)
    for word in ("count.lines", "data: in.txt", "1 bad", "lines.txt@v4", "usually 10", "1 rows, usually 10 (-90%)", "cpython 3."):
        assert word in text, word
    with bench.pipeline.reading() as registry:
        facts = engine_report(registry)
    assert facts["nodes"][0]["outputs"][0]["sha256"][:12] in text
    assert sum(tag == "rect" for tag, _ in Tags(text).found) == len(facts["nodes"])  # a bar each


def test_the_page_is_on_its_own_and_tells_no_place_and_no_value(bench: Bench, tmp_path: Path) -> None:
    text = page(bench, tmp_path)
    refuse_outside(text)
    assert str(bench.root) not in text
    assert "reading 7" not in text
    assert "prefers-color-scheme:dark" in text
    assert "@media print" in text


def test_it_lies_in_the_data_directory_for_its_owner_alone(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    answer = bench.ask(report, run="", out=None)
    assert list(tmp_path.iterdir()) == []
    (found,) = (bench.data / "reports").iterdir()
    assert found.name == f"run-{answer.data['run_id'][:8]}.html"
    assert answer.data["file"] == str(found)
    assert str(found) in answer.text
    assert stat.S_IMODE(found.stat().st_mode) == 0o600
    assert stat.S_IMODE(found.parent.stat().st_mode) == 0o700
    assert bench.pipeline.verify() == []
    assert set(bench.run().values()) == {"skipped"}


def test_no_name_of_a_dropped_file_is_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.nodes = COLLECTED
    bench.write({"stage.py": COLLECT, "data/inbox/bp/John Smith [2].csv": "a\n", "data/inbox/bp/Jane.csv": "b\n"})
    assert set(bench.run().values()) == {"ran"}
    bench.write({"data/inbox/bp/John Smith [2].csv": "c\n", "data/inbox/bp/Jane.csv": "d\n", "data/inbox/bp/Jim.csv": "boom\n"})
    bench.run()
    out = tmp_path / "page.html"
    answer = bench.ask(report, run="", out=str(out))
    text = out.read_text()
    for name in ("John", "Smith", "Jane", "Jim"):
        assert name not in text
        assert name in json.dumps(answer.data)
    for word in ("data: inbox/bp/… – changed (2)", "data: inbox/bp/… – new", "raw/bp/…@v2", "each.lines[#1]", "in raw/bp/…"):
        assert word in text, word


def test_failures_and_restores_are_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.feed("fine")
    bench.feed("boom")
    failed = page(bench, tmp_path)
    assert "ValueError in stage.py" in failed
    assert "SECRET" not in failed
    bench.feed("fine")
    assert "Came back without running" in page(bench, tmp_path)
    with bench.pipeline.reading() as registry:
        assert [n["node"] for n in engine_report(registry)["restored_nodes"]] == ["count.lines"]


def test_every_name_is_escaped() -> None:
    nasty = '<img src=x onerror=alert(1)>"&'
    node: dict[str, Any] = {
        "node": nasty,
        "stage": nasty,
        "state": "failed",
        "attempt": nasty,
        "started_at": 1.0,
        "seconds": None,
        "rows": None,
        "peak_bytes": None,
        "reasons": [{"kind": nasty, "name": nasty, "detail": nasty}],
        "refused": {nasty: 1},
        "error": nasty,
        "findings": [{"message": nasty, "where": nasty, "count": 2}],
        "past": {"attempts": 3, "seconds": 1.0, "rows": 2.0, "refused": None},
        "anomalies": [{"node": nasty, "kind": "rows", "value": 1, "usual": 9.0}],
        "outputs": [{"name": nasty, "version": 1, "sha256": nasty, "size": 1, "rows": None, "new": False}],
    }
    found = {
        "run_id": nasty,
        "status": "failed",
        "started_at": 1.0,
        "seconds": None,
        "asked": nasty,
        "ran": 0,
        "restored": 1,
        "failed": 1,
    }
    found |= {"nodes": [node], "restored_nodes": [node], "environment": {nasty: nasty}}
    refuse_outside(as_page(found))


def test_a_sentence_loses_everything_from_the_folder_to_the_files_ending() -> None:
    node = Node("n", "s", "m:f", files={"in": "drop/**"}, outputs={"out": "out/a.txt"})
    told = Discretion(Dag([node]))
    assert told.prose("drop/My Doctor v1.2.csv changed. Then out/a.txt was made.") == "drop/… was made."
    assert told.prose("It reads drop/** and inbox/old/Jo.csv") == "It reads drop/** and inbox/old/…"
    assert told.prose("raw/old/nobody") == "raw/old/…"
    assert [told.name(n) for n in ("out/a.txt", "drop/x/Jo.csv", "gone/deep/er/Jo.csv")] == ["out/a.txt", "drop/…", "gone/deep/…"]


def test_a_run_that_is_not_there_and_a_folder_that_is_not_there_are_errors(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no run"):
        page(bench, tmp_path, "zz")
    with pytest.raises(StoreError, match="could not be written"):
        bench.ask(report, run="", out=str(tmp_path / "no" / "where.html"))
    assert Bench(tmp_path).ask(report, run="", out=None).text == "Nothing has run yet: python main.py"
