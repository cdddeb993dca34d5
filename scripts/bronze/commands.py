"""Which `bronze` command is answered where. Imported only when it is asked for."""

from __future__ import annotations

import importlib
from argparse import Namespace

from scripts.answer import Answer
from scripts.project import Project

ACTIONS = {
    "status": "scripts.bronze.status:answer",
}
"""Action → the function that answers it: (project, options) → Answer. `psql` is no answer: it takes the terminal over."""


def answer(project: Project, options: Namespace) -> Answer:
    """What `bronze ACTION` says."""
    module, _, function = ACTIONS[options.action].partition(":")
    given: Answer = getattr(importlib.import_module(module), function)(project, options)
    return given
