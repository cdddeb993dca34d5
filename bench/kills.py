"""SIGKILL at random moments of the example run: after each, nothing registered is wrong; at the end, all is as if never killed."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.harness import REPO, Goal, Result, options, tell

_TABLE = "processed/merged/merged_daily_metrics.csv"
_LATER = ("nobody registered", "interrupted", "does not show", "view of nothing")
"""What a kill may leave until the next start: garbage and views, never a wrong artifact."""


def main() -> None:
    """Kill, look, go on; every finished run is compared with the reference and cleaned to start over."""
    asked = options(__doc__ or "")
    wanted = 4 if asked.quick else 200
    rng = random.Random(7)
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "DATA_DIR": folder}
        began = time.monotonic()
        _finish(env)
        whole = time.monotonic() - began
        reference = _digest(folder)
        kills = wrong = finished = 0
        while kills < wanted:
            _main(env, "--clean")
            killed = True
            while killed and kills < wanted:
                killed = _kill(env, rng.uniform(0.05, whole * 0.6))
                kills += killed
                wrong += bool(_problems(env)) if killed else 0
            _finish(env)
            finished += 1
            wrong += _digest(folder) != reference
        left = _problems(env, all_of_them=True)
    results = [
        Result("kills", "pdp", kills, ""),
        Result("finished runs compared", "pdp", finished, ""),
        Result("wrong states", "pdp", wrong, ""),
    ]
    met = wrong == 0 and not left
    tell("kills", results, [Goal("wrong states, problems at the end", "0", f"{wrong}, {len(left)}", met)], asked.json)


def _kill(env: dict[str, str], after: float) -> bool:
    """Whether the run was still going on."""
    process = subprocess.Popen(
        [sys.executable, "main.py"], cwd=REPO, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        process.wait(after)
        return False
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True


def _finish(env: dict[str, str]) -> None:
    done = _main(env)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)


def _problems(env: dict[str, str], all_of_them: bool = False) -> list[str]:
    found: list[str] = json.loads(_main(env, "verify", "--json").stdout.splitlines()[-1])["problems"]
    return found if all_of_them else [p for p in found if not any(words in p for words in _LATER)]


def _main(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "main.py", *arguments], cwd=REPO, env=env, capture_output=True, text=True, check=False)


def _digest(folder: str) -> str:
    return hashlib.sha256((Path(folder) / _TABLE).read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
