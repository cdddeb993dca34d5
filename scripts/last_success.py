"""`python -m scripts.last_success HOURS`: 0 if a run has succeeded in the last HOURS, else 1. For a guard beside a schedule."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from config.errors import PDPError
from pipeline.answers.history import OF_THE_PIPELINE
from scripts.project import open_project

_LAST = f"SELECT max(ended_at) FROM run WHERE {OF_THE_PIPELINE} AND status = 'succeeded'"


def main(argv: Sequence[str]) -> int:
    """The exit code; the age is printed. 2 for a wrong call."""
    if len(argv) != 1 or not argv[0].isdecimal() or int(argv[0]) < 1:
        print("Say how many hours a success may be old: python -m scripts.last_success 30", file=sys.stderr)
        return 2
    try:
        with open_project().pipeline.reading() as registry:
            ended = registry.db.execute(_LAST).fetchone()[0] if registry else None
    except PDPError as error:
        print(f"{error.what}\n{error.mend}".strip(), file=sys.stderr)
        return error.exit_code
    if ended is None:
        print("No run has succeeded yet. Look at the job's log; python main.py runs lists what there was.")
        return 1
    hours = (time.time() - ended) / 3600
    if hours <= int(argv[0]):
        print(f"The last run that succeeded ended {hours:.1f} hours ago.")
        return 0
    print(f"No run has succeeded for {hours:.0f} hours. Look at the job's log; python main.py runs lists what there was.")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
