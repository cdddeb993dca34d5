"""Faults: whatever is killed, refused, damaged, moved or set back, the next start finds the old state or the new one, and finishes."""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from config.errors import PDPError, StageError
from pipeline import Node, Pipeline, Selection, lock, registry
from pipeline.execution import loaded
from pipeline.files import Files
from pipeline.registry import Registry
from tests.crash_bench import CHANGED, COLD, NODES, STAGES, made_of
from tests.engine_bench import REPO, Project

FAST = Path("/dev/shm")
CODE = (STAGES / "letters.py").read_text()


@pytest.fixture(autouse=True)
def _stages(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stages, for a run in this process."""
    monkeypatch.syspath_prepend(STAGES)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path, NODES)
    project.write({"letters.py": CODE, **{f"data/inbox/{name}": text for name, text in COLD.items()}})
    return project


def pipeline(project: Project) -> Pipeline:
    """The project in this process; its stages are those of `tests/stages`, equal to its own."""
    return Pipeline([Node(**n) for n in project.nodes], str(project.data), code_root=str(STAGES))


def run(project: Project, **asked: Any) -> dict[str, str]:
    """Node → action, of a run in this process."""
    return {o.node: o.action for o in pipeline(project).run(Selection(**asked)).outcomes}


def is_made(project: Project, inbox: dict[str, str] | None = None) -> bool:
    return all(project.output(name) == text for name, text in made_of(inbox or COLD).items())


def change(project: Project) -> None:
    (project.data / "inbox/b.txt").unlink()
    project.write({f"data/inbox/{name}": text for name, text in CHANGED.items()})


# -- every point ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "stride", "least"),
    [
        ("kill", 1, 150),
        ("nested", 60, 35),
        *((mode, 15, 14) for mode in ("torn", "enospc", "enospc+", "eio", "eio+", "term", "int")),
    ],
)
def test_a_fault_at_any_point_leaves_the_old_state_or_the_new_one(mode: str, stride: int, least: int) -> None:
    with tempfile.TemporaryDirectory(dir=FAST if os.access(FAST, os.W_OK) else None) as folder:
        bench = [sys.executable, str(REPO / "tests/crash_bench.py"), folder, mode, str(stride)]
        done = subprocess.run(
            bench, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, capture_output=True, text=True, check=False
        )
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    assert found["failed"] == []
    assert found["points"] >= least


# -- the disk ---------------------------------------------------------------------------------------------------------


def limited(project: Project, kind: int, most: int) -> subprocess.CompletedProcess[str]:
    """A run of the project under a limit of the kernel's."""
    code = (
        f"import resource, sys; sys.path[:0] = [{str(REPO)!r}, {str(project.root)!r}]\n"
        "import json, pipeline.orchestrator, pipeline.commit, pipeline.recovery\nfrom pipeline import Node, Pipeline\n"
        "from config.errors import PDPError\n"
        f"nodes = [Node(**n) for n in json.loads({json.dumps(json.dumps(project.nodes))})]\n"
        f"engine = Pipeline(nodes, {str(project.data)!r}, code_root={str(project.root)!r})\n"
        f"resource.setrlimit({kind}, ({most}, {most}))\n"
        "try:\n    run = engine.run()\nexcept PDPError as error:\n    sys.exit(str(error))\n"
        "sys.exit('\\n'.join(o.error for o in run.outcomes if o.error) or None)\n"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_a_file_the_disk_does_not_take_fails_its_node_and_the_next_run_finishes(project: Project) -> None:
    project.write({"data/inbox/a.txt": "long\n" * 400_000})
    done = limited(project, resource.RLIMIT_FSIZE, 1_000_000)
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(project.data.rglob("*.tmp"))
    assert limited(project, resource.RLIMIT_FSIZE, resource.RLIM_INFINITY).returncode == 0
    assert pipeline(project).verify() == []


@pytest.mark.parametrize("most", [4, 6, 8, 9])
def test_too_few_descriptors_are_one_sentence_and_leave_nothing_behind(project: Project, most: int) -> None:
    done = limited(project, resource.RLIMIT_NOFILE, most)
    assert done.returncode in {0, 1}
    assert "Traceback" not in done.stderr
    assert done.returncode == 1 or is_made(project)
    assert set(run(project).values()) <= {"ran", "skipped"}
    assert is_made(project)
    assert pipeline(project).verify() == []


def test_a_full_disk_makes_no_copy_of_what_should_be_a_link(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    symlink, refused = os.symlink, []

    def once(*args: Any, **options: Any) -> None:
        if not refused:
            refused.append(args)
            raise OSError(28, "No space left on device")
        symlink(*args, **options)

    monkeypatch.setattr(os, "symlink", once)
    assert pipeline(project).run().status == "succeeded"
    assert refused
    assert pipeline(project).verify() == []


def test_a_folder_that_cannot_be_listed_never_counts_as_empty(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    run(project)
    litter = project.data / "store/made/odd.txt/odd.txt.0.tmp"
    litter.write_text("left")
    with sqlite3.connect(project.data / "registry.db") as db:
        db.execute("UPDATE run SET status = 'running'")
    scandir = os.scandir

    def refuse(path: Any = ".") -> Any:
        if str(path).endswith("odd.txt"):
            raise OSError(24, "Too many open files", str(path))
        return scandir(path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", refuse)
        with pytest.raises(PDPError, match="Too many open files"):
            pipeline(project).run()
    assert pipeline(project).run().status == "succeeded"
    assert not litter.exists()


@pytest.fixture
def outside() -> Iterator[Project]:
    """A project that another user can reach."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        project = Project(Path(folder), NODES)
        project.write({"letters.py": CODE, **{f"data/inbox/{name}": text for name, text in COLD.items()}})
        yield project


def as_owner(project: Project, action: Callable[[], Any]) -> Any:
    """What `action` gives to somebody who is not root and to whom the data root belongs."""
    if os.geteuid() == 0:
        for path in (project.data, *project.data.rglob("*")):
            os.chown(path, 65534, 65534, follow_symlinks=False)
    reader, writer = os.pipe()
    if os.fork() == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setresgid(65534, 65534, 65534)
                os.setresuid(65534, 65534, 65534)
            try:
                found = action()
            except PDPError as error:
                found = [type(error).__name__, str(error)]
            os.write(writer, json.dumps(found).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader) as told:
        text = told.read()
    os.wait()
    return json.loads(text)


def test_a_folder_that_cannot_be_written_is_told_at_once_and_can_be_read(outside: Project) -> None:
    engine = pipeline(outside)
    engine.run()
    assert engine.verify() == []
    assert engine.plan()
    folders = [outside.data, *(p for p in outside.data.rglob("*") if p.is_dir() and not p.is_symlink())]
    for folder in folders:
        folder.chmod(0o500)
    try:
        began = time.monotonic()
        name, text = as_owner(outside, lambda: [engine.run(Selection(force=())).status, ""])
        assert time.monotonic() - began < 1
        assert name == "StoreError"
        assert "cannot be written" in text
        for side in ("-wal", "-shm"):  # a registry nobody else has open
            Path(f"{outside.data}/registry.db{side}").unlink(missing_ok=True)
        assert as_owner(outside, engine.verify) == []
        assert as_owner(outside, lambda: [f.action for f in engine.plan()]) == ["skip"] * 4
    finally:
        for folder in folders:
            folder.chmod(0o700)


def test_another_user_to_whom_it_all_was_given_goes_on(outside: Project) -> None:
    engine = pipeline(outside)
    engine.run()
    engine.run()
    assert engine.verify() == []
    assert as_owner(outside, lambda: [o.action for o in engine.run().outcomes]) == ["skipped"] * 4
    assert as_owner(outside, engine.verify) == []


def test_a_copy_of_the_whole_data_root_is_skipped(project: Project, tmp_path: Path) -> None:
    run(project)
    shutil.copytree(project.data, tmp_path / "copy", symlinks=True, copy_function=shutil.copy)
    shutil.rmtree(project.data)
    project.data = tmp_path / "copy"
    assert set(run(project).values()) == {"skipped"}
    assert pipeline(project).verify() == []


# -- what is in the store ---------------------------------------------------------------------------------------------


def flip(path: Path) -> None:
    """Another byte, the same size, the same time."""
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def make_folder(path: Path) -> None:
    path.unlink()
    (path / "deep").mkdir(parents=True)
    (path / "deep/x").write_text("x")


def make_link(path: Path) -> None:
    other = path.parent.parent / "elsewhere"
    other.write_text("other")
    path.unlink()
    path.symlink_to(other)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "flipped": flip,
    "truncated": lambda path: os.truncate(path, 1),
    "emptied": lambda path: os.truncate(path, 0),
    "grown": lambda path: path.write_bytes(path.read_bytes() + b"!"),
    "removed": os.unlink,
    "folder": make_folder,
    "link": make_link,
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["raw/in/a.txt", "made/odd.txt", "end.txt"])
def test_a_damaged_version_is_found_and_made_again_as_the_same_version(project: Project, damage: str, name: str) -> None:
    run(project)
    time.sleep(0.01)
    stored = (project.data / name).resolve()
    DAMAGES[damage](stored)
    assert any(f"{name}@v1" in problem for problem in pipeline(project).verify())
    actions = run(project)
    assert list(actions.values()).count("ran") == 1
    assert (project.data / name).resolve() == stored
    assert is_made(project)
    (project.data / "store" / Path(name).parent / "elsewhere").unlink(missing_ok=True)
    assert pipeline(project).verify() == []


def test_an_artifact_edited_through_its_view_while_it_is_read_is_never_computed_from(project: Project) -> None:
    spoil = 'view = os.path.join(os.path.dirname(__file__), "data/made/even.txt")\n    open(view, "a").write("!")\n    '
    assert 'with open(inputs.one("even")' in CODE
    project.write({"letters.py": CODE.replace('with open(inputs.one("even")', spoil + 'with open(inputs.one("even")')})
    assert project.run() == {"gather": "ran", "split": "ran", "first": "failed", "tail": "blocked"}
    project.write({"letters.py": CODE})
    assert project.run() == {"gather": "skipped", "split": "ran", "first": "ran", "tail": "ran"}
    assert is_made(project)


# -- the registry -----------------------------------------------------------------------------------------------------


def test_a_deleted_registry_is_told_and_no_bare_file_is_trusted(project: Project) -> None:
    run(project)
    before = sorted(project.data.rglob("*"))
    for side in ("", "-wal", "-shm"):
        Path(f"{project.data}/registry.db{side}").unlink(missing_ok=True)
    assert project.call()["error"] == "RegistryError"
    assert "no registry" in pipeline(project).verify()[0]
    assert sorted(project.data.rglob("*")) == [p for p in before if not p.name.startswith("registry.db")]
    shutil.move(project.data / "store", project.root / "kept")
    assert set(run(project).values()) == {"ran"}
    assert is_made(project)


def test_a_log_of_another_registry_is_not_read_into_a_new_one(project: Project, tmp_path: Path) -> None:
    project.data.joinpath("registry.db-wal").write_bytes(killed_with_a_log(tmp_path / "other"))
    assert set(run(project).values()) == {"ran"}
    assert pipeline(project).verify() == []


def killed_with_a_log(root: Path) -> bytes:
    """The write-ahead log of a project whose run was killed before it could be folded in."""
    root.mkdir()
    other = Project(root, NODES)
    other.write({"letters.py": CODE + "\nimport os, signal\ndef tail(*_):\n    os.kill(os.getpid(), signal.SIGKILL)\n"})
    other.write({f"data/inbox/{name}": text for name, text in CHANGED.items()})
    with pytest.raises(AssertionError):
        other.call()
    return other.data.joinpath("registry.db-wal").read_bytes()


@pytest.mark.parametrize("fate", ["missing", "foreign", "cut"])
def test_a_lost_or_foreign_log_is_refused_or_harmless(project: Project, tmp_path: Path, fate: str) -> None:
    project.run()
    change(project)
    project.write({"letters.py": CODE + "\nimport signal\ndef tail(*_):\n    os.kill(os.getpid(), signal.SIGKILL)\n"})
    with pytest.raises(AssertionError):
        project.call()
    log = project.data / "registry.db-wal"
    assert log.stat().st_size > 0
    if fate == "missing":
        log.unlink()
    elif fate == "cut":
        os.truncate(log, log.stat().st_size // 2)
    else:
        log.write_bytes(killed_with_a_log(tmp_path / "other"))
    (project.data / "registry.db-shm").unlink(missing_ok=True)
    project.write({"letters.py": CODE})
    found = project.call()
    if isinstance(found, dict):
        assert found["error"] == "RegistryError"
    else:
        assert is_made(project, CHANGED)
        assert all("nobody registered" in problem for problem in pipeline(project).verify())


def test_a_registry_with_random_bytes_changed_is_found_out_or_does_no_harm(project: Project) -> None:
    engine = pipeline(project)
    engine.run()
    whole = (project.data / "registry.db").read_bytes()
    rng = random.Random(20)
    for _ in range(25):
        spoilt = bytearray(whole)
        for at in rng.sample([n for n, byte in enumerate(whole) if byte], 3):
            spoilt[at] ^= 1 << rng.randrange(8)
        with tempfile.TemporaryDirectory(dir=project.root) as folder:
            copy = Path(folder, "data")
            shutil.copytree(project.data, copy, symlinks=True)
            (copy / "registry.db").write_bytes(spoilt)
            tried = Pipeline([Node(**n) for n in NODES], str(copy), code_root=str(STAGES))
            outcome = told = None
            try:
                told = tried.verify()
                assert tried.plan()
                (copy / "inbox/a.txt").write_text("other\n")
                outcome = tried.run().status
            except PDPError:
                continue
            if outcome == "succeeded" and not told:
                expected = made_of({**COLD, "a.txt": "other\n"})
                assert all((copy / name).read_text() == text for name, text in expected.items())


def test_a_registry_cut_off_anywhere_is_refused(project: Project) -> None:
    run(project)
    path = project.data / "registry.db"
    whole = path.read_bytes()
    for length in (1, 99, 512, 4096, len(whole) // 2, len(whole) - 4096, len(whole) - 1):
        path.write_bytes(whole[:length])
        told = pipeline_or_error(pipeline(project).verify)
        ran = pipeline_or_error(lambda: pipeline(project).run().status)
        assert told or (ran == "succeeded" and is_made(project)), length  # the last bytes may be those of an empty row
        path.write_bytes(whole)


def pipeline_or_error(action: Callable[[], Any]) -> Any:
    try:
        return action()
    except PDPError as error:
        return str(error)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE artifact SET path = 'store/nowhere/x' WHERE name = 'made/odd.txt'", "row that was changed"),
        ("UPDATE artifact SET size = 1000 WHERE name = 'made/odd.txt'", "other bytes"),
        ("UPDATE artifact SET version = 7 WHERE name = 'made/odd.txt'", "row that was changed"),
        ("UPDATE attempt_input SET sha256 = 'x' WHERE name = 'made/even.txt'", "never was"),
        ("UPDATE identity SET leaves = '[[' WHERE kind = 'code'", "unreadable text"),
        ("DROP TRIGGER standing_artifact", "standing_artifact is not as"),
        ("DROP INDEX attempt_run", "attempt_run is not as"),
    ],
)
def test_verify_tells_a_row_that_was_changed_and_a_run_goes_on(project: Project, statement: str, words: str) -> None:
    run(project)
    with sqlite3.connect(project.data / "registry.db") as db:
        db.execute(statement)
    assert words in " ".join(pipeline(project).verify())
    change(project)
    assert "failed" not in run(project).values()
    assert is_made(project, CHANGED)


def test_an_output_filed_under_another_role_is_made_again(project: Project) -> None:
    run(project)
    with sqlite3.connect(project.data / "registry.db") as db:
        db.execute("UPDATE attempt_output SET role = 'eben' WHERE role = 'even'")
        db.execute("DELETE FROM standing")
    assert run(project)["split"] == "ran"
    assert is_made(project)


def test_a_cached_answer_that_rotted_is_not_believed(project: Project) -> None:
    project.run()
    with sqlite3.connect(project.data / "registry.db") as db:
        rotten = db.execute("UPDATE cache_value SET value = replace(value, 'letters', 'lettert')").rowcount
        db.execute("DELETE FROM standing")
    assert rotten
    assert set(project.run().values()) == {"skipped"}
    project.write({"letters.py": CODE.replace("upper", "lower")})
    assert project.run()["gather"] == "ran"


def test_an_older_registry_is_brought_up_to_date_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = registry._text(os.path.join(registry._MIGRATIONS, "0001_registry.sql"))
    digest = hashlib.sha256(b"kept").hexdigest()
    path = f"store/x/v1-{digest[:16]}"
    (tmp_path / "store/x").mkdir(parents=True)
    (tmp_path / path).write_bytes(b"kept")
    (tmp_path / "x").symlink_to(path)
    with sqlite3.connect(tmp_path / "registry.db") as db:
        db.execute(f"PRAGMA application_id = {registry.APPLICATION_ID}")
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(first)
        db.execute("PRAGMA user_version = 1")
        db.execute("INSERT INTO run VALUES ('r', 1.0, 2.0, '{}', 'h', 1, 'succeeded')")
        attempt = "('a', 'r', 'n', 's', 'k', 'committed', 'c', 's', 'e', 1.0, 1.0, 1, 1, '{}', '[]', NULL)"
        db.execute(f"INSERT INTO attempt VALUES {attempt}")
        db.execute(f"INSERT INTO artifact VALUES (1, 'x', 1, '{digest}', 4, 1, '{path}', 'a', 1.0, NULL)")
        db.execute("INSERT INTO attempt_output VALUES ('a', 1, 'out')")
        db.execute("INSERT INTO node_state VALUES ('n', 'a')")
    db.close()
    old = registry._migrations()
    engine = Pipeline([Node("n", "s", "stage:run", outputs={"out": "x"})], str(tmp_path))
    assert engine.verify() == []  # read as it is
    with monkeypatch.context() as patched:
        patched.setattr(registry, "_migrations", lambda: [old[0], old[1] + "CREATE TABLE run (x);"])
        with pytest.raises(PDPError):
            Registry.open(str(tmp_path))
    with sqlite3.connect(tmp_path / "registry.db") as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
        assert not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'standing'").fetchall()
    db.close()
    now = Registry.open(str(tmp_path))
    assert now.state()["n"].outputs[0][1].sha256 == digest
    now.close()
    assert engine.verify() == []


def test_a_run_that_lost_a_worker_is_swept_after_at_the_next_start(project: Project) -> None:
    run(project)
    with sqlite3.connect(project.data / "registry.db") as db:
        db.execute("UPDATE run SET litter = 1")
    late = project.data / "store/made/odd.txt/odd.txt.0.tmp"
    late.write_text("late")
    assert set(run(project).values()) == {"skipped"}
    assert not late.exists()
    with sqlite3.connect(project.data / "registry.db") as db:
        assert db.execute("SELECT count(*) FROM run WHERE litter = 1").fetchone() == (0,)


# -- the clock --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jump", [-3600, -10 * 365 * 86400, 10 * 365 * 86400])
def test_order_comes_from_counters_whatever_the_clock_says(
    project: Project, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    now, now_ns = time.time, time.time_ns
    pipeline(project).run()
    monkeypatch.setattr(time, "time", lambda: now() + jump)
    monkeypatch.setattr(time, "time_ns", lambda: now_ns() + int(jump * 1e9))
    change(project)
    run = pipeline(project).run()
    assert run.status == "succeeded"
    assert run.seconds >= 0
    assert is_made(project, CHANGED)
    assert (project.data / "made/odd.txt").resolve().name.startswith("v2-")
    project.write({"data/inbox/a.txt": "uno\ndueX\n"})  # another size: the fake clock is not the file system's
    assert pipeline(project).run().status == "succeeded"
    assert is_made(project, {**CHANGED, "a.txt": "uno\ndueX\n"})
    with pipeline(project).reading() as opened:
        assert opened is not None
        latest = opened.db.execute("SELECT input_hash FROM attempt WHERE node = 'gather' ORDER BY rowid DESC LIMIT 1").fetchone()[
            0
        ]
        assert opened.state()["gather"].input_hash == latest


def test_the_newest_attempt_of_a_key_is_the_last_one_not_the_latest_by_the_clock(project: Project) -> None:
    run(project)
    run(project, force=("tail",))
    with sqlite3.connect(project.data / "registry.db") as db:
        last, key = db.execute("SELECT id, input_hash FROM attempt WHERE node = 'tail' ORDER BY rowid DESC LIMIT 1").fetchone()
        db.execute("UPDATE attempt SET started_at = 0 WHERE id = ?", (last,))
    with pipeline(project).reading() as opened:
        assert opened is not None
        assert opened.committed("tail", key)[0].id == last


def test_code_stamped_in_the_future_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ahead.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    __import__("ahead")
    changed = (tmp_path / "ahead.py").stat().st_ctime_ns
    with pytest.raises(StageError):
        loaded.refuse_changed(str(tmp_path), changed - 1)
    monkeypatch.setattr(loaded.time, "time_ns", lambda: changed - 10**9)  # the clock was a second ahead and was set right
    loaded.refuse_changed(str(tmp_path), changed - 2 * 10**9)


def test_a_clock_ahead_of_the_file_systems_makes_no_fresh_file_look_old(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(project)
    now_ns = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now_ns() + 3600 * 10**9)
    path = project.data / "inbox/a.txt"
    path.write_text("one\nTWO\n")
    files = Files(None, str(project.data))
    files.digest(str(path))
    assert files.facts() is None  # a second edit in the same tick would look the same: this hash proves nothing later


@pytest.mark.parametrize("ahead", [3600, 50 * 365 * 86400])
def test_a_file_stamped_in_the_future_is_still_seen_to_change(project: Project, ahead: int) -> None:
    path = project.data / "inbox/a.txt"
    stamp = time.time() + ahead
    os.utime(path, (stamp, stamp))
    run(project)
    assert set(run(project).values()) == {"skipped"}
    path.write_text("ONE\nTWO\n".swapcase().replace("two", "owt"))
    os.utime(path, (stamp, stamp))
    assert run(project)["gather"] == "ran"


# -- what a stage has started -----------------------------------------------------------------------------------------

ORPHAN = """
import os, subprocess, sys, time

WRITER = '''
import os, sys, time
for n in range(600):
    open(os.path.join(sys.argv[1], f"orphan{n}.tmp"), "w").close()
    time.sleep(0.05)
'''

def run(inputs, outputs, settings):
    folder = os.path.dirname(outputs.path("out"))
    child = subprocess.Popen([sys.executable, "-c", WRITER, folder], start_new_session=True)
    server = subprocess.Popen(["sleep", "60"], start_new_session=True, env={})
    with open(os.environ["FLAG"] + ".new", "w") as flag:
        flag.write(f"{child.pid} {server.pid}")
    os.rename(os.environ["FLAG"] + ".new", os.environ["FLAG"])
    time.sleep(60)

def forked(inputs, outputs, settings):
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    with open(os.environ["FLAG"] + ".new", "w") as flag:
        flag.write(str(child))
    os.rename(os.environ["FLAG"] + ".new", os.environ["FLAG"])
    time.sleep(60)

def calm(inputs, outputs, settings):
    with outputs.open("out") as out:
        out.write(b"calm")
"""


def kill_mid_stage(project: Project, run: str, jobs: int) -> list[int]:
    """Kill a whole run in the middle of a stage; gives the processes the stage has named."""
    flag = project.root / "flag"
    project.nodes = [{"name": "n", "stage": "s", "run": run, "outputs": {"out": "out.txt"}}, {**CALM, "name": "m"}]
    project.write({"stage.py": ORPHAN})
    code = (
        f"import sys; sys.path[:0] = [{str(REPO)!r}, {str(project.root)!r}]\nimport json\nfrom pipeline import Node, Pipeline\n"
        f"nodes = [Node(**n) for n in json.loads({json.dumps(json.dumps(project.nodes))})]\n"
        f"if __name__ == '__main__':\n    Pipeline(nodes, {str(project.data)!r}, code_root={str(project.root)!r}).run(jobs={jobs})\n"
    )
    project.write({"slow.py": code})
    process = subprocess.Popen([sys.executable, str(project.root / "slow.py")], env={**os.environ, "FLAG": str(flag)})
    deadline = time.monotonic() + 20
    while not flag.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    project.nodes = [{**CALM, "name": "n", "outputs": {"out": "out.txt"}}]
    return [int(pid) for pid in flag.read_text().split()]


CALM = {"stage": "s", "run": "stage:calm", "outputs": {"out": "calm.txt"}}


def is_running(pid: int) -> bool:
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="orphans are found through /proc")
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_process_that_outlives_its_killed_run_is_ended_by_the_next(project: Project, jobs: int) -> None:
    child, server = kill_mid_stage(project, "stage:run", jobs)
    try:
        assert is_running(child)
        assert project.run() == {"n": "ran"}
        assert not is_running(child)
        assert is_running(server)  # started with an environment of its own: meant to live on
        assert not list(project.data.rglob("*.tmp"))
        assert pipeline(project).verify() == []
    finally:
        for pid in (child, server):
            if is_running(pid):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="holders are found through /proc")
def test_a_fork_that_holds_a_dead_runs_lock_is_named(project: Project) -> None:
    (child,) = kill_mid_stage(project, "stage:forked", 1)
    try:
        found = project.call()
        assert found["error"] == "BusyError"
        assert f"({child})" in found["text"]
    finally:
        os.kill(child, signal.SIGKILL)
    while is_running(child):
        time.sleep(0.01)
    assert project.run() == {"n": "ran"}


def test_a_data_root_that_cannot_be_locked_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / ".lock").mkdir()
    with pytest.raises(PDPError, match="Is a directory"), lock.exclusive(str(tmp_path)):
        pass
