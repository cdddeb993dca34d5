"""Can the remote state be read and written? A trial object is created, changed, and deleted again."""

from __future__ import annotations

import os

from scripts.doctor.finding import Findings, Patient, note, ok, problem


def examine(patient: Patient) -> Findings:
    """Whether there is one, whether it is sealed, and what it lets us do."""
    settings, project = patient.settings, patient.project
    if settings is None or project is None:
        yield note("not examined: the settings come first")
        return
    from scripts.state.open import open_remote

    remote = open_remote(settings)
    if remote is None:
        yield note("no remote state is set: what is here is nowhere else", "To have it elsewhere, set STATE_URL (docs/state.md).")
        return
    if not project.settings["state_key"] and not settings.state_plain:
        yield problem("The remote state has no key.", "Set STATE_KEY (openssl rand -base64 32), and keep it in a safe place too.")
    if patient.offline:
        yield note("not asked: --offline")
        return
    remote.probe()
    yield ok("an object can be created, changed and deleted there")
    head = remote.read_head()
    yield ok("it holds a state" if head else "nothing has been pushed yet")
    if head and not os.path.exists(os.path.join(patient.data_dir, "state", "manifest.json")):
        yield note("this data directory has not pulled it", "python main.py state pull brings it here.")
