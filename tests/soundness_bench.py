"""Runs nodes while every Python call is traced, and holds what was executed against the closure that was hashed.

`python -m tests.soundness_bench examples|live|mutations FOLDER` prints one JSON object: node → how many code objects were checked and
which of them lie outside. A process of its own, since tracing, imports and an embedded database belong to a process.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import io
import json
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from inspect import CO_NEWLOCALS
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Self

from pipeline import Pipeline, Selection
from pipeline.code.closure import Closure, Code
from pipeline.code.names import Finder, Module
from pipeline.code.source_index import SourceIndex, index_source
from pipeline.environment import read_installed
from pipeline.node import Node

ROOT = Path(__file__).resolve().parent.parent
_HANDED = ("pipeline", "tests")
"""The engine and this bench run beneath a stage too: as the handles it was given, which are no code of the node's."""


class Recorder:
    """The first-party code objects that are executed while it is on, in any thread."""

    def __init__(self, root: Path) -> None:
        self._root = f"{root}{os.sep}"
        self._on = False
        self._settled: dict[int, CodeType] = {}
        self.ran: dict[int, CodeType] = {}
        self.imported: dict[int, CodeType] = {}
        """Executed by the import of their own module."""

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if not self._on or id(code) in self._settled:
            return
        place = code.co_filename.removeprefix(self._root)
        if place == code.co_filename or place.startswith(_HANDED) or "site-packages" in place:
            self._settled[id(code)] = code
        elif _importing(frame):
            self.imported[id(code)] = code
        else:
            self._settled[id(code)] = self.ran[id(code)] = code

    def __enter__(self) -> Self:
        self._on, self._before = True, sys.gettrace()
        threading.settrace(self)
        sys.settrace(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._on = False  # a thread that lives on goes on calling
        sys.settrace(self._before)
        threading.settrace(self._before)  # type: ignore[arg-type]


def _importing(frame: FrameType) -> bool:
    """Whether the code runs because its own module is being imported."""
    above: FrameType | None = frame
    while above is not None:
        if above.f_code.co_name == "<module>" and above.f_code.co_filename == frame.f_code.co_filename:
            return True
        above = above.f_back
    return False


class Checker:
    """Finds code objects that lie outside a closure."""

    def __init__(self, root: Path, installed: Mapping[str, Any] | None = None) -> None:
        self._root = root
        self._installed = installed or {}
        self._statements: dict[str, list[ast.stmt]] = {}
        self._indexes: dict[str, SourceIndex] = {}

    def closure(self, refs: list[str]) -> Code:
        finder = Finder([str(self._root)], self._installed)
        return Closure(finder, self._index, lambda path: path, str(self._root)).walk(refs)

    def outside(self, recorder: Recorder, code: Code) -> list[str]:
        """What ran and is not hashed: `file:line name`."""
        hashed = {place for _, _, place in code.leaves}
        files = {os.path.realpath(f) for f in code.files}
        found = [c for c in recorder.ran.values() if self._place(c) not in hashed]
        for c in recorder.imported.values():
            bound = self._place(c) in hashed or self._only_binds(c)
            if os.path.realpath(c.co_filename) not in files or not bound:
                found.append(c)
        return sorted(f"{self._place(c)} {c.co_qualname}" for c in found)

    def _index(self, module: Module) -> SourceIndex:
        if module.name not in self._indexes:
            text = Path(module.path or "").read_bytes()
            self._indexes[module.name] = index_source(text, module.name, module.is_package, module.name)
        return self._indexes[module.name]

    def _place(self, code: CodeType) -> str:
        """The top-level statement a code object belongs to, as a leaf names it."""
        statement = self._statement(code)
        line = statement.lineno if statement else code.co_firstlineno
        return f"{os.path.relpath(code.co_filename, self._root).replace(os.sep, '/')}:{line}"

    def _only_binds(self, code: CodeType) -> bool:
        """The module itself, the body of a class, a comprehension of an assignment: proven to do nothing but bind, or a leaf."""
        statement = self._statement(code)
        if code.co_name == "<module>":
            return True
        if isinstance(statement, ast.ClassDef):
            return not code.co_flags & CO_NEWLOCALS or (code.co_name.startswith("<") and code.co_name != "<lambda>")
        return code.co_name in {"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"} and not isinstance(
            statement, (ast.FunctionDef, ast.AsyncFunctionDef)
        )

    def _statement(self, code: CodeType) -> ast.stmt | None:
        file, line = code.co_filename, code.co_firstlineno
        if file not in self._statements:
            self._statements[file] = ast.parse(Path(file).read_bytes()).body
        return next((s for s in self._statements[file] if _first(s) <= line <= (s.end_lineno or s.lineno)), None)


def _first(statement: ast.stmt) -> int:
    return min([statement.lineno, *(d.lineno for d in getattr(statement, "decorator_list", []))])


class Report:
    """What became of every node."""

    def __init__(self) -> None:
        self.nodes: dict[str, dict[str, Any]] = {}

    def add(self, node: str, checker: Checker, refs: list[str], recorder: Recorder) -> None:
        count = len(recorder.ran) + len(recorder.imported.keys() - recorder.ran.keys())
        self.nodes[node] = {"checked": count, "outside": checker.outside(recorder, checker.closure(refs))}


def watch(pipeline: Pipeline, selection: Selection) -> dict[str, dict[str, Any]]:
    """Run a pipeline in this process, strictly, with every node traced, each importing its modules anew."""
    checker, report, start = Checker(ROOT, read_installed().by_import), Report(), set(sys.modules)
    recorder = Recorder(ROOT)

    def listen(event: str, facts: Mapping[str, Any]) -> None:
        nonlocal recorder
        if event == "node_started":
            for name in set(sys.modules) - start:
                if name.partition(".")[0] in {"ingestion", "processing", "config"}:  # the warehouse holds a lease
                    del sys.modules[name]
            recorder = Recorder(ROOT)
            recorder.__enter__()
        elif event == "node_finished" and facts["action"] in {"ran", "failed"}:
            recorder.__exit__()
            node = pipeline.dag.nodes[facts["node"]]
            report.add(node.name, checker, [r for r in (node.run, node.remote) if r], recorder)
            report.nodes[node.name]["error"] = facts.get("error")

    pipeline.run(selection, listener=listen, strict=True)
    return report.nodes


def examples(folder: Path) -> dict[str, dict[str, Any]]:
    """Every node of the real pipeline over the shipped examples, the embedded database included."""
    os.environ["DATA_DIR"] = str(folder)
    from scripts.project import open_project

    project = open_project(str(ROOT))
    return watch(project.pipeline, project.selection())


def live(folder: Path) -> dict[str, dict[str, Any]]:
    """The nodes that fetch, against a Google of our own, and what reads what they fetched; their fingerprints too."""
    from config.snapshot import node_settings
    from pipeline.nodes import STAGES, nodes
    from tests.google_fakes import fake_google

    os.environ["DATA_DIR"] = str(folder)
    names = ["google_sheets", "mi_fitness"]
    inbox = ROOT / "examples" / "inbox"
    grid = json.loads((inbox / "google_sheets" / "blood_pressure_log.json").read_text())
    with fake_google() as google:
        google.sheets["log"] = grid["values"]
        google.locale, google.time_zone = grid["locale"], grid["timeZone"]
        export = min((inbox / "mi_fitness").iterdir())  # half a season: the whole year is read by `examples`
        google.put("export", export.name, export.read_bytes(), mime="application/zip")
        known = node_settings(str(ROOT), [str(ROOT / "config" / "settings.yaml")])
        settings = {**known.plain, "database": "", **google.settings()}
        dag: list[Node] = nodes(names, names)
        found = watch(Pipeline(dag, str(folder), settings, STAGES, code_root=str(ROOT)), Selection(only_stage="ingestion"))
        checker, report = Checker(ROOT, read_installed().by_import), Report()
        for node in dag:
            if node.remote:
                module, _, function = node.remote.partition(":")
                fingerprint = getattr(importlib.import_module(module), function)
                with Recorder(ROOT) as recorder:
                    fingerprint({name: settings[name] for name in (*node.settings, *node.secrets)})
                report.add(f"{node.name} (fingerprint)", checker, [node.run, node.remote], recorder)
        return found | report.nodes


def mutations(folder: Path) -> dict[str, dict[str, Any]]:
    """The stage of every project of the mutation list, as it is before and after the mutation."""
    from tests.test_mutations import MUST_RERUN, MUST_STAY

    report, kept, path = Report(), set(sys.modules), list(sys.path)
    for number, (name, states) in enumerate((MUST_RERUN | MUST_STAY).items()):
        for state, files in zip(("before", "after"), states, strict=True):
            root = folder / f"{number}{state}"
            for file, text in files.items():
                (root / file).parent.mkdir(parents=True, exist_ok=True)
                (root / file).write_text(text, newline="")
            sys.path[:] = [str(root), *path]
            importlib.invalidate_caches()
            os.chdir(root)
            error = None
            with Recorder(root) as recorder:
                try:
                    importlib.import_module("stage").run(None, _Outputs(), {})
                except Exception as raised:  # noqa: BLE001 - told with the rest
                    error = repr(raised)
            report.add(f"{name} ({state})", Checker(root), ["stage:run"], recorder)
            report.nodes[f"{name} ({state})"]["error"] = error
            for module in set(sys.modules) - kept:
                if getattr(sys.modules[module], "__file__", None) is None or str(root) in str(sys.modules[module].__file__):
                    del sys.modules[module]
    sys.path[:] = path
    return report.nodes


class _Outputs:
    @contextlib.contextmanager
    def open(self, role: str, member: str = "") -> Iterator[io.BytesIO]:
        yield io.BytesIO()


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    what, where = sys.argv[1], Path(sys.argv[2]).resolve()
    where.mkdir(parents=True, exist_ok=True)
    print(json.dumps({"examples": examples, "live": live, "mutations": mutations}[what](where)))
