"""What `history`, `runs` and the end of a run say of the past, and what they call out of the ordinary."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from config.errors import UsageError
from pipeline.answers.history import Past, _anomalies, anomalies, asked, product_rows, refused
from pipeline.answers.status import status as engine_status
from scripts.explain import explain
from scripts.graph import graph
from scripts.history import history, runs
from scripts.inspect import plan
from scripts.lineage import lineage
from scripts.status import status
from tests.answers_bench import Bench

TEN = [f"line {n}" for n in range(10)]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Three ordinary runs, then a slow one with few rows, many refused; a failure; and back to the first input."""
    found = Bench(tmp_path_factory.mktemp("history"))
    for n in range(3):
        found.feed(*TEN, str(n))
    found.feed("slow", "bad", "bad", "line")
    found.feed("boom")
    found.feed(*TEN, "0")
    return found


def test_history_is_newest_first_with_state_reasons_and_versions(bench: Bench) -> None:
    answer = bench.ask(history, node="shout.lines")
    attempts = answer.data["attempts"]
    assert [a["state"] for a in attempts] == ["restored", "failed", "committed", "committed", "committed", "committed"]
    assert [a["in_force"] for a in attempts] == [False] * 5 + [True]
    assert attempts[1]["error"].startswith("ValueError in stage.py")
    assert attempts[2]["rows"] == 2
    assert attempts[2]["reasons"] == [{"kind": "upstream", "name": "lines.txt", "detail": "changed"}]
    assert attempts[2]["made"] == [{"name": "loud.txt", "version": 4, "new": True}]
    assert "made loud.txt@v4" in answer.text
    assert "SECRET" not in answer.text


def test_a_node_nobody_knows_is_a_usage_error_naming_near_ones(bench: Bench) -> None:
    with pytest.raises(UsageError, match=r"Did you mean shout\.lines\?"):
        bench.ask(history, node="shout")


def test_runs_are_listed_newest_first(bench: Bench) -> None:
    found = bench.ask(runs, run="", last=4).data["runs"]
    assert [(r["status"], r["ran"], r["restored"], r["failed"]) for r in found] == [
        ("succeeded", 0, 2, 0),
        ("failed", 1, 0, 1),
        ("succeeded", 2, 0, 0),
        ("succeeded", 2, 0, 0),
    ]
    assert {r["asked"] for r in found} == {"everything"}


def test_a_run_is_compared_with_the_usual_and_its_anomalies_are_named(bench: Bench) -> None:
    strange = bench.ask(runs, run="", last=3).data["runs"][2]["run_id"]
    answer = bench.ask(runs, run=strange[:10], last=3)
    slowest = answer.data["nodes"][0]
    assert slowest["node"] == "count.lines"
    assert (slowest["past"]["attempts"], slowest["past"]["rows"], slowest["past"]["refused"]) == (3, 11, 0)
    assert [(a["kind"], round(a["value"], 2)) for a in slowest["anomalies"] if a["kind"] != "duration"] == [
        ("rows", 2),
        ("refused", 0.5),
    ]
    assert "duration" in {a["kind"] for a in slowest["anomalies"]}
    assert "count.lines: 2 rows, usually 11 (-82%)" in answer.text
    assert "count.lines: 50.0% refused, usually 0.0%" in answer.text
    with bench.pipeline.reading() as registry:
        assert {a.node for a in anomalies(registry, strange)} == {"count.lines", "shout.lines"}


def test_a_run_nobody_knows_and_an_ambiguous_one_are_usage_errors(bench: Bench) -> None:
    with pytest.raises(UsageError, match="There is no run 'zzz'"):
        bench.ask(runs, run="zzz", last=3)
    begins: dict[str, int] = {}
    for r in bench.ask(runs, run="", last=9).data["runs"]:
        begins[r["run_id"][0]] = begins.get(r["run_id"][0], 0) + 1
    for begin, count in begins.items():
        if count > 1:
            with pytest.raises(UsageError, match="More than one run"):
                bench.ask(runs, run=begin, last=3)


@pytest.mark.parametrize(
    ("past", "rows", "seconds", "rejected", "kinds"),
    [
        (Past(3, 1.0, 100.0, 0.0), 150, 3.0, 1, []),  # exactly at each limit
        (Past(3, 1.0, 100.0, 0.0), 151, 3.1, 2, ["rows", "duration", "refused"]),
        (Past(3, 1.0, 100.0, 0.0), 49, 1.0, 0, ["rows"]),
        (Past(2, 1.0, 100.0, 0.0), 1, 99.0, 90, []),  # too few to say what is usual
        (Past(9, 0.1, 100.0, 0.0), 100, 0.9, 0, []),  # nine times as slow, but under a second
        (Past(9, 1.0, 100.0, 0.02), 100, 1.0, 3, []),  # half as much again
        (Past(9, 1.0, 100.0, 0.02), 100, 1.0, 4, ["refused"]),
        (Past(9, None, None, None), 5, 5.0, 5, []),
        (Past(9, 0.0, 0.0, 0.0), 1, 0.1, 0, ["rows"]),
    ],
)
def test_the_limits_of_the_ordinary(past: Past, rows: int, seconds: float, rejected: int, kinds: list[str]) -> None:
    report = {"balance": {"unit": "row", "came": 100, "fates": {"accepted": 100 - rejected, "rejected:odd": rejected}}}
    assert [a.kind for a in _anomalies("n", past, rows, seconds, report)] == kinds


def test_rows_are_those_of_the_first_output_a_collections_members_together() -> None:
    assert product_rows({"rows": {"readings": 5, "rejected": 2}}, 7) == 5
    assert product_rows({"rows": {"raw/a": 5, "raw/b": 2, "other": 9}}, 16) == 7
    assert product_rows({}, 3) == 3
    assert refused({"refused": {"zero": 2}, "balance": {"fates": {"rejected:zero": 1, "rejected:odd": 9, "accepted": 4}}}) == {
        "odd": 9,
        "zero": 3,
    }


def test_what_a_run_was_asked_for_is_told_in_words() -> None:
    nothing = {"start_stage": None, "until_stage": None, "only_stage": None, "hold_stages": [], "hold_nodes": [], "force": None}
    assert asked(nothing) == "everything"
    assert asked(nothing | {"until_stage": "merge", "force": ["a", "b"]}) == "--until-stage merge, --force a b"
    assert asked(nothing | {"force": []}) == "--force"
    assert asked({"gc": 3}) == "gc --keep 3"


def test_status_tells_what_failed_until_it_is_mended(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert bench.ask(status).text == "Nothing has run yet: python main.py"
    bench.feed("boom")
    answer = bench.ask(status)
    assert answer.data["missing"] == []
    assert "✗ shout.lines" in answer.text
    assert "ValueError in stage.py" in answer.text
    assert "failed in" in answer.text
    bench.feed("fine")
    answer = bench.ask(status)
    assert "✗" not in answer.text
    assert "loud.txt@v1" in answer.text
    node = next(n for n in answer.data["nodes"] if n["node"] == "shout.lines")
    assert {"node", "stage", "state", "attempt", "started_at", "seconds", "rows", "report", "outputs", "error"} <= set(node)


def test_a_failure_is_forgotten_when_the_earlier_state_came_back(bench: Bench) -> None:
    with bench.pipeline.reading() as registry:
        assert {n["state"] for n in engine_status(registry)["nodes"]} == {"committed"}


def test_a_failure_is_past_while_the_earlier_result_is_in_force(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.feed("fine")
    bench.feed("boom")
    answer = bench.ask(status)
    node = next(n for n in answer.data["nodes"] if n["node"] == "shout.lines")
    assert (node["state"], node["error"], node["failed"]["state"]) == ("committed", None, "failed")
    assert "its last attempt failed just now, what it made before is in force: ValueError in stage.py" in answer.text
    assert answer.text.splitlines()[-2].endswith("Mend the above and run again.")
    assert "2 nodes, " in answer.text.splitlines()[-1]
    assert "1 failed last time, with what came before in force" in answer.text.splitlines()[-1]


def test_nobody_is_sent_to_mend_what_a_run_would_skip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path)
    sink = "def holds(inputs, settings):\n    import os\n    return os.path.exists(settings['db'])\n"
    load = "def load(inputs, outputs, settings):\n    open(settings['db'], 'r+').close()\n"
    bench.write({"a_small_database.py": sink + load, "db": ""})
    monkeypatch.syspath_prepend(tmp_path)
    bench.settings = {"db": str(tmp_path / "db")}
    reads = {"inputs": {"lines": "lines.txt"}, "secrets": ["db"], "sink": "a_small_database:holds"}
    bench.nodes = [bench.nodes[0], {"name": "load", "stage": "z", "run": "a_small_database:load", **reads}]
    assert bench.feed("x")["load"] == "ran"
    (tmp_path / "db").rename(tmp_path / "away")
    ((kind, name, detail),) = next(reasons for node, _, reasons in bench.call(plan=True) if node == "load")
    assert (kind, name, detail) == ("output", "the database", "does not hold it any more, or cannot be asked")
    assert bench.run()["load"] == "failed"
    assert "Mend the above and run again." in bench.ask(status).text
    (tmp_path / "away").rename(tmp_path / "db")
    assert bench.run()["load"] == "skipped"
    text = bench.ask(status).text
    assert "Mend the above" not in text
    assert "A run now would find nothing to do." in text
    assert text.splitlines()[-1].startswith("2 nodes, ")


def test_a_killed_run_is_told_as_interrupted_before_any_other_starts(tmp_path: Path) -> None:
    from pipeline import lock

    bench = Bench(tmp_path)
    bench.feed("x")
    with sqlite3.connect(bench.data / "registry.db") as db:
        db.execute("INSERT INTO run VALUES ('killed', 0, NULL, '{}', 'h', 1, 'running', 0)")
        columns = "id, run_id, node, stage, input_hash, state, code_id, settings_id, environment_id, started_at, reasons"
        for number, node in enumerate(("shout.lines", "gone")):
            db.execute(
                f"INSERT INTO attempt ({columns}) VALUES ({number}, 'killed', '{node}', 's', '', 'started', '', '', '', 0, '[]')"
            )
    for going_on, run_state, state in ((True, "running", "started"), (False, "interrupted", "aborted")):
        with lock.exclusive(str(bench.data)) if going_on else contextlib.nullcontext():
            found = bench.ask(status)
            nodes = {n["node"]: n for n in found.data["nodes"]}
            assert found.data["last_run"]["status"] == run_state
            assert (nodes["shout.lines"]["failed"]["state"], nodes["gone"]["state"]) == (state, state)
            assert bench.ask(runs, run="", last=1).data["runs"][0]["status"] == run_state
            assert {n["state"] for n in bench.ask(runs, run="last", last=1).data["nodes"]} == {state}
            assert bench.ask(history, node="shout.lines").data["attempts"][0]["state"] == state
            assert bench.pipeline.explain("shout.lines").failed.state == state  # type: ignore[union-attr]


def test_history_follows_row_numbers_not_clocks(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.feed("one")
    bench.feed("two")
    bench.feed("one")
    with sqlite3.connect(bench.data / "registry.db") as db:
        db.execute(
            "UPDATE attempt SET started_at = 9e9 WHERE rowid = (SELECT min(rowid) FROM attempt WHERE node = 'shout.lines')"
        )
        db.execute("UPDATE event SET at = 1.0")
    attempts = bench.ask(history, node="shout.lines").data["attempts"]
    assert [a["state"] for a in attempts] == ["restored", "committed", "committed"]
    assert [a["at"] for a in attempts][::2] == [1.0, 9e9]


@pytest.mark.parametrize("start_anew", ["forget", "clean"])
def test_what_ran_before_a_clean_start_is_not_the_usual(tmp_path: Path, start_anew: str) -> None:
    bench = Bench(tmp_path)
    for n in range(3):
        bench.feed(*TEN, str(n))
    getattr(bench.pipeline, start_anew)(lambda _: True)
    bench.feed("other", "data")
    answer = bench.ask(runs, run="last", last=1)
    assert {n["node"]: n["past"] for n in answer.data["nodes"]}["count.lines"] == Past(0, None, None, None)._asdict()
    assert "Out of the ordinary" not in answer.text
    bench.feed("other", "data", "more")
    (past,) = (n["past"] for n in bench.ask(runs, run="last", last=1).data["nodes"] if n["node"] == "count.lines")
    assert past == Past(1, None, None, None)._asdict()  # too few to show


def test_a_failed_first_try_is_not_called_never_run(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert bench.ask(explain, node="shout.lines").data["changes"][0]["detail"] == "never ran before"
    bench.feed("boom")
    assert bench.call(plan=True)[1][2] == [["new", "shout.lines", "nothing of it is in force"]]


def test_explain_promises_no_skip_when_nothing_is_in_force(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.feed("x")
    bench.write({"data/in.txt": "y\n"})
    assert "it is skipped after all" in bench.ask(explain, node="shout.lines").text
    bench.pipeline.clean(lambda _: True)
    answer = bench.ask(explain, node="shout.lines")
    assert "skipped after all" not in answer.text
    assert "  new       nothing of it is in force" in answer.text.splitlines()
    assert "Nothing of it is in force." in answer.text


def test_a_plan_tells_what_is_not_looked_at_and_its_counts_add_up(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.feed("x")
    bench.feed("y")
    bench.write({"data/in.txt": "x\n"})
    asked = {
        "only_stage": None,
        "start_stage": None,
        "until_stage": None,
        "resume": False,
        "sources": [],
        "skip_ingestion": False,
    }
    answer = bench.ask(plan, **asked, force=None)
    assert answer.text.splitlines()[-1] == "2 would come back."
    answer = bench.ask(plan, **{**asked, "start_stage": "shout"}, force=["shout.lines"])
    assert [(n["action"], n.get("held")) for n in answer.data["nodes"]] == [("skip", True), ("run", None)]
    assert answer.text.splitlines()[0] == "  held     count.lines  not looked at"
    assert answer.text.splitlines()[-1] == "1 would run, 1 not looked at."
    answer = bench.ask(plan, **{**asked, "start_stage": "shout"}, force=None)
    assert answer.text.splitlines()[-1] == "Nothing to do: 1 node up to date; 1 not looked at."


def test_a_version_that_is_not_there_and_a_collection_are_told_with_what_there_is(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert bench.ask(lineage, artifact="loud.txt", up=False, down=False).text == "Nothing has run yet: python main.py"
    bench.feed("x")
    with pytest.raises(UsageError, match=r"loud\.txt has only v1\."):
        bench.ask(lineage, artifact="loud.txt@v9", up=False, down=False)
    bench.feed("y")
    with pytest.raises(UsageError, match=r"loud\.txt has v1 to v2\."):
        bench.ask(lineage, artifact="loud.txt@v9", up=False, down=False)
    bench.nodes = [{**bench.nodes[0], "outputs": {"lines": "many/lines.txt"}}]
    bench.run()
    with pytest.raises(UsageError, match=r"many/\*\* is a collection\. Ask for one of its 1: many/lines\.txt\."):
        bench.ask(lineage, artifact="many/**", up=False, down=False)


def test_status_names_nodes_that_never_ran(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.feed("x")
    bench.nodes = [*bench.nodes, {"name": "later", "stage": "z", "run": "stage:shout", "inputs": {"lines": "lines.txt"}}]
    answer = bench.ask(status)
    assert answer.data["missing"] == ["later"]
    assert "Nothing in force yet: later" in answer.text


PARTS = """
def split(inputs, outputs, settings):
    for line in open(inputs.one("text").path).read().split():
        with outputs.open("parts", line[0]) as out:
            out.write(line.encode())
def work(inputs, outputs, settings):
    text = open(inputs.one("part").path).read()
    if text == "bad":
        raise ValueError("SECRET")
    with outputs.open("done") as out:
        out.write(text.upper().encode())
"""


def test_the_parts_of_a_mapped_node_are_told_with_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.write({"stage.py": PARTS})
    bench.nodes = [
        {"name": "split", "stage": "a", "run": "stage:split", "files": {"text": "in.txt"}, "outputs": {"parts": "parts/**"}},
        {
            "name": "work",
            "stage": "b",
            "run": "stage:work",
            "inputs": {"part": "parts/**"},
            "outputs": {"done": "done/**"},
            "each": "part",
        },
    ]
    bench.feed("one", "two")
    answer = bench.ask(status)
    assert [n["node"] for n in answer.data["nodes"]] == ["split", "work[o]", "work[t]", "work"]
    assert "done/** 2 files  (2 parts)" in answer.text
    assert "work[o]" not in answer.text
    bench.feed("one", "bad")
    text = bench.ask(status).text
    assert "✗ work[b]" in text
    assert "ValueError in stage.py" in text
    drawn = bench.ask(graph, format="text", out=None)
    assert [(n["node"], n["action"], n["state"]) for n in drawn.data["nodes"]] == [
        ("split", "skip", "committed"),
        ("work", "run", "failed"),
    ]
    assert [s["node"] for s in bench.ask(lineage, artifact="done/o", up=True, down=False).data["up"]] == ["work[o]", "split"]


def test_lineage_is_a_tree_and_follows_the_attempt_in_force(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.feed("a")
    bench.feed("a", "bad")  # the same lines: no new version, another input
    answer = bench.ask(lineage, artifact="loud.txt", up=True, down=False)
    assert [(s["depth"], s["name"], s["node"]) for s in answer.data["up"]] == [
        (1, "lines.txt", "shout.lines"),
        (2, "in.txt", "count.lines"),
    ]
    in_force = bench.ask(history, node="count.lines").data["attempts"][0]
    assert answer.data["up"][1]["attempt"] == in_force["attempt"]
    tree = [line for line in answer.text.splitlines() if "─" in line]
    assert tree[0].startswith("└─ lines.txt@v1")
    assert tree[1].startswith("   └─ in.txt")
    down = bench.ask(lineage, artifact="lines.txt@v1", up=False, down=True)
    assert [s["name"] for s in down.data["down"]] == ["loud.txt"]
    assert down.data["up"] == []
    with pytest.raises(UsageError, match="Did you mean"):
        bench.ask(lineage, artifact="lins.txt", up=False, down=False)
