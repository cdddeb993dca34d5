"""Four small stages: a collection, two outputs at once, one whose output seldom changes, one whose file a library writes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from config.stage import Inputs, Outputs, Report


def gather(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """A member per file, in capitals."""
    for file in inputs.many("in"):
        with open(file.path) as text, outputs.open("all", os.path.basename(file.name)) as out:
            out.write(text.read().upper().encode())
    return {}


def split(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Every other line of all members."""
    lines: list[str] = []
    for file in inputs.many("all"):
        with open(file.path) as text:
            lines += text
    with outputs.open("even") as even, outputs.open("odd") as odd:
        even.write("".join(lines[::2]).encode())
        odd.write("".join(lines[1::2]).encode())
    return {}


def first(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """The first letter."""
    with open(inputs.one("even").path) as text, outputs.open("letter") as out:
        out.write(text.read()[:1].encode())
    return {}


def tail(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """The letter three times."""
    with open(inputs.one("letter").path) as text, open(outputs.path("end"), "w") as out:
        out.write(text.read() * 3)
    return {}
