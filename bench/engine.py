"""The engine against its peers: the same DAGs, whole processes in turn; and growth, commits, hashing and a big registry of ours.

--setup installs the peers; cells are kept in a file as they are measured, so that a run may be done in pieces and joined with --report.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import cells, scale, workloads
from bench.cells import CASES, Piece
from bench.environments import CACHE, PINS, set_up
from bench.harness import Goal, Result, median, tell
from bench.peers import LOOP, OURS, PEERS

MEASURES = ("growth", "commit", "hashing", "registry")
_KEPT = CACHE / "cells.json"
_KEPT_MEASURES = CACHE / "measures.json"
_MEASURE: dict[str, tuple[Callable[..., Any], tuple[Any, ...], tuple[Any, ...]]] = {
    "growth": (scale.growth, ((100, 1_000, 10_000), 7), ((10, 20, 40), 1, 0.0)),
    "commit": (scale.cold_overhead, (100, 5), (10, 1)),
    "hashing": (scale.hashing, (1 << 30, 3), (4 << 20, 1, 0.0)),
    "registry": (scale.crowd, (1_000_000, 9), (2_000, 1, 0.0)),
}
"""Name → (function, its arguments, those with --quick)."""


def main() -> None:
    """Set up, measure, keep, tell."""
    asked = _options()
    if asked.setup:
        for line in set_up(list(PINS)):
            print(f"  missing: {line}")
        return
    if asked.quick:
        with tempfile.TemporaryDirectory() as folder:
            kept, measures = Path(folder) / "cells.json", Path(folder) / "measures.json"
            missing = _measure(asked, kept, measures, Path(folder))
            _tell(asked, kept, measures, missing)
        return
    missing = [] if asked.report else _measure(asked, _KEPT, _KEPT_MEASURES, CACHE / "work")
    _tell(asked, _KEPT, _KEPT_MEASURES, missing)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--quick", action="store_true", help="prove that it works; the figures count for nothing")
    parser.add_argument("--setup", action="store_true", help="install the peers, each into an environment of its own, and end")
    parser.add_argument(
        "--only", nargs="+", metavar="PEER", choices=[*PEERS, "none"], help="these peers (ours always takes part)"
    )
    parser.add_argument("--workload", nargs="+", choices=[*workloads.workloads(quick=False), *MEASURES], help="these parts")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of a no-op; other cases take at most 3")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds one process may take (five times that when cold)")
    parser.add_argument("--resume", action="store_true", help="leave out what the file of an earlier run has")
    parser.add_argument("--report", action="store_true", help="measure nothing, tell what was kept")
    return parser.parse_args()


def _measure(asked: argparse.Namespace, kept: Path, measures: Path, folder: Path) -> list[str]:
    """Measure what is asked for and not yet kept; gives the peers that are not installed."""
    wanted = asked.only or (["make"] if asked.quick else list(PEERS))
    names, missing = cells.able([n for n in wanted if n != "none"])
    for workload in workloads.workloads(asked.quick).values():
        if asked.workload and workload.name not in asked.workload:
            continue
        if asked.resume and any(p.workload == workload.name and set(names) <= p.cells.keys() for p in cells.load(kept)):
            continue
        rounds, quiet = (1, 0.0) if asked.quick else (asked.rounds, cells.QUIET)
        cells.save(cells.run_workload(workload, names, rounds, asked.limit, folder, quiet), kept)
    found = _load(measures)
    for name, (measure, full, quick) in _MEASURE.items():
        if (asked.workload and name not in asked.workload) or (asked.resume and name in found):
            continue
        found[name] = measure(folder / name, *(quick if asked.quick else full))._asdict()
        measures.write_text(json.dumps(found))
    return missing


def _load(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}


def _tell(asked: argparse.Namespace, kept: Path, measures: Path, missing: list[str]) -> None:
    pieces, found = cells.load(kept), _load(measures)
    for piece in pieces:
        _print_table(piece)
    print()
    for name in missing:
        print(f"  missing: {name} is not installed (bench/engine.py --setup)")
    results = [r for piece in pieces for r in _cell_results(piece)] + list(_measure_results(found))
    goals = [*_workload_goals(pieces), *_measure_goals(found)]
    tell("engine", results, goals, asked.json, shown=len(results) - len(list(_measure_results(found))))


def _print_table(piece: Piece) -> None:
    print(f"\n{piece.title}: wall seconds, min / median (nodes executed of {piece.nodes:,})")
    print(f"  {'':<12}" + "".join(f"{case:>26}" for case in CASES))
    order = sorted(piece.cells, key=lambda who: _least(piece, who, "no-op") or 1e9)
    for who in order:
        row = "".join(f"{piece.cells[who][case].text() if case in piece.cells[who] else '-':>26}" for case in CASES)
        note = PEERS[who].note if who in PEERS else LOOP.note if who == LOOP.name else ""
        print(f"  {who:<12}{row}" + (f"   {note}" if note else ""))
    if not piece.same:
        print("  NOT ALL MADE THE SAME BYTES")


def _least(piece: Piece, who: str, case: str) -> float | None:
    cell = piece.cells.get(who, {}).get(case)
    return min(cell.seconds) if cell and cell.seconds else None


def _cell_results(piece: Piece) -> Iterator[Result]:
    for who, found in piece.cells.items():
        for case, cell in found.items():
            what = f"{piece.title}, {case}"
            if cell.seconds:
                yield Result(f"{what}, min", who, min(cell.seconds), "s")
                yield Result(f"{what}, median", who, median(cell.seconds), "s")
                yield Result(f"{what}, nodes executed", who, max(cell.executed), "nodes")


def _workload_goals(pieces: list[Piece]) -> Iterator[Goal]:
    floors, others, paths = [], [], []
    for piece in pieces:
        ours, floor = _least(piece, OURS.name, "no-op"), _least(piece, LOOP.name, "no-op")
        if ours is None or floor is None:
            continue
        floors.append((ours / floor, piece.title))
        for who in piece.cells:
            theirs = _least(piece, who, "no-op")
            if who in PEERS and PEERS[who].python and theirs is not None:
                others.append((ours / theirs, f"{who}, {piece.title}"))
        ran = piece.cells[OURS.name]
        if "changed" in ran and "no-op" in ran:
            right = set(ran["changed"].executed) == {piece.path} and set(ran["no-op"].executed) == {0} == set(
                ran["touched"].executed
            )
            paths.append((right, f"{piece.title}: {ran['changed'].executed[-1]} of {piece.nodes:,}"))
    if floors:
        yield _worst("no-op against the floor, worst workload", "≤ 2.0", floors, lambda ratio: ratio <= 2)
    if others:
        yield _worst("no-op against every Python peer, closest one", "< 1.0", others, lambda ratio: ratio < 1)
    if paths:
        got = "; ".join(text for _, text in paths)
        yield Goal("one leaf changed: only its path runs; touched: nothing", "its path", got, all(right for right, _ in paths))


def _worst(goal: str, want: str, found: list[tuple[float, str]], met: Callable[[float], bool]) -> Goal:
    ratio, where = max(found)
    return Goal(goal, want, f"{ratio:.2f} ({where})", met(ratio))


def _measure_results(found: dict[str, Any]) -> Iterator[Result]:
    if "growth" in found:
        g = scale.Growth(**found["growth"])
        for size, ours, floor, cold in zip(g.sizes, g.ours, g.floor, g.cold, strict=True):
            yield Result(f"no-op of {size:,} nodes", "pdp", ours * 1000, "ms")
            yield Result(f"no-op of {size:,} nodes", "floor", floor * 1000, "ms")
            yield Result(f"cold run of {size:,} nodes", "pdp", cold, "s")
        yield Result("slope of the no-op", "pdp", g.slope(g.ours), "µs per node")
        yield Result("slope of the no-op", "floor", g.slope(g.floor), "µs per node")
    if "hashing" in found:
        h = scale.Hashing(**found["hashing"])
        for what, who, times in (
            ("big input hashed", "pdp", h.cold_in),
            ("big input hashed", "sha256sum", h.sha256sum),
            ("big input hashed", "Python hashlib", h.hashlib),
            ("big output written and hashed", "pdp", h.cold_out),
            ("big output written and hashed", "write + sha256sum", h.write_then_sum),
            ("big output written and hashed", "write + Python hashlib", h.write_then_hashlib),
        ):
            yield Result(what, who, min(times), "s")
    if "registry" in found:
        c = scale.Crowd(**found["registry"])
        yield Result(f"registry of {c.versions:,} versions", "pdp", c.megabytes, "MB")
        yield Result("no-op over an empty registry", "pdp", min(c.empty) * 1000, "ms")
        yield Result("no-op over the full registry", "pdp", min(c.full) * 1000, "ms")
        yield Result("opening the full registry", "pdp", c.opening * 1000, "ms")
        yield Result("lineage of 100 ancestors in it", "pdp", c.lineage * 1000, "ms")
        for name, gc in (("empty", c.gc_empty), ("full", c.gc_full)):
            if gc:
                yield Result(f"gc --dry-run, {name} registry", "pdp", gc[0], "s")
                yield Result(f"gc --dry-run, {name} registry", "pdp", gc[1], "MB")


def _measure_goals(found: dict[str, Any]) -> Iterator[Goal]:
    if "growth" in found:
        g = scale.Growth(**found["growth"])
        slope, floor = g.slope(g.ours), g.slope(g.floor)
        top = f"{g.sizes[-1]:,}"
        got = f"{slope:.1f} (the floor's is {floor:.1f})"
        yield Goal(f"no-op slope up to {top} nodes, µs per node", "< 40", got, slope < 40)
        yield Goal("no-op grows linearly: slope of the upper part over the lower", "≤ 1.5", f"{g.bend():.2f}", g.bend() <= 1.5)
    if "commit" in found:
        each = scale.Overhead(**found["commit"]).per_node() * 1000
        yield Goal("cold overhead per node with fsync, ms", "< 8", f"{each:.2f}", each < 8)
    if "hashing" in found:
        h = scale.Hashing(**found["hashing"])
        yield Goal("big input unchanged: bytes of it read by a no-op", "0", f"{max(h.unread, 0):,}", h.unread < 4_096)
        for what, ours, theirs in (
            ("cold hashing against sha256sum", h.cold_in, h.sha256sum),
            ("output hashed while writing, against writing and then sha256sum", h.cold_out, h.write_then_sum),
        ):
            ratio = min(ours) / min(theirs)
            yield Goal(what, "≤ 1.2", f"{ratio:.2f}", ratio <= 1.2)
        yield Goal("output hashed while writing: bytes read back", "0", f"{max(h.out_read, 0):,}", h.out_read < 4_096)
    if "registry" in found:
        c = scale.Crowd(**found["registry"])
        ratio = min(c.full) / min(c.empty)
        yield Goal(f"no-op beside {c.versions:,} versions against an empty registry", "≤ 1.2", f"{ratio:.2f}", ratio <= 1.2)
        got = f"{c.lineage * 1000:.1f} ms, {c.lineage / c.opening:.1f} × opening the registry"
        yield Goal("lineage", "< 100 ms", got, c.lineage < 0.1)
        if c.gc_empty and c.gc_full:
            more = c.gc_full[1] - c.gc_empty[1]
            yield Goal("gc bounded in memory: more than over an empty registry, MB", "< 64", f"{more:.0f}", more < 64)


if __name__ == "__main__":
    began = time.monotonic()
    main()
    print(f"measured in {time.monotonic() - began:.0f} s", file=sys.stderr)
