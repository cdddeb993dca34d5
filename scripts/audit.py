"""`audit`: the audit log, newest line last."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from config import audit as log
from scripts.answer import Answer
from scripts.project import Project


def audit(project: Project, options: Namespace) -> Answer:
    """What was erased, exported, saved, restored and signed in to; never a value."""
    lines = list(log.lines(project.data_dir))[-options.last :]
    text = "\n".join(_told(line) for line in lines) or "Nothing is on record yet."
    return Answer({"lines": lines}, text)


def _told(line: dict[str, Any]) -> str:
    facts = [
        f"{name} {_shown(value)}" for name, value in line.items() if name not in {"at", "what"} and value not in (None, [], "")
    ]
    return f"{line['at']}  {line['what']:<9}{', '.join(facts)}"


def _shown(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
