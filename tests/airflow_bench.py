"""Runs in Airflow's own environment: loads the DAG file given as Airflow does and prints what it found, as one JSON object."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def bag(file: Path) -> Any:
    """The DagBag over one file, with `safe_mode` off: it would skip a file it does not think holds a DAG without a word."""
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:
        from airflow.models import DagBag

        return DagBag(dag_folder=file, include_examples=False, safe_mode=False)
    return DagBag(dag_folder=file, safe_mode=False)


def described(found: Any) -> dict[str, Any]:
    """What the test compares."""
    import airflow

    dag = found.dags["pdp"]
    return {
        "airflow": airflow.__version__,
        "errors": {str(k): str(v) for k, v in found.import_errors.items()},
        "dags": sorted(found.dags),
        "edges": sorted([up, task.task_id] for task in dag.tasks for up in task.upstream_task_ids),
        "commands": {task.task_id: task.bash_command for task in dag.tasks},
        "data_dirs": sorted({task.env["DATA_DIR"] for task in dag.tasks}),
        "retries": sorted({task.retries for task in dag.tasks}),
        "catchup": dag.catchup,
        "active": [dag.max_active_runs, dag.max_active_tasks],
        "docs": {task.task_id: task.doc_md for task in dag.tasks},
    }


def ended(task: Any, code: int) -> list[str]:
    """What a task raises whose command ends with `code`: the class and its bases; nothing when it succeeds."""
    task.bash_command, task.cwd = f"exit {code}", None
    try:
        task.execute({})
    except Exception as error:  # noqa: BLE001 - its class is the answer
        return [c.__name__ for c in type(error).__mro__]
    return []


def main() -> None:
    """See above."""
    found = bag(Path(sys.argv[1]))
    answer = described(found)
    answer["ends"] = {code: ended(found.dags["pdp"].tasks[0], code) for code in (0, 1, 2, 75)}
    print("\n" + json.dumps(answer))


if __name__ == "__main__":
    main()
