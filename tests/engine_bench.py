"""A tiny project in a folder of its own: source files, a DAG, runs in fresh processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parent.parent
_DRIVER = """
import json, sys
sys.path[:0] = [{repo!r}, {root!r}, *{extra!r}]
from tests import installed_once
installed_once.remember()
from pipeline import Node, Pipeline, Selection
from config.errors import PDPError
def plain(found):
    if hasattr(found, "_asdict"):
        return {{name: plain(value) for name, value in found._asdict().items()}}
    if isinstance(found, dict):
        return {{str(key): plain(value) for key, value in found.items()}}
    return [plain(value) for value in found] if isinstance(found, (list, tuple)) else found
def main():
    spec = json.load(sys.stdin)
    nodes = [Node(**{{k: tuple(v) if isinstance(v, list) else v for k, v in n.items()}}) for n in spec["nodes"]]
    try:
        pipeline = Pipeline(nodes, spec["data"], spec["settings"], roots=spec["roots"], code_root={root!r})
        selection = Selection(**{{k: tuple(v) if isinstance(v, list) else v for k, v in spec["selection"].items()}})
        if spec["method"]:
            print(json.dumps(plain(getattr(pipeline, spec["method"])(*spec["arguments"]))))
        elif spec["plan"]:
            print(json.dumps([[f.node, f.action, [list(r) for r in f.reasons]] for f in pipeline.plan(selection)]))
        else:
            run = pipeline.run(selection, spec["jobs"], executor=spec["executor"], strict=spec["strict"])
            rows = [[o.node, o.action, [list(r) for r in o.reasons], o.error, o.details, list(o.warnings)] for o in run.outcomes]
            print(json.dumps(rows))
    except PDPError as error:
        print(json.dumps({{"error": type(error).__name__, "text": str(error)}}))
if __name__ == "__main__":
    main()
"""


class Project:
    """Write files, run, ask what happened."""

    def __init__(self, root: Path, nodes: list[dict[str, Any]] | None = None, settings: dict[str, Any] | None = None) -> None:
        self.root = root
        self.data = root / "data"
        self.nodes = nodes or [
            {"name": "n", "stage": "s", "run": "stage:run", "files": {"in": "in.txt"}, "outputs": {"out": "out.txt"}}
        ]
        self.settings = settings or {}
        self.extra: list[str] = []
        self.env: dict[str, str] = {}
        self.flags: list[str] = []
        self.strict = False
        self.roots: dict[str, str] = {}

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, newline="")

    def ask(self, method: str, *arguments: Any) -> Any:
        """What the pipeline's method answers, as plain data: named tuples as objects."""
        return self.call(method=method, arguments=arguments)

    def call(
        self, plan: bool = False, jobs: int = 1, executor: str = "", method: str = "", arguments: Any = (), **selection: Any
    ) -> Any:
        spec = {
            "method": method,
            "arguments": list(arguments),
            "nodes": self.nodes,
            "data": str(self.data),
            "settings": self.settings,
            "selection": selection,
            "plan": plan,
            "jobs": jobs,
            "executor": executor,
            "strict": self.strict,
            "roots": self.roots,
        }
        driver = self.root / "drive.py"
        text = _DRIVER.format(repo=str(REPO), root=str(self.root), extra=self.extra)
        if not driver.exists() or driver.read_text() != text:
            driver.write_text(text)
        done = subprocess.run(
            [sys.executable, *self.flags, str(driver)],
            input=json.dumps(spec),
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **self.env},
            check=False,
        )
        assert done.stdout, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def run(self, **kwargs: Any) -> dict[str, str]:
        """Node → action."""
        found = self.call(**kwargs)
        assert isinstance(found, list), found
        return {name: action for name, action, *_ in found}

    def output(self, name: str = "out.txt") -> str:
        return (self.data / name).read_text()
