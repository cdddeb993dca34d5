"""Writes `dags/pdp.py`, an Airflow DAG with a task per stage, out of the node list: `python -m scripts.airflow_dag`.

The DAG imports nothing but Airflow and runs `main.py --only-stage …` with the project's own Python, so neither's dependencies meet
the other's. What has to run inside a stage is decided by the engine, as ever.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from config.sources import SOURCES
from pipeline.dag import Dag
from pipeline.nodes import STAGES, nodes

OUT = Path(__file__).resolve().parent.parent / "dags" / "pdp.py"
_TEMPLATE = Path(__file__).with_name("airflow_dag.txt")


def text() -> str:
    """The DAG file's text; the same for the same nodes."""
    dag = Dag(nodes(SOURCES, [name for name, s in SOURCES.items() if s.live or s.rest or s.tokens]), STAGES)
    stages = [stage for stage in dag.stages if any(n.stage == stage for n in dag.nodes.values())]
    lines = [_stage(dag, stage) for stage in stages]
    return _TEMPLATE.read_text(encoding="utf-8").replace("    # STAGES\n", "".join(lines))


def main(argv: Sequence[str] | None = None) -> int:
    """Write the file; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.airflow_dag", description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT, metavar="FILE", help="write it there instead of dags/pdp.py")
    out = parser.parse_args(argv).out
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text(), encoding="utf-8")
    print(f"Wrote {out.name}.")
    return 0


def _stage(dag: Dag, stage: str) -> str:
    """One entry: `"stage": (after, nodes)`, laid out as the formatter would."""
    mine = [node for node in dag.order if dag.nodes[node].stage == stage]
    before = {dag.nodes[up].stage for node in mine for up in dag.upstream[node]} - {stage}
    after = [s for s in dag.stages if s in before]
    rows = "".join(f'            "{node}",\n' for node in mine)
    quoted = ", ".join(f'"{s}"' for s in after)
    return f'    "{stage}": (\n        [{quoted}],\n        [\n{rows}        ],\n    ),\n'


if __name__ == "__main__":
    sys.exit(main())
