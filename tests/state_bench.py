"""Machines that share one remote state: each a data root with a small DAG in this process; remotes that fail where a test wants it."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from config.settings import Settings
from config.snapshot import NodeSettings
from pipeline import Node, Pipeline
from scripts.project import Project
from scripts.state.afar import open_afar
from scripts.state.remote import Head, Remote, Stored
from scripts.state.session import Session, open_session
from scripts.state.sync import Pulled, Pushed, pull, push

REPO = Path(__file__).resolve().parent.parent
KEY, OTHER_KEY = (base64.b64encode(bytes([n]) * 32).decode() for n in (7, 8))
_NODES = (
    Node("gather", "first", "tests.stages.letters:gather", files={"in": "in/**"}, outputs={"all": "raw/**"}),
    Node(
        "split",
        "second",
        "tests.stages.letters:split",
        inputs={"all": "raw/**"},
        outputs={"even": "made/even", "odd": "made/odd"},
    ),
)


class Machine:
    """One data root below `folder`, and the remote `url`."""

    def __init__(self, folder: Path, url: str | Path, key: str = KEY, **settings: Any) -> None:
        self.data = folder
        self.url = str(url)
        self.key = key
        self.settings = settings

    @property
    def project(self) -> Project:
        """Opened anew, as each command does."""
        own: dict[str, Any] = {
            "_env_file": None,
            "state_url": self.url,
            "state_key": self.key,
            "data_dir": str(self.data),
            **self.settings,
        }
        settings = NodeSettings({"data_dir": str(self.data)}, [], lambda: {"state_key": self.key}, lambda: Settings(**own))
        afar = open_afar(str(self.data), settings)
        pipeline = Pipeline(_NODES, str(self.data), settings, ("first", "second"), code_root=str(REPO), afar=afar)
        return Project(pipeline, settings, [], [], [], examples=False, strays=[])

    def run(self, **files: str) -> dict[str, str]:
        """Write these files to the inbox and run; gives node → action."""
        for name, text in files.items():
            path = self.data / "in" / f"{name}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return {o.node: o.action for o in self.project.pipeline.run().outcomes}

    def pull(self, **asked: Any) -> Pulled:
        return pull(self.project, **asked)

    def push(self, **asked: Any) -> Pushed:
        return push(self.project, **asked)

    def session(self) -> Session:
        return open_session(self.project)

    def head(self) -> Any:
        found = self.session().head()
        return found and found[0]

    def runs(self) -> set[str]:
        """Runs this machine knows."""
        return {run for (run,) in self._rows("SELECT id FROM run")}

    def kept(self) -> set[tuple[str, str]]:
        """(name, hash) of every version that is kept."""
        return {(str(n), str(s)) for n, s in self._rows("SELECT name, sha256 FROM artifact WHERE removed_at IS NULL")}

    def content(self, name: str) -> bytes:
        """What the newest version of an artifact holds, brought if need be."""
        project = self.project
        with project.pipeline.reading() as registry:
            assert registry
            found = max((a for c in registry.state().values() for _, a in c.outputs if a.name == name), key=lambda a: a.version)
        return Path(project.pipeline.local(found)).read_bytes()

    def files(self) -> set[str]:
        """Stored versions that lie here."""
        store = self.data / "store"
        return {str(p.relative_to(store)) for p in store.rglob("*") if p.is_file()}

    def verify(self) -> list[str]:
        return [str(problem) for problem in self.project.pipeline.verify()]

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.project.pipeline.reading() as registry:
            return list(registry.db.execute(query)) if registry else []


class Killed(BaseException):
    """Stands for the end of a process: nothing that catches errors catches it."""


class Troubled:
    """A remote whose calls a test can spoil. `calls` are the names of those made so far."""

    def __init__(self, remote: Remote) -> None:
        self.remote = remote
        self.place = remote.place
        self.calls: list[str] = []

    def before(self, call: str) -> None:
        """Called before each call; may raise."""

    def after(self, call: str) -> None:
        """Called when the remote has done it; may raise instead of answering."""

    @contextmanager
    def _spoiled(self, call: str) -> Iterator[None]:
        self.before(call)
        self.calls.append(call)
        yield
        self.after(call)

    def read_head(self) -> Head | None:
        with self._spoiled("read_head"):
            return self.remote.read_head()

    def commit_head(self, manifest: bytes, tag: str | None) -> str:
        with self._spoiled("commit_head"):
            return self.remote.commit_head(manifest, tag)

    def put(self, name: str, path: str) -> None:
        with self._spoiled("put"):
            self.remote.put(name, path)

    def get(self, name: str, path: str) -> None:
        with self._spoiled("get"):
            self.remote.get(name, path)

    def exists(self, name: str) -> bool:
        with self._spoiled("exists"):
            return self.remote.exists(name)

    def list(self) -> Iterator[Stored]:
        with self._spoiled("list"):
            return self.remote.list()

    def delete(self, names: Sequence[str]) -> None:
        with self._spoiled("delete"):
            self.remote.delete(names)

    def erase(self) -> None:
        with self._spoiled("erase"):
            self.remote.erase()

    def probe(self) -> None:
        with self._spoiled("probe"):
            self.remote.probe()


def objects_below(folder: Path) -> dict[str, Path]:
    """Name → file of every object in a folder that is a remote."""
    return {p.relative_to(folder).as_posix(): p for p in sorted((folder / "blobs").rglob("*")) if p.is_file()}


def spoil(path: Path) -> None:
    """Change one byte in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    os.chmod(path, 0o600)
    path.write_bytes(content)
