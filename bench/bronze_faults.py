"""Faults done to a load at random moments; afterwards it is run to its end and must have left what an undisturbed one leaves.

Compared are rows (raw_id, content hash, version, partition key), ledger, dead letters and every relation of the database. A round in
which the fault came too late to meet a load is compared too, and followed by another.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.bronze_fault_cases import FAULTS, WITHOUT_CHANCE, Fault, Outcome, Trial
from bench.bronze_lab import A, Lab, lab
from bench.harness import Goal, Result, median, tell


def main() -> None:
    """Every fault so many times; whatever ends this, loaders and server go."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--quick", action="store_true", help="prove that it works; the figures count for nothing")
    parser.add_argument(
        "--rounds", type=int, default=20, help="each fault so many times; those without chance at most three times"
    )
    parser.add_argument("--records", type=int, default=20_000, help="records of an artifact")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", nargs="+", choices=[f.__name__ for f in FAULTS], help="these faults")
    asked = parser.parse_args()
    if asked.quick:
        asked.rounds, asked.records = 1, 2_000
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, lab(Path(folder), asked.records) as made:
            _run(asked, made)
    except KeyboardInterrupt:
        sys.exit(130)


def _run(asked: argparse.Namespace, made: Lab) -> None:
    trial = _undisturbed(made, random.Random(asked.seed))
    print(f"An undisturbed load of {asked.records:,} records: {trial.seconds:.2f} s, {trial.commits} commits.")
    print(f"\n  {'fault':<26}{'rounds':>8}{'met a load':>12}{'identical':>11}")
    results, goals = [], []
    for fault in FAULTS:
        if asked.only and fault.__name__ not in asked.only:
            continue
        outcomes = _rounds(fault, trial, min(asked.rounds, 3) if fault in WITHOUT_CHANCE else asked.rounds)
        rounds, met = len(outcomes), sum(o.met for o in outcomes)
        name = fault.__name__.replace("_", " ")
        same = sum(not o.wrong for o in outcomes)
        print(f"  {name:<26}{rounds:>8}{met:>12}{same:>11}", flush=True)
        for told in sorted({line for o in outcomes for line in o.wrong}):
            print(f"    {told}")
        results += [Result(name, "identical", same, f"of {rounds}"), Result(name, "met a load", met, "")]
        goals.append(Goal(name, f"identical {rounds} of {rounds}", f"{same} of {rounds}", same == rounds))
    print()
    tell("bronze_faults", results, goals, asked.json, shown=len(results))
    if not all(goal.met for goal in goals):
        sys.exit(1)


def _rounds(fault: Fault, trial: Trial, rounds: int) -> list[Outcome]:
    """Until the fault has met a load so often, twice as many rounds at most."""
    outcomes: list[Outcome] = []
    while sum(o.met for o in outcomes) < rounds and len(outcomes) < 2 * rounds:
        outcomes.append(fault(trial))
    return outcomes


def _undisturbed(made: Lab, chance: random.Random) -> Trial:
    seconds = []
    for _ in range(3):
        made.clear()
        loader = made.loader(A)
        loader.begin()
        seconds.append(loader.done() or 0.0)
    made.clear(create=True)
    with made.relay() as (relay, dsn):
        loader = made.loader(A, dsn)
        loader.begin()
        loader.done()
    return Trial(made, chance, median(seconds), relay.commits)


if __name__ == "__main__":
    main()
