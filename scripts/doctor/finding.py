"""What an examination finds, and of whom."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from config.settings import Settings
    from scripts.project import Project

AREAS = (
    "settings",
    "credentials",
    "permissions",
    "versions",
    "clock",
    "disk",
    "registry",
    "database",
    "remote",
    "inbox",
    "exposure",
)
"""In the order they are examined and told; each has a module in `scripts/doctor/` with a function `examine`."""


class Finding(NamedTuple):
    """One thing that was looked at. Carries no value, secret or name of a person's file."""

    state: str
    """ok · note: worth knowing · warning: may hurt one day · problem: it does now."""
    what: str
    mend: str = ""


class Patient(NamedTuple):
    """An installation as far as its settings could be read."""

    root: str
    """Where the program lies."""
    data_dir: str
    settings: Settings | None
    """None when they are wrong, which `settings` tells."""
    project: Project | None
    """None when it could not be put together."""
    wrong: Finding | None
    """What kept the settings from being read."""
    offline: bool
    """Ask nobody on the network."""


Findings = Iterator[Finding]


def ok(what: str) -> Finding:
    """As it should be."""
    return Finding("ok", what)


def note(what: str, mend: str = "") -> Finding:
    """As it may be; worth knowing."""
    return Finding("note", what, mend)


def warning(what: str, mend: str) -> Finding:
    """It works, and may hurt one day."""
    return Finding("warning", what, mend)


def problem(what: str, mend: str) -> Finding:
    """It does not work, or is not safe."""
    return Finding("problem", what, mend)
