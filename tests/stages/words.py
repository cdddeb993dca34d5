"""Two small stages: one reads a folder, one reads the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.stage import Inputs, Outputs, Report


def gather(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Upper-cases and joins every file."""
    with outputs.open("all") as out:
        for file in inputs.many("in"):
            with open(file.path, "rb") as text:
                out.write(file.name.encode() + b"=" + text.read().upper() + b"\n")
    return {"rows": {"all": len(inputs.many("in"))}}


def count(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """The number of lines, times a setting."""
    with open(inputs.one("all").path, "rb") as text:
        lines = len(text.read().splitlines())
    with outputs.open("n") as out:
        out.write(str(lines * settings["factor"]).encode())
    return {}
