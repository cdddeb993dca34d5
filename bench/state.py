"""The state kept elsewhere, proved: jobs at the same time, killed anywhere, over remotes that fail; what they move; thirty days unattended.

On a folder, on S3 (moto) and on a fake Drive. The small pipeline of the tests stands for the real one where only the protocol counts;
bytes and the thirty days are those of `python main.py`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.bronze_servers import running
from bench.harness import Goal, Result, tell
from bench.state_contest import contest
from bench.state_faults import DAMAGES, Faults, on_the_way, where_they_lie
from bench.state_kills import CASES, MERGING, kills
from bench.state_month import month, moved
from bench.state_server import KINDS, place

PARTS = ("contest", "kills", "faults", "bytes", "month")
_LEAST = 100_000
"""Bytes a job with nothing to do may move."""


class Told:
    """What was found so far."""

    def __init__(self) -> None:
        self.results: list[Result] = []
        self.goals: list[Goal] = []

    def result(self, what: str, who: str, value: float, unit: str) -> None:
        self.results.append(Result(what, who, value, unit))

    def goal(self, goal: str, want: str, got: str, wrong: list[str], met: bool = True) -> None:
        """A goal that is met when nothing is wrong. Said at once on stderr, with what is: all of it takes half an hour."""
        print("\n  ".join([f"{goal}: {got}", *wrong]), file=sys.stderr, flush=True)
        self.goals.append(Goal(goal, want, got, met and not wrong))


def main() -> None:
    """Every part, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--quick", action="store_true", help="prove that it works; the figures count for nothing")
    asked = parser.parse_args()
    if strange := set(asked.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(strange))}; parts are {', '.join(PARTS)}")
    told = Told()
    parts = {"contest": _contests, "kills": _kills, "faults": _faults, "bytes": _bytes, "month": _month}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)  # the embedded database's own user passes here
        for part in asked.parts or PARTS:
            parts[part](told, folder, asked.quick)
    tell("state", told.results, told.goals, asked.json)


def _contests(told: Told, folder: Path, quick: bool) -> None:
    for kind in KINDS:
        for writers, rounds in ((3, 1),) if quick else ((2, 5), (3, 5), (10, 2)):
            with place(kind, folder) as there:
                done = contest(there, folder, writers, rounds)
            told.result(f"{writers} jobs at once: pushes", kind, done.jobs, "")
            told.result(f"{writers} jobs at once: told to try again", kind, done.told_again, "")
            told.goal(
                f"{writers} jobs at once on {kind}: lost updates",
                f"0 of {done.jobs}",
                f"{done.lost}",
                done.problems,
                not done.lost,
            )


def _kills(told: Told, folder: Path, quick: bool) -> None:
    for kind in KINDS[:1] if quick else KINDS:
        with place(kind, folder) as there:
            for done in kills(there, folder, 70 if quick else 1 if kind == "folder" else 5, MERGING if quick else CASES):
                told.result(f"killed: {done.case}", kind, done.points, "points")
                told.goal(f"{done.case} on {kind}, killed at {done.points} points: wrong", "0", f"{len(done.wrong)}", done.wrong)


def _faults(told: Told, folder: Path, quick: bool) -> None:
    for kind in ("s3", "drive"):
        with place(kind, folder) as there:
            done = on_the_way(there, folder, 2 if quick else 25)
        for fault, times in sorted(done.met.items()):
            told.result(f"answers gone wrong: {fault}", kind, times, "")
        told.result("jobs started again by their scheduler", kind, done.repeated, "")
        _recovered(told, f"jobs over {kind}, one answer in five wrong", done)
    with place("folder", folder) as there:
        done = where_they_lie(there, folder, ["changed"] if quick else list(DAMAGES))
    for fault, times in sorted(done.met.items()):
        told.result(f"objects damaged: {fault}", "folder", times, "")
    _recovered(told, "objects damaged where they lie", done)


def _recovered(told: Told, what: str, done: Faults) -> None:
    wrong = len(done.wrong)
    told.goal(f"{what}: recovered, nothing lost", f"{done.jobs} of {done.jobs}", f"{max(0, done.jobs - wrong)}", done.wrong)


def _bytes(told: Told, folder: Path, quick: bool) -> None:
    (folder / "postgres for bytes").mkdir()
    with running("embedded", folder / "postgres for bytes") as postgres, place("drive", folder) as there:
        for done in moved(there, postgres, folder, 10 if quick else 365):
            told.result(f"bytes up: {done.what}", "drive", done.up, "B")
            told.result(f"bytes down: {done.what}", "drive", done.down, "B")
            if done.what == "nothing to do":
                both = done.up + done.down
                told.goal("bytes of a job with nothing to do", f"< {_LEAST:,}", f"{both:,}", [], both < _LEAST)


def _month(told: Told, folder: Path, quick: bool) -> None:
    (folder / "postgres for days").mkdir()
    with running("embedded", folder / "postgres for days") as postgres, place("s3", folder) as there:
        done = month(there, postgres, folder, 2 if quick else 30)
    told.result("days, each on an empty machine", "s3", done.days, "")
    told.result("of them killed", "s3", done.killed, "")
    told.result("a job, in the median", "s3", done.seconds, "s")
    told.result("records in bronze", "s3", done.rows, "")
    told.goal(
        "daily table after all days", "that of a single run", "equal" if done.equal else "another", done.problems, done.equal
    )
    told.goal("records in bronze that a single run does not leave there once", "0", f"{done.doubles}", [], not done.doubles)


if __name__ == "__main__":
    main()
