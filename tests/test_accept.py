"""`accept`: outputs are taken over as they are, on the record, in one transaction; and only where they are whole."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.engine_bench import REPO, Project

STAGE = """
import os

def copy(inputs, outputs, settings):
    with outputs.open("out") as out:
        for role in inputs.roles():
            for file in inputs.many(role):
                out.write(open(file.path, "rb").read())

def load(inputs, outputs, settings):
    with open(settings["database"], "a") as database:
        database.write(inputs.one("in").sha256 + "\\n")
    return {"rows": {"in": 3}}

def holds(inputs, settings):
    return os.path.exists(settings["database"]) and inputs["in"][0][1] in open(settings["database"]).read()

def silent(settings):
    return None
"""
NODES: list[dict[str, Any]] = [
    {"name": "one", "stage": "a", "run": "stage:copy", "files": {"in": "in.txt"}, "outputs": {"out": "made/one.txt"}},
    {"name": "two", "stage": "b", "run": "stage:copy", "inputs": {"in": "made/one.txt"}, "outputs": {"out": "made/two.txt"}},
    {
        "name": "sink",
        "stage": "c",
        "run": "stage:load",
        "inputs": {"in": "made/two.txt"},
        "secrets": ["database"],
        "sink": "stage:holds",
    },
]
HARMLESS = STAGE.replace("for role in inputs.roles()", "for role in sorted(inputs.roles())")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    found = Project(tmp_path, [dict(node) for node in NODES], {"database": str(tmp_path / "database")})
    found.write({"stage.py": STAGE, "data/in.txt": "hello"})
    assert set(found.run().values()) == {"ran"}
    return found


def accept(project: Project, node: str, reason: str = "the order never mattered") -> Any:
    return project.ask("accept", node, reason)


def actions(project: Project) -> dict[str, str]:
    return {name: action for name, action, _ in project.call(plan=True)}


def rows(project: Project, query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(project.data / "registry.db") as db:
        return db.execute(query).fetchall()


def refusal(answer: Any) -> str:
    assert answer["error"] in {"UsageError", "StageError"}, answer
    return str(answer["text"])


def test_accepted_outputs_are_skipped_from_now_on_and_verify_is_clean(project: Project) -> None:
    project.write({"stage.py": HARMLESS})
    assert actions(project) == {"one": "run", "two": "run", "sink": "run"}
    done = accept(project, "one")
    assert [c["name"] for c in done["covers"]] == ["stage:copy"]
    assert actions(project) == {"one": "skip", "two": "run", "sink": "run"}
    assert accept(project, "two")["node"] == "two"
    assert set(actions(project).values()) == {"skip"}
    assert set(project.run().values()) == {"skipped"}
    assert project.ask("verify") == []
    assert project.output("made/two.txt") == "hello"


def test_everything_of_it_is_on_the_record(project: Project) -> None:
    (before,) = rows(project, "SELECT id FROM attempt WHERE node = 'one'")
    project.write({"stage.py": HARMLESS})
    done = accept(project, "one", "  the order\nnever mattered ")
    assert done["of"] == before[0]
    (state, seconds, reasons) = rows(project, f"SELECT state, seconds, reasons FROM attempt WHERE id = '{done['attempt']}'")[0]
    assert (state, seconds) == ("accepted", None)
    ((text,),) = rows(project, "SELECT data FROM event WHERE kind = 'accepted'")
    assert json.loads(text) == {"reason": "the order never mattered", "of": before[0], "covers": json.loads(reasons)}
    edges = "SELECT role, artifact_id FROM attempt_output WHERE attempt_id = '{}'"
    assert rows(project, edges.format(done["attempt"])) == rows(project, edges.format(before[0]))
    assert len(rows(project, f"SELECT 1 FROM attempt_input WHERE attempt_id = '{done['attempt']}'")) == 1
    assert rows(project, "SELECT attempt_id FROM node_state WHERE node = 'one'") == [(done["attempt"],)]
    found = project.ask("explain", "one")
    assert (found["action"], found["in_force"]["how"], found["in_force"]["note"]) == (
        "skip",
        "accepted",
        "the order never mattered",
    )
    assert "+        for role in sorted(inputs.roles()):" in json.loads(json.dumps(found["in_force"]["changes"][0]["diff"]))


def test_changed_data_can_be_accepted_too_and_the_old_bytes_stay(project: Project) -> None:
    project.write({"data/in.txt": "hello again"})
    done = accept(project, "one", "a blank was added")
    assert [(c["kind"], c["name"]) for c in done["covers"]] == [("data", "in.txt")]
    assert set(project.run().values()) == {"skipped"}
    assert project.output("made/one.txt") == "hello"
    project.write({"data/in.txt": "hello"})
    assert project.run()["one"] == "restored"
    project.write({"data/in.txt": "hello again"})
    found = project.ask("explain", "one")
    assert found["action"] == "restore"
    assert project.run()["one"] == "restored"
    assert project.ask("explain", "one")["in_force"]["note"] == "a blank was added"
    assert project.run(force=["one"])["one"] == "ran"
    assert project.output("made/one.txt") == "hello again"


def test_there_is_nothing_to_accept_when_nothing_changed(project: Project) -> None:
    before = rows(project, "SELECT count(*) FROM attempt")
    assert accept(project, "one") is None
    assert rows(project, "SELECT count(*) FROM attempt") == before


def test_a_reason_is_needed_and_a_node_that_exists(project: Project) -> None:
    project.write({"stage.py": HARMLESS})
    assert "needs a reason" in refusal(accept(project, "one", "  \n"))
    assert "no node named 'none'" in refusal(accept(project, "none"))


def test_a_node_that_never_ran_is_refused(project: Project) -> None:
    extra = {"name": "late", "stage": "b", "run": "stage:copy", "inputs": {"in": "made/one.txt"}, "outputs": {"out": "late.txt"}}
    project.nodes.append(extra)
    assert "never run" in refusal(accept(project, "late"))


def test_a_mapped_node_is_refused_its_parts_are_decided_one_by_one(project: Project) -> None:
    mapped = {"name": "each", "stage": "a", "run": "stage:copy", "files": {"in": "drop/**"}, "outputs": {"out": "each/**"}}
    project.nodes.append({**mapped, "each": "in"})
    assert "mapped over in" in refusal(accept(project, "each"))


def test_damaged_outputs_are_refused(project: Project) -> None:
    project.write({"stage.py": HARMLESS})
    stored = (project.data / "made/one.txt").resolve()
    stored.chmod(0o600)
    stored.write_text("forged")
    assert "made/one.txt is not as it was committed" in refusal(accept(project, "one"))


def test_what_failed_with_the_very_code_is_refused_until_it_ran(project: Project) -> None:
    broken = STAGE.replace("for role in inputs.roles()", "1 / 0\n        for role in inputs.roles()", 1)
    project.write({"stage.py": broken})
    assert project.run()["one"] == "failed"
    assert "one failed the last time it ran, with the very code it has now" in refusal(accept(project, "one"))
    project.write({"stage.py": HARMLESS})
    assert accept(project, "one")["node"] == "one"


def test_missing_inputs_are_refused(project: Project) -> None:
    (project.data / "in.txt").unlink()
    assert "lacks its input in.txt" in refusal(accept(project, "one"))


def test_upstream_comes_first(project: Project) -> None:
    project.write({"stage.py": HARMLESS})
    text = refusal(accept(project, "two"))
    assert "needs one, which would itself run" in text
    assert "Accept one first" in text


def test_an_upstream_that_would_be_restored_comes_first(project: Project) -> None:
    project.write({"data/in.txt": "other"})
    project.run()
    project.write({"data/in.txt": "hello"})
    assert "would itself change" in refusal(accept(project, "two"))
    assert "come back without running" in refusal(accept(project, "one"))


def test_other_outputs_than_were_made_are_refused(project: Project) -> None:
    project.nodes[0]["outputs"] = {"out": "made/one.txt", "log": "made/log.txt"}
    assert "declares other outputs" in refusal(accept(project, "one"))


def test_a_source_that_cannot_say_whether_it_changed_is_refused(project: Project) -> None:
    project.nodes[0]["remote"] = "stage:silent"
    assert "runs each time" in refusal(accept(project, "one"))


def test_a_sink_is_accepted_only_while_its_database_holds_the_load(project: Project) -> None:
    project.write({"stage.py": STAGE.replace('{"in": 3}', '{"in": 4}')})
    assert actions(project) == {"one": "skip", "two": "skip", "sink": "run"}
    database = project.root / "database"
    kept = database.read_text()
    database.write_text("")
    assert "the database does not hold this load" in refusal(accept(project, "sink"))
    database.write_text(kept)
    assert accept(project, "sink")["node"] == "sink"
    assert set(project.run().values()) == {"skipped"}
    assert database.read_text() == kept


def test_it_waits_for_no_run_that_goes_on(project: Project) -> None:
    from pipeline import lock

    project.write({"stage.py": HARMLESS})
    with lock.exclusive(str(project.data)):
        assert accept(project, "one")["error"] == "BusyError"


_KILLED = """
import json, os, sys
sys.path[:0] = [{repo!r}, {root!r}]
from pipeline import Node, Pipeline
from pipeline.registry import Registry
opened, count = Registry.open.__func__, 0
def statement(text):
    global count
    count += 1
    if count == {number}:
        os.kill(os.getpid(), 9)
def counted(cls, data_dir):
    registry = opened(cls, data_dir)
    registry.db.set_trace_callback(statement)
    return registry
Registry.open = classmethod(counted)
nodes = [Node(**{{k: tuple(v) if isinstance(v, list) else v for k, v in n.items()}}) for n in json.loads({nodes!r})]
Pipeline(nodes, {data!r}, json.loads({settings!r}), code_root={root!r}).accept("one", "killed")
print(count)
"""


def test_killed_at_any_statement_the_old_state_or_the_new_one_is_there_whole(project: Project) -> None:
    def killed(number: int) -> subprocess.CompletedProcess[str]:
        code = _KILLED.format(
            repo=str(REPO),
            root=str(project.root),
            number=number,
            nodes=json.dumps(project.nodes),
            data=str(project.data),
            settings=json.dumps(project.settings),
        )
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    project.write({"stage.py": HARMLESS})
    number, outcomes = 1, set()
    while (done := killed(number)).returncode == -9:
        accepted = rows(project, "SELECT count(*) FROM attempt WHERE state = 'accepted'")[0][0]
        events = rows(project, "SELECT count(*) FROM event WHERE kind = 'accepted'")[0][0]
        in_force = rows(project, "SELECT state FROM node_state JOIN attempt ON id = attempt_id WHERE attempt.node = 'one'")
        assert (accepted, events, in_force) in [(0, 0, [("committed",)]), (1, 1, [("accepted",)])]
        outcomes.add(accepted)
        if accepted:
            break
        number += 1
    assert outcomes == {0, 1}, done.stderr
    assert number > 10
    assert project.ask("verify") == []
    assert actions(project)["one"] == "skip"


def test_the_command_says_what_was_accepted(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "inbox/bp_csv").mkdir(parents=True)
    (data / "inbox/bp_csv/bp.csv").write_text("Date,Time,Systolic,Diastolic,Pulse\n2025-03-01,08:00,128,82,64\n")

    def command(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "DATA_DIR": str(data), "TIMEZONE": "Europe/Warsaw", **settings}
        return subprocess.run(
            [sys.executable, "main.py", *arguments], cwd=REPO, env=environment, capture_output=True, text=True, check=False
        )

    first = command("--until-stage", "normalization")
    assert first.returncode == 0, first.stdout + first.stderr
    node = "normalization.bp_csv"
    assert command("accept", node, "--reason", "nothing").stdout.startswith(f"Nothing to accept: {node} is up to date")
    refused = command("accept", node, TIMEZONE="Europe/Berlin")
    assert (refused.returncode, "needs a reason" in refused.stderr) == (2, True)
    assert "Accept ingestion.bp_csv.records first" in command("accept", node, "--reason", "x", TIMEZONE="Europe/Berlin").stderr
    command("accept", "ingestion.bp_csv.records", "--reason", "the same offset all year", TIMEZONE="Europe/Berlin")
    done = command("accept", node, "--reason", "the same offset all year", TIMEZONE="Europe/Berlin")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{node} is accepted, not computed")
    assert "setting   timezone" in done.stdout
    assert "Berlin" not in done.stdout
    told = command("explain", node, TIMEZONE="Europe/Berlin").stdout
    assert "accepted, not computed (the same offset all year)" in told
    made = "processed/normalized/bp_csv.parquet"
    lineage = json.loads(command("lineage", made, "--json", TIMEZONE="Europe/Berlin").stdout)
    assert {a["node"]: a["reason"] for a in lineage["accepted"]}[node] == "the same offset all year"
    assert "accepted, not computed" in command("lineage", made, TIMEZONE="Europe/Berlin").stdout
    history = json.loads(command("history", node, "--json", TIMEZONE="Europe/Berlin").stdout)
    assert [a["state"] for a in history["attempts"]] == ["accepted", "committed"]
    status = json.loads(command("status", "--json", TIMEZONE="Europe/Berlin").stdout)
    assert {n["state"] for n in status["nodes"] if n["node"] == node} == {"accepted"}
    found = json.loads(command("accept", node, "--reason", "again", "--json", TIMEZONE="Europe/Berlin").stdout)
    assert found["accepted"] is False


def test_resume_goes_on_with_the_run_that_failed_before_something_was_accepted(tmp_path: Path) -> None:
    from argparse import Namespace

    from pipeline import Node, Pipeline
    from scripts.commands import asked_for

    class House:
        pipeline = Pipeline([Node(**node) for node in NODES], str(tmp_path / "data"), {"database": ""}, code_root=str(tmp_path))

    found = Project(tmp_path, [dict(node) for node in NODES], {"database": str(tmp_path / "database")})
    found.write({"stage.py": STAGE, "data/in.txt": "hello"})
    found.run()
    found.write({"data/in.txt": "hello again", "stage.py": STAGE.replace("out.write(open", "1 / 0; out.write(open")})
    assert found.run(until_stage="a") == {"one": "failed"}
    found.write({"stage.py": STAGE})
    assert accept(found, "one")["node"] == "one"
    options = Namespace(only_stage=None, start_stage=None, until_stage=None, resume=True)
    assert asked_for(House, options).until_stage == "a"  # type: ignore[arg-type]
