"""What a run costs that has nothing to do: the shipped pipeline against an empty interpreter and against importing pandas."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.harness import Goal, Result, interleaved, median, options, seconds, tell


def main() -> None:
    """Run the examples once, then time runs that skip everything."""
    asked = options(__doc__ or "")
    rounds = 2 if asked.quick else 15
    with tempfile.TemporaryDirectory() as folder:
        env = {"DATA_DIR": folder}
        run = [sys.executable, "main.py"]
        first = seconds(run, env)
        time.sleep(2.1)  # outlive the two seconds in which a fresh file's time stamp proves nothing
        second = seconds(run, env)
        commands = {
            "pdp": run,
            "python -c pass": [sys.executable, "-c", "pass"],
            "import pandas": [sys.executable, "-c", "import pandas"],
        }
        times = interleaved(commands, rounds, env)
    results = [Result("first run on the examples", "pdp", first, "s"), Result("second run", "pdp", second, "s")]
    results += [
        Result("nothing to do, median" if name == "pdp" else "median", name, median(t) * 1000, "ms") for name, t in times.items()
    ]
    results += [Result("minimum", name, min(t) * 1000, "ms") for name, t in times.items()]
    share = median(times["pdp"]) / median(times["import pandas"])
    tell("noop", results, [Goal("no-op against importing pandas", "< 1/3", f"{share:.2f}", share < 1 / 3)], asked.json)


if __name__ == "__main__":
    main()
