"""A list of an API, brought home by a declared source and by dlt, the whole of it and after dying at 70 %; and kills after every page.

The API (`tests/rest_fake.py`) answers on this machine after a tenth of a second, as APIs do; the same requests meet the same answers. To
die is SIGKILL to the whole process while it waits for a page; then comes the same command again, to the end. The second table kills each
run of ours after its first page until one ends by itself, once for each way of paging. `--setup` installs dlt into its own environment.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.connectors_server import Api, never, serving
from bench.connectors_ways import DLT, OURS, STYLES, Way, declare, fate, surroundings
from bench.environments import installed, set_up
from bench.harness import REPO, Goal, Result, median, tell

_DEATH = 0.7
_LIMIT = 120.0


class Ran(NamedTuple):
    """One process of a contestant."""

    seconds: float
    died: bool
    asked: int
    """Requests that were answered."""


def main() -> None:
    """Set up, or measure and tell."""
    asked = _options()
    if asked.setup:
        for line in set_up(["dlt"]):
            print(f"  missing: {line}")
        return
    quick = asked.quick
    results: list[Result] = []
    with tempfile.TemporaryDirectory() as folder:
        with serving(10 if quick else 40, 50 if quick else 250, 0.01 if quick else 0.1) as api:
            goals = _contest(api, Path(folder), 1 if quick else 3, results)
        with serving(4 if quick else 20, 10, 0.0) as api:
            goals += _every_page(api, Path(folder), ["cursor"] if quick else list(STYLES), results)
    tell("connectors", results, goals, asked.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--quick", action="store_true", help="prove that it works; the figures count for nothing")
    parser.add_argument("--setup", action="store_true", help="install dlt")
    return parser.parse_args()


def _contest(api: Api, folder: Path, rounds: int, results: list[Result]) -> list[Goal]:
    """All contestants in turn, `rounds` times."""
    ways = [OURS, *(DLT if installed("dlt") else [])]
    if len(ways) == 1:
        print("  missing: dlt (python bench/connectors.py --setup)")
    deadly = int(api.pages * _DEATH)
    found: dict[str, dict[str, list[float]]] = {way.name: {} for way in ways}
    for number in range(rounds):
        for way in ways:
            for what, value in _one(way, api, folder / f"{number}-{way.name.replace(', ', '-')}", deadly).items():
                found[way.name].setdefault(what, []).append(value)
    for what in found["pdp"]:
        unit = "s" if "seconds" in what else ""
        results += [Result(what, way.name, median(found[way.name][what]), unit) for way in ways]
    ours = {what: round(median(values), 3) for what, values in found["pdp"].items()}
    whole = len(api.records)
    goals = [
        Goal(f"{what} after dying", f"{want}", f"{ours[what]:.0f}", ours[what] == want)
        for what, want in {"lost": 0, "doubled": 0, "records fetched again": 0, "kept as they came": whole}.items()
    ]
    for way in ways[1:]:
        theirs = {what: median(values) for what, values in found[way.name].items()}
        asked, wanted = ours["requests after the death"], theirs["requests after the death"]
        goals.append(Goal(f"requests after the death against {way.name}", f"< {wanted:.0f}", f"{asked:.0f}", asked < wanted))
        if way.name == "dlt":
            ratio = ours[_AFTER] / theirs[_AFTER]
            goals.append(Goal(f"{_AFTER} against dlt", "≤ 0.75 ×", f"{ratio:.2f} ×", ratio <= 0.75))
    return goals


_AFTER = "seconds after the death"


def _one(way: Way, api: Api, folder: Path, deadly: int) -> dict[str, float]:
    """One contestant, one round: the whole list; then anew, dying with `deadly` requests answered, and the rest."""
    way.begin(api, folder / "whole")
    api.reset()
    whole = _run(way, api, folder / "whole")
    way.begin(api, folder / "dying")
    api.reset()
    api.deadly = lambda asked: asked == deadly
    first = _run(way, api, folder / "dying")
    if not first.died:
        sys.exit(f"  {way.name} did not die")
    before = set(api.fetched)
    count = len(api.fetched)
    api.deadly = never
    second = _run(way, api, folder / "dying")
    lost, doubled, same = fate(way, api, folder / "dying")
    return {
        "seconds, the whole list": whole.seconds,
        "requests, the whole list": whole.asked,
        "seconds until the death": first.seconds,
        _AFTER: second.seconds,
        "requests after the death": second.asked,
        "records fetched again": sum(name in before for name in api.fetched[count:]),
        "lost": lost,
        "doubled": doubled,
        "kept as they came": same,
    }


def _run(way: Way, api: Api, folder: Path) -> Ran:
    """One process, to its end or its death."""
    before = api.asked
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        process = subprocess.Popen(
            way.command(api, folder), cwd=REPO, env=surroundings(folder), stdout=said, stderr=said, start_new_session=True
        )
        api.kill = lambda: _kill(process.pid)
        try:
            code = process.wait(_LIMIT)
        except BaseException:
            _kill(process.pid)
            process.wait()
            raise
        took = time.perf_counter() - began
        if code not in (0, -signal.SIGKILL):
            said.seek(0)
            sys.exit(f"  {way.name} ended with {code}: {said.read().decode(errors='replace')[-2000:]}")
    return Ran(took, code != 0, api.asked - before)


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _every_page(api: Api, folder: Path, styles: list[str], results: list[Result]) -> list[Goal]:
    """Our runs, each killed after its first page, until one ends by itself; and runs killed a moment after a page was asked for."""
    return [_killed(api, folder / style, style, results) for style in styles] + [_killed(api, folder / "any", "", results)]


def _killed(api: Api, folder: Path, style: str, results: list[Result]) -> Goal:
    """`style` empty: by cursor, killed at any moment."""
    declare(api, folder, style or "cursor")
    api.reset()
    rng, kills = random.Random(11), 0
    while True:
        api.deadly = _next(api.asked) if style else _soon(api, rng, api.asked)
        if not _run(OURS, api, folder).died:
            break
        kills += 1
    lost, doubled, same = fate(OURS, api, folder)
    what = style or "cursor, any moment"
    told = {
        "pages": api.pages,
        "kills": kills,
        "requests": api.asked,
        "lost": lost,
        "doubled": doubled,
        "fetched twice": api.twice,
    }
    results += [Result(f"killed, {what}: {name}", "pdp", value, "") for name, value in told.items()]
    wrong = {"lost": lost, "doubled": doubled, **({"fetched twice": api.twice} if style else {})}
    met = not any(wrong.values()) and same == len(api.records) and kills > 0
    return Goal(f"{what}: {', '.join(wrong)}", "0", ", ".join(map(str, wrong.values())), met)


def _next(begun: int) -> Callable[[int], bool]:
    """Dies when it asks for its second page."""
    return lambda asked: asked == begun + 1


def _soon(api: Api, rng: random.Random, begun: int) -> Callable[[int], bool]:
    """Dies up to 50 ms after it has asked for its first page, whatever it does then."""

    def deadly(asked: int) -> bool:
        if asked == begun:
            threading.Timer(rng.uniform(0.0, 0.05), api.kill).start()
        return False

    return deadly


if __name__ == "__main__":
    main()
