"""The Personal Data Platform in Airflow (2.10 and later, 3): a task per stage. Written by `python -m scripts.airflow_dag`; do not edit.

It imports nothing but Airflow and runs `main.py --only-stage …` with the project's own Python. Three variables of the worker's
environment tell where things are: `PDP_HOME` (the project; the folder above this file's), `PDP_PYTHON` (its interpreter; `.venv` in it)
and `DATA_DIR` (the data root; `data` in it). A stage that has nothing to do ends in a moment.
"""

from __future__ import annotations

import os
import shlex
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

try:  # Airflow 3
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG
try:
    from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
except ImportError:
    from airflow.exceptions import AirflowFailException, AirflowSkipException
try:
    from airflow.providers.standard.operators.bash import BashOperator
except ImportError:
    from airflow.operators.bash import BashOperator

SCHEDULE = "15 5 * * *"
PROJECT = Path(os.environ.get("PDP_HOME") or Path(__file__).resolve().parent.parent)
PYTHON = os.environ.get("PDP_PYTHON") or str(PROJECT / ".venv" / "bin" / "python")
DATA_DIR = os.environ.get("DATA_DIR") or str(PROJECT / "data")
STAGES = {
    "ingestion": (
        [],
        [
            "ingestion.google_sheets.extract",
            "ingestion.mi_fitness.extract",
            "ingestion.bp_csv.extract",
            "ingestion.omron.extract",
            "ingestion.zepp_life.extract",
            "ingestion.withings.extract",
            "ingestion.garmin.extract",
            "ingestion.fitbit.extract",
            "ingestion.gadgetbridge.extract",
            "ingestion.health_connect.extract",
            "ingestion.samsung_health.extract",
            "ingestion.apple_health.extract",
            "ingestion.google_fit.extract",
            "ingestion.csv_url.extract",
            "ingestion.demo_api.extract",
            "ingestion.toggl.extract",
            "ingestion.s3_events.extract",
            "ingestion.kinesis.extract",
            "ingestion.cdc.extract",
            "ingestion.google_sheets.records",
            "ingestion.mi_fitness.records",
            "ingestion.bp_csv.records",
            "ingestion.omron.records",
            "ingestion.zepp_life.records",
            "ingestion.withings.records",
            "ingestion.garmin.records",
            "ingestion.fitbit.records",
            "ingestion.gadgetbridge.records",
            "ingestion.health_connect.records",
            "ingestion.samsung_health.records",
            "ingestion.apple_health.records",
            "ingestion.google_fit.records",
            "ingestion.csv_url.records",
            "ingestion.demo_api.records",
            "ingestion.toggl.records",
            "ingestion.s3_events.records",
            "ingestion.kinesis.records",
            "ingestion.cdc.records",
        ],
    ),
    "normalization": (
        ["ingestion"],
        [
            "normalization.google_sheets",
            "normalization.mi_fitness",
            "normalization.bp_csv",
            "normalization.omron",
            "normalization.zepp_life",
            "normalization.withings",
            "normalization.garmin",
            "normalization.fitbit",
            "normalization.gadgetbridge",
            "normalization.health_connect",
            "normalization.samsung_health",
            "normalization.apple_health",
            "normalization.google_fit",
            "normalization.csv_url",
            "normalization.demo_api",
            "normalization.toggl",
            "normalization.s3_events",
            "normalization.kinesis",
            "normalization.cdc",
        ],
    ),
    "validation": (
        ["normalization"],
        [
            "validation.blood_pressure",
            "validation.heart_rate",
            "validation.sleep",
            "validation.activity",
            "validation.body",
        ],
    ),
    "merge": (
        ["validation"],
        [
            "merge.daily_metrics",
        ],
    ),
    "bronze": (
        ["ingestion"],
        [
            "bronze.google_sheets",
            "bronze.mi_fitness",
            "bronze.bp_csv",
            "bronze.omron",
            "bronze.zepp_life",
            "bronze.withings",
            "bronze.garmin",
            "bronze.fitbit",
            "bronze.gadgetbridge",
            "bronze.health_connect",
            "bronze.samsung_health",
            "bronze.apple_health",
            "bronze.google_fit",
            "bronze.csv_url",
            "bronze.demo_api",
            "bronze.toggl",
            "bronze.s3_events",
            "bronze.kinesis",
            "bronze.cdc",
        ],
    ),
    "silver": (
        ["ingestion"],
        [
            "silver.tables.csv_url",
            "silver.tables.demo_api",
            "silver.tables.toggl",
            "silver.tables.s3_events",
            "silver.tables.kinesis",
            "silver.unify",
            "silver.tables.cdc",
            "silver.load",
        ],
    ),
    "gold": (
        ["ingestion", "normalization", "validation", "merge"],
        [
            "gold.metrics",
        ],
    ),
}
"""Stage → (stages it reads from, its nodes when every source is in use)."""


class Stage(BashOperator):
    """One stage. Exit code 2 (a setting or the command line is wrong) fails for good: trying again would not mend it.

    Any other failure is tried again: 75 says that another run holds the data root, 1 that a node failed, which a remote may have caused.
    """

    def __init__(self, *, skip_on_exit_code: int = 2, **kwargs: Any) -> None:
        super().__init__(skip_on_exit_code=skip_on_exit_code, **kwargs)

    def execute(self, context: Any) -> Any:
        try:
            return super().execute(context)
        except AirflowSkipException:
            raise AirflowFailException("A setting is wrong; the log above says which. Mend it, then clear this task.") from None


with DAG(
    dag_id="pdp",
    description="Bring the health telemetry home: run what has to run.",
    schedule=SCHEDULE,
    start_date=datetime(2025, 1, 1, tzinfo=timezone.utc),  # noqa: UP017 - Airflow may run on an older Python than the project
    catchup=False,
    max_active_runs=1,
    max_active_tasks=1,  # one run holds the data root: stages side by side would only wait for each other
    dagrun_timeout=timedelta(hours=12),
    default_args={
        "owner": "pdp",
        "retries": 3,
        "retry_delay": timedelta(minutes=5),
        "retry_exponential_backoff": True,
        "execution_timeout": timedelta(hours=3),
    },
    doc_md=__doc__,
    tags=["pdp"],
) as dag:
    tasks = {
        stage: Stage(
            task_id=stage,
            bash_command=f"{shlex.quote(PYTHON)} main.py --only-stage {stage}",
            cwd=str(PROJECT),
            env={"DATA_DIR": DATA_DIR, "PYTHONPATH": ""},
            append_env=True,
            do_xcom_push=False,
            doc_md="\n".join([f"Nodes of the stage `{stage}`:", "", *(f"- `{node}`" for node in names)]),
        )
        for stage, (_, names) in STAGES.items()
    }
    for stage, (after, _) in STAGES.items():
        for earlier in after:
            tasks[earlier] >> tasks[stage]
