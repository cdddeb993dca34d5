"""Data, settings and environment identity: what must run again, what must be skipped, what comes back without running."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.engine_bench import REPO, Project

CODE = """
def first(inputs, outputs, settings):
    with outputs.open("out") as out:
        for file in inputs.many("in"):
            out.write(open(file.path, "rb").read().upper())
    return {"rows": {"out": 1}}

def second(inputs, outputs, settings):
    with outputs.open("out") as out:
        out.write(open(inputs.one("a").path, "rb").read()[:1] + str(settings["tail"]).encode())
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    nodes = [
        {"name": "a", "stage": "one", "run": "stage:first", "files": {"in": "inbox/**"}, "outputs": {"out": "made/a.txt"}},
        {
            "name": "b",
            "stage": "two",
            "run": "stage:second",
            "inputs": {"a": "made/a.txt"},
            "outputs": {"out": "made/b.txt"},
            "settings": ["tail"],
        },
    ]
    project = Project(tmp_path, nodes, {"tail": 1, "other": 1, "secret": "x"})
    project.write({"stage.py": CODE, "data/inbox/x.txt": "xyz", "data/inbox/y.txt": "why"})
    assert project.run() == {"a": "ran", "b": "ran"}
    return project


def age(path: Path, seconds: int = 10) -> None:
    os.utime(path, ns=(time.time_ns() - seconds * 10**9,) * 2)


def test_nothing_changed_runs_nothing(project: Project) -> None:
    assert project.run() == {"a": "skipped", "b": "skipped"}


def test_one_byte_of_equal_size_with_restored_mtime_runs_again(project: Project) -> None:
    path = project.data / "inbox/x.txt"
    age(path)
    project.run()
    before = path.stat()
    path.write_text("xyQ")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert project.run()["a"] == "ran"


def test_other_size_with_restored_mtime_runs_again(project: Project) -> None:
    path = project.data / "inbox/x.txt"
    before = path.stat()
    path.write_text("xyzzy")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert project.run()["a"] == "ran"


def test_swapped_contents_of_two_inputs_run_again(project: Project) -> None:
    x, y = project.data / "inbox/x.txt", project.data / "inbox/y.txt"
    one, two = x.read_text(), y.read_text()
    x.write_text(two)
    y.write_text(one)
    assert project.run()["a"] == "ran"


@pytest.mark.parametrize("change", ["add", "remove", "rename"])
def test_a_file_added_removed_or_renamed_in_a_folder_runs_again(project: Project, change: str) -> None:
    inbox = project.data / "inbox"
    if change == "add":
        (inbox / "z.txt").write_text("")
    elif change == "remove":
        (inbox / "y.txt").unlink()
    else:
        (inbox / "y.txt").rename(inbox / "w.txt")
    assert project.run()["a"] == "ran"


def test_an_output_edited_by_hand_is_made_again(project: Project) -> None:
    (project.data / "made/b.txt").write_text("forged")
    assert project.run() == {"a": "skipped", "b": "ran"}
    assert (project.data / "made/b.txt").read_text() == "X1"


def test_a_truncated_output_is_made_again(project: Project) -> None:
    stored = (project.data / "made/a.txt").resolve()
    os.truncate(stored, 2)
    assert project.run() == {"a": "ran", "b": "skipped"}


def test_a_deleted_output_is_made_again(project: Project) -> None:
    (project.data / "made/b.txt").resolve().unlink()
    assert project.run() == {"a": "skipped", "b": "ran"}


def test_a_declared_setting_runs_its_node_only(project: Project) -> None:
    project.settings["tail"] = 2
    assert project.run() == {"a": "skipped", "b": "ran"}
    project.settings["tail"] = "2"
    assert project.run()["b"] == "ran"


def test_other_output_names_run_again(project: Project) -> None:
    project.nodes[1]["outputs"] = {"out": "made/c.txt"}
    assert project.run()["b"] == "ran"


def test_the_same_bytes_behind_a_link_or_another_inode_are_skipped(project: Project) -> None:
    path = project.data / "inbox/x.txt"
    shutil.copy(path, project.root / "elsewhere.txt")
    path.unlink()
    path.symlink_to(project.root / "elsewhere.txt")
    assert project.run() == {"a": "skipped", "b": "skipped"}


def test_touch_is_skipped(project: Project) -> None:
    (project.data / "inbox/x.txt").touch()
    assert project.run() == {"a": "skipped", "b": "skipped"}


def test_another_place_and_another_home_are_skipped(project: Project, tmp_path: Path) -> None:
    moved = tmp_path.parent / f"{tmp_path.name}-moved"
    shutil.copytree(project.root, moved, symlinks=True)
    other = Project(moved, project.nodes, project.settings)
    other.env = {"HOME": str(moved)}
    assert other.run() == {"a": "skipped", "b": "skipped"}


def test_undeclared_settings_secrets_and_jobs_are_skipped(project: Project) -> None:
    project.settings |= {"other": 2, "secret": "y"}
    assert project.run(jobs=2) == {"a": "skipped", "b": "skipped"}


def test_going_back_restores_without_running(project: Project) -> None:
    path = project.data / "inbox/x.txt"
    path.write_text("abc")
    assert project.run() == {"a": "ran", "b": "ran"}
    path.write_text("xyz")
    assert project.run() == {"a": "restored", "b": "restored"}
    assert (project.data / "made/b.txt").read_text() == "X1"
    assert (project.data / "made/b.txt").resolve().name.startswith("v1-")


def test_equal_bytes_stop_the_cascade_and_make_no_new_version(project: Project) -> None:
    (project.data / "inbox/x.txt").write_text("XYZ")
    assert project.run() == {"a": "ran", "b": "skipped"}
    assert (project.data / "made/a.txt").resolve().name.startswith("v1-")


def test_a_new_node_elsewhere_is_the_only_one_to_run(project: Project) -> None:
    extra = {"name": "c", "stage": "two", "run": "stage:second", "inputs": {"a": "made/a.txt"}, "outputs": {"out": "made/c.txt"}}
    project.nodes.append({**extra, "settings": ["tail"]})
    assert project.run() == {"a": "skipped", "b": "skipped", "c": "ran"}


@pytest.mark.parametrize("flags", [["-O"], ["-B", "-X", "dev"], ["-X", "utf8"]])
def test_interpreter_flags_are_skipped(project: Project, flags: list[str]) -> None:
    project.flags = flags
    assert project.run() == {"a": "skipped", "b": "skipped"}


def test_hash_seed_is_skipped(project: Project) -> None:
    project.write({"stage.py": CODE + "\nS = {'a', 'b', 'c'}\n_used = len(S)\n"})
    project.run()
    for seed in ("1", "2", "3"):
        project.env = {"PYTHONHASHSEED": seed}
        assert project.run() == {"a": "skipped", "b": "skipped"}


def test_checkout_that_rewrites_every_mtime_is_skipped(project: Project) -> None:
    for path in [project.root / "stage.py", *(project.data / "inbox").iterdir()]:
        path.write_bytes(path.read_bytes())
    assert project.run() == {"a": "skipped", "b": "skipped"}


def test_pyproject_edits_are_skipped(project: Project) -> None:
    project.write({"pyproject.toml": "[tool.ruff]\nline-length = 100\n"})
    project.run()
    project.write({"pyproject.toml": "# comment\n[tool.ruff]\nline-length = 120\n"})
    assert project.run() == {"a": "skipped", "b": "skipped"}


# -- the environment ----------------------------------------------------------------------------------------------------


def distribution(site: Path, name: str, version: str, requires: str = "") -> None:
    for old in site.glob(f"{name}-*.dist-info"):
        shutil.rmtree(old)
    info = site / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}")
    (info / "top_level.txt").write_text(name + "\n")
    (info / "RECORD").write_text(f"{name}.py,,\n{name}-{version}.dist-info/METADATA,,\n")
    (site / f"{name}.py").write_text("V = 1\n")


@pytest.fixture
def libraries(tmp_path: Path) -> tuple[Project, Path]:
    site = tmp_path / "env" / "site-packages"
    distribution(site, "lib", "1.0", "Requires-Dist: base\n")
    distribution(site, "base", "1.0")
    distribution(site, "unrelated", "1.0")
    project = Project(tmp_path / "p")
    project.extra = [str(site)]
    text = 'import lib\ndef run(inputs, outputs, settings):\n    with outputs.open("out") as out:\n        out.write(b"%d" % lib.V)\n'
    project.write({"stage.py": text, "data/in.txt": "1"})
    assert project.run() == {"n": "ran"}
    assert project.run() == {"n": "skipped"}
    return project, site


@pytest.mark.parametrize(("name", "action"), [("lib", "ran"), ("base", "ran"), ("unrelated", "skipped")])
def test_a_library_upgrade_runs_what_reaches_it(libraries: tuple[Project, Path], name: str, action: str) -> None:
    project, site = libraries
    distribution(site, name, "2.0", "Requires-Dist: base\n" if name == "lib" else "")
    found = project.call()[0]
    assert found[1] == action
    if action == "ran":
        assert [name, "1.0 → 2.0"] in [r[1:] for r in found[2]]


def test_a_library_in_a_folder_of_any_name_counts(tmp_path: Path) -> None:
    site = tmp_path / "vendored"
    distribution(site, "lib", "1.0")
    project = Project(tmp_path / "p")
    project.extra = [str(site)]
    text = 'import lib\ndef run(inputs, outputs, settings):\n    with outputs.open("out") as out:\n        out.write(b"%d" % lib.V)\n'
    project.write({"stage.py": text, "data/in.txt": "1"})
    assert project.run() == {"n": "ran"}
    assert project.run() == {"n": "skipped"}
    distribution(site, "lib", "2.0")
    assert project.run() == {"n": "ran"}


def test_the_source_of_an_editable_install_counts(tmp_path: Path) -> None:
    site, source = tmp_path / "env" / "site-packages", tmp_path / "dev"
    distribution(site, "devlib", "1.0")
    (site / "devlib.py").unlink()
    source.mkdir()
    (source / "devlib.py").write_text("V = 1\n")
    (site / "devlib-1.0.dist-info" / "direct_url.json").write_text(
        f'{{"url": "file://{source}", "dir_info": {{"editable": true}}}}'
    )
    project = Project(tmp_path / "p")
    project.extra = [str(site), str(source)]
    text = 'import devlib\ndef run(inputs, outputs, settings):\n    with outputs.open("out") as out:\n        out.write(b"%d" % devlib.V)\n'
    project.write({"stage.py": text, "data/in.txt": "1"})
    assert project.run() == {"n": "ran"}
    assert project.run() == {"n": "skipped"}
    (source / "devlib.py").write_text("V = 2\n")
    assert project.run() == {"n": "ran"}


def test_the_interpreter_is_part_of_the_environment() -> None:
    from pipeline.environment import python_leaf

    assert python_leaf()[1] == f"{sys.implementation.name} {sys.version_info[0]}.{sys.version_info[1]}"


def test_a_shadowing_module_that_appears_runs_again(tmp_path: Path) -> None:
    project = Project(tmp_path)
    fallback = "try:\n    import fast as impl\nexcept ImportError:\n    import slow as impl\n"
    text = fallback + 'def run(inputs, outputs, settings):\n    with outputs.open("out") as out:\n        out.write(impl.V)\n'
    project.write({"stage.py": text, "slow.py": "V = b'slow'\n", "data/in.txt": "1"})
    assert project.run() == {"n": "ran"}
    project.write({"fast.py": "V = b'fast'\n"})
    assert project.run() == {"n": "ran"}
    assert project.output() == "fast"


def test_a_root_given_relative_to_the_current_folder_is_decided_at_once_too(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("a")
    os.utime(tmp_path / "in" / "a.txt", (1, 1))
    (tmp_path / "stage.py").write_text(CODE)
    script = (
        f"import sys; sys.path[:0] = [{str(REPO)!r}, '.']\n"
        "from pipeline import Node, Pipeline\n"
        "node = Node('a', 's', 'stage:first', files={'in': 'in/a.txt'}, outputs={'out': 'a.txt'})\n"
        "run = Pipeline([node], 'data', roots={'in': 'in'}).run()\n"
        "print(run.outcomes[0].action, 'pipeline.planner' in sys.modules)\n"
    )

    def run() -> str:
        done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    assert run() == "ran True"
    time.sleep(2.1)  # what was just written is believed from then on
    assert [run(), run()] == ["skipped True", "skipped False"]


def test_all_of_a_named_root_is_read(tmp_path: Path) -> None:
    node = {"name": "n", "stage": "s", "run": "stage:run", "files": {"in": "exports/**"}, "outputs": {"out": "out.txt"}}
    project = Project(tmp_path, [node])
    names = "[f.name for f in inputs.many('in')]"
    text = (
        f'def run(inputs, outputs, settings):\n    with outputs.open("out") as out:\n        out.write(repr({names}).encode())\n'
    )
    project.write({"stage.py": text, "elsewhere/a.txt": "a", "elsewhere/b/c.txt": "c"})
    project.roots = {"exports": str(tmp_path / "elsewhere")}
    assert project.run() == {"n": "ran"}
    assert project.output() == "['exports/a.txt', 'exports/b/c.txt']"
    project.write({"elsewhere/d.txt": "d"})
    assert project.run() == {"n": "ran"}
