"""A thousand wrong passwords at the dashboard's throttle, 250 in each of four attacks, with real argon2.

How many are checked a minute, and how long the owner waits who comes in the middle of it."""

from __future__ import annotations

import itertools
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.harness import Goal, Result, options, tell
from serving.dashboard import passwords
from serving.dashboard.throttle import LONGEST, RATE, Queue, Throttle, Verdict

ATTACKERS = 40
"""Attempts the attacker keeps going at once; each begins the next when the last is answered."""
RIGHT = "the owner's own passphrase"


class Case(NamedTuple):
    """From where the attack and the owner come."""

    what: str
    addresses: int
    owner: str
    known: bool = False


CASES = (
    Case("one address attacks, the owner has another", 1, "198.51.100.1"),
    Case("forty addresses attack, the owner has another", ATTACKERS, "198.51.100.1"),
    Case("owner behind the attacker's address, new browser", 1, "203.0.113.0"),
    Case("owner behind the attacker's address, known browser", 1, "203.0.113.0", known=True),
)


class Outcome(NamedTuple):
    """What came of it."""

    per_minute: float
    waited: float
    got_in: bool


def attack(case: Case, attempts: int, kept: str) -> Outcome:
    """So many wrong passwords are checked; in the middle of it the owner types the right one."""
    queue = Queue()
    if case.known:
        queue.remember("browser of the owner")
    throttle = Throttle(queue)
    checked, enough = itertools.count(1), threading.Event()
    middle, ended = threading.Event(), [0.0]

    def guess(number: int) -> None:
        while not enough.is_set():
            address = f"203.0.113.{number % case.addresses}"
            verdict = throttle.check(address, "", lambda: passwords.right("a wrong guess of many", kept))
            if verdict is Verdict.BUSY:
                continue
            made = next(checked)
            if made == attempts // 2:
                middle.set()
            if made == attempts:
                ended[0] = time.perf_counter()
                enough.set()

    threads = [threading.Thread(target=guess, args=(n,), daemon=True) for n in range(ATTACKERS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    middle.wait()
    came = time.perf_counter()
    verdict = throttle.check(case.owner, "browser of the owner", lambda: passwords.right(RIGHT, kept))
    waited = time.perf_counter() - came
    enough.wait()
    return Outcome(attempts / (ended[0] - began) * 60, waited, verdict is Verdict.RIGHT)


def main() -> None:
    """Run every case and tell."""
    asked = options(__doc__ or "")
    kept = passwords.hashed(RIGHT)
    results, goals = [], []
    for case in CASES:
        found = attack(case, 20 if asked.quick else 250, kept)
        results += [
            Result(f"{case.what}: wrong passwords checked", "pdp", found.per_minute, "per minute"),
            Result(f"{case.what}: the owner waits", "pdp", found.waited, "s"),
        ]
        own = case.owner.startswith("198") or case.known
        most = 2 / RATE + 1 if own else LONGEST + (ATTACKERS + 1) * 60 / found.per_minute + 1
        goals.append(Goal(case.what, f"in within {most:.0f} s", f"{found.waited:.1f} s", found.got_in and found.waited <= most))
    tell("throttle", results, goals, asked.json)


if __name__ == "__main__":
    main()
