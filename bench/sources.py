"""Exports as large as people have them, through the real steps: speed, memory, bytes read; beside healthkit-to-sqlite and DuckDB.

In full size: Apple Health with 8.1 million records (2.2 GB), a Fitbit Takeout with 10 million heart-rate samples (people have up to 60),
Gadgetbridge with five years of minutes (2.6 million), Health Connect with 1.6 million samples. `--setup` installs healthkit-to-sqlite.
Parts: `read` (speed and memory), `size` (the same on a quarter: what grows), `peer`, `duckdb`, `again` (a re-export with a day more).
12 GB of disk in full size; TMPDIR or `--folder` says where. `bench/sources_counts.py` counts what becomes of the samples.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.environments import installed, set_up
from bench.harness import Goal, Result, median, tell
from bench.sources_lab import EXPORTS, PEER, Export, Job, Place, again
from bench.sources_step import FailedError, Ran

PARTS = ("read", "size", "peer", "duckdb", "again")
_QUICK = {"apple_health": ("read", "size", "peer"), "fitbit": ("read", "duckdb"), "gadgetbridge": ("read", "again")}
"""What `--quick` tries of each export; of the others that they are read."""
_PEAK, _SLOWER, _FASTER, _AGAIN = 300.0, 1.3, 3.0, 20.0
_AFTER = ("normalization", "validation", "merge")
_ROOM = 12 << 30


class _Report:
    """Results and goals as they come."""

    def __init__(self) -> None:
        self.results: list[Result] = []
        self.goals: list[Goal] = []

    def add(self, what: str, who: str, value: float, unit: str) -> None:
        self.results.append(Result(what, who, value, unit))

    def goal(self, goal: str, want: str, got: str, met: bool) -> None:
        self.goals.append(Goal(goal, want, got, met))


def main() -> None:
    """Set up, or measure and tell; whatever ends it, the exports go."""
    asked = _options()
    if asked.setup:
        for line in set_up([PEER]):
            print(f"  missing: {line}")
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    report = _Report()
    try:
        with tempfile.TemporaryDirectory(dir=asked.folder, ignore_cleanup_errors=True) as folder:
            if shutil.disk_usage(folder).free < asked.size * _ROOM:
                sys.exit(f"  {asked.size * _ROOM / (1 << 30):.0f} GB of disk are needed: set TMPDIR, ask for less --size.")
            for export in (EXPORTS[name] for name in asked.exports):
                parts = _QUICK.get(export.source, ("read",)) if asked.quick else asked.only
                try:
                    _measure(export, [part for part in parts if part in asked.only], asked, Path(folder) / export.source, report)
                except FailedError as failed:  # what else was measured is told all the same
                    report.goal(f"{export.source} is measured to the end", "yes", str(failed), False)
                    shutil.rmtree(Path(folder) / export.source)
    except KeyboardInterrupt:
        sys.exit(130)
    tell("sources", report.results, report.goals, asked.json)
    sys.exit(any(goal.want == "yes" and not goal.met for goal in report.goals))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--quick", action="store_true", help="prove that it works; the figures count for nothing")
    parser.add_argument(
        "--setup", action="store_true", help="install healthkit-to-sqlite into an environment of its own, and end"
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="these parts")
    parser.add_argument("--exports", nargs="+", choices=list(EXPORTS), default=list(EXPORTS), help="of these exports")
    parser.add_argument("--size", type=float, default=1.0, help="share of the full size")
    parser.add_argument("--rounds", type=int, default=2, help="beside the peer and DuckDB so many rounds, in turn")
    parser.add_argument("--folder", help="where to work; everything written is removed again")
    asked = parser.parse_args()
    if asked.quick:
        asked.size, asked.rounds = min(asked.size, 0.001), 1
    return asked


def _measure(export: Export, parts: Sequence[str], asked: argparse.Namespace, folder: Path, report: _Report) -> None:
    days = export.of(asked.size)
    if set(parts) - {"again"}:
        _say(f"{export.source}: an export of {days} days")
        place = Place(export, folder / "whole", days)
        report.add(f"{export.source}: export", "generated", place.bytes / 1e6, "MB")
        report.add(f"{export.source}: samples in it", "generated", float(place.samples), "samples")
        steps = _read(place, asked.quick, report)
        if "size" in parts:
            _size(place, steps, Place(export, folder / "part", max(1, days // 4)), report)
        if "peer" in parts and export.source == "apple_health":
            _peer(place, asked.rounds, report)
        if "duckdb" in parts and export.source == "fitbit":
            _duckdb(place, asked.rounds, report)
        place.remove()
    if "again" in parts:
        _say(f"{export.source}: a re-export with a day more")
        _again(export, *again(export, folder / "again", days), report)
        shutil.rmtree(folder / "again")


def _read(place: Place, quick: bool, report: _Report) -> dict[str, Ran]:
    """Every step once, each in a process of its own."""
    source = place.export.source
    steps = {"records": place.records(), "normalization": place.readings()}
    if not quick:
        steps |= {"validation": place.valid(), "merge": place.daily()}
    for name, ran in steps.items():
        _say(f"{source}: {name} {ran.seconds:.1f} s, {ran.peak:.0f} MB")
        report.add(f"{source}: {name}, wall", "pdp", ran.seconds, "s")
        report.add(f"{source}: {name}, CPU", "pdp", ran.cpu, "s")
        report.add(f"{source}: {name}, peak memory", "pdp", ran.peak, "MB")
    made, given = steps["records"], steps["normalization"]
    report.add(f"{source}: records made", "pdp", made.steps[0].rows["records"] / made.seconds, "records/s")
    report.add(f"{source}: readings made", "pdp", given.steps[0].rows["readings"] / given.seconds, "readings/s")
    report.add(f"{source}: bytes read, of the export's", "pdp", made.steps[0].read / place.bytes, "×")
    for names in (("records", "normalization"), ("validation", "merge")):
        peaks = {name: steps[name].peak for name in names if name in steps}
        if peaks:
            got = ", ".join(f"{name} {peak:.0f} MB" for name, peak in peaks.items())
            report.goal(f"peak memory, {source}", f"< {_PEAK:.0f} MB", got, max(peaks.values()) < _PEAK)
    return steps


def _size(place: Place, whole: dict[str, Ran], part: Place, report: _Report) -> None:
    """What grows with the export: memory by million samples; and bytes read, without what any process reads."""
    source, more = place.export.source, place.samples - part.samples
    steps = {"records": part.records(), "normalization": part.readings()}
    for name, ran in steps.items():
        slope = (whole[name].peak - ran.peak) / more * 1e6
        report.add(f"{source}: {name}, growth", "pdp", slope, "MB per million samples")
    grown = (whole["records"].steps[0].read - steps["records"].steps[0].read) / max(place.bytes - part.bytes, 1)
    report.add(f"{source}: bytes read for a byte more", "pdp", grown, "×")
    part.remove()


def _peer(place: Place, rounds: int, report: _Report) -> None:
    if not installed(PEER):
        print(f"  missing: {PEER} is not installed (bench/sources.py --setup)")
        return
    ours, theirs, peaks = [], [], []
    for number in range(rounds):
        ours.append(place.records().seconds)
        found = place.peer()
        if found is None or found.code:
            print(f"  missing: {PEER}: {found.last_line if found else 'took more than two hours'}")
            return
        theirs.append(found.seconds)
        peaks.append(found.peak)
        _say(f"round {number + 1}: ours {ours[-1]:.1f} s, {PEER} {theirs[-1]:.1f} s")
    report.add("apple_health: the XML into a table", "pdp", median(ours), "s")
    report.add("apple_health: the XML into a table", PEER, median(theirs), "s")
    report.add("apple_health: peak memory", PEER, max(peaks), "MB")
    ratio = median(theirs) / median(ours)
    report.goal(f"Apple XML, speed against {PEER}", f"≥ {_FASTER:.0f} ×", f"{ratio:.2f} ×", ratio >= _FASTER)


def _duckdb(place: Place, rounds: int, report: _Report) -> None:
    """From the records to the days, in turn: our normalization, validation and merge, and DuckDB alone."""
    ours: dict[str, list[float]] = {"normalization": [], "validation": [], "merge": []}
    theirs: dict[str, list[float]] = {"same": [], "plain": []}
    for number in range(rounds):
        for name, step in (("normalization", place.readings), ("validation", place.valid), ("merge", place.daily)):
            ours[name].append(step().seconds)
        for which, times in theirs.items():
            times.append(place.duckdb(which).seconds)
        _say(f"round {number + 1}: ours {sum(t[-1] for t in ours.values()):.1f} s, DuckDB {theirs['same'][-1]:.1f} s")
    days, differ = place.compared("same")
    for name, times in ours.items():
        report.add(f"fitbit: {name}, beside DuckDB", "pdp", median(times), "s")
    report.add("fitbit: records to days, our figures", "DuckDB", median(theirs["same"]), "s")
    report.add("fitbit: records to days, plain means", "DuckDB", median(theirs["plain"]), "s")
    took = median(ours["normalization"]) + median(ours["merge"])
    ratio, validated = (t / median(theirs["same"]) for t in (took, took + median(ours["validation"])))
    got = f"{ratio:.2f} × (with validation {validated:.2f} ×, against plain means {took / median(theirs['plain']):.2f} ×)"
    report.goal("normalization and days against DuckDB alone", f"≤ {_SLOWER} ×", got, ratio <= _SLOWER)
    report.goal("days that differ from DuckDB's", "0", f"{differ} of {days}", not differ)


def _again(export: Export, first: Job, second: Job, report: _Report) -> None:
    source = export.source
    for called, job in (("first run", first), ("a day more", second)):
        for stage in ("records", *_AFTER):
            report.add(f"{source}: {called}, {stage}", "pdp", job.of(stage), "s")
        report.add(f"{source}: {called}, whole run", "pdp", job.seconds, "s")
        report.add(f"{source}: {called}, peak memory", "pdp", job.peak, "MB")
    share, made = (100 * second.of(*stages) / first.of(*stages) for stages in (_AFTER, ("normalization",)))
    want, got = f"≤ {_AGAIN:.0f} % of the first run", f"{share:.0f} % (normalization alone {made:.0f} %)"
    report.goal(f"a day more, normalization to merge, {source}", want, got, share <= _AGAIN)


def _say(line: str) -> None:
    print(f"  {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
