"""The mutations every engine is put to: code by name from the test suite, and data, settings, libraries and places, with their verdicts."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

Change = Callable[[Path, Path], None]
"""Changes a project; given its folder and where its engine puts the output."""


class Mutation(NamedTuple):
    """A project, and what happens to it between runs; the verdict is on the last run."""

    name: str
    runs: bool
    """Whether the last run must run the stage again."""
    files: dict[str, str]
    changes: tuple[Change, ...]
    with_data: bool = False
    by_output: bool = False
    """Right is not whether the stage ran but whether the output is right afterwards: restoring it will do."""
    moves: bool = False
    """The project goes on under another path."""


def mutations() -> list[Mutation]:
    """The list of the design and the cases added to it."""
    from tests.mutation_cases import CASES
    from tests.test_mutations import MUST_RERUN, MUST_STAY

    listed = [(n, True, *MUST_RERUN[n]) for n in MUST_RERUN if re.match(r"\d\d ", n) and n < "54"]
    listed += [(f"stay {n}", False, *MUST_STAY[n]) for n in MUST_STAY if re.match(r"\d\d ", n)]
    listed += [(f"more: {c.name}", c.runs, c.before, c.after) for c in CASES]
    return [Mutation(name, runs, before, (_become(before, after),)) for name, runs, before, after in listed] + _DATA


def _become(before: dict[str, str], after: dict[str, str]) -> Change:
    def change(project: Path, _: Path) -> None:
        for name in before.keys() - after.keys():
            (project / name).unlink()
        for name, text in after.items():
            if before.get(name) != text:
                write(project / name, text)

    return change


def write(path: Path, text: str) -> None:
    """Text as it is, folders as needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, newline="", encoding="utf-8")


_STAGE = """import json


def work(paths, contents, used):
    return [open(path).read() for path in paths], paths, used


def run(inputs, outputs, settings):
    paths = [file.path for file in inputs.many("in")]
    names = [file.name.removeprefix("here/") for file in inputs.many("in")]
    with outputs.open("out") as out:
        found, _, used = work(paths, None, settings["used"])
        out.write(repr((found, names, used)).encode())
"""
_EDITED = """import os


def work(paths, contents, used):
    text = open(paths[0]).read()
    if not os.path.exists("edited"):
        open("edited", "w").close()
        with open(os.path.join("in", "a.txt"), "w") as file:
            file.write("edited meanwhile")
    return text


def run(inputs, outputs, settings):
    with outputs.open("out") as out:
        out.write(repr(work([file.path for file in inputs.many("in")], None, settings["used"])).encode())
"""
_LIBRARY = """import fakelib


def work():
    return fakelib.V


def run(inputs, outputs, settings):
    with outputs.open("out") as out:
        out.write(repr(work()).encode())
"""
_BASE = {"stage.py": _STAGE, "in/a.txt": "alpha", "in/b.txt": "bravo"}


def _distribution(name: str, version: str, text: str, requires: str = "") -> dict[str, str]:
    info = f"site/{name}-{version}.dist-info"
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    return {
        f"site/{name}/__init__.py": text,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/RECORD": f"{name}/__init__.py,,\n{name}-{version}.dist-info/METADATA,,\n{name}-{version}.dist-info/RECORD,,\n",
        f"{info}/INSTALLER": "pip\n",
        f"{info}/top_level.txt": f"{name}\n",
    }


def _released(before: dict[str, str], after: dict[str, str]) -> Change:
    become = _become(before, after)

    def change(project: Path, out: Path) -> None:
        become(project, out)
        for folder in (project / "site").glob("*.dist-info"):
            if not any(folder.iterdir()):
                folder.rmdir()

    return change


def _keeping_time(name: str, text: str) -> Change:
    def change(project: Path, _: Path) -> None:
        before = (project / name).stat()
        (project / name).write_text(text)
        os.utime(project / name, ns=(before.st_atime_ns, before.st_mtime_ns))

    return change


def _setting(name: str, value: object) -> Change:
    def change(project: Path, _: Path) -> None:
        import json

        path = project / "settings.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))

    return change


def _put(name: str, text: str) -> Change:
    return lambda project, _: write(project / name, text)


def _swap(project: Path, _: Path) -> None:
    a, b = (project / "in/a.txt").read_text(), (project / "in/b.txt").read_text()
    write(project / "in/a.txt", b)
    write(project / "in/b.txt", a)


def _rename(project: Path, _: Path) -> None:
    (project / "in/b.txt").rename(project / "in/c.txt")


def _remove(project: Path, _: Path) -> None:
    (project / "in/b.txt").unlink()


def _out_edit(_: Path, out: Path) -> None:
    real = out.resolve()
    os.chmod(real, 0o600)
    real.write_text("forged")


def _out_cut(_: Path, out: Path) -> None:
    real = out.resolve()
    os.chmod(real, 0o600)
    os.truncate(real, 1)


def _out_gone(_: Path, out: Path) -> None:
    real = out.resolve()
    real.unlink()
    out.unlink(missing_ok=True)


def _relink(project: Path, _: Path) -> None:
    path = project / "in/a.txt"
    shutil.copy(path, project / "elsewhere.dat")
    path.unlink()
    path.symlink_to(project / "elsewhere.dat")


def _reinode(project: Path, _: Path) -> None:
    path = project / "in/a.txt"
    shutil.copy(path, project / "in/a.new")
    (project / "in/a.new").rename(path)


def _touch(project: Path, _: Path) -> None:
    os.utime(project / "in/a.txt")


def _checkout(project: Path, _: Path) -> None:
    """All sources and inputs get a new time stamp, as a branch switch there and back gives them."""
    now = time.time_ns()
    for path in (project / "stage.py", *(project / "in").iterdir()):
        os.utime(path, ns=(now, now))


def _move(project: Path, _: Path) -> None:
    project.rename(project.with_name(project.name + "-moved"))


def _nothing(_: Path, __: Path) -> None:
    """Time passes."""


def _data(name: str, runs: bool, *changes: Change, by_output: bool = False, moves: bool = False) -> Mutation:
    return Mutation(name, runs, _BASE, changes, with_data=True, by_output=by_output, moves=moves)


_LIB_1 = {"stage.py": _LIBRARY, **_distribution("fakelib", "1.0", "V = 1\n", "otherlib")}
_OTHER_1, _OTHER_2 = (_distribution("otherlib", v, f"V = {v}\n") for v in ("1.0", "2.0"))
_LIB_2 = {"stage.py": _LIBRARY, **_distribution("fakelib", "2.0", "V = 2\n", "otherlib")}
_DATA = [
    Mutation(
        "35 version of a library", True, {**_LIB_1, **_OTHER_1}, (_released({**_LIB_1, **_OTHER_1}, {**_LIB_2, **_OTHER_1}),)
    ),
    _data("54 one byte, same size, mtime restored", True, _keeping_time("in/a.txt", "alphx")),
    _data("55 other size, mtime restored", True, _keeping_time("in/a.txt", "alphabet")),
    _data("56 contents of two inputs swapped", True, _swap),
    _data("57 input added to a folder", True, _put("in/c.txt", "charlie")),
    _data("57 input removed from a folder", True, _remove),
    _data("57 input renamed in a folder", True, _rename),
    Mutation(
        "58 input edited while the stage ran",
        True,
        {**_BASE, "stage.py": _EDITED},
        (_nothing,),
        with_data=True,
        by_output=True,
    ),
    _data("59 output edited by hand", True, _out_edit, by_output=True),
    _data("59 output truncated", True, _out_cut, by_output=True),
    _data("60 output deleted", True, _out_gone, by_output=True),
    _data("61 declared setting", True, _setting("used", 2)),
    _data("61 declared setting, 1 to '1'", True, _setting("used", "1")),
    Mutation(
        "62 library under a library", True, {**_LIB_1, **_OTHER_1}, (_released({**_LIB_1, **_OTHER_1}, {**_LIB_1, **_OTHER_2}),)
    ),
    _data("stay 67 other inode, same bytes", False, _reinode),
    _data("stay 67 link to the same bytes", False, _relink),
    _data("stay 08 new process, other hash seed", False, _nothing),
    _data("stay 13 touch of an input", False, _touch),
    _data("stay 14 project moved", False, _move, moves=True),
    _data("stay 15 undeclared setting", False, _setting("unused", 2)),
    _data("stay 17 changed and back", False, _put("in/a.txt", "other"), _put("in/a.txt", "alpha")),
    Mutation(
        "stay 21 unrelated library",
        False,
        {**_LIB_1, **_distribution("bystander", "1.0", "")},
        (_released({**_LIB_1, **_distribution("bystander", "1.0", "")}, {**_LIB_1, **_distribution("bystander", "2.0", "")}),),
    ),
    _data("stay 23 checkout that rewrites time stamps", False, _checkout),
]
