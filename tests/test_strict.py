"""A strict node that touches what it does not declare fails, however it does so; one that keeps to its declaration never does."""

from __future__ import annotations

import os
import socket
import sys
import threading
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from config.errors import PDPError, UndeclaredAccess
from config.stage import File
from pipeline import Node
from pipeline.dag import Dag
from pipeline.execution.strict import Watch
from tests.engine_bench import Project

NODE = {
    "name": "n",
    "stage": "s",
    "run": "stage:run",
    "files": {"in": "inbox/demo/**"},
    "outputs": {"out": "out.txt"},
    "resources": ["rules/*.sql"],
    "settings": ["data"],
}
KEEPS = 'with outputs.open("out") as out:\n    out.write(b"x")\n'


def source(work: str) -> str:
    """A stage that does `work` and then writes its output."""
    body = "".join(f"    {line}\n" for line in (work + "\n" + KEEPS).splitlines())
    return f"import os\n\ndef run(inputs, outputs, settings):\n    data = settings['data']\n{body}"


def project(tmp_path: Path, work: str = "pass", **node: Any) -> Project:
    """A strict node over an inbox and a resource, beside another artifact's view and what is nobody's."""
    made = Project(tmp_path, [NODE | node], {"data": str(tmp_path / "data")})
    made.strict = True
    made.env = {"PYTHONWARNINGS": "ignore"}
    made.write(
        {
            "stage.py": source(work),
            "data/inbox/demo/mine.txt": "1",
            "data/inbox/other/name of a person.txt": "1",
            "data/processed/merged/table.csv": "1",
            "rules/a.sql": "select 1",
            "notes/b.json": "{}",
            "helper.py": "K = 1\n",
            "holds.py": "def holds(inputs, settings):\n    return True\n",
        }
    )
    return made


def caught(made: Project) -> str:
    """The error its only node fails with; empty when it passes."""
    ((_, action, _, error, *_),) = made.call()
    assert (action == "failed") == bool(error)
    return error or ""


def outcomes(folder: Path, cases: Mapping[str, str], strict: bool = True, two: str = "") -> dict[str, tuple[str, str, str]]:
    """(action, error, details) of every case: each a node of its own, all in one process."""
    made = project(folder)
    made.strict = strict
    made.nodes = []
    for number, (name, work) in enumerate(cases.items()):
        outputs = {"out": f"out{number}.txt"} | ({"two": f"two{number}.db"} if two and two in work else {})
        made.nodes.append(NODE | {"name": name, "run": f"stage{number}:run", "outputs": outputs})
        made.write({f"stage{number}.py": source(work)})
    return {name: (action, error or "", details) for name, action, _, error, details, _ in made.call()}


THREAD = """
threading.excepthook = lambda _: None
t = threading.Thread(target=os.listdir, args=[data + "/processed"])
t.start()
t.join()"""
READS = {
    "a view of another artifact": ('open(data + "/processed/merged/table.csv")', "reads processed/merged/table.csv,"),
    "what another person dropped": ('open(data + "/inbox/other/name of a person.txt")', "reads inbox/other/,"),
    "by pathlib": (
        '__import__("pathlib").Path(data, "processed/merged/table.csv").read_text()',
        "reads processed/merged/table.csv,",
    ),
    "by a descriptor": ('os.open(data + "/processed/merged/table.csv", os.O_RDONLY)', "reads processed/merged/table.csv,"),
    "by a library of the standard": (
        '__import__("shutil").copyfile(data + "/processed/merged/table.csv", "/dev/null")',
        "reads processed/merged/table.csv,",
    ),
    "a folder": ('os.listdir(data + "/inbox/demo")', "lists inbox/demo/,"),
    "a folder by its descriptor": ('os.listdir(os.open(data + "/processed", os.O_RDONLY))', "lists processed/,"),
    "a project file": ('open(os.path.join(os.path.dirname(__file__), "notes/b.json"))', "reads notes/b.json,"),
    "source that is read as data": ('open(os.path.join(os.path.dirname(__file__), "helper.py"))', "reads helper.py,"),
    "a line of a table": (
        'import linecache; linecache.getline(os.path.join(os.path.dirname(__file__), "notes/b.json"), 1)',
        "reads notes/b.json,",
    ),
    "a file that is not there": ('open(os.path.join(os.path.dirname(__file__), ".env"))', "reads .env,"),
    "the registry": ('__import__("sqlite3").connect(f"file:{data}/registry.db?mode=ro", uri=True)', "reads registry.db,"),
    "through a link elsewhere": (
        'import tempfile; t = tempfile.mkdtemp(); os.symlink(data + "/processed", t + "/p"); open(t + "/p/merged/table.csv")',
        "reads processed/merged/table.csv,",
    ),
    "through a link to the file": (
        'import tempfile; t = tempfile.mkdtemp() + "/t"; os.symlink(data + "/processed/merged/table.csv", t); open(t)',
        "reads processed/merged/table.csv,",
    ),
    "in a thread": (f"import threading{THREAD}", "lists processed/,"),
    "and swallows the error": (
        'try:\n    open(data + "/processed/merged/table.csv")\nexcept BaseException:\n    pass',
        "reads processed/merged/table.csv,",
    ),
}
WRITES = {
    "over its input": ('open(inputs.many("in")[0].path, "r+b")', "writes inbox/demo/,"),
    "beside its input": ('open(data + "/inbox/demo/cache.txt", "w")', "writes inbox/demo/,"),
    "a view": ('open(data + "/processed/merged/table.csv", "a")', "writes processed/merged/table.csv,"),
    "a new folder": ('os.makedirs(data + "/mine")', "writes mine,"),
    "away": ('os.remove(data + "/processed/merged/table.csv")', "writes processed/merged/table.csv,"),
    "a whole tree away": ('__import__("shutil").rmtree(data + "/processed")', "lists processed/,"),
    "over by a rename": (
        'import tempfile; f = tempfile.mkstemp()[1]; os.rename(f, data + "/processed/merged/table.csv")',
        "writes processed/merged/table.csv,",
    ),
    "by a hard link": ('os.link(inputs.many("in")[0].path, data + "/processed/copy")', "writes processed/copy,"),
    "into the project": ('open(os.path.join(os.path.dirname(__file__), "notes/b.json"), "w")', "writes notes/b.json,"),
    "to the person's home": (
        'open(os.path.join(os.path.expanduser("~"), "pdp-strict-test"), "w")',
        "writes a place outside the data root and the project,",
    ),
    "a database": ('__import__("sqlite3").connect(data + "/mine.db")', "writes mine.db,"),
    "the rights of a file": ('os.chmod(data + "/processed/merged/table.csv", 0o644)', "writes processed/merged/table.csv,"),
    "into the store": ('open(data + "/store/processed/x.csv/v9-0.csv", "w")', "writes processed/x.csv,"),
}
OTHERS = {
    "a program": ('__import__("subprocess").run(["true"])', "starts another program"),
    "a shell": ('os.system("true")', "starts another program"),
    "a fork": ("os.fork() or os._exit(0)", "starts another program"),
    "a connection": (
        '__import__("socket").create_connection(("127.0.0.1", 9))',
        "uses the network",
    ),
    "a name": ('__import__("socket").getaddrinfo("example.invalid", 80)', "uses the network"),
    "an address of a page": ('__import__("urllib.request").request.urlopen("http://127.0.0.1:9/")', "uses the network"),
    "a variable": ('os.environ["X"] = "1"', "sets an environment variable"),
    "the working folder": ('os.chdir("/")', "changes the working folder"),
}


CAUGHT = READS | WRITES | OTHERS


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str, str]]:
    return outcomes(tmp_path_factory.mktemp("refused"), {name: work for name, (work, _) in CAUGHT.items()})


@pytest.mark.parametrize("name", CAUGHT)
def test_what_is_not_declared_fails_the_node(refused: dict[str, tuple[str, str, str]], name: str) -> None:
    action, error, _ = refused[name]
    assert action == "failed"
    assert error.startswith("The stage ")
    assert CAUGHT[name][1] in error
    assert "/refused" not in error  # no absolute path


def test_nothing_changes_for_who_is_not_strict(tmp_path: Path) -> None:
    same = ("a view of another artifact", "a folder", "a project file", "a program", "a variable", "a database")
    found = outcomes(tmp_path, {name: CAUGHT[name][0] for name in same}, strict=False)
    assert {name: action for name, (action, *_) in found.items()} == dict.fromkeys(same, "ran")


ALLOWED = {
    "its inputs": '[open(f.path).read() for f in inputs.many("in")]',
    "its resource, found by its name": 'open(os.path.join(os.path.dirname(__file__), "rules/a.sql")).read()',
    "the folder its resources are in": 'os.listdir(os.path.join(os.path.dirname(__file__), "rules"))',
    "an import on the way": "import helper",
    "its own source": "import inspect, helper; inspect.getsource(helper)",
    "a temporary file": 'import tempfile; tempfile.TemporaryFile("w").write("x")',
    "a temporary folder": (
        "import tempfile\nwith tempfile.TemporaryDirectory() as t:\n"
        '    os.makedirs(t + "/a/b")\n    open(t + "/a/b/c", "w").close()'
    ),
    "the system's files": 'import zoneinfo; zoneinfo.ZoneInfo("Europe/Warsaw"); open("/dev/null", "w")',
    "installed packages": 'import importlib.metadata as m; list(m.entry_points()); m.version("pyarrow")',
    "a library that sets variables for itself": "import numpy, pandas, pyarrow",
    "its output, read again": 'p = outputs.path("two"); open(p, "w").write("x"); open(p).read()',
    "its output, written by a rename": 'p = outputs.path("two"); open(p + "~", "w").write("x"); os.replace(p + "~", p)',
    "a database as its output": (
        'import sqlite3; c = sqlite3.connect(outputs.path("two")); c.execute("create table t (a)"); c.commit(); c.close()'
    ),
    "an archive": (
        'import zipfile\nwith zipfile.ZipFile(outputs.path("two"), "w") as z:\n    z.write(inputs.many("in")[0].path, "a")'
    ),
    "a pair of its own sockets": "import socket; [s.close() for s in socket.socketpair()]",
    "threads": "from concurrent.futures import ThreadPoolExecutor as T\nwith T(2) as pool: list(pool.map(abs, [1, 2]))",
    "an error of its own": 'try:\n    open("/nonexistent/x")\nexcept OSError:\n    pass',
    "an argument that is no path": 'try:\n    open("a\\0b")\nexcept ValueError:\n    pass',
}


@pytest.fixture(scope="module")
def passed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str, str]]:
    return outcomes(tmp_path_factory.mktemp("passed"), ALLOWED, two='path("two")')


@pytest.mark.parametrize("name", ALLOWED)
def test_what_is_declared_passes(passed: dict[str, tuple[str, str, str]], name: str) -> None:
    action, error, details = passed[name]
    assert (action, error) == ("ran", ""), details


def test_a_network_and_an_environment_are_declared_by_a_secret(tmp_path: Path) -> None:
    work = 'import socket\ntry:\n    socket.create_connection(("127.0.0.1", 9))\nexcept OSError:\n    pass'
    assert caught(project(tmp_path, work, settings=[], secrets=["data"])) == ""


def test_a_sink_may_start_programs_and_keep_house_in_what_it_touches(tmp_path: Path) -> None:
    work = (
        'import subprocess; os.makedirs(data + "/server/a"); open(data + "/server/a/pid", "w").write("1")\n'
        'os.listdir(data + "/server"); subprocess.run(["true"], check=True)'
    )
    assert caught(project(tmp_path, work, sink="holds:holds", touches=["server/**"])) == ""
    assert "writes server2" in caught(project(tmp_path, 'os.mkdir(data + "/server2")', sink="holds:holds", touches=["server/**"]))


def test_touching_a_place_nobody_answers_for_is_a_wrong_declaration() -> None:
    with pytest.raises(PDPError, match="no sink that answers"):
        Dag([Node("n", "s", "m:f", touches=("server/**",))])


def test_what_a_module_reads_when_it_is_imported_counts(tmp_path: Path) -> None:
    made = project(tmp_path, "import helper")
    made.write({"helper.py": "import os\nT = open(os.path.join(os.path.dirname(__file__), 'notes/b.json')).read()\n"})
    ((_, _, _, error, *_),) = made.call()
    assert "reads notes/b.json" in error
    assert "resources" in error


def test_a_file_of_a_named_root_is_told_by_its_folder_only(tmp_path: Path) -> None:
    shared = tmp_path.with_name(tmp_path.name + "-shared")
    shared.mkdir()
    (shared / "demo").mkdir()
    (shared / "demo" / "mine.txt").write_text("1")
    (shared / "demo" / "theirs.txt").write_text("1")
    made = project(
        tmp_path,
        'open(os.path.join(os.path.dirname(inputs.many("in")[0].path), "theirs.txt"))',
        files={"in": "shared/demo/mine.txt"},
    )
    made.roots = {"shared": str(shared)}
    ((_, action, _, error, *_),) = made.call()
    assert action == "failed"
    assert "reads shared/demo/," in error


def test_workers_are_strict_too(tmp_path: Path) -> None:
    made = project(tmp_path, 'open(data + "/processed/merged/table.csv")')
    ((_, action, _, error, *_),) = made.call(jobs=2)
    assert action == "failed"
    assert "processed/merged/table.csv" in error


def test_a_caught_node_commits_nothing_and_runs_once_it_is_mended(tmp_path: Path) -> None:
    made = project(tmp_path, 'open(data + "/processed/merged/table.csv")')
    assert made.run() == {"n": "failed"}
    assert not (made.data / "out.txt").exists()
    assert not [p for p in (made.data / "store").rglob("*") if p.is_file()]
    project(tmp_path, "pass")
    assert made.run() == {"n": "ran"}
    assert made.run() == {"n": "skipped"}


# ── the watch itself, in this process ───────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    (tmp_path / "data" / "inbox").mkdir(parents=True)
    (tmp_path / "data" / "inbox" / "mine.txt").write_text("1")
    (tmp_path / "data" / "inbox" / "other.txt").write_text("2")
    mine = File("inbox/mine.txt", str(tmp_path / "data" / "inbox" / "mine.txt"), "", 1)
    return Watch(Node("n", "s", "m:f"), [mine], str(tmp_path / "data"), str(tmp_path))


def test_the_first_access_is_told_not_the_last(watch: Watch, tmp_path: Path) -> None:
    def swallow() -> None:
        with watch:
            with pytest.raises(UndeclaredAccess):
                (tmp_path / "data" / "inbox" / "other.txt").read_text()
            with pytest.raises(UndeclaredAccess):
                (tmp_path / "data" / "new.txt").write_text("x")

    with pytest.raises(UndeclaredAccess, match="reads inbox/"):
        swallow()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python does not tell who starts a thread")
def test_threads_that_were_there_before_are_not_the_stages_nor_are_those_they_start(watch: Watch, tmp_path: Path) -> None:
    go, found = threading.Event(), []

    def read() -> None:
        found.append((tmp_path / "data" / "inbox" / "other.txt").read_text())

    def before() -> None:
        go.wait()
        read()
        child = threading.Thread(target=read)
        child.start()
        child.join()

    thread = threading.Thread(target=before)
    thread.start()
    with watch:
        go.set()
        thread.join()
    assert found == ["2", "2"]


def test_nothing_is_watched_once_the_stage_has_ended_or_failed(watch: Watch, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), watch:
        raise ZeroDivisionError
    assert (tmp_path / "data" / "inbox" / "other.txt").read_text() == "2"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))


def test_an_interrupt_is_not_hidden_by_what_was_caught(watch: Watch, tmp_path: Path) -> None:
    def interrupted() -> None:
        with watch:
            with pytest.raises(UndeclaredAccess):
                (tmp_path / "data" / "inbox" / "other.txt").read_text()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()


def test_a_link_among_the_inputs_is_read_by_the_path_that_was_handed_out(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "elsewhere").mkdir(parents=True)
    (data / "elsewhere" / "real.txt").write_text("1")
    (data / "link.txt").symlink_to(data / "elsewhere" / "real.txt")
    with Watch(Node("n", "s", "m:f"), [File("link.txt", str(data / "link.txt"), "", 1)], str(data), str(tmp_path)):
        assert (data / "link.txt").read_text() == "1"


def test_a_data_root_that_is_a_link_is_the_folder_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.txt").write_text("1")
    (tmp_path / "data").symlink_to(tmp_path / "real")
    given = File("a.txt", str(tmp_path / "data" / "a.txt"), "", 1)
    with Watch(Node("n", "s", "m:f"), [given], str(tmp_path / "data"), str(tmp_path / "code")):
        assert (tmp_path / "real" / "a.txt").read_text() == "1"
        assert (tmp_path / "data" / "a.txt").read_text() == "1"
    with pytest.raises(UndeclaredAccess), Watch(Node("n", "s", "m:f"), [], str(tmp_path / "data"), str(tmp_path / "code")):
        (tmp_path / "real" / "a.txt").read_text()


def test_a_zip_opened_by_path_is_seen(watch: Watch, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "data" / "a.zip", "w") as archive:
        archive.writestr("a", "1")
    with pytest.raises(UndeclaredAccess), watch, zipfile.ZipFile(tmp_path / "data" / "a.zip"):
        pass


def test_the_real_pipeline_keeps_to_what_it_declares(tmp_path: Path) -> None:
    """On the examples, as the command line does in CI; `test_soundness.py` is strict up to bronze and with a live Google."""
    import subprocess

    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(
        [sys.executable, "main.py", "--until-stage", "merge", "--json"],
        cwd=root,
        env={**os.environ, "DATA_DIR": str(tmp_path / "data"), "CI": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout.splitlines()[-1:] + done.stderr.splitlines()[-5:]
