"""The contract of a source behind an API, for its author's tests: killed after every page, it loses nothing and doubles nothing.

    def test_my_source_keeps_the_contract() -> None:
        assert_source(MySource, fake)

The source runs through the real engine in a data root of its own; each run is a process of its own that is really killed.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Protocol

from config.sources import Source
from pipeline.node import Node

if TYPE_CHECKING:
    from ingestion.rest import RestSource

MOST_PAGES = 200
"""A fake with more of them is none; a source that brings more never comes to an end."""
_PATIENCE = 60.0
"""Seconds a run may take."""
_EXAMPLES = 3


class Fake(Protocol):
    """The API a source is tried on, on this machine."""

    @property
    def url(self) -> str:
        """Its base address."""

    @property
    def held(self) -> Mapping[str, Collection[object]]:
        """Stream → the ids of the records it holds."""

    @property
    def asked(self) -> Sequence[str]:
        """Every page it has answered whole so far, as path and query, in order."""


class Kept(NamedTuple):
    """What was shown."""

    pages: int
    kills: int
    records: int
    again: int
    """Pages asked for more than once."""


class _Ended(NamedTuple):
    killed: bool
    errors: list[str]


def assert_source(source: type[RestSource], fake: Fake, tokens: Mapping[str, str] | None = None, **over: Any) -> Kept:
    """Kill it after each of its pages until it has come to its end, then run it once more. AssertionError tells what it got wrong.

    `tokens`: what its variables hold for the fake (any word, unless the fake minds). `over`: fields of the declaration to be said anew.
    """
    declared = source.declared()
    held = {stream.name: len(fake.held.get(stream.name, ())) for stream in declared.streams}
    if not any(held.values()):
        _fail(source, "the fake holds no record of any of its streams", f"let `fake.held` name one of {', '.join(held)}")
    if unknown := fake.held.keys() - held.keys():
        _fail(source, f"the fake holds a stream it does not declare: {min(unknown)}", "declare it, or take it out of `fake.held`")
    root = tempfile.mkdtemp(prefix="pdp-contract-")
    try:
        engine = _Engine(source, root, {"base_url": fake.url, **over}, tokens or dict.fromkeys(declared.tokens(), "word"))
        kills = _until_done(source, engine)
        reusable = all(stream.reusable for stream in declared.streams)
        _compare(source, engine, fake, f"killed after every one of {kills} pages", kills)
        again = {page: n for page, n in Counter(fake.asked).items() if n > 1}
        if reusable and again:
            first = min(again)
            _fail(
                source,
                f"{len(again)} pages were asked for again after a kill, first {first}",
                "commit each page with the token of the next; where a server's tokens end with the run, say reusable=False",
            )
        _clean(source, engine.run())
        records = _compare(source, engine, fake, "run once more with nothing new", kills)
        return Kept(kills, kills, records, sum(again.values()) - len(again))
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _until_done(source: type[RestSource], engine: _Engine) -> int:
    kills = 0
    while (ended := engine.run(kill=True)).killed:
        kills += 1
        if kills > MOST_PAGES:
            _fail(
                source, f"it does not come to an end: {kills} pages and still more", "check its paginator, and where a round ends"
            )
    _clean(source, ended)
    if not kills:
        _fail(source, "it brought no page at all", "check the streams' paths and the fake")
    return kills


def _clean(source: type[RestSource], ended: _Ended) -> None:
    if ended.errors:
        _fail(source, f"a run that was not killed failed: {ended.errors[0]}", "mend that first")


def _compare(source: type[RestSource], engine: _Engine, fake: Fake, when: str, kills: int) -> int:
    """Every record the API holds is there once."""
    streams = {stream.name: stream for stream in source.declared().streams}
    found = engine.records()
    for name, ids in fake.held.items():
        rows = [raw_id for raw_id in found if raw_id.partition(":")[0] == name]
        counts = Counter(rows)
        if streams[name].id:
            wanted = {f"{name}:{ident}" for ident in ids}
            lost, more = sorted(wanted - counts.keys()), sorted(counts.keys() - wanted)
            doubled = sorted(raw_id for raw_id, n in counts.items() if n > 1)
        else:
            lost, more = ["?"] * max(0, len(ids) - len(rows)), ["?"] * max(0, len(rows) - len(ids))
            doubled = []
        if lost:
            why = "the paginator stops early, `records` names another list, or a page is skipped after a kill"
            _fail(source, f"{when}, {len(lost)} of {len(ids)} records of {name} are lost ({_few(lost)})", why)
        if more:
            _fail(
                source,
                f"{when}, {len(more)} records of {name} are there that the API does not hold ({_few(more)})",
                "`id` names a field that changes or is not in every record, so one record has two names",
            )
        if doubled:
            _fail(
                source,
                f"{when}, {len(doubled)} records of {name} are there more than once ({_few(doubled)})",
                "a field of the record changes with every answer: what is received twice should be the same bytes",
            )
    return len(found) if kills else 0


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:_EXAMPLES]) + (" …" if len(names) > _EXAMPLES else "")


def _fail(source: type[RestSource], what: str, mend: str) -> NoReturn:
    raise AssertionError(f"{source.__name__}: {what}; {mend}.")


_STEPS = """tried = []


class Tried:
    @classmethod
    def extract(cls, inputs, outputs, settings):
        return tried[0].extract(inputs, outputs, settings)

    @classmethod
    def records(cls, inputs, outputs, settings):
        return tried[0].records(inputs, outputs, settings)

    @classmethod
    def fingerprint(cls, settings):
        return None
"""
"""A module with the steps a run calls. The source may be a class made anywhere, within a test as well, which no step could name."""


class _Engine:
    """The steps of one source, over one data root."""

    def __init__(self, source: type[RestSource], root: str, rest: Mapping[str, Any], tokens: Mapping[str, str]) -> None:
        from pipeline.nodes import source_nodes

        name, self._source = source.declared().name, source
        entry = Source(name, name, rest="contract_steps:Tried", tokens=tuple(tokens))
        self.nodes: list[Node] = [node for node in source_nodes(entry, live=True) if node.stage == "ingestion"]
        self._code, self.root, self._records = os.path.join(root, "code"), os.path.join(root, "data"), f"records/{name}.parquet"
        os.mkdir(self._code)
        with open(os.path.join(self._code, "contract_steps.py"), "w", encoding="utf-8") as steps:
            steps.write(_STEPS)
        self.settings = {f"rest_{name}": dict(rest), f"tokens_{name}": json.dumps(dict(tokens)), f"on_drift_{name}": "evolve"}

    def run(self, kill: bool = False) -> _Ended:
        """One run in a process of its own; with `kill` that process dies right after it has committed a page."""
        from ingestion.rest import extraction, records  # noqa: F401 - so that not every child has to

        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            self._in_child(writing, kill)
        os.close(writing)
        with open(reading, encoding="utf-8") as pipe:
            status = _waited(child)
            text = pipe.read()
        killed = os.WIFSIGNALED(status)
        return _Ended(killed, [] if killed else json.loads(text or '["its process ended without a word"]'))

    def _in_child(self, writing: int, kill: bool) -> NoReturn:
        try:
            nothing = os.open(os.devnull, os.O_RDWR)
            os.dup2(nothing, 1)
            os.dup2(nothing, 2)
            sys.path.insert(0, self._code)
            steps = importlib.import_module("contract_steps")
            steps.tried[:] = [self._source]
            steps.__file__ = None  # written by this very program, maybe long after it began: no edit of code that runs
            if kill:
                _die_after_a_page()
            from pipeline import Pipeline

            run = Pipeline(self.nodes, self.root, self.settings, ("ingestion",), code_root=self._code).run()
            errors = [str(outcome.error) for outcome in run.outcomes if outcome.error]
            os.write(writing, json.dumps(errors).encode())
        except BaseException as error:  # noqa: BLE001 - told to the parent, whatever it is
            os.write(writing, json.dumps([f"{type(error).__name__}: {error}"]).encode())
        finally:
            os._exit(0)

    def records(self) -> list[str]:
        """raw_ids of the records in force."""
        import pyarrow.parquet as pq

        path = os.path.join(self.root, self._records)
        return list(pq.read_table(path, columns=["raw_id"])["raw_id"].to_pylist()) if os.path.exists(path) else []


def _die_after_a_page() -> None:
    """From now on this process is killed as soon as a page is committed."""
    from pipeline.execution.pages import StreamPages

    commit = StreamPages.commit

    def last(self: StreamPages, *values: Any, **named: Any) -> NoReturn:
        commit(self, *values, **named)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    StreamPages.commit = last  # type: ignore[method-assign]


def _waited(child: int) -> int:
    """How the child ended; one that takes too long is killed."""
    ends = time.monotonic() + _PATIENCE
    while time.monotonic() < ends:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise AssertionError(f"A run took more than {_PATIENCE:.0f} seconds; let the fake answer at once.")
