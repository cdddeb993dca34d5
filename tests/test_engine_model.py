"""Any sequence of edits, runs, damage and cleaning, against a model of what must be skipped, restored or run."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from config.errors import StoreError
from pipeline import Node, Pipeline
from pipeline.encoding import digest, encode
from pipeline.store import refuse_unsafe

REPO = Path(__file__).resolve().parent.parent
NODES = [
    Node("gather", "a", "tests.stages.words:gather", files={"in": "inbox/**"}, outputs={"all": "made/all.txt"}),
    Node(
        "count",
        "b",
        "tests.stages.words:count",
        inputs={"all": "made/all.txt"},
        outputs={"n": "made/n.txt"},
        settings=("factor",),
    ),
]
NAMES = st.sampled_from(["x", "y", "deep/z"])


class Engine(RuleBasedStateMachine):
    """The model keeps every (inputs, factor) ever run and what is whole on disk."""

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.files: dict[str, str] = {}
        self.factor = 1
        self.gathered: dict[str, bool] = {}
        self.current: str | None = None
        self.whole = False

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    @rule(name=NAMES, text=st.sampled_from(["a", "A", "b", ""]))
    def write(self, name: str, text: str) -> None:
        path = self.folder / "inbox" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.files[name] = text

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        if name in self.files:
            (self.folder / "inbox" / name).unlink()
            del self.files[name]

    @rule(factor=st.integers(1, 2))
    def set_factor(self, factor: int) -> None:
        self.factor = factor

    @rule()
    def damage(self) -> None:
        if self.current is None or not self.whole:
            return
        path = (self.folder / "made/all.txt").resolve()
        path.write_bytes(path.read_bytes() + b"!")
        self.whole = False
        self.gathered = {k: v for k, v in self.gathered.items() if self.made(k) != self.made(self.current or "")}

    @rule()
    def clean(self) -> None:
        if self.current is None:
            return
        self.pipeline().clean(lambda _: True)
        self.gathered.clear()
        self.current, self.whole = None, False

    @rule()
    def run(self) -> None:
        key = self.key()
        run = self.pipeline().run()
        assert run.status == "succeeded"
        actions = {o.node: o.action for o in run.outcomes}
        if key == self.current and self.whole:
            assert actions["gather"] == "skipped"
        elif key in self.gathered and key != self.current:
            assert actions["gather"] == "restored"
        else:
            assert actions["gather"] == "ran"
        self.gathered[key] = True
        self.current, self.whole = key, True
        expected = self.made(key).encode()
        assert (self.folder / "made/all.txt").read_bytes() == expected
        assert (self.folder / "made/n.txt").read_text() == str(len(self.files) * self.factor)
        assert self.pipeline().verify() == []
        again = self.pipeline().run()
        assert {o.action for o in again.outcomes} == {"skipped"}

    @invariant()
    def no_litter(self) -> None:
        assert not list(self.folder.rglob("*.tmp"))

    def key(self) -> str:
        return repr(sorted(self.files.items()))

    def made(self, key: str) -> str:
        return "".join(f"inbox/{name}={text.upper()}\n" for name, text in eval(key))

    def pipeline(self) -> Pipeline:
        return Pipeline(NODES, str(self.folder), {"factor": self.factor}, code_root=str(REPO))


Engine.TestCase.settings = settings(max_examples=12, stateful_step_count=12, deadline=None, derandomize=True)
TestEngine = Engine.TestCase


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4) | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2) | st.integers(), inner, max_size=3),
    max_leaves=6,
)


def typed(value: Any) -> Any:
    """Equality that tells 1, True, 1.0 and "1" apart."""
    if isinstance(value, (list, tuple)):
        return ("l", [typed(v) for v in value])
    if isinstance(value, dict):
        return ("d", sorted((repr(typed(k)), repr(typed(v))) for k, v in value.items()))
    return (type(value).__name__, value.hex() if isinstance(value, float) else value)


@settings(max_examples=300)
@given(VALUES, VALUES)
def test_different_values_never_share_a_digest(a: Any, b: Any) -> None:
    assert (encode(a) == encode(b)) == (typed(a) == typed(b))
    assert (digest(a) == digest(b)) == (typed(a) == typed(b))


@pytest.mark.parametrize(
    ("a", "b"),
    [(("ab", "c"), ("a", "bc")), (1, "1"), (1, True), ({1: 2}, {"1": 2}), (b"a", "a"), (0.0, -0.0), ([], {}), (None, "")],
)
def test_what_peers_confuse_is_told_apart(a: Any, b: Any) -> None:
    assert digest(a) != digest(b)


@pytest.mark.parametrize(
    "name",
    [
        "../../.ssh/authorized_keys",
        "/etc/passwd",
        "raw/../x",
        "raw//x",
        "raw/.",
        "raw/a\nb",
        "raw/" + "x" * 300,
        "raw/a\\b",
        "raw/e\u0301",
        *("raw/trailing.", "raw/space ", "store/x", ".lock", ""),
    ],
)
def test_a_name_that_could_leave_the_store_or_hide_in_it_is_refused(name: str) -> None:
    with pytest.raises(StoreError):
        refuse_unsafe(name)


def test_a_planted_link_is_never_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "data/inbox").mkdir(parents=True)
    (tmp_path / "data/inbox/x").write_text("x")
    (tmp_path / "data/made").mkdir()
    os.symlink(victim, tmp_path / "data/made/all.txt")
    assert Pipeline(NODES, str(tmp_path / "data"), {"factor": 1}, code_root=str(REPO)).run().status == "succeeded"
    assert victim.read_text() == "precious"
    assert (tmp_path / "data/made/all.txt").read_text() == "inbox/x=X\n"
