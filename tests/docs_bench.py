"""The commands the documents tell people to type, and a place to type them in: a season of somebody's data, a remote state."""

from __future__ import annotations

import base64
import re
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

from tests.cli_bench import REPO, environment
from tests.made_once import cluster, own_season

DOCS = [*sorted(REPO.glob("*.md")), *sorted((REPO / "docs").rglob("*.md")), REPO / "examples/README.md"]
MEANT = {
    r"\bNODE\b": "merge.daily_metrics",
    r"\bARTIFACT\b": "processed/merged/merged_daily_metrics.csv",
    r"\bDATE\b": "2025-03-15",
    r"\bMETRIC\b": "systolic",
    r"\bSOURCE\b": "bp_csv",
    r"\bCODE\b": "summary_row",
    r"\bHOST\b": "localhost",
    r"\b(?:ID|K|N)\b": "1",
    r"\bTEXT\b": "'looked at'",
    r"open\|replayed\|obsolete\|ignored\|all": "all",
}
"""What a person puts for a placeholder."""
_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_IN_TEXT = re.compile(r"`((?:[A-Z_]+=\S+ )*python main\.py[^`]*)`")
_SHELL = {"", "sh", "bash", "console"}
_OF_THE_PROGRAM = re.compile(r"(?:[A-Z_]+=\S+ )*python3? main\.py\b.*")


class Line(NamedTuple):
    """One command as it stands in a document."""

    doc: str
    text: str
    block: bool
    """In a block of commands, so a person copies it; else mentioned in a sentence."""

    @property
    def command(self) -> str:
        """What comes after `python main.py`, without a comment."""
        typed = re.sub(r"\s+#.*$", "", self.text.partition("main.py")[2])
        return typed.strip()

    @property
    def env(self) -> dict[str, str]:
        """The variables set before it; where the data, the state and its key are, is the place's own business."""
        found = dict(re.findall(r"([A-Z_]+)=(\S+) ", self.text.partition("python")[0]))
        return {name: value for name, value in found.items() if name not in {"DATA_DIR", "STATE_URL", "STATE_KEY"}}


def lines(path: Path) -> Iterator[Line]:
    """Every line of this document that starts the program."""
    text, name = path.read_text(), str(path.relative_to(REPO))
    for typed in typed_in(path):
        if found := _OF_THE_PROGRAM.match(typed):
            yield Line(name, found[0], block=True)
    for mentioned in _IN_TEXT.findall(_BLOCK.sub("", text)):
        yield Line(name, mentioned, block=False)


def typed_in(path: Path) -> Iterator[str]:
    """Every line a person copies out of a shell block; where some begin with a prompt, the others are answers."""
    for _, language, block in _BLOCK.findall(path.read_text()):
        if language in _SHELL:
            found = dedent(block).replace("\\\n", " ").splitlines()
            prompted = [line.removeprefix("$ ") for line in found if line.startswith("$ ")]
            yield from prompted or found


def words(command: str) -> list[str]:
    """The arguments with what a person puts for the placeholders; what is optional is left out."""
    for pattern, value in MEANT.items():
        command = re.sub(pattern, value, command)
    command = re.sub(r"\s*\[[^\]]*\]|\s*…", "", command)
    return shlex.split(re.split(r"\s[|>&;]+(?:\s|$)", command)[0])


class Place:
    """A folder to stand in: a season in `data` (or what is in `inbox`), a key, an empty remote, a server that takes notices.

    `more` drops further exports into the season's inbox.
    """

    def __init__(
        self, folder: Path, server: str, inbox: Mapping[str, bytes] | None = None, more: Callable[[Path], None] | None = None
    ) -> None:
        self.folder, self.data = folder, folder / "data"
        (cluster if inbox else own_season)(self.data)
        if more:
            more(self.data / "inbox")
        for name, content in (inbox or {}).items():
            path = self.data / "inbox" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        key = base64.b64encode(bytes(range(32))).decode()
        self.env = environment(self.data, TIMEZONE="Europe/Warsaw", STATE_URL=str(folder / "remote"), STATE_KEY=key)
        self._server = server
        if inbox:
            self.type("")

    def type(self, command: str, **env: str) -> subprocess.CompletedProcess[str]:
        """`python main.py …` in this folder, with nothing on stdin."""
        meant = command.replace("http://localhost:5000", self._server).replace("3f2a", self._run())
        return subprocess.run(
            [sys.executable, str(REPO / "main.py"), *words(meant)],
            cwd=self.folder,
            env={**self.env, **{name: value.replace("http://localhost:5000", self._server) for name, value in env.items()}},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def _run(self) -> str:
        """The id of the last run."""
        if not (self.data / "registry.db").exists():
            return "3f2a"
        with closing(sqlite3.connect(self.data / "registry.db")) as registry:
            return str(registry.execute("SELECT id FROM run ORDER BY rowid DESC").fetchone()[0])
