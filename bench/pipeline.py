"""Rows through the pipeline: a generated life of exports to bronze, cold, repeated and grown; and the example year."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.harness import REPO, Goal, Result, options, tell


def main() -> None:
    """Generate exports, run three times, count what came out at every stage."""
    asked = options(__doc__ or "")
    days, minutes = (30, 30) if asked.quick else (365, 1)
    with tempfile.TemporaryDirectory() as folder:
        _generate(Path(folder) / "inbox", days, minutes)
        runs = [_run(folder) for _ in range(3)]
        results = [Result(f"run {n}", "pdp", run["seconds"], "s") for n, run in enumerate(runs, 1)]
        results += [Result("rows", n["node"], float(n["rows"]), "rows") for n in runs[0]["nodes"] if n["rows"] is not None]
        peak = max(runs[0]["peak"], 1)
        results.append(Result("peak memory of the run", "pdp", peak, "MB"))
        same = all(n["action"] == "skipped" for run in runs[1:] for n in run["nodes"])
        goals = [
            Goal("second and third run", "0 nodes ran", "0 nodes ran" if same else "some ran", same),
            Goal("memory for a year of minutes", "< 512 MB", f"{peak:.0f} MB", peak < 512),
        ]
    tell("pipeline", results, goals, asked.json)


def _generate(out: Path, days: int, minutes: int) -> None:
    from scripts.generate_mock_data import generate

    generate(out, days=days, end=date(2025, 12, 31), seed=7, timezone="Europe/Warsaw", hr_minutes=minutes)


def _run(folder: str) -> dict[str, object]:
    code = (
        "import json, resource, sys; sys.argv = ['main.py', '--json']; import main; code = main.main();"
        "print(json.dumps({'peak': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024})); sys.exit(code)"
    )
    env = {**os.environ, "DATA_DIR": folder, "TIMEZONE": "Europe/Warsaw"}
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, env=env, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    if len(lines) < 2:
        sys.exit(done.stderr)
    return {**json.loads(lines[-2]), **json.loads(lines[-1])}


if __name__ == "__main__":
    main()
