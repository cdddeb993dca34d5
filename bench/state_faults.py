"""Jobs over a remote that answers wrongly, and objects damaged where they lie: what was committed stays, and every job comes through."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from bench.state_lab import forked, job, looked, machine, runs, scratch
from bench.state_server import Place
from tests.state_bench import objects_below, spoil

_AGAIN = 10
_CHANCE = 0.2


class Faults(NamedTuple):
    """What came of it."""

    met: dict[str, int]
    """Kind of fault → how often it was met."""
    jobs: int
    repeated: int
    """How often a job gave up, left everything as it was, and was started again."""
    wrong: list[str]


def on_the_way(place: Place, folder: Path, jobs: int) -> Faults:
    """Jobs one after the other, the odd ones on an empty machine; one answer in five goes wrong until they are looked at."""
    repeated = 0
    wrong: list[str] = []
    promised: set[str] = set()
    with scratch(folder) as root:
        for number in range(jobs):
            data = root / (f"job{number}" if number % 2 else "stays")
            for _ in range(_AGAIN):
                place.told(_CHANCE)
                done = forked(job(place, data, f"j{number}"))
                place.told(0)
                promised |= set(done.value) if done.status == 0 else set()
                wrong += _seen(place, root, promised, number)
                if done.status == 0:
                    break
                repeated += 1
                if done.status not in (1, 75):
                    wrong.append(f"job {number} ended with {done.status}")
            else:
                wrong.append(f"job {number} never came through: {done.value}")
    return Faults(place.told()["met"], jobs, repeated, wrong)


def where_they_lie(place: Place, folder: Path, damages: Iterable[str]) -> Faults:
    """Each object of a folder damaged in these ways in turn: refused where it is needed, and stored again by who has it."""
    met: Counter[str] = Counter()
    wrong: list[str] = []
    with scratch(folder) as root:
        keeper = root / "keeper"
        for done in (forked(job(place, keeper, "a")), forked(job(place, keeper, "b"))):
            if done.status:
                raise RuntimeError(str(done.value))
        remote = Path(place.url)
        for path in [*objects_below(remote).values(), remote / "head"]:
            for kind in damages:
                sound = path.read_bytes()
                DAMAGES[kind](path)
                met[kind] += 1
                wrong += [f"{kind}: {problem}" for problem in _met(place, root, keeper, path.name == "head")]
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(sound)
                shutil.rmtree(root / "fresh", ignore_errors=True)
                shutil.rmtree(root / "behind", ignore_errors=True)
    return Faults(dict(met), sum(met.values()), 0, wrong)


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


DAMAGES: dict[str, Callable[[Path], None]] = {"cut": _cut, "changed": spoil, "removed": os.unlink}


def _met(place: Place, root: Path, keeper: Path, is_head: bool) -> list[str]:
    """What a machine that needs everything does, and whether the one that has everything can mend it."""
    fresh = root / "fresh"
    first = forked(lambda: _everything(place, fresh))
    kept = set(forked(lambda: runs(machine(place, fresh))).value or [])
    fine = ("whole", "nothing") if is_head else ("whole",)  # a head that is gone is an empty remote to who has never met one
    found = [] if first.status or first.value in fine else [f"a damaged state was taken: {first.value}"]
    if first.status not in (0, 1) or (first.status and kept not in (set(), set(_all(place, keeper)))):
        found.append("something half was taken over")
    if is_head:
        return found
    mended = forked(lambda: _mend(place, keeper))
    again = forked(lambda: _everything(place, root / "behind"))
    if mended.status or again.status or again.value != "whole":
        found.append(f"not mended: {mended.value} {again.value}")
    return found


def _all(place: Place, data: Path) -> list[str]:
    value: list[str] = forked(lambda: runs(machine(place, data))).value
    return value


def _everything(place: Place, data: Path) -> str:
    """Pull, and bring every stored version; `whole` when that is what the registry says."""
    here = machine(place, data)
    here.pull()
    project = here.project
    with project.pipeline.reading() as registry:
        if registry is None:
            return "nothing"
        found = [artifact for commits in registry.state().values() for _, artifact in commits.outputs]
    for artifact in found:
        project.pipeline.local(artifact)
    return "; ".join(here.verify()) or "whole"


def _mend(place: Place, data: Path) -> None:
    from scripts.state.verify import verify

    session = machine(place, data).session()
    with session.local.locked():
        verify(session, str(data), quick=False, repair=True)


def _seen(place: Place, root: Path, promised: set[str], number: int) -> list[str]:
    """What a machine that was never here finds missing or wrong."""
    if not promised:
        return []
    with scratch(root) as fresh:
        seen: Any = forked(looked(place, fresh)).value
    if not isinstance(seen, dict):
        return [f"after job {number} the state cannot be read: {seen}"]
    lost = promised - set(seen["runs"])
    return [*seen["problems"], *([f"after job {number} a run is lost"] if lost else [])]
