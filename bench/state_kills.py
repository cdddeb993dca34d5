"""Pushes and pulls killed between every two of their steps: what stays is the old state or the new one, and it goes on from there."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from bench.state_lab import KILLED, forked, looked, machine, runs, scratch
from bench.state_server import Place


class Kills(NamedTuple):
    """What came of it."""

    case: str
    points: int
    wrong: list[str]


CASES: dict[str, tuple[str, str, str]] = {
    "first push": ("", "a", "push"),
    "push of news": ("a", "b", "push"),
    "push that merges": ("ac", "b", "push"),
    "pull on an empty machine": ("a", "", "pull"),
    "pull of news": ("ac", "", "pull"),
    "pull that merges": ("ac", "b", "pull"),
}
"""Case → (what is pushed before: a by this machine, c by another afterwards; what has run here since; the command)."""


MERGING = ("push that merges", "pull that merges")


def kills(server: Place, folder: Path, stride: int, cases: Iterable[str]) -> Iterator[Kills]:
    """These of CASES, killed at every `stride`-th of their steps, each time from the same beginning."""
    return (_case(server, folder, case, stride) for case in cases)


def _case(server: Place, folder: Path, case: str, stride: int) -> Kills:
    wrong: list[str] = []
    points, at = 0, 1
    while True:
        with scratch(folder) as own:
            lab = _Lab(server.another(), own, case)
            lab.lay()
            died = forked(lab.command, at).status == KILLED
            wrong += [f"{case}, step {at}: {problem}" for problem in lab.problems()]
        if not died:
            return Kills(case, points, wrong)
        points += 1
        at += stride


class _Lab:
    """One place, the machine in question, and another that has pushed before it."""

    def __init__(self, there: Place, folder: Path, case: str) -> None:
        self.there, self.folder, self.case = there, folder, case
        self.before, self.since, self.asked = CASES[case]
        self.here = folder / "here"
        self.old: dict[str, Any] = {"runs": []}
        self.own: list[str] = []

    def lay(self) -> None:
        """Everything as it is before the command."""
        on_it = self.case != "pull on an empty machine"
        if "a" in self.before:
            self._well(lambda: self._do(self.here if on_it else self.folder / "other", "a"))
        if "c" in self.before:
            self._well(lambda: self._do(self.folder / "other", "c", pull=True))
        if self.since:
            self._well(lambda: machine(self.there, self.here).run(**{self.since: f"{self.since}\n"}))
        self.old = self._look() if self.before else self.old
        self.own = forked(lambda: runs(machine(self.there, self.here))).value

    def command(self) -> None:
        """What is killed."""
        here = machine(self.there, self.here)
        here.push() if self.asked == "push" else here.pull()

    def _again(self) -> None:
        """What a job does: it pulls before it pushes."""
        here = machine(self.there, self.here)
        here.pull()
        if self.asked == "push":
            here.push()

    def problems(self) -> list[str]:
        """What must hold after the kill, and after the next job's pull and push, and does not."""
        everything = sorted(set(self.old["runs"]) | set(self.own))
        found = []
        if self.before:
            seen = self._look()
            found += [f"after the kill: {p}" for p in seen["problems"]]
            if seen["runs"] != self.old["runs"] and (self.asked == "pull" or seen["runs"] != everything):
                found.append("the remote is neither as it was nor as it should be")
        mine = forked(lambda: runs(machine(self.there, self.here))).value
        if mine not in (self.own, everything):
            found.append("the machine is neither as it was nor as it should be")
        again = forked(self._again)
        if again.status:
            return [*found, f"the same again ended with {again.status}: {again.value}"]
        here = forked(self._here).value
        found += [f"at the end: {p}" for p in here["problems"]]
        if here["runs"] != everything:
            found.append("the machine has not all runs in the end")
        if self.asked == "push" and self._look()["runs"] != everything:
            found.append("the remote has not all runs in the end")
        return found

    def _here(self) -> dict[str, Any]:
        here = machine(self.there, self.here)
        return {"runs": runs(here), "problems": here.verify()}

    def _look(self) -> dict[str, Any]:
        fresh = self.folder / "looks"
        with suppress(FileNotFoundError):
            shutil.rmtree(fresh)
        done = forked(looked(self.there, fresh))
        return done.value if isinstance(done.value, dict) else {"runs": [], "problems": [str(done.value)]}

    def _do(self, data: Path, name: str, pull: bool = False) -> None:
        one = machine(self.there, data)
        if pull:
            one.pull()
        one.run(**{name: f"{name}\n"})
        one.push()

    def _well(self, work: Callable[[], Any]) -> None:
        done = forked(work)
        if done.status:
            raise RuntimeError(f"{self.case}: {done.value}")
