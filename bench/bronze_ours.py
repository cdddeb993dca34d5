"""Our loader as a process of its own: `python -m bench.bronze_ours SETTINGS INPUTS [wait]` loads once and prints JSON.

SETTINGS and INPUTS are files of JSON: what a bronze node declares, and its inputs by role with the fields of each `File`. With `wait`
it says "ready" and begins when it is sent a line.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from config.stage import File
from tests.stage_bench import StageBench
from warehouse.bronze.load import load


def main(settings: dict[str, Any], manifest: dict[str, Any], folder: Path, wait: bool) -> None:
    """Load once; the seconds are those from call to return."""
    inputs: dict[str, Any] = {
        role: [File(*f) for f in given] if isinstance(given[0], list) else File(*given) for role, given in manifest.items()
    }
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        bench = StageBench(Path(scratch))
        if wait:
            print("ready", flush=True)
            sys.stdin.readline()
        began = time.perf_counter()
        report, _ = bench.run(load, inputs, settings)
        seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "rows": report["balance"]["came"], "fates": report["balance"]["fates"]}), flush=True)


if __name__ == "__main__":
    settings, inputs = (json.loads(Path(path).read_text()) for path in sys.argv[1:3])
    main(settings, inputs, Path(sys.argv[1]).parent, "wait" in sys.argv[3:])
