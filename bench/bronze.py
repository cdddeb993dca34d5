"""Loading into bronze: ours against psql's COPY, a loader written by hand, dlt, pandas and executemany; repeats, growth, memory.

All load the same heart-rate records (36 months for a million) into the same kind of server, each a whole process, in turn. `--setup`
installs the peers. Measured in the temporary folder: point TMPDIR at a disk with room, 25 GB for a million records and five times that.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import bronze_contest as contest
from bench.bronze_contest import Contestant, compete, contestants
from bench.bronze_growth import FOLLOWING, LATE, SCATTERED, Growth, grow
from bench.bronze_runs import Bench, FailedError, Sample
from bench.bronze_servers import MissingError, running
from bench.bronze_spans import Span
from bench.environments import installed, set_up
from bench.harness import Goal, Result, median, tell

_PEERS = ["dlt", "pandas"]
_GROUPS = ["limit", "handwritten", "executemany", *_PEERS]
_PER_ROW, _BESIDE = 4000, 5 << 30
"""Bytes on disk while a load runs: for each record (table, log, temporary files, artifact), and for the server and the rest."""

Samples = Mapping[str, Sequence[Sample]]


def main() -> None:
    """Set up, measure, tell; whatever ends it, the server and the folder go."""
    asked = _options()
    if asked.setup:
        for line in set_up(_PEERS):
            print(f"  missing: {line}")
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, running(asked.server, Path(folder)) as server:
            _measure(asked, Bench(server, Path(folder)))
    except (MissingError, FailedError) as error:
        sys.exit(f"  {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--quick", action="store_true", help="prove that it works; the figures count for nothing")
    parser.add_argument("--setup", action="store_true", help="install the peers, each into an environment of its own, and end")
    parser.add_argument("--server", choices=["embedded", "system"], default="embedded", help="the wheel's, or PostgreSQL 15")
    parser.add_argument(
        "--rows", type=int, default=1_000_000, help="records of one load; peers take a tenth, growth five times it"
    )
    parser.add_argument("--rounds", type=int, default=3, help="every load so many times; the largest once")
    parser.add_argument("--only", nargs="+", choices=[*_GROUPS, "growth", "none"], help="beside ours, these parts")
    asked = parser.parse_args()
    if asked.quick:
        asked.rows, asked.rounds = min(asked.rows, 20_000), 1
        asked.only = asked.only or ["limit", "handwritten", "executemany", "growth"]
    return asked


def _measure(asked: argparse.Namespace, bench: Bench) -> None:
    wanted = asked.only or [*_GROUPS, "growth"]
    print(bench.server.describe())
    left_out = [f"{peer} is not installed (bench/bronze.py --setup)" for peer in _PEERS if peer in wanted and not installed(peer)]
    who = [
        c
        for c in contestants(asked.rows, max(asked.rows // 10, 1000))
        if c.group in {"ours", *wanted} and (not c.peer or installed(c.peer))
    ]
    _need_room(bench.folder, asked.rows)
    bench.learn(Span(0, asked.rows))
    samples = compete(bench, who, asked.rounds, _say)
    growth = None
    if "growth" in wanted:
        sizes = [asked.rows // 100, asked.rows // 10, asked.rows, asked.rows * 5]
        if asked.quick:
            sizes = [asked.rows // 10, asked.rows // 2, asked.rows]
        if _room(bench.folder) < _need(sizes[-1]):
            left_out.append(f"{sizes[-1]:,} records and the full table need {_need(sizes[-1]) >> 30} GB of disk")
        else:
            growth = grow(bench, sizes, max(asked.rows // 10, 1000), asked.rounds, _say)
    _print_table(who, samples)
    for line in left_out:
        print(f"  missing: {line}")
    results = [*_contest_results(who, samples), *(_growth_results(growth) if growth else ())]
    goals = [*_contest_goals(samples), *(_growth_goals(growth) if growth else ())]
    tell("bronze", results, goals, asked.json, shown=3 * len(who))


def _print_table(who: Sequence[Contestant], samples: Samples) -> None:
    ours = _speed(samples[contest.NEW])
    print(f"\n  {'median of rounds':<36}{'rows/s':>12}{'ours is':>10}{'rows':>11}{'process s':>11}{'its MB':>8}  into")
    for one in who:
        found = samples[one.name]
        whole, peak = median([s.whole for s in found]), median([s.peak for s in found])
        speed = _speed(found)
        print(f"  {one.name:<36}{speed:>12,.0f}{ours / speed:>8.2f} ×{one.span.size:>11,}{whole:>11.2f}{peak:>8.0f}  {one.loads}")
    print()


def _contest_results(who: Sequence[Contestant], samples: Samples) -> list[Result]:
    results = [Result(f"load of {one.span.size:,} records", one.name, _speed(samples[one.name]), "rows/s") for one in who]
    results += [Result("whole process", one.name, median([s.whole for s in samples[one.name]]), "s") for one in who]
    results += [Result("peak memory of the client", one.name, median([s.peak for s in samples[one.name]]), "MB") for one in who]
    for name in (contest.AGAIN, contest.GROWN, contest.CHANGED):
        results.append(Result(name, "ours", median([s.seconds for s in samples[name]]), "s"))
    return results


def _growth_results(growth: Growth) -> list[Result]:
    results = [Result(f"{size:,} records", "ours", _speed(loads), "rows/s") for size, loads in growth.loads.items()]
    largest = max(growth.loads)
    results += [Result(f"peak memory, {size:,} records", "ours", _peak(loads), "MB") for size, loads in growth.loads.items()]
    for shape in growth.full:
        results.append(Result(f"into {largest:,} rows, {shape}", "ours", _speed(growth.full[shape]), "rows/s"))
        results.append(Result(f"into no rows, {shape}", "ours", _speed(growth.empty[shape]), "rows/s"))
    names = ("table with its indexes", "all indexes", "GIN index")
    return results + [
        Result(f"{name}, {largest:,} rows", "ours", size / 1e9, "GB") for name, size in zip(names, growth.size, strict=True)
    ]


def _contest_goals(samples: Samples) -> list[Goal]:
    ours = _speed(samples[contest.NEW])
    goals = []
    by_hand = [_speed(samples[name]) for name in contest.BY_HAND if name in samples]
    if by_hand:
        two = ours / _speed(samples[contest.TWO])
        goals.append(_at_least("the best by hand on one connection", ours / max(by_hand), 1.5, f"; two connections {two:.2f} ×"))
    pairs = ((contest.DLT, "dlt, all columns", 10), (contest.EXECUTEMANY, "psycopg executemany", 2.4))
    for name, goal, want in pairs:
        if name in samples:
            goals.append(_at_least(goal, ours / _speed(samples[name]), want))
    pandas = [_speed(samples[name]) for name in contest.PANDAS if name in samples]
    if pandas:
        goals.append(_at_least("pandas to_sql, its better way", ours / max(pandas), 8))
    first = median([s.seconds for s in samples[contest.NEW]])
    for name, percent in ((contest.AGAIN, 1), (contest.GROWN, 15), (contest.CHANGED, 15)):
        share = 100 * median([s.seconds for s in samples[name]]) / first
        goals.append(Goal(f"{name}, against the first load", f"< {percent} %", f"{share:.2f} %", share < percent))
    peak = _peak(samples[contest.NEW])
    goals.append(Goal("peak memory of the loader", "< 150 MB", f"{peak:.0f} MB", peak < 150))
    return goals


def _growth_goals(growth: Growth) -> list[Goal]:
    speeds = {size: _speed(loads) for size, loads in growth.loads.items()}
    least, most = min(speeds.values()), max(speeds.values())
    told = ", ".join(f"{size:,}: {speed:,.0f}" for size, speed in speeds.items())
    *_, before, largest = growth.loads
    ratio = _peak(growth.loads[largest]) / _peak(growth.loads[before])
    goals = [
        Goal(
            "rows/s from the least records to the most",
            "within 25 %",
            f"{100 - 100 * least / most:.0f} % ({told})",
            least >= 0.75 * most,
        ),
        Goal(f"peak memory at {largest:,} over {before:,}", "≤ 1.1 ×", f"{ratio:.2f} ×", ratio <= 1.1),
    ]
    for shape in (FOLLOWING, LATE, SCATTERED):
        share = _speed(growth.full[shape]) / _speed(growth.empty[shape])
        goals.append(Goal(f"speed into {largest:,} rows, {shape}", "≥ 0.7 × empty", f"{share:.2f} ×", share >= 0.7))
    return goals


def _at_least(goal: str, got: float, want: float, more: str = "") -> Goal:
    return Goal(f"faster than {goal}", f"≥ {want} ×", f"{got:.2f} ×{more}", got >= want)


def _speed(samples: Sequence[Sample]) -> float:
    return median([s.speed for s in samples])


def _peak(samples: Sequence[Sample]) -> float:
    return max(s.peak for s in samples)


def _need(rows: int) -> int:
    return rows * _PER_ROW + _BESIDE


def _room(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _need_room(folder: Path, rows: int) -> None:
    if _room(folder) < _need(rows):
        raise FailedError(
            f"{rows:,} records need {_need(rows) >> 30} GB in the temporary folder: ask for fewer --rows, or set TMPDIR."
        )


def _say(line: str) -> None:
    print(f"  {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
