"""Which `bronze` command is answered where. Imported only when it is asked for."""

from __future__ import annotations

import importlib
from argparse import Namespace

from pipeline.signals import interruptible
from scripts.answer import Answer
from scripts.project import Project

ACTIONS = {
    "init": "scripts.bronze.init:answer",
    "status": "scripts.bronze.status:answer",
    "reconcile": "scripts.bronze.reconcile:answer",
    "retain": "scripts.bronze.retain:answer",
    "backup": "scripts.bronze.keeping:backup",
    "restore": "scripts.bronze.keeping:restore",
    "upgrade": "scripts.bronze.keeping:upgrade",
}
"""Action → the function that answers it: (project, options) → Answer. `psql` is no answer: it takes the terminal over."""


def answer(project: Project, options: Namespace) -> Answer:
    """What `bronze ACTION` says."""
    module, _, function = ACTIONS[options.action].partition(":")
    with interruptible():  # whatever was begun is put away, the server too
        given: Answer = getattr(importlib.import_module(module), function)(project, options)
    return given
