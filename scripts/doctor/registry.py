"""Is the registry sound, does its store stand beside it, and how did the last run end?"""

from __future__ import annotations

import os

from pipeline.answers.history import OF_THE_PIPELINE
from scripts.doctor.finding import Findings, Patient, note, ok, problem, warning
from scripts.words import ago, counted


def examine(patient: Patient) -> Findings:
    """SQLite's own check, the declared tables, bytes that are gone, the last run."""
    if patient.project is None:
        yield note("not examined: the settings come first")
        return
    with patient.project.pipeline.reading() as registry:
        if registry is None:
            yield note("nothing has run yet")
            return
        registry.refuse_damaged()
        if strange := registry.misdeclared():
            yield problem(f"The registry has {counted(len(strange), 'table')} that are not ours.", "Restore it from a backup.")
        else:
            yield ok("the registry is sound")
        row = registry.db.execute(
            f"SELECT status, started_at FROM run WHERE {OF_THE_PIPELINE} ORDER BY rowid DESC LIMIT 1"
        ).fetchone()
    if not os.path.isdir(os.path.join(patient.data_dir, "store")):
        yield note("the store is not here; what a step reads is fetched from the remote state, or made again")
    if row is None:
        return
    status, began = row
    if status == "failed":
        yield warning(f"The last run, {ago(began)}, failed.", "What is to be mended: python main.py status")
    elif status != "succeeded":
        yield note(f"the last run, {ago(began)}, goes on or was cut short", "python main.py finishes it.")
    else:
        yield ok(f"the last run, {ago(began)}, succeeded")
