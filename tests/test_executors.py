"""Where a node runs changes nothing: same bytes inline, in a pool, on a cluster; and nothing that dies out there does harm here."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from config.errors import ClusterError, StageError, UsageError
from config.stage import File
from pipeline import Node, Pipeline, Selection
from pipeline.execution.executors import make_executor
from pipeline.execution.proof import refuse_other_code, refuse_other_data
from pipeline.execution.worker import DIED, execute
from pipeline.files import Files
from pipeline.identity import Identities
from scripts.generate_mock_data import generate
from tests.cluster_bench import Cluster, is_alive, wait_until
from tests.engine_bench import REPO, Project

DASK = importlib.util.find_spec("distributed") is not None
on_dask = pytest.mark.skipif(
    not DASK, reason="NOT TESTED: the cluster. Dask is missing: pip install 'personal-data-platform[dask]'"
)

CODE = """
import json, os, time
from helper import shout

def copy(inputs, outputs, settings):
    with outputs.open("out") as out:
        for role in inputs.roles():
            for file in inputs.many(role):
                out.write(shout(open(file.path, "rb").read()))

def split(inputs, outputs, settings):
    rows = open(inputs.one("in").path).read().split()
    for row in rows:
        with outputs.open("out", row + ".txt") as out:
            out.write((row + settings["greeting"]).encode())
    return {"rows": {"out/" + row + ".txt": 1 for row in rows}}

def where(inputs, outputs, settings):
    with outputs.open("out") as out:
        out.write(str(os.getppid()).encode())

def meet(inputs, outputs, settings):
    \"\"\"Ends only when another node runs beside it.\"\"\"
    me, other = settings["me"], settings["other"]
    open(me, "w").close()
    deadline = time.monotonic() + 20
    while not os.path.exists(other):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with outputs.open("out") as out:
        out.write(b"met")

def meet_again(inputs, outputs, settings):
    return meet(inputs, outputs, {"me": settings["other"], "other": settings["me"]})

def slow(inputs, outputs, settings):
    \"\"\"Writes half, says who it is and its parent, goes on when the gate opens.\"\"\"
    with outputs.open("out") as out:
        out.write(b"half")
        out.flush()
        with open(settings["flag"] + ".tmp", "w") as flag:
            json.dump([os.getpid(), os.getppid()], flag)
        os.replace(settings["flag"] + ".tmp", settings["flag"])
        while not os.path.exists(settings["gate"]):
            time.sleep(0.02)
        out.write(b"whole")

def die(inputs, outputs, settings):
    with outputs.open("out") as out:
        out.write(b"half")
        out.flush()
        os.kill(os.getpid(), 9)

def fail(inputs, outputs, settings):
    print(settings["password"][:0] + "a stage that prints")
    raise ValueError(settings["password"])

def kept(inputs, settings):
    return True
"""
HELPER = "def shout(data):\n    return data.upper()\n"


def node(name: str, run: str = "copy", **more: Any) -> dict[str, Any]:
    return {"name": name, "stage": "s", "run": f"stage:{run}", "outputs": {"out": f"made/{name}.txt"}, **more}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    flags = {
        "flag": str(tmp_path / "flag"),
        "gate": str(tmp_path / "gate"),
        "me": str(tmp_path / "me"),
        "other": str(tmp_path / "o"),
    }
    found = Project(tmp_path, settings={"greeting": "!", "password": "hunter2-of-the-user", **flags})
    found.write({"stage.py": CODE, "helper.py": HELPER, "data/in.txt": "ab cd ef"})
    return found


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")) as found:
        yield found


def stored(data: Path) -> dict[str, bytes]:
    """Every version in the store, whose names hold the hashes of their bytes."""
    return {str(p.relative_to(data)): p.read_bytes() for p in (data / "store").rglob("*") if p.is_file()}


def litter(data: Path) -> list[Path]:
    return list((data / "store").rglob("*.tmp"))


def rows(data: Path, query: str) -> list[Any]:
    db = sqlite3.connect(data / "registry.db")
    try:
        return [row[0] for row in db.execute(query)]
    finally:
        db.close()


def start(project: Project, executor: str, patience: float = 30.0) -> subprocess.Popen[str]:
    """A run in a process of its own, to be watched and killed; it ends by printing action and error of every node."""
    project.write(
        {
            "drive_slow.py": (
                f"import json, sys\nsys.path[:0] = [{str(REPO)!r}, {str(project.root)!r}]\n"
                f"import pipeline.execution.cluster\npipeline.execution.cluster.PATIENCE_SECONDS = {patience}\n"
                "from pipeline import Node, Pipeline\n"
                f"nodes = [Node(**n) for n in json.loads({json.dumps(json.dumps(project.nodes))})]\n"
                f"settings = json.loads({json.dumps(json.dumps(project.settings))})\n"
                "if __name__ == '__main__':\n"
                f"    pipeline = Pipeline(nodes, {str(project.data)!r}, settings, code_root={str(project.root)!r})\n"
                f"    run = pipeline.run(executor={executor!r})\n"
                "    print(json.dumps({o.node: [o.action, o.error] for o in run.outcomes}))\n"
            )
        }
    )
    return subprocess.Popen(
        [sys.executable, str(project.root / "drive_slow.py")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def outcome(process: subprocess.Popen[str]) -> dict[str, list[str]]:
    out, err = process.communicate(timeout=60)
    assert out, err
    found: dict[str, list[str]] = json.loads(out.splitlines()[-1])
    return found


def running(project: Project) -> tuple[int, int]:
    """(pid, parent) of the slow node, once it runs."""
    flag = Path(project.settings["flag"])
    wait_until(flag.exists)
    pid, parent = json.loads(flag.read_text())
    flag.unlink()
    return pid, parent


# -- the same bytes everywhere ----------------------------------------------------------------------------------------


@on_dask
def test_inline_pool_and_cluster_make_the_same_bytes(project: Project, cluster: Cluster) -> None:
    project.nodes = [
        node("a", files={"in": "in.txt"}),
        node("parts", "split", inputs={"in": "made/a.txt"}, outputs={"out": "parts/**"}, settings=["greeting"]),
        node("all", inputs={"in": "parts/**"}),
        node("b", inputs={"x": "made/a.txt", "y": "made/all.txt"}),
    ]
    made = {}
    for name, how in {"inline": {}, "pool": {"jobs": 2}, "dask": {"executor": cluster.where}}.items():
        project.data = project.root / name
        project.write({f"{name}/in.txt": "ab cd ef"})
        assert set(project.run(**how).values()) == {"ran"}, name
        made[name] = stored(project.data)
        assert set(project.run().values()) == {"skipped"}  # decided elsewhere, with what the other executor has left
    assert made["inline"] == made["pool"] == made["dask"]
    assert len(made["inline"]) == 6


@on_dask
def test_the_platforms_own_pipeline_makes_the_same_bytes_everywhere(tmp_path: Path, cluster: Cluster) -> None:
    for room in ("config", "pipeline", "ingestion", "processing", "warehouse", "serving", "scripts"):
        shutil.copytree(REPO / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("main.py", "pyproject.toml"):
        shutil.copy(REPO / file, tmp_path)
    made = {}
    for name, how in {"inline": [], "pool": ["--jobs", "2"], "dask": ["--executor", cluster.where]}.items():
        generate(tmp_path / name / "inbox", days=40, end=date(2025, 3, 31))
        done = subprocess.run(
            [sys.executable, "main.py", "--until-stage", "merge", "--json", *how],
            cwd=tmp_path,
            env={k: v for k, v in os.environ.items() if not k.startswith(("PG", "DATABASE"))}
            | {"DATA_DIR": str(tmp_path / name)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert any(line.startswith("store/processed/merged/") for line in stored(tmp_path / name))
        made[name] = stored(tmp_path / name)
    assert made["inline"] == made["pool"] == made["dask"]


@on_dask
def test_nodes_of_a_cluster_run_beside_each_other(project: Project, cluster: Cluster) -> None:
    project.nodes = [node("a", "meet", settings=["me", "other"]), node("b", "meet_again", settings=["me", "other"])]
    assert project.run(executor=cluster.where) == {"a": "ran", "b": "ran"}


@on_dask
def test_what_feeds_a_database_stays_with_the_coordinator(project: Project, cluster: Cluster) -> None:
    project.nodes = [node("sink", "where", sink="stage:kept"), node("other", "where")]
    process = start(project, cluster.where)
    assert {action for action, _ in outcome(process).values()} == {"ran"}
    workers = {str(w.pid) for w in cluster.workers}
    assert project.output("made/sink.txt") == str(process.pid)
    assert project.output("made/other.txt") in workers


# -- the right code, the right data -----------------------------------------------------------------------------------


@on_dask
def test_a_living_cluster_runs_the_code_of_today(project: Project, cluster: Cluster) -> None:
    project.nodes = [node("a", files={"in": "in.txt"})]
    assert project.run(executor=cluster.where) == {"a": "ran"}
    project.write({"helper.py": HELPER.replace("upper", "capitalize")})
    assert project.run(executor=cluster.where) == {"a": "ran"}
    assert project.output("made/a.txt") == "Ab cd ef"


@on_dask
def test_code_edited_while_a_node_runs_on_the_cluster_fails_it(project: Project, cluster: Cluster) -> None:
    project.nodes = [node("n", "slow", settings=["flag", "gate"])]
    process = start(project, cluster.where)
    running(project)
    project.write({"helper.py": HELPER + "\n", "gate": ""})
    action, error = outcome(process)["n"]
    assert action == "failed"
    assert error.startswith(("The program's code was changed while it was running", "The worker has other code"))
    assert litter(project.data) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"helper.py": HELPER.replace("upper", "lower")}, "other code"),
        ({"helper/__init__.py": HELPER}, "other code"),
        ({"terms/b.sql": "SELECT 2"}, "other code"),
        ({"terms/a.sql": "SELECT 3"}, "other code"),
        ({"stage.py": ""}, "other code"),
        ({"unrelated.py": "x = 1", "data/other.txt": "y"}, None),
    ],
)
def test_another_machine_must_prove_to_have_the_same_code(tmp_path: Path, change: dict[str, str], words: str | None) -> None:
    here, there = Project(tmp_path / "here"), Project(tmp_path / "there")
    for place in (here, there):
        place.write({"stage.py": CODE, "helper.py": HELPER, "terms/a.sql": "SELECT 1"})
    there.write(change)
    n = Node("n", "s", "stage:copy", outputs={"out": "out.txt"}, resources=("terms/*.sql",))
    proof = Identities(None, Files(None, str(here.data)), str(here.root), {}).proof(n)
    refuse_other_code(proof, n, str(here.root))
    if words is None:
        refuse_other_code(proof, n, str(there.root))
    else:
        with pytest.raises(StageError, match=words):
            refuse_other_code(proof, n, str(there.root))


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"engine": "0" * 64}, "other code"),
        ({"libraries": [["python", "cpython 3.10", ""]]}, "another version of python"),
        ({"libraries": [["pandas", "0.1", ""]]}, "another version of pandas"),
        ({"libraries": [["no-such-thing", "1.0", ""]]}, "another version of no-such-thing"),
        ({"libraries": [["import json", "missing", ""]]}, "another version of import json"),
    ],
)
def test_another_machine_must_prove_to_have_the_same_engine_and_libraries(
    project: Project, part: dict[str, Any], words: str
) -> None:
    project.write({"stage.py": "import pandas, no_such_module\n\ndef run(i, o, s): ...\n"})
    n = Node("n", "s", "stage:run", outputs={"out": "out.txt"})
    proof = Identities(None, Files(None, str(project.data)), str(project.root), {}).proof(n)
    assert ["import no_such_module", "missing", ""] in proof["libraries"]
    refuse_other_code(proof, n, str(project.root))
    with pytest.raises(StageError, match=words):
        refuse_other_code({**proof, **part}, n, str(project.root))


def test_another_machine_must_see_the_same_data(tmp_path: Path) -> None:
    n = Node("n", "s", "stage:copy", inputs={"x": "a.txt"}, files={"in": "in.txt"}, outputs={"out": "out.txt"})
    for name in ("x", "in"):
        (tmp_path / name).write_text("abc")
    sha = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    inputs = {name: [File(name, str(tmp_path / name), sha, 3, None, None)] for name in ("x", "in")}
    refuse_other_data(n, inputs, str(tmp_path))
    with pytest.raises(StageError, match="Mount the same data directory"):
        refuse_other_data(n, inputs, str(tmp_path / "elsewhere"))
    (tmp_path / "in").write_text("abd")  # as long: only its content tells
    with pytest.raises(StageError, match="Mount the same data directory"):
        refuse_other_data(n, inputs, str(tmp_path))
    (tmp_path / "x").unlink()
    with pytest.raises(StageError, match="Mount the same data directory"):
        refuse_other_data(n, {"x": inputs["x"]}, str(tmp_path))


@on_dask
def test_a_worker_that_cannot_see_the_project_says_so(project: Project, cluster: Cluster) -> None:
    project.nodes = [node("a")]
    executor = make_executor(1, cluster.where)
    try:
        planned = _task(project, "copy")._replace(code_root=str(project.root / "elsewhere"))
        result = executor.submit(execute, planned).result(timeout=20)
    finally:
        executor.shutdown()
    assert "does not see the project's folder" in result.error


# -- what dies out there ----------------------------------------------------------------------------------------------


@on_dask
def test_a_node_that_dies_or_fails_on_the_cluster_fails_alone_and_no_log_holds_a_secret(
    project: Project, cluster: Cluster
) -> None:
    project.nodes = [node("die", "die"), node("bad", "fail", secrets=["password"]), node("fine", files={"in": "in.txt"})]
    found = {name: (action, error) for name, action, _, error, *_ in project.call(executor=cluster.where)}
    assert found["die"] == ("failed", DIED)
    assert found["bad"][0] == "failed"
    assert found["bad"][1].startswith("ValueError in stage.py:")
    assert found["fine"] == ("ran", None)
    assert litter(project.data) == []
    assert all(w.poll() is None for w in cluster.workers)
    assert "a stage that prints" in cluster.log()
    assert "hunter2" not in cluster.log()


@on_dask
def test_a_killed_worker_and_then_all_of_them_do_no_harm(project: Project, tmp_path: Path) -> None:
    project.nodes = [
        node("n", "slow", settings=["flag", "gate"]),
        node("after", inputs={"x": "made/n.txt"}),
        node("fine", files={"in": "in.txt"}),
    ]
    with Cluster(tmp_path / "cluster", 2, deaths_a_task_survives=1) as cluster:
        process = start(project, cluster.where)
        first, worker = running(project)
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: not is_alive(first))  # the node's process dies with its worker
        running(project)  # Dask gives the node to the other one
        assert len([tmp for tmp in litter(project.data) if tmp.parent.name == "n.txt"]) == 2
        project.write({"gate": ""})
        assert outcome(process) == {"n": ["ran", None], "after": ["ran", None], "fine": ["ran", None]}
        assert project.output("made/n.txt") == "halfwhole"
        assert litter(project.data) == []
        assert rows(project.data, "SELECT litter FROM run") == [1]  # the worker may have been thought dead only
        (project.data / "store" / "made" / "n.txt" / "late.tmp").write_bytes(b"a zombie's")
        assert set(project.run().values()) == {"skipped"}
        assert litter(project.data) == []
        assert rows(project.data, "SELECT litter FROM run") == [0]

        (project.root / "gate").unlink()
        project.write({"stage.py": CODE.replace('b"whole"', 'b"more"')})
        before = stored(project.data)
        cluster.workers.append(cluster.add_worker())
        process = start(project, cluster.where)
        _, worker = running(project)
        wait_until(lambda: cluster.log().count("Registered to:") == 3)
        os.kill(worker, signal.SIGKILL)
        _, worker = running(project)
        os.kill(worker, signal.SIGKILL)
        found = outcome(process)
        assert found["n"] == [
            "failed",
            "Every worker that took it died. Give the workers more memory, or look into what it calls.",
        ]
        assert found["after"] == ["blocked", "It needs n, which failed."]
        assert litter(project.data) == []
        assert stored(project.data) == before

        found = outcome(start(project, cluster.where, patience=1))
        assert found["n"][0] == "failed"
        assert "has had no worker for a while" in found["n"][1]
        assert stored(project.data) == before
        assert project.output("made/n.txt") == "halfwhole"
    project.write({"gate": ""})
    ran = project.run()
    assert (ran["n"], ran["after"]) == ("ran", "ran")
    assert project.output("made/n.txt") == "halfmore"


@on_dask
def test_a_lost_scheduler_ends_the_run_and_the_next_one_finishes(project: Project, tmp_path: Path) -> None:
    project.nodes = [
        node("fine", files={"in": "in.txt"}),
        node("n", "slow", inputs={"x": "made/fine.txt"}, settings=["flag", "gate"]),
        node("after", inputs={"x": "made/n.txt"}),
    ]
    with Cluster(tmp_path / "cluster", 1) as cluster:
        process = start(project, cluster.where)
        pid, _ = running(project)
        cluster.scheduler.kill()
        found = outcome(process)
        assert process.returncode == 0  # of the driver: the engine ended in order
        assert found["fine"] == ["ran", None]
        assert found["n"][0] == "failed"
        assert "The connection to the Dask scheduler was lost" in found["n"][1]
        assert found["after"][0] == "blocked"
        wait_until(lambda: not is_alive(pid))  # its worker gives up, or the node is stopped with it
    assert rows(project.data, "SELECT status FROM run") == ["failed"]
    assert rows(project.data, "SELECT state FROM attempt ORDER BY started_at") == ["committed", "failed"]
    project.write({"gate": ""})
    assert project.run() == {"fine": "skipped", "n": "ran", "after": "ran"}
    assert litter(project.data) == []


@on_dask
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_or_killed_coordinator_leaves_nobody_working(project: Project, cluster: Cluster, number: int) -> None:
    project.nodes = [node("n", "slow", settings=["flag", "gate"])]
    process = start(project, cluster.where)
    pid, _ = running(project)
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode != 0
    wait_until(lambda: not is_alive(pid))
    assert rows(project.data, "SELECT litter FROM run") == [1]
    project.write({"gate": ""})
    assert project.run() == {"n": "ran"}
    assert project.output("made/n.txt") == "halfwhole"
    assert litter(project.data) == []
    assert all(w.poll() is None for w in cluster.workers)


TWICE = """
import json, sys
from concurrent.futures import Executor, Future
sys.path[:0] = [{repo!r}, {root!r}]
from pipeline import Node, Pipeline, orchestrator
from pipeline.execution.worker import execute

class Twice(Executor):
    \"\"\"Runs every task twice, as Dask may; the second answer counts.\"\"\"
    lost, tasks = True, []

    def submit(self, fn, /, *args):
        self.tasks += args
        first, second = fn(*args), fn(*args)
        assert first.written[0].tmp != second.written[0].tmp and first.written[0].sha256 == second.written[0].sha256
        future = Future()
        future.set_result(second)
        return future

orchestrator.make_executor = lambda jobs, where: Twice()
nodes = [
    Node("a", "s", "stage:copy", files={{"in": "in.txt"}}, outputs={{"out": "made/a.txt"}}),
    Node("b", "s", "stage:copy", inputs={{"x": "made/a.txt"}}, outputs={{"out": "made/b.txt"}}),
]
def run():
    return [o.action for o in Pipeline(nodes, {data!r}, code_root={root!r}).run().outcomes]
def lying():
    import os
    return sorted(name for _, _, names in os.walk({data!r} + "/store") for name in names)
first, after = run(), lying()
assert execute(Twice.tasks[0]).error is None  # a worker that was thought dead writes when all is over
late, second = lying(), run()
print(json.dumps([first, after, len(late), second, lying(), Pipeline(nodes, {data!r}, code_root={root!r}).verify()]))
"""


def test_a_task_executed_twice_and_once_more_when_all_is_over_does_no_harm(project: Project) -> None:
    project.write({"twice.py": TWICE.format(repo=str(REPO), root=str(project.root), data=str(project.data))})
    done = subprocess.run([sys.executable, str(project.root / "twice.py")], capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    first, after, late, second, finally_, problems = json.loads(done.stdout)
    assert first == ["ran", "ran"]
    assert len(after) == 2
    assert not [name for name in after if name.endswith(".tmp")]
    assert late == 3
    assert second == ["skipped", "skipped"]
    assert finally_ == after
    assert problems == []
    assert rows(project.data, "SELECT count(*) FROM artifact") == [1 + 1]
    assert rows(project.data, "SELECT litter FROM run") == [0]


# -- the way in -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "where", ["ray://host:1", "dask://", "dask://host:port", "dask://user:pw@host:1", "dask://host:1/x", "host:1"]
)
def test_an_address_that_is_none_is_told(where: str) -> None:
    with pytest.raises(UsageError, match="Write --executor dask://HOST:8786"):
        make_executor(1, where)


def test_without_dask_installed_the_mend_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match="pip install"):
        make_executor(1, "dask://127.0.0.1:8786")


@on_dask
def test_a_scheduler_that_does_not_answer_is_told_in_time(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.execution.cluster._CONNECT_SECONDS", 1)
    began = time.monotonic()
    with pytest.raises(ClusterError, match=r"No Dask scheduler answers at 127\.0\.0\.1:1"):
        Pipeline([Node(**node("a"))], str(project.data), code_root=str(project.root)).run(
            Selection(), executor="dask://127.0.0.1:1"
        )
    assert time.monotonic() - began < 10


def _task(project: Project, run: str) -> Any:
    from pipeline.execution.worker import Task

    n = Node("n", "s", f"stage:{run}", outputs={"out": "out.txt"})
    return Task(n, {}, {}, {}, str(project.data), "run", "attempt", str(project.root), time.time_ns())
