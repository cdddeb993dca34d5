"""A pipeline of two steps in a folder of its own, run in fresh processes, to be asked about: `count.lines` feeds `shout.lines`."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from pipeline import Node, Pipeline
from scripts.project import Project as Asked
from tests.engine_bench import Project

STAGE = """
import time
from collections import Counter
def count(inputs, outputs, settings):
    lines = open(inputs.one("text").path).read().splitlines()
    if "slow" in lines:
        time.sleep(1.2)
    kept = [line for line in lines if line != "bad"]
    with outputs.open("lines") as out:
        out.write("".join(line + "\\n" for line in kept).encode())
    fates = {"accepted": len(kept)} | ({"rejected:bad": len(lines) - len(kept)} if len(kept) < len(lines) else {})
    return {"rows": {"lines": len(kept)}, "balance": {"unit": "line", "came": len(lines), "fates": fates}}
def shout(inputs, outputs, settings):
    text = open(inputs.one("lines").path).read()
    if "boom" in text:
        raise ValueError("SECRET")
    with outputs.open("loud") as out:
        out.write(text.upper().encode())
    return {"rows": {"loud": text.count("\\n")}}
"""
NODES: list[dict[str, Any]] = [
    {
        "name": "count.lines",
        "stage": "count",
        "run": "stage:count",
        "files": {"text": "in.txt"},
        "outputs": {"lines": "lines.txt"},
    },
    {
        "name": "shout.lines",
        "stage": "shout",
        "run": "stage:shout",
        "inputs": {"lines": "lines.txt"},
        "outputs": {"loud": "loud.txt"},
    },
]


class Bench(Project):
    """The two steps, and the commands asked over them."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, NODES)
        self.write({"stage.py": STAGE})

    def feed(self, *lines: str) -> dict[str, str]:
        """Put these lines in and run; node → action."""
        self.write({"data/in.txt": "".join(line + "\n" for line in lines)})
        return self.run()

    @property
    def pipeline(self) -> Pipeline:
        nodes = [Node(**{k: tuple(v) if isinstance(v, list) else v for k, v in n.items()}) for n in self.nodes]
        return Pipeline(nodes, str(self.data), self.settings, code_root=str(self.root))

    def ask(self, command: Any, **options: Any) -> Any:
        """A command's Answer."""
        return command(Asked(self.pipeline, self.settings, [], [], [], False, []), Namespace(**options))  # type: ignore[arg-type]
