"""One workload on every engine: cold, first repeat, nothing to do, touched, one input changed; whole processes, in turn, kept in a file."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench import workloads as work
from bench.environments import CACHE, installed
from bench.harness import Measured, measured, median
from bench.peers import FLOOR, FLOOR_MAKE, LOOP, OURS, PEERS, Peer
from bench.workloads import Workload

CASES = ("cold", "first no-op", "no-op", "touched", "changed")
QUIET = 2.1
"""Seconds after which a fresh file's time stamp is believed by engines that doubt it, ours among them."""
_ENOUGH = 30.0
"""Seconds an engine may spend in one case before it sits out the remaining rounds."""


class Cell(NamedTuple):
    """One engine, one case."""

    seconds: list[float]
    executed: list[int]
    """Nodes that ran, per round."""
    failed: str = ""
    """Why there is no figure: over the limit, or the engine's error."""

    def text(self) -> str:
        """`min / median (nodes executed)`, seconds."""
        if not self.seconds:
            return self.failed or "-"
        counts = sorted(set(self.executed))
        ran = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]}–{counts[-1]}"
        return f"{min(self.seconds):.3g} / {median(self.seconds):.3g} ({ran})"


Table = dict[str, dict[str, Cell]]
"""Engine → case → cell."""


class Piece(NamedTuple):
    """What one invocation measured of one workload. Ratios are taken within a piece only."""

    workload: str
    title: str
    nodes: int
    path: int
    cells: Table
    same: bool
    """Whether all engines made the very same bytes."""


class _Seat(NamedTuple):
    peer: Peer
    project: Path
    env: dict[str, str]
    cells: dict[str, Cell]


def run_workload(
    workload: Workload, names: Sequence[str], rounds: int, limit: float, folder: Path, quiet: float = QUIET
) -> Piece:
    """All cases of one workload; ours and the floor always take part."""
    inputs = work.make_inputs(workload, CACHE / "inputs" / f"{workload.name}-{len(workload.files)}-{workload.files[0][1]}")
    seats = [_seat(peer, folder / workload.name / peer.name) for peer in (OURS, LOOP, *(PEERS[n] for n in names))]
    few = min(rounds, 3)
    for _ in range(few):
        for seat in seats:
            _cold(seat, workload, inputs, 5 * limit, few)
    ready = [s for s in seats if not s.cells["cold"].failed]
    for seat in ready:
        if seat.peer is LOOP:
            subprocess.run(FLOOR_MAKE, cwd=seat.project, check=True)
    same = len({_made(s, workload) for s in ready}) == 1
    time.sleep(quiet)
    _case(ready, "first no-op", 1, limit)
    _case(ready, "no-op", 1, limit, keep=False)
    _case(ready, "no-op", rounds, limit)
    leaf = inputs / workload.leaf
    for number in range(few):
        _apart(work.touch, leaf)
        _case(ready, "touched", 1, limit)
        _say(f"{workload.title}: touched, round {number + 1} of {few}")
    for number in range(few):
        _apart(work.change, leaf, number)
        took_part = _case(ready, "changed", 1, limit)
        same = same and len({_made(s, workload) for s in took_part if s.cells["changed"].executed[-1:] == [workload.path]}) <= 1
        _say(f"{workload.title}: changed, round {number + 1} of {few}")
    for seat in seats:
        shutil.rmtree(seat.project, ignore_errors=True)
    return Piece(workload.name, workload.title, len(workload.jobs), workload.path, {s.peer.name: s.cells for s in seats}, same)


def _apart(change: Callable[..., None], *arguments: object) -> None:
    """Change a file some ticks after and before anything else: engines that compare time stamps are not caught by accident."""
    time.sleep(0.05)
    change(*arguments)
    time.sleep(0.05)


def able(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """(peers that can be measured, peers that are not installed)."""
    return [n for n in names if installed(n)], [n for n in names if not installed(n)]


def prepare(peer: Peer, workload: Workload, inputs: Path, project: Path) -> dict[str, str]:
    """A fresh project of this engine; gives its environment."""
    work.lay(workload, inputs, project)
    peer.write(workload, project)
    env = environment(peer, project)
    for command in peer.once():
        subprocess.run(command, cwd=project, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return env


def environment(peer: Peer, project: Path) -> dict[str, str]:
    """The process environment of an engine in a project."""
    return {**os.environ, **{name: value.format(project=project) for name, value in peer.env.items()}}


def save(piece: Piece, path: Path, replace: bool = False) -> None:
    """Add a piece to the file; it takes the place of earlier ones with the same workload and engines."""
    pieces = [] if replace else load(path)
    pieces = [p for p in pieces if p.workload != piece.workload or not p.cells.keys() <= piece.cells.keys()]
    path.parent.mkdir(parents=True, exist_ok=True)
    tmp = path.with_suffix(".tmp")
    tmp.write_text(json.dumps([p._asdict() for p in [*pieces, piece]], indent=1))
    tmp.replace(path)


def load(path: Path) -> list[Piece]:
    """What was measured before, oldest first."""
    if not path.exists():
        return []
    return [_piece(data) for data in json.loads(path.read_text())]


def _piece(data: Mapping[str, Any]) -> Piece:
    table = {who: {case: Cell(*cell) for case, cell in cells.items()} for who, cells in data["cells"].items()}
    return Piece(data["workload"], data["title"], data["nodes"], data["path"], table, data["same"])


def _seat(peer: Peer, project: Path) -> _Seat:
    return _Seat(peer, project, environment(peer, project), {})


def _cold(seat: _Seat, workload: Workload, inputs: Path, limit: float, rounds: int) -> None:
    if rounds > 1 and _sits_out(seat, "cold"):
        return
    prepare(seat.peer, workload, inputs, seat.project)
    _note(seat, "cold", seat.peer.command(), limit)
    _say(f"{workload.title}: cold, {seat.peer.name} {seat.cells['cold'].text()}")


def _case(seats: Sequence[_Seat], case: str, rounds: int, limit: float, keep: bool = True) -> list[_Seat]:
    """Measure one case; gives the seats that took part in the last round."""
    took_part: list[_Seat] = []
    for number in range(rounds):
        took_part = []
        for seat in seats:
            if _sits_out(seat, case):
                continue
            command = FLOOR if seat.peer is LOOP else seat.peer.command()
            if seat.peer is LOOP and case in {"touched", "changed"}:
                continue  # the floor script knows nothing of changes
            if not keep and (cell := seat.cells.get("first no-op")) and sum(cell.seconds) > _ENOUGH / 10:
                continue  # a second warm-up is for engines that settle in two runs
            before = dict(seat.cells)
            _note(seat, case, command, limit)
            took_part.append(seat)
            if not keep:
                seat.cells.clear()
                seat.cells.update(before)
        if rounds > 1:
            _say(f"{case}, round {number + 1} of {rounds}")
    return took_part


def _sits_out(seat: _Seat, case: str) -> bool:
    cell = seat.cells.get(case)
    return cell is not None and (bool(cell.failed) or sum(cell.seconds) > _ENOUGH)


def _note(seat: _Seat, case: str, command: Sequence[str], limit: float) -> None:
    before = work.executed(seat.project)
    found = measured(command, seat.project, seat.env, limit)
    ran = work.executed(seat.project) - before
    old = seat.cells.get(case, Cell([], []))
    if isinstance(found, Measured) and found.code == 0:
        seat.cells[case] = Cell([*old.seconds, found.seconds], [*old.executed, ran])
    else:
        why = f"> {limit:.0f} s ({ran})" if found is None else f"failed: {found.last_line[:80]}"
        seat.cells[case] = old._replace(failed=why)


def _made(seat: _Seat, workload: Workload) -> str:
    """Digest of what the DAG's ends hold now."""
    root = seat.project / "data" if seat.peer is OURS else seat.project
    return hashlib.sha256(b"".join((root / end).read_bytes() for end in workload.ends())).hexdigest()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
