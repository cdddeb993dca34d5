"""The faults: each disturbs one load in its own way, has it run to its end and tells whether the same was left as ever."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import psycopg

from bench.bronze_lab import EMPTY, TABLE, A, B, Lab, Loader

_POLL = 0.01
_LIMIT = 60.0
_FAILING = """
CREATE SCHEMA fault;
CREATE SEQUENCE fault.seen;
CREATE FUNCTION fault.fail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('fault.seen') = TG_ARGV[0]::bigint THEN
        RAISE EXCEPTION 'could not serialize access' USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER fault BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION fault.fail({at})
"""
_WAITS = """
SELECT held.classid::bigint << 32 | held.objid::bigint FROM pg_locks AS held JOIN pg_locks AS waiting USING (pid)
WHERE held.locktype = 'advisory' AND held.granted AND waiting.locktype = 'relation' AND NOT waiting.granted
"""


class Outcome(NamedTuple):
    """One round."""

    met: bool
    """The fault found a load under way."""
    wrong: list[str]
    """How what was left differs."""


class Trial(NamedTuple):
    """A lab, chance, and what an undisturbed load is like."""

    lab: Lab
    chance: random.Random
    seconds: float
    commits: int

    def moment(self) -> float:
        """A moment of a load, in seconds after its beginning."""
        return self.chance.uniform(0, self.seconds)


Fault = Callable[[Trial], Outcome]


def loader_killed(trial: Trial) -> Outcome:
    """SIGKILL to the loader."""
    return _strike(trial, lambda loader: loader.kill())


def server_killed(trial: Trial) -> Outcome:
    """SIGKILL to the server's first process."""
    return _strike(trial, lambda _: os.kill(trial.lab.postmaster(), signal.SIGKILL))


def backends_terminated(trial: Trial) -> Outcome:
    """pg_terminate_backend for every session of the database."""
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'pdp'"
    return _strike(trial, lambda _: trial.lab.administer(end))


def database_dropped_during(trial: Trial) -> Outcome:
    """DROP DATABASE … WITH (FORCE) under a load."""
    return _strike(trial, lambda _: trial.lab.administer("DROP DATABASE IF EXISTS pdp WITH (FORCE)"))


def _strike(trial: Trial, blow: Callable[..., object]) -> Outcome:
    trial.lab.clear()
    loader = trial.lab.loader(A)
    loader.begin()
    time.sleep(trial.moment())
    met = loader.running()
    blow(loader)
    if loader.running():
        loader.done()
    return Outcome(met, trial.lab.wrong([A]))


def commit_lost(trial: Trial) -> Outcome:
    """The connection is cut at one of the load's COMMITs, before it arrives."""
    return _cut(trial, arrives=False)


def commit_answer_lost(trial: Trial) -> Outcome:
    """The connection is cut at one of the load's COMMITs: it succeeds, nobody hears."""
    return _cut(trial, arrives=True)


def _cut(trial: Trial, arrives: bool) -> Outcome:
    trial.lab.clear(create=True)
    with trial.lab.relay(cut=trial.chance.randint(1, trial.commits), arrives=arrives) as (relay, dsn):
        loader = trial.lab.loader(A, dsn)
        loader.begin()
        loader.done()
    return Outcome(relay.cuts == 1, trial.lab.wrong([A]))


def two_at_once(trial: Trial) -> Outcome:
    """Two loaders of the same artifact."""
    return _crowd(trial, [A, A], [[A]])


def four_at_once(trial: Trial) -> Outcome:
    """Four loaders of the same artifact."""
    return _crowd(trial, [A] * 4, [[A]])


def two_overlapping(trial: Trial) -> Outcome:
    """Two loaders of artifacts that overlap, one with changed records: as if one after the other, in either order."""
    return _crowd(trial, [A, B], [[A, B], [B, A]])


def four_overlapping(trial: Trial) -> Outcome:
    """Four loaders of the two overlapping artifacts."""
    return _crowd(trial, [A, B, A, B], [[A, B], [B, A]])


def _crowd(trial: Trial, names: Sequence[str], orders: Sequence[Sequence[str]]) -> Outcome:
    trial.lab.clear()
    loaders = [trial.lab.loader(name) for name in names]
    for loader in loaders:
        loader.begin()
        time.sleep(trial.chance.uniform(0, trial.seconds / 8))
    return Outcome(True, _gave_up(*loaders) + trial.lab.wrong(*orders))


def dropped_between(trial: Trial) -> Outcome:
    """The database is dropped after a load."""
    trial.lab.clear(A)
    trial.lab.clear()
    return Outcome(True, trial.lab.wrong([A]))


def recreated_empty(trial: Trial) -> Outcome:
    """The database is dropped after a load and made anew, empty."""
    trial.lab.clear(A)
    trial.lab.clear(create=True)
    return Outcome(True, trial.lab.wrong([A]))


def lock_timeout(trial: Trial) -> Outcome:
    """Another session holds the table until a wait for it has timed out (55P03; after 1 s, the relay shortens the loader's 30)."""
    trial.lab.clear(EMPTY)
    with trial.lab.relay(hasty=True) as (relay, dsn), psycopg.connect(trial.lab.dsn()) as rival:
        rival.execute(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE".encode())
        loader = trial.lab.loader(A, dsn)
        loader.begin()
        _until(lambda: bool(relay.states["55P03"]) or not loader.running())
        rival.rollback()
        gave_up = _gave_up(loader)
    return Outcome(relay.states["55P03"] > 0, gave_up + trial.lab.wrong([EMPTY, A]))


def deadlock(trial: Trial) -> Outcome:
    """Another session holds the table and asks for the lock the load holds, while that asks for the table (40P01)."""
    trial.lab.clear(EMPTY)
    with trial.lab.relay() as (relay, dsn), psycopg.connect(trial.lab.dsn()) as rival:
        rival.execute(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE".encode())
        loader = trial.lab.loader(A, dsn)
        loader.begin()
        with psycopg.connect(trial.lab.dsn(), autocommit=True) as watcher:
            _until(lambda: watcher.execute(_WAITS).fetchone() is not None or not loader.running())
            key = watcher.execute(_WAITS).fetchone()
        try:
            if key:
                rival.execute("SELECT pg_advisory_xact_lock(%s)", key)
        except psycopg.errors.DeadlockDetected:
            pass  # it was our turn to give way
        rival.rollback()
        gave_up = _gave_up(loader)
    return Outcome(relay.states["40P01"] > 0, gave_up + trial.lab.wrong([EMPTY, A]))


def serialization_failure(trial: Trial) -> Outcome:
    """Another session's trigger raises 40001, once, at a row of the table or of the ledger."""
    trial.lab.clear(EMPTY)
    ledger = trial.chance.random() < 0.5
    table, at = ("bronze_loads", trial.chance.randint(1, 2)) if ledger else (TABLE, trial.chance.randint(1, 1000))
    with trial.lab.relay() as (relay, dsn):
        with psycopg.connect(trial.lab.dsn(), autocommit=True) as rival:
            rival.execute(_FAILING.format(table=table, at=at).encode())
        loader = trial.lab.loader(A, dsn)
        loader.begin()
        gave_up = _gave_up(loader)
    with psycopg.connect(trial.lab.dsn(), autocommit=True) as rival:
        rival.execute("DROP SCHEMA fault CASCADE")
    return Outcome(relay.states["40001"] > 0, gave_up + trial.lab.wrong([EMPTY, A]))


def serializable(trial: Trial) -> Outcome:
    """Two loaders that overlap in a database whose sessions are serializable unless they say otherwise."""
    trial.lab.clear(create=True)
    trial.lab.administer("ALTER DATABASE pdp SET default_transaction_isolation = 'serializable'")
    loaders = [trial.lab.loader(name) for name in (A, B)]
    for loader in loaders:
        loader.begin()
    return Outcome(True, _gave_up(*loaders) + trial.lab.wrong([A, B], [B, A]))


WITHOUT_CHANCE: list[Fault] = [dropped_between, recreated_empty]
FAULTS: list[Fault] = [
    *(loader_killed, server_killed, backends_terminated, database_dropped_during, commit_lost, commit_answer_lost),
    *(two_at_once, four_at_once, two_overlapping, four_overlapping, serializable),
    *(lock_timeout, deadlock, serialization_failure, *WITHOUT_CHANCE),
]


def _gave_up(*loaders: Loader) -> list[str]:
    """Wait for them; why those that gave up did so."""
    return [f"a loader gave up: {loader.reason}" for loader in loaders if loader.done() is None]


def _until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _LIMIT
    while not what() and time.monotonic() < deadline:
        time.sleep(_POLL)
