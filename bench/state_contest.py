"""Jobs that push to one remote at the same time: what any of them has committed is there in the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from bench.state_lab import job, looked, scratch, together
from bench.state_server import Place

_AGAIN = 20
"""How often a job that was told to try again does so, as a scheduler would."""


class Contest(NamedTuple):
    """What came of it."""

    jobs: int
    lost: int
    """Runs a job had pushed that are not there."""
    told_again: int
    """How often a push gave up with exit 75, changed nothing and was repeated."""
    problems: list[str]


def contest(place: Place, folder: Path, writers: int, rounds: int) -> Contest:
    """So many writers, so many jobs of each, one after the other; the odd ones on an empty machine every time."""
    again = 0
    with scratch(folder) as root:
        promised: set[str] = set()
        problems: list[str] = []
        for number in range(rounds):
            waiting = list(range(writers))
            for _ in range(_AGAIN):
                works = [job(place, _data(root, w, number), f"w{w}r{number}") for w in waiting]
                done = together(works)
                promised |= {run for d in done if d.status == 0 for run in d.value}
                problems += [f"a job ended with {d.status}: {d.value}" for d in done if d.status not in (0, 75)]
                waiting = [w for w, d in zip(waiting, done, strict=True) if d.status == 75]
                again += len(waiting)
                if not waiting:
                    break
            problems += [f"writer {w} never came through" for w in waiting]
        seen: dict[str, Any] = together([looked(place, root / "looks")])[0].value
    if not isinstance(seen, dict):
        return Contest(writers * rounds, len(promised), again, [*problems, str(seen)])
    return Contest(writers * rounds, len(promised - set(seen["runs"])), again, problems + seen["problems"])


def _data(root: Path, writer: int, number: int) -> Path:
    return root / (f"w{writer}r{number}" if writer % 2 else f"w{writer}")
