"""What a node is handed of its own past: its last outputs when only the data differ, nothing when anything else does."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from config.errors import StageError
from config.stage import File
from pipeline.execution.handles import StageOutputs
from pipeline.store import Store
from tests.engine_bench import Project
from tests.test_engine_data import distribution

CODE = """
import os
import lib
from helper import GREETING

def copy(inputs, outputs, settings):
    known = outputs.before("out")
    with open(os.environ["FLAG"], "w") as flag:
        flag.write(open(known.path).read() if known else "nothing")
    with outputs.open("out") as out:
        out.write(open(inputs.one("in").path, "rb").read())
    if settings["fails"] or not GREETING:
        raise ValueError
"""


class Copies(Project):
    """A node that copies its one input and tells, aside, what it was handed of its last output."""

    def copied(self, text: str, **how: object) -> str:
        """Run with this input; gives what the stage was handed."""
        (self.data / "in.txt").write_text(text)
        flag = Path(self.env["FLAG"])
        flag.unlink(missing_ok=True)
        self.call(**how)  # type: ignore[arg-type]
        return flag.read_text()


@pytest.fixture
def project(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Copies:
    node = {"name": "n", "stage": "s", "run": "stage:copy", "files": {"in": "in.txt"}, "outputs": {"out": "made/out.txt"}}
    found = Copies(tmp_path, [{**node, "settings": ["tail", "fails"]}], {"tail": 1, "fails": False})
    found.env = {"FLAG": str(tmp_path_factory.mktemp("aside") / "flag")}
    found.extra = [str(tmp_path / "env/site-packages")]
    found.write({"stage.py": CODE, "helper.py": "GREETING = 'hello'\n", "data/in.txt": ""})
    distribution(tmp_path / "env/site-packages", "lib", "1.0")
    assert found.copied("1") == "nothing"
    return found


def stored(project: Copies) -> Path:
    (path,) = (project.data / "store/made/out.txt").iterdir()
    return path


def damage(project: Copies) -> None:
    path = stored(project)
    stamps = path.stat()
    path.chmod(0o600)
    path.write_text("0")
    os.utime(path, ns=(stamps.st_atime_ns, stamps.st_mtime_ns))


CHANGES: dict[str, Callable[[Copies], object]] = {
    "a function": lambda p: p.write({"stage.py": CODE.replace('"rb"', "'rb', 0")}),
    "a constant elsewhere": lambda p: p.write({"helper.py": "GREETING = 'good morning'\n"}),
    "a setting": lambda p: p.settings.update(tail=2),
    "a library": lambda p: distribution(p.root / "env/site-packages", "lib", "2.0"),
    "what it reads": lambda p: p.nodes[0].update(files={"in": "in.txt", "more": "more.txt"}),
    "what it makes": lambda p: p.nodes[0].update(outputs={"out": "made/out.txt", "more": "more/**"}),
    "damaged bytes": damage,
    "missing bytes": lambda p: stored(p).unlink(),
}


def test_a_node_whose_data_alone_have_changed_is_handed_what_it_made_last(project: Copies) -> None:
    assert project.copied("2") == "1"
    assert project.copied("3", jobs=2) == "2"  # in a process of its own
    project.strict = True
    project.write({"helper.py": "# a comment is no change\nGREETING = 'hello'\n"})
    assert project.copied("4") == "3"
    assert project.output("made/out.txt") == "4"


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_anything_else_hands_over_nothing(project: Copies, change: str) -> None:
    CHANGES[change](project)
    assert project.copied("2") == "nothing"
    assert project.output("made/out.txt") == "2"


def test_a_forced_run_makes_everything_anew(project: Copies) -> None:
    assert project.copied("2", force=()) == "nothing"


def test_an_attempt_that_failed_is_no_past_and_one_before_it_is(project: Copies) -> None:
    project.settings["fails"] = True
    assert project.copied("2") == "nothing"
    project.settings["fails"] = False
    assert project.copied("3") == "1"


def test_back_at_an_earlier_setting_the_last_output_of_then_is_handed_over_unless_it_is_removed(project: Copies) -> None:
    project.settings["tail"] = 2
    assert project.copied("2") == "nothing"
    project.settings["tail"] = 1
    assert project.copied("3") == "1"
    project.settings["tail"] = 2
    project.ask("gc", 1)
    assert project.copied("4") == "nothing"


def test_what_was_accepted_without_running_is_not_handed_over(project: Copies) -> None:
    with sqlite3.connect(project.data / "registry.db") as db:
        db.execute("UPDATE attempt SET state = 'accepted'")
    assert project.copied("2") == "nothing"


def test_what_was_handed_over_leaves_no_trace_in_keys_and_lineage(project: Copies, tmp_path: Path) -> None:
    assert project.copied("2") == "1"
    made = [rows(project)]
    project.data = tmp_path / "other"
    project.data.mkdir()
    assert project.copied("2") == "nothing"
    made.append(rows(project))
    assert made[0] == made[1]


def rows(project: Copies) -> list[tuple[str, ...]]:
    """Key and inputs of the newest attempt."""
    with sqlite3.connect(project.data / "registry.db") as db:
        query = (
            "SELECT a.input_hash, i.role, i.name, i.sha256 FROM attempt a JOIN attempt_input i ON i.attempt_id = a.id "
            "WHERE a.rowid = (SELECT max(rowid) FROM attempt)"
        )
        return db.execute(query).fetchall()


def test_only_a_declared_single_output_has_a_past(tmp_path: Path) -> None:
    outputs = StageOutputs({"out": "out.txt", "all": "all/**"}, Store(str(tmp_path)), {}, "run", "attempt", {})
    assert outputs.before("out") is None
    for role in ("all", "other"):
        with pytest.raises(StageError, match="not a single declared artifact"):
            outputs.before(role)


def test_a_machine_that_does_not_see_the_bytes_is_handed_nothing(tmp_path: Path) -> None:
    gone = File("out.txt", str(tmp_path / "gone"), "0" * 64, 1, 1)
    outputs = StageOutputs({"out": "out.txt"}, Store(str(tmp_path)), {}, "run", "attempt", {"out": gone})
    assert outputs.before("out") is None
