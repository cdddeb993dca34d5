"""Two more small stages: one that carries its earlier members over, one that joins two sources."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from config.stage import Inputs, Outputs, Report


def keep(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """The members of last time, whose bytes must be at hand, and a new one per file."""
    for name, file in outputs.previous("all").items():
        assert Path(file.path).read_text() == "kept"
        outputs.keep("all", name)
    for file in inputs.many("in"):
        if os.path.basename(file.name) not in outputs.previous("all"):
            with outputs.open("all", os.path.basename(file.name)) as out:
                out.write(Path(file.path).read_bytes())
    return {}


def both(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """One source after the other; refuses a text that says so."""
    text = b"".join(Path(inputs.one(role).path).read_bytes() for role in inputs.roles())
    if b"REFUSE" in text:
        raise ValueError("refused")
    with outputs.open("all") as out:
        out.write(text)
    return {}
