"""`explain` and `plan` name the symbol, the setting, the library, the file that changed, with both digests and the source of both."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.engine_bench import REPO, Project

STAGE = """
import helper

def copy(inputs, outputs, settings):
    with outputs.open("out") as out:
        out.write(helper.decorate(b"".join(open(f.path, "rb").read() for r in inputs.roles() for f in inputs.many(r))))

def swallow(inputs, outputs, settings):
    with outputs.open("out") as out:
        out.write(b"always the same")
"""
HELPER = """
LIMIT = 3


def decorate(data):
    \"\"\"Leaves it as it is.\"\"\"
    return data + b"!" * LIMIT


def unrelated():
    return 1
"""
CHAIN = [
    {"name": "one", "stage": "a", "run": "stage:copy", "files": {"in": "in.txt"}, "outputs": {"out": "made/one.txt"}},
    {"name": "two", "stage": "b", "run": "stage:swallow", "inputs": {"in": "made/one.txt"}, "outputs": {"out": "made/two.txt"}},
    {
        "name": "three",
        "stage": "c",
        "run": "stage:swallow",
        "inputs": {"in": "made/two.txt"},
        "outputs": {"out": "made/three.txt"},
    },
    {"name": "four", "stage": "c", "run": "stage:copy", "inputs": {"in": "made/one.txt"}, "outputs": {"out": "made/four.txt"}},
]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    found = Project(tmp_path, [dict(node) for node in CHAIN])
    found.write({"stage.py": STAGE, "helper.py": HELPER, "data/in.txt": "hello"})
    return found


def explain(project: Project, node: str) -> Any:
    return project.ask("explain", node)


def test_a_changed_constant_is_named_with_both_digests_and_its_source_then_and_now(project: Project) -> None:
    project.run()
    project.write({"helper.py": HELPER.replace("LIMIT = 3", "LIMIT = 4  # one more")})
    found = explain(project, "one")
    (change,) = found["changes"]
    assert (found["action"], change["kind"], change["name"]) == ("run", "code", "helper:LIMIT")
    assert change["location"] == "helper.py:2"
    assert change["old"] != change["new"]
    assert all(len(change[side]) == 32 for side in ("old", "new"))
    assert change["diff"].splitlines()[2:] == ["@@ -1 +1 @@", "-LIMIT = 3", "+LIMIT = 4  # one more"]


def test_a_diff_shows_the_whole_symbol_with_its_decorators(project: Project) -> None:
    helper = "import functools\n\n\n@functools.cache\ndef decorate(data):\n    return data\n"
    project.write({"helper.py": helper})
    project.run()
    project.write({"helper.py": helper.replace("functools.cache", "functools.lru_cache(2)")})
    (change,) = explain(project, "one")["changes"]
    lines = change["diff"].splitlines()
    assert lines[3:] == ["-@functools.cache", "+@functools.lru_cache(2)", " def decorate(data):", "     return data"]


def test_the_new_source_is_known_even_when_a_failed_attempt_already_had_it(project: Project) -> None:
    project.run()
    project.write({"helper.py": HELPER.replace("return data +", "return 1 / 0 +")})
    assert project.run()["one"] == "failed"
    found = explain(project, "one")
    assert "+    return 1 / 0 +" in found["changes"][0]["diff"]
    assert found["failed"]["state"] == "failed"
    assert "ZeroDivisionError" in found["failed"]["error"]


def test_a_skip_says_since_when_on_what_it_rests_and_why_it_ran(project: Project) -> None:
    project.run()
    project.write({"helper.py": HELPER.replace("LIMIT = 3", "LIMIT = 5")})
    project.run()
    found = explain(project, "one")
    assert (found["action"], found["changes"], found["first"]) == ("skip", [], [])
    made = found["in_force"]
    assert made["how"] == "ran"
    with sqlite3.connect(project.data / "registry.db") as db:
        row = db.execute("SELECT id, started_at FROM attempt WHERE node = 'one' ORDER BY rowid DESC").fetchone()
    assert (made["attempt"], made["at"]) == row
    assert [c["name"] for c in made["changes"]] == ["helper:LIMIT"]
    assert "+LIMIT = 5" in made["changes"][0]["diff"]
    basis = found["basis"]
    assert {leaf[0] for leaf in basis["leaves"]["code"]} == {"stage:copy", "helper:decorate", "helper:LIMIT"}
    assert len(basis["inputs"]) == 1


def test_what_would_run_first_is_followed_to_the_symbol_that_is_the_cause(project: Project) -> None:
    project.run()
    project.write({"helper.py": HELPER.replace("LIMIT = 3", "LIMIT = 4")})
    found = explain(project, "three")
    assert [r["detail"] for r in found["reasons"]] == ["runs first"]
    assert [f["node"] for f in found["first"]] == ["two", "one"]
    root = found["first"][-1]
    assert [(c["name"], "+LIMIT = 4" in c["diff"]) for c in root["changes"]] == [("helper:LIMIT", True)]


def test_a_node_that_waits_for_another_also_names_what_changed_in_itself(project: Project) -> None:
    project.run()
    project.write({"helper.py": HELPER.replace("LIMIT = 3", "LIMIT = 4")})
    assert [c["name"] for c in explain(project, "four")["changes"]] == ["helper:LIMIT"]


def test_after_the_run_the_root_cause_is_found_through_the_artifacts(project: Project) -> None:
    project.run()
    project.write({"helper.py": HELPER.replace("LIMIT = 3", "LIMIT = 4")})
    assert project.run() == {"one": "ran", "two": "ran", "three": "skipped", "four": "ran"}
    found = explain(project, "two")
    (upstream,) = found["in_force"]["changes"]
    assert (upstream["kind"], upstream["name"]) == ("upstream", "made/one.txt")
    assert (upstream["old_version"], upstream["new_version"]) == (1, 2)
    assert upstream["old"] != upstream["new"]
    assert [(m["node"], [c["name"] for c in m["changes"]]) for m in found["made_by"]] == [("one", ["helper:LIMIT"])]


def test_an_upstream_that_already_ran_is_named_by_version_and_cause(project: Project) -> None:
    project.run()
    project.write({"data/in.txt": "other"})
    project.run(until_stage="a")
    found = explain(project, "two")
    (change,) = found["changes"]
    assert (change["kind"], change["old_version"], change["new_version"]) == ("upstream", 1, 2)
    (made,) = found["made_by"]
    assert [(c["kind"], c["name"]) for c in made["changes"]] == [("data", "in.txt")]
    assert made["changes"][0]["old"] != made["changes"][0]["new"]


def test_going_back_is_explained_as_a_restore_and_then_as_a_skip_that_was_restored(project: Project) -> None:
    project.run()
    first = explain(project, "one")["in_force"]["attempt"]
    project.write({"helper.py": HELPER.replace("LIMIT = 3", "LIMIT = 4")})
    project.run()
    project.write({"helper.py": HELPER})
    found = explain(project, "one")
    assert found["action"] == "restore"
    assert [line for line in found["changes"][0]["diff"].splitlines()[2:] if line[0] in "+-"] == ["-LIMIT = 4", "+LIMIT = 3"]
    below = explain(project, "two")
    assert [(c["kind"], c["old_version"], c["new_version"]) for c in below["changes"]] == [("upstream", 2, 1)]
    assert [(f["node"], f["action"]) for f in below["first"]] == [("one", "restore")]
    assert project.run()["one"] == "restored"
    found = explain(project, "one")
    assert (found["action"], found["in_force"]["how"], found["in_force"]["attempt"]) == ("skip", "restored", first)
    assert "+LIMIT = 3" in found["in_force"]["changes"][0]["diff"]
    below = explain(project, "two")
    assert [(m["node"], m["how"]) for m in below["made_by"]] == [("one", "restored")]


def test_the_order_of_attempts_is_that_of_the_runs_whatever_the_clock_said(project: Project) -> None:
    project.run()
    project.write({"data/in.txt": "other"})
    project.run()
    with sqlite3.connect(project.data / "registry.db") as db:
        db.execute("UPDATE attempt SET started_at = 1.0 WHERE run_id = (SELECT id FROM run ORDER BY rowid DESC LIMIT 1)")
    found = explain(project, "two")
    assert [(c["kind"], c["old_version"], c["new_version"]) for c in found["in_force"]["changes"]] == [("upstream", 1, 2)]
    assert [m["node"] for m in found["made_by"]] == ["one"]


def test_settings_are_told_by_digest_never_by_value(project: Project) -> None:
    project.nodes[0]["settings"] = ["zone"]
    project.settings = {"zone": "Atlantis/Secret-Harbour"}
    project.run()
    project.settings = {"zone": "Atlantis/Other-Harbour"}
    found = explain(project, "one")
    (change,) = found["changes"]
    assert (change["kind"], change["name"]) == ("settings", "zone")
    assert change["old"] != change["new"]
    assert "Harbour" not in json.dumps(found)


def test_a_library_is_told_with_both_versions(project: Project) -> None:
    site = project.root / "site-packages"
    for name, text in {
        "tiny.py": "def f(x): return x\n",
        "tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        "tiny-1.0.dist-info/RECORD": "tiny.py,,\n",
        "tiny-1.0.dist-info/top_level.txt": "tiny\n",
    }.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text)
    project.extra = [str(site)]
    project.write({"helper.py": "import tiny\n\n\ndef decorate(data):\n    return tiny.f(data)\n"})
    project.run()
    (site / "tiny-1.0.dist-info").rename(site / "tiny-2.0.dist-info")
    (site / "tiny-2.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: tiny\nVersion: 2.0\n")
    (change,) = explain(project, "one")["changes"]
    assert [change[k] for k in ("kind", "name", "old", "new")] == ["environment", "tiny", "1.0", "2.0"]


def test_a_symbol_that_comes_and_one_that_goes_are_told_as_such(project: Project) -> None:
    project.run()
    project.write({"helper.py": "def decorate(data):\n    return other(data)\n\n\ndef other(data):\n    return data\n"})
    found = {c["name"]: (c["detail"], c["old"] is None, c["new"] is None) for c in explain(project, "one")["changes"]}
    assert found["helper:LIMIT"] == ("gone", False, True)
    assert found["helper:other"] == ("new", True, False)
    assert found["helper:decorate"] == ("changed", False, False)


def test_a_resource_is_code_and_has_a_diff(project: Project) -> None:
    project.nodes[0]["resources"] = ["query.sql"]
    project.write({"query.sql": "SELECT 1;\n"})
    project.run()
    project.write({"query.sql": "SELECT 2;\n"})
    (change,) = explain(project, "one")["changes"]
    assert change["location"] == "query.sql"
    assert "+SELECT 2;" in change["diff"]


def test_what_never_ran_cannot_be_judged_or_does_not_exist_is_told(project: Project) -> None:
    found = explain(project, "two")
    assert (found["action"], found["in_force"], [f["node"] for f in found["first"]]) == ("run", None, ["one"])
    assert explain(project, "one")["changes"][0]["detail"] == "never ran before"
    assert explain(project, "five")["error"] == "UsageError"
    project.run()
    project.write({"helper.py": "def decorate(:\n"})
    found = explain(project, "two")
    assert found["action"] == "blocked"
    assert "cannot be parsed" in found["first"][0]["reasons"][0]["detail"]


def test_edited_outputs_are_the_reason_of_that_node_alone(project: Project) -> None:
    project.run()
    target = (project.data / "made/one.txt").resolve()
    target.chmod(0o600)
    target.write_text("forged")
    found = explain(project, "one")
    assert [(c["kind"], c["name"]) for c in found["changes"]] == [("output", "made/one.txt")]


def test_large_texts_are_not_kept_and_equal_ones_only_once(project: Project) -> None:
    table = "TABLE = [" + "1, " * 40_000 + "]\n"
    project.write(
        {"helper.py": HELPER + table + "\n\ndef use():\n    return TABLE\n", "stage.py": STAGE + "\nTOP = helper.use()\n"}
    )
    project.run()
    with sqlite3.connect(project.data / "registry.db") as db:
        texts = [text for (text,) in db.execute("SELECT text FROM source_text")]
    assert "LIMIT = 3" in texts
    assert len(texts) == len(set(texts))
    assert max(map(len, texts)) < 64 * 1024
    project.write({"helper.py": HELPER + table.replace("1, ]", "2, ]") + "\n\ndef use():\n    return TABLE\n"})
    (change,) = explain(project, "one")["changes"]
    assert (change["name"], change["diff"]) == ("helper:TABLE", "")


def test_a_run_with_nothing_to_do_reads_no_source_text(project: Project) -> None:
    project.run()
    code = f"import sys; sys.path[:0] = [{str(REPO)!r}, {str(project.root)!r}]\nfrom pipeline import Node, Pipeline\n"
    nodes = [Node_literal(node) for node in project.nodes]
    code += f"Pipeline([{', '.join(nodes)}], {str(project.data)!r}, code_root={str(project.root)!r}).run()\n"
    code += "print([m for m in sys.modules if m in ('pipeline.code.source_text', 'pipeline.answers.explain', 'difflib')])"
    for _ in range(2):  # the first learns what this process's own sys.path means
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def Node_literal(node: dict[str, Any]) -> str:
    return f"Node(**{node!r})"


def test_a_mapped_node_is_explained_by_its_parts_and_each_part_by_itself(project: Project) -> None:
    project.nodes = [
        {
            "name": "each",
            "stage": "a",
            "run": "stage:copy",
            "files": {"in": "drop/**"},
            "outputs": {"out": "each/**"},
            "each": "in",
        },
        {"name": "all", "stage": "b", "run": "stage:copy", "inputs": {"in": "each/**"}, "outputs": {"out": "all.txt"}},
    ]
    project.write({"data/drop/a.txt": "a", "data/drop/b.txt": "b"})
    project.run()
    project.write({"data/drop/b.txt": "other"})
    found = explain(project, "each")
    assert [f["node"] for f in found["first"]] == ["each[b.txt]"]
    assert [f["node"] for f in explain(project, "all")["first"]] == ["each", "each[b.txt]"]
    assert [(c["kind"], c["name"]) for c in explain(project, "each[b.txt]")["changes"]] == [("data", "drop/b.txt")]
    assert explain(project, "each[a.txt]")["action"] == "skip"
    assert "no part" in explain(project, "each[c.txt]")["text"]
    project.run()
    found = explain(project, "each")
    assert [(c["name"], c["detail"]) for c in found["in_force"]["changes"]] == [("each[b.txt]", "ran")]
    (made,) = explain(project, "all")["made_by"]
    assert (made["node"], made["how"]) == ("each[b.txt]", "ran")


# -- the real pipeline ----------------------------------------------------------------------------------------------------

_FUNCTION = "def _is_midnight(value: Any) -> bool:\n    return (epoch_micros(value) or 1) % _DAY == 0\n"
_EDITED = "def _is_midnight(value: Any) -> bool:\n    return (epoch_micros(value) or 0) % _DAY == 0\n"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project that has run once on the shipped examples, without the database."""
    root = tmp_path_factory.mktemp("house")
    for room in ("config", "pipeline", "ingestion", "processing", "warehouse", "serving", "scripts", "examples"):
        shutil.copytree(REPO / room, root / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("main.py", "pyproject.toml"):
        shutil.copy(REPO / name, root / name)
    done = command(root, "--until-stage", "merge")
    assert done.returncode == 0, done.stdout + done.stderr
    return root


def command(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DATA_DIR": str(root / "data"), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "main.py", *arguments], cwd=root, env=environment, capture_output=True, text=True, check=False
    )


def test_one_changed_function_of_the_real_normalizer_is_named_and_shown(house: Path) -> None:
    path = house / "processing/normalizers/mi_fitness.py"
    source = path.read_text()
    assert _FUNCTION in source
    path.write_text(source.replace(_FUNCTION, _EDITED))
    try:
        text = command(house, "explain", "normalization.mi_fitness").stdout
        assert text.startswith("normalization.mi_fitness would run.")
        assert "processing/normalizers/mi_fitness.py: _is_midnight  changed" in text
        assert "-    return (epoch_micros(value) or 1) % _DAY == 0" in text
        assert "+    return (epoch_micros(value) or 0) % _DAY == 0" in text
        merge = json.loads(command(house, "explain", "merge.daily_metrics", "--json").stdout)
        assert merge["first"][-1]["node"] == "normalization.mi_fitness"
        assert merge["first"][-1]["changes"][0]["title"] == "processing/normalizers/mi_fitness.py: _is_midnight"
        plan = command(house, "plan").stdout
        assert "processing/normalizers/mi_fitness.py: _is_midnight  changed" in plan
        reasons = {n["node"]: n["reasons"] for n in json.loads(command(house, "plan", "--json").stdout)["nodes"]}
        (reason,) = reasons["normalization.mi_fitness"]
        assert set(reason) == {"kind", "name", "detail"}
        assert reason["name"] == "processing.normalizers.mi_fitness:_is_midnight"
    finally:
        path.write_text(source)
    text = command(house, "explain", "normalization.mi_fitness").stdout
    assert text.startswith("normalization.mi_fitness would be skipped")
    assert "It rests on" in text


def test_every_symbol_of_the_real_pipeline_has_its_source_kept(house: Path) -> None:
    with sqlite3.connect(house / "data/registry.db") as db:
        kept = {digest for (digest,) in db.execute("SELECT digest FROM source_text")}
        leaves = [leaf for (text,) in db.execute("SELECT leaves FROM identity WHERE kind = 'code'") for leaf in json.loads(text)]
        (size,) = db.execute("SELECT sum(length(text)) FROM source_text").fetchone()
    assert len(leaves) > 500
    assert [leaf for leaf in leaves if leaf[1] not in kept] == []
    assert size < 1_000_000


def test_explain_json_lists_everything_a_skip_rests_on(house: Path) -> None:
    found = json.loads(command(house, "explain", "validation.sleep", "--json").stdout)
    assert (found["action"], found["changes"]) == ("skip", [])
    assert {i["name"] for i in found["rests_on"]["inputs"]} >= {"processed/normalized/mi_fitness.parquet"}
    assert all(set(leaf) == {"name", "digest", "location"} for leaf in found["rests_on"]["code"])
    assert any(leaf["name"] == "python" for leaf in found["rests_on"]["environment"])
    assert [leaf["name"] for leaf in found["rests_on"]["settings"]] == ["plausibility"]
