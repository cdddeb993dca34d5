"""How a run goes: failures, blocks, stages, force, workers, moving inputs, collections, signals, two runs at once."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from config.errors import BusyError, PipelineError, RegistryError, UsageError
from pipeline import Node, Pipeline, Selection, lock
from tests.engine_bench import REPO, Project

CODE = """
import os, time

def copy(inputs, outputs, settings):
    with outputs.open("out") as out:
        for role in inputs.roles():
            for file in inputs.many(role):
                out.write(open(file.path, "rb").read())

def fail(inputs, outputs, settings):
    with outputs.open("out") as out:
        out.write(b"half")
    raise ValueError("value 140 is secret")

def half(inputs, outputs, settings):
    return {}

def unbalanced(inputs, outputs, settings):
    with outputs.open("out") as out:
        out.write(b"x")
    return {"balance": {"unit": "row", "came": 3, "fates": {"accepted": 2}}}

def undeclared(inputs, outputs, settings):
    settings["password"]

def swallow(inputs, outputs, settings):
    out = outputs.open("out")
    out.raw.broken = OSError(28, "No space left on device")
    out.close()

def die(inputs, outputs, settings):
    os.kill(os.getpid(), 9)

def leave(inputs, outputs, settings):
    raise SystemExit(0)

def broken_remote(settings):
    raise ValueError("token=SECRET")

def broken_sink(inputs, settings):
    raise KeyError("SECRET")

def odd_report(inputs, outputs, settings):
    by_path(inputs, outputs, settings)
    return {"findings": [{"code": object()}]}

def odd_rows(inputs, outputs, settings):
    by_path(inputs, outputs, settings)
    return {"rows": {"out": "many"}}

def roles(inputs, outputs, settings):
    with outputs.open("out") as out:
        out.write(" ".join(inputs.roles()).encode())

def slow(inputs, outputs, settings):
    with outputs.open("out") as out:
        out.write(b"slow")
        out.flush()
        open(os.environ["FLAG"], "w").close()
        time.sleep(30)

def move(inputs, outputs, settings):
    (file,) = inputs.many("in")
    text = open(file.path).read()
    if os.path.exists(os.environ["FLAG"]):
        open(file.path, "w").write(text + "+")
    if os.environ.get("ONCE"):
        os.unlink(os.environ["FLAG"]) if os.path.exists(os.environ["FLAG"]) else None
    with outputs.open("out") as out:
        out.write(text.encode())

def many(inputs, outputs, settings):
    for file in inputs.many("in"):
        member = file.name.removeprefix("inbox/")
        known = outputs.previous("out").get(member)
        if known and known.sha256 == file.sha256:
            outputs.keep("out", member)
        else:
            with outputs.open("out", member) as out:
                out.write(open(file.path, "rb").read())

def names(inputs, outputs, settings):
    with outputs.open("out") as out:
        out.write(" ".join(f.name for f in inputs.many("all")).encode())

def by_path(inputs, outputs, settings):
    open(outputs.path("out"), "w").write("native")
"""


def node(name: str, run: str = "stage:copy", stage: str = "s", **more: Any) -> dict[str, Any]:
    return {"name": name, "stage": stage, "run": run, "outputs": {"out": f"made/{name}.txt"}, **more}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path, [node("n", files={"in": "inbox/**"})])
    project.write({"stage.py": CODE, "data/inbox/a.txt": "a", "data/inbox/b.txt": "b"})
    project.env = {"FLAG": str(tmp_path / "flag")}
    return project


def branches(run: str) -> list[dict[str, Any]]:
    return [
        node("bad", run, files={"in": "inbox/**"}),
        node("after", inputs={"x": "made/bad.txt"}),
        node("later", inputs={"x": "made/after.txt"}),
        node("good", files={"in": "inbox/**"}),
        node("fine", inputs={"x": "made/good.txt"}),
    ]


@pytest.mark.parametrize("jobs", [1, 2])
def test_independent_branches_go_on_when_one_node_fails(project: Project, jobs: int) -> None:
    project.nodes = branches("stage:fail")
    assert project.run(jobs=jobs) == {"bad": "failed", "after": "blocked", "later": "blocked", "good": "ran", "fine": "ran"}
    assert not list((project.data / "store").rglob("*.tmp"))
    assert project.run(jobs=jobs) == {
        "bad": "failed",
        "after": "blocked",
        "later": "blocked",
        "good": "skipped",
        "fine": "skipped",
    }


def test_a_foreign_error_is_told_without_its_text(project: Project) -> None:
    project.nodes = [node("bad", "stage:fail", files={"in": "inbox/**"})]
    _, _, _, error, details, _ = project.call()[0]
    assert "140" not in error
    assert "ValueError in stage.py:" in error
    assert "value 140" in details


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ("stage:half", "without writing"),
        ("stage:unbalanced", "3 came in as row but 2"),
        ("stage:undeclared", "does not declare"),
        ("stage:swallow", "No space left"),
        ("stage:absent", "cannot be loaded"),
    ],
)
def test_a_stage_that_breaks_its_promise_commits_nothing(project: Project, run: str, words: str) -> None:
    project.nodes = [node("n", run, files={"in": "inbox/**"})]
    found = project.call()[0]
    assert found[1] == "failed"
    assert words in found[3]
    assert not (project.data / "made").exists()


def test_a_worker_that_dies_fails_its_node_and_no_other(project: Project) -> None:
    project.nodes = [node("n0", files={"in": "inbox/**"}), node("die", "stage:die", files={"in": "inbox/**"})]
    project.nodes += [node(f"n{i}", files={"in": "inbox/**"}) for i in range(1, 5)]
    assert project.run(jobs=2) == {"die": "failed"} | {f"n{i}": "ran" for i in range(5)}
    assert not list((project.data / "store").rglob("*.tmp"))
    with sqlite3.connect(project.data / "registry.db") as db:
        assert db.execute("SELECT count(*) FROM attempt WHERE state = 'started'").fetchone() == (0,)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_stage_that_leaves_the_program_fails_like_any_other(project: Project, jobs: int) -> None:
    project.nodes = [node("n", "stage:leave", files={"in": "inbox/**"}), node("fine", files={"in": "inbox/**"})]
    assert project.run(jobs=jobs) == {"n": "failed", "fine": "ran"}


@pytest.mark.parametrize("kind", ["remote", "sink"])
def test_a_remote_or_sink_that_breaks_fails_its_node_without_telling_a_secret(project: Project, kind: str) -> None:
    project.nodes = [node("n", files={"in": "inbox/**"}), node("fine", files={"in": "inbox/**"})]
    if kind == "sink":
        assert project.run() == {"n": "ran", "fine": "ran"}
    project.nodes[0][kind] = "stage:broken_" + kind
    found = project.call()
    assert [row[1] for row in found] == ["failed", "ran" if kind == "remote" else "skipped"]
    assert "SECRET" not in found[0][3]
    assert "SECRET" not in json.dumps(project.call(plan=True))


@pytest.mark.parametrize("run", ["stage:odd_report", "stage:odd_rows"])
def test_a_report_that_is_no_plain_data_fails_its_node_only(project: Project, run: str) -> None:
    project.nodes = [node("n", run, files={"in": "inbox/**"}), node("fine", files={"in": "inbox/**"})]
    assert project.run() == {"n": "failed", "fine": "ran"}


def test_a_renamed_node_never_brings_old_bytes_back(project: Project) -> None:
    project.nodes = [{**node("z", files={"in": "inbox/**"}), "outputs": {"out": "made/x.txt"}}]
    project.run()
    project.nodes = [{**node("a", "stage:by_path", files={"in": "inbox/**"}), "outputs": {"out": "made/x.txt"}}]
    assert project.run() == {"a": "ran"}
    assert project.run() == {"a": "skipped"}
    assert project.output("made/x.txt") == "native"


def test_a_view_that_cannot_be_set_is_no_failure_of_the_node(project: Project) -> None:
    (project.data / "made/n.txt").mkdir(parents=True)
    assert project.run() == {"n": "ran"}
    assert project.run() == {"n": "skipped"}
    pipeline = Pipeline([Node(**n) for n in project.nodes], str(project.data), code_root=str(project.root))
    assert "does not show" in " ".join(pipeline.verify())
    (project.data / "made/n.txt").rmdir()
    assert project.run() == {"n": "skipped"}
    assert pipeline.verify() == []


def test_a_half_made_view_left_by_a_power_cut_goes_at_the_next_start(project: Project) -> None:
    project.run()
    half = project.data / "made/n.txt.tmp"
    half.symlink_to("../store/made/n.txt/v1-x.txt")
    assert project.run() == {"n": "skipped"}
    assert not half.is_symlink()


def test_a_reader_that_asks_for_the_lock_keeps_no_run_from_starting(tmp_path: Path) -> None:
    import threading

    with lock.exclusive(str(tmp_path)):
        pass
    stop = threading.Event()
    probe = threading.Thread(target=lambda: [lock.is_held(str(tmp_path)) for _ in iter(stop.is_set, True)])
    probe.start()
    try:
        for _ in range(300):
            with lock.exclusive(str(tmp_path)):
                pass
    finally:
        stop.set()
        probe.join()


def test_a_resource_that_is_not_there_is_an_error_and_a_deep_one_counts(project: Project) -> None:
    project.nodes = [node("n", files={"in": "inbox/**"}, resources=["q/**/*.sql"])]
    assert "No file matches" in project.call()[0][3]
    project.write({"q/deep/a.sql": "select 1"})
    assert project.run() == {"n": "ran"}
    project.write({"q/deep/a.sql": "select 2"})
    assert project.run() == {"n": "ran"}
    project.write({"q/deep/b.sql": "select 3"})
    assert project.run() == {"n": "ran"}


def test_the_wiring_is_part_of_the_key(project: Project) -> None:
    project.nodes = [node("n", "stage:roles", files={"a": "inbox/a.txt", "b": "inbox/b.txt"})]
    assert project.run() == {"n": "ran"}
    project.nodes = [node("n", "stage:roles", files={"b": "inbox/b.txt", "a": "inbox/a.txt"})]
    assert project.run() == {"n": "ran"}
    project.nodes = [node("n", "stage:roles", files={"b": "inbox/b.txt", "a": "inbox/a.txt", "z": "zero/**"})]
    assert project.run() == {"n": "ran"}
    assert project.output("made/n.txt") == "b a z"


HELPED = """
import helper

def run(inputs, outputs, settings):
    with outputs.open("out") as out:
        out.write(helper.V.encode())
"""
TWICE = """
import os, sys, time
sys.path[:0] = [{repo!r}, {root!r}]
from pipeline import Node, Pipeline
nodes = [Node("n", "s", "stage:run", files={{"in": "inbox/**"}}, outputs={{"out": "made/n.txt"}})]
if __name__ == "__main__":
    for text in ("one", "two"):
        open({root!r} + "/helper.py", "w").write(f"V = {{text!r}}\\n")
        run = Pipeline(nodes, {data!r}, code_root={root!r}).run()
        print(run.outcomes[0].action)
"""


def test_code_edited_while_the_program_runs_is_never_committed_under_its_new_hash(project: Project) -> None:
    project.write({"stage.py": HELPED, "helper.py": "V = 'zero'\n"})
    driver = TWICE.format(repo=str(REPO), root=str(project.root), data=str(project.data))
    project.write(
        {
            "twice.py": driver.replace('for text in ("one", "two"):', 'for text in ("zero", "two"):').replace(
                "        open(", "        if text != 'zero': open("
            )
        }
    )
    done = subprocess.run([sys.executable, str(project.root / "twice.py")], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["ran", "failed"], done.stderr
    project.nodes = [
        {"name": "n", "stage": "s", "run": "stage:run", "files": {"in": "inbox/**"}, "outputs": {"out": "made/n.txt"}}
    ]
    assert project.run() == {"n": "ran"}
    assert project.output("made/n.txt") == "two"


def test_stale_bytecode_of_an_edit_within_the_same_second_is_never_committed(project: Project) -> None:
    project.write({"stage.py": HELPED, "helper.py": "V = 'one'\n"})
    project.nodes = [
        {"name": "n", "stage": "s", "run": "stage:run", "files": {"in": "inbox/**"}, "outputs": {"out": "made/n.txt"}}
    ]
    project.env["PYTHONDONTWRITEBYTECODE"] = ""
    assert project.run() == {"n": "ran"}
    before = (project.root / "helper.py").stat()
    project.write({"helper.py": "V = 'two'\n"})
    os.utime(project.root / "helper.py", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert project.run() == {"n": "failed"}
    assert project.run() == {"n": "ran"}
    assert project.output("made/n.txt") == "two"


def test_a_file_name_that_is_no_text_harms_nobody_else(project: Project) -> None:
    with open(os.fsencode(project.data / "inbox") + b"/caf\xe9.txt", "wb") as file:
        file.write(b"x")
    assert project.run() == {"n": "ran"}
    assert project.run() == {"n": "skipped"}


def test_workers_give_the_same_bytes(project: Project, tmp_path: Path) -> None:
    project.nodes = [node("n", files={"in": "inbox/**"}), *(node(f"n{i}", inputs={"x": "made/n.txt"}) for i in range(4))]
    assert set(project.run(jobs=2).values()) == {"ran"}
    assert project.output("made/n3.txt") == "ab"
    assert set(project.run(jobs=1).values()) == {"skipped"}


def test_an_input_that_moves_once_is_read_again(project: Project) -> None:
    (project.data / "inbox/b.txt").unlink()
    project.nodes = [node("n", "stage:move", files={"in": "inbox/**"})]
    (project.root / "flag").touch()
    project.env["ONCE"] = "1"
    assert project.run() == {"n": "ran"}
    assert project.output("made/n.txt") == "a+"
    assert project.run() == {"n": "skipped"}


def test_an_input_that_keeps_moving_fails_and_commits_nothing(project: Project) -> None:
    (project.data / "inbox/b.txt").unlink()
    project.nodes = [node("n", "stage:move", files={"in": "inbox/**"})]
    (project.root / "flag").touch()
    found = project.call()[0]
    assert found[1] == "failed"
    assert "changed while" in found[3]
    assert not (project.data / "made").exists()


def test_a_collection_follows_its_folder_and_rewrites_only_what_changed(project: Project) -> None:
    project.nodes = [
        {"name": "n", "stage": "s", "run": "stage:many", "files": {"in": "inbox/**"}, "outputs": {"out": "raw/**"}},
        node("m", "stage:names", inputs={"all": "raw/**"}),
    ]
    project.run()
    first = (project.data / "raw/a.txt").resolve().stat().st_ino
    (project.data / "inbox/b.txt").rename(project.data / "inbox/c.txt")
    (project.data / "inbox/deep").mkdir()
    (project.data / "inbox/deep/d.txt").write_text("d")
    assert project.run() == {"n": "ran", "m": "ran"}
    assert project.output("made/m.txt") == "raw/a.txt raw/c.txt raw/deep/d.txt"
    assert (project.data / "raw/a.txt").resolve().stat().st_ino == first
    assert not (project.data / "raw/b.txt").exists()


def test_a_library_may_write_the_file_itself(project: Project) -> None:
    project.nodes = [node("n", "stage:by_path", files={"in": "inbox/**"})]
    assert project.run() == {"n": "ran"}
    assert project.output("made/n.txt") == "native"


def test_everything_written_is_private(project: Project) -> None:
    project.run()
    open_to_others = [
        p for p in project.data.rglob("*") if not p.is_symlink() and p.stat().st_mode & 0o077 and "inbox" not in p.parts
    ]
    assert open_to_others == []


STAGED = [
    node("one", stage="a", files={"in": "inbox/**"}),
    node("two", stage="b", inputs={"x": "made/one.txt"}),
    node("three", stage="c", inputs={"x": "made/two.txt"}),
]


def test_stage_options_hold_what_is_before_and_leave_out_what_is_after(project: Project) -> None:
    project.nodes = STAGED
    assert project.run(until_stage="b") == {"one": "ran", "two": "ran"}
    (project.data / "inbox/a.txt").write_text("A")
    assert project.run(start_stage="b") == {"one": "skipped", "two": "skipped", "three": "ran"}
    assert project.run(only_stage="b") == {"one": "skipped", "two": "skipped"}
    assert project.run(hold_stages=["a"]) == {"one": "skipped", "two": "skipped", "three": "skipped"}
    assert project.run() == {"one": "ran", "two": "ran", "three": "ran"}


def test_a_held_node_with_nothing_to_offer_blocks(project: Project) -> None:
    project.nodes = STAGED
    assert project.run(start_stage="b") == {"one": "blocked", "two": "blocked", "three": "blocked"}


def test_a_stage_run_alone_needs_only_the_stages_it_rests_on(project: Project) -> None:
    project.nodes = [*STAGED[:2], node("beside", stage="c", inputs={"x": "made/one.txt"})]
    project.run(only_stage="a")
    assert project.run(only_stage="c") == {"one": "skipped", "beside": "ran"}
    assert project.run(only_stage="b") == {"one": "skipped", "two": "ran"}
    assert project.run() == {"one": "skipped", "two": "skipped", "beside": "skipped"}


def test_a_held_node_whose_bytes_were_damaged_blocks(project: Project) -> None:
    project.nodes = STAGED
    project.run()
    (project.data / "made/one.txt").write_text("forged")
    assert project.run(start_stage="b")["two"] == "blocked"


def test_force_runs_all_or_only_the_named(project: Project) -> None:
    project.nodes = STAGED
    project.run()
    assert project.run(force=["two"]) == {"one": "skipped", "two": "ran", "three": "skipped"}
    assert set(project.run(force=[]).values()) == {"ran"}
    assert (project.data / "made/one.txt").resolve().name.startswith("v1-")


def test_a_plan_names_what_changed_and_changes_nothing(project: Project) -> None:
    project.nodes = STAGED
    project.run()
    project.write({"stage.py": CODE.replace("for role in inputs.roles()", "for role in sorted(inputs.roles())")})
    before = sorted(p.name for p in project.data.rglob("*") if not p.name.startswith("registry.db-"))
    plan = project.call(plan=True)
    assert [p[1] for p in plan] == ["run", "run", "run"]
    assert ["code", "stage:copy", "changed (stage.py:4)"] in plan[0][2]
    assert plan[1][2][0][0] == "upstream"
    assert sorted(p.name for p in project.data.rglob("*") if not p.name.startswith("registry.db-")) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_signal_stops_cleanly_and_the_next_run_goes_on(project: Project, number: int, jobs: int) -> None:
    project.nodes = [node("quick", files={"in": "inbox/**"}), node("n", "stage:slow", inputs={"x": "made/quick.txt"})]
    flag = Path(project.env["FLAG"])
    code = (
        f"import sys; sys.path[:0] = [{str(REPO)!r}, {str(project.root)!r}]\n"
        "import json\nfrom pipeline import Node, Pipeline\n"
        f"nodes = [Node(**n) for n in json.loads({json.dumps(json.dumps(project.nodes))})]\n"
        "if __name__ == '__main__':\n"
        f"    Pipeline(nodes, {str(project.data)!r}, code_root={str(project.root)!r}).run(jobs={jobs})\n"
    )
    project.write({"slow_drive.py": code})
    process = subprocess.Popen(
        [sys.executable, str(project.root / "slow_drive.py")], env={**os.environ, **project.env}, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 20
    while not flag.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    process.communicate(timeout=10)
    assert process.returncode != 0
    assert not list((project.data / "store").rglob("*.tmp"))
    with sqlite3.connect(project.data / "registry.db") as db:
        assert [s for (s,) in db.execute("SELECT status FROM run")] == ["interrupted"]
        assert sorted(s for (s,) in db.execute("SELECT state FROM attempt")) == ["aborted", "committed"]
    project.nodes[1]["run"] = "stage:copy"
    assert project.run() == {"quick": "skipped", "n": "ran"}


def test_a_second_run_is_told_to_try_again(project: Project) -> None:
    project.data.mkdir(exist_ok=True)
    with lock.exclusive(str(project.data)):
        found = project.call()
    assert found["error"] == "BusyError"
    assert str(os.getpid()) in found["text"]
    with pytest.raises(BusyError), lock.exclusive(str(project.data)), lock.exclusive(str(project.data)):
        pass


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([node("a", inputs={"x": "made/b.txt"}), node("b", inputs={"x": "made/a.txt"})], "in a circle"),
        ([node("a", inputs={"x": "made/nobody.txt"})], "which no node makes"),
        ([node("a"), {**node("b"), "outputs": {"out": "made/a.txt"}}], "both make"),
        ([node("a"), node("a")], "Two nodes are named"),
        ([node("a", "stage.copy")], "package.module:function"),
    ],
)
def test_a_wrong_declaration_is_one_sentence_before_anything_runs(
    nodes: list[dict[str, Any]], words: str, tmp_path: Path
) -> None:
    with pytest.raises(PipelineError, match=words):
        Pipeline([Node(**n) for n in nodes], str(tmp_path)).run()
    assert not (tmp_path / "registry.db").exists()


def test_an_unknown_stage_or_node_is_a_usage_error(project: Project) -> None:
    pipeline = Pipeline([Node(**n) for n in STAGED], str(project.data), code_root=str(project.root))
    for selection in (Selection(start_stage="x"), Selection(force=("x",)), Selection(hold_nodes=("x",))):
        with pytest.raises(UsageError, match="There is no"):
            pipeline.plan(selection)


def test_source_that_cannot_be_parsed_is_an_error_not_a_guess(project: Project) -> None:
    project.write({"stage.py": CODE + "\ndef broken(:\n"})
    found = project.call()[0]
    assert found[1] == "failed"
    assert "cannot be parsed" in found[3]


@pytest.mark.parametrize("damage", ["newer", "foreign", "garbage", "empty"])
def test_a_registry_that_cannot_be_trusted_is_refused_and_left_alone(project: Project, damage: str) -> None:
    project.run()
    path = project.data / "registry.db"
    if damage == "newer":
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA user_version = 99")
    elif damage == "foreign":
        path.unlink()
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA application_id = 7")
            db.execute("CREATE TABLE t (x)")
    elif damage == "garbage":
        path.write_bytes(b"not a database at all" * 100)
    else:
        path.write_bytes(b"")
        for side in ("-wal", "-shm"):
            Path(f"{path}{side}").unlink(missing_ok=True)
    before = path.read_bytes()
    assert project.call()["error"] == "RegistryError"
    assert path.read_bytes() == before


def test_deleting_the_caches_costs_no_correctness(project: Project) -> None:
    project.run()
    with sqlite3.connect(project.data / "registry.db") as db:
        db.execute("DELETE FROM cache_file")
        db.execute("DELETE FROM cache_value")
    assert project.run() == {"n": "skipped"}


def test_a_missing_view_is_repaired_at_start(project: Project) -> None:
    project.run()
    (project.data / "made/n.txt").unlink()
    assert project.run() == {"n": "skipped"}
    assert project.output("made/n.txt") == "ab"


def test_clean_keeps_what_is_not_wanted_gone_and_verify_stays_clean(project: Project) -> None:
    project.nodes = STAGED
    project.run()
    pipeline = Pipeline([Node(**n) for n in STAGED], str(project.data), code_root=str(project.root))
    assert [a.name for a in pipeline.clean(lambda n: n != "made/one.txt", dry_run=True)] == ["made/three.txt", "made/two.txt"]
    assert project.run() == {"one": "skipped", "two": "skipped", "three": "skipped"}
    pipeline.clean(lambda n: n != "made/one.txt")
    assert not (project.data / "made/two.txt").exists()
    assert pipeline.verify() == []
    assert project.run() == {"one": "skipped", "two": "ran", "three": "ran"}
    assert (project.data / "made/two.txt").resolve().name.startswith("v1-")


def test_verify_finds_edited_missing_and_foreign_files(project: Project) -> None:
    project.run()
    pipeline = Pipeline([Node(**n) for n in project.nodes], str(project.data), code_root=str(project.root))
    assert pipeline.verify() == []
    stored = (project.data / "made/n.txt").resolve()
    stored.write_text("zz")
    (stored.parent / "v9-stranger.txt").write_text("x")
    found = " ".join(pipeline.verify())
    assert "other bytes" in found
    assert "nobody registered" in found
    stored.unlink()
    assert "missing" in " ".join(pipeline.verify())


def test_the_registry_refuses_a_second_application(tmp_path: Path) -> None:
    from pipeline.registry import Registry

    with sqlite3.connect(tmp_path / "registry.db") as db:
        db.execute("PRAGMA application_id = 7")
        db.execute("CREATE TABLE t (x)")
    with pytest.raises(RegistryError, match="another program"):
        Registry.read(str(tmp_path))
