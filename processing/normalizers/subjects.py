"""What a raw record speaks of: asked about records that gave no reading, so that they can be shown beside those that did."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from config.metrics import KINDS, METRICS

Subjects = Callable[[Mapping[str, Any], str | None], set[str]]


def metrics_of(source: str, raw: Mapping[str, Any], part: str | None) -> set[str]:
    """The metrics that this record, or the named part of it, could have given a reading of; all when the source cannot say."""
    found = _SUBJECTS.get(source)
    return found(raw, part) if found else set(METRICS)


def kinds_of(source: str) -> set[str]:
    """The kinds of reading this source can give."""
    return set(_KINDS.get(source, KINDS))


def _blood_pressure(raw: Mapping[str, Any], part: str | None) -> set[str]:  # noqa: ARG001  one shape for every source
    pair = {"systolic", "diastolic"}  # neither stands without the other
    if part == "pulse":
        return {"pulse"}
    return pair if part in {*pair, "pressure"} else pair | {"pulse"}


def _mi_fitness(raw: Mapping[str, Any], part: str | None) -> set[str]:
    from processing.normalizers import mi_fitness

    return mi_fitness.metrics_of(raw, part)


_SUBJECTS: Mapping[str, Subjects] = {
    "google_sheets": _blood_pressure,
    "bp_csv": _blood_pressure,
    "mi_fitness": _mi_fitness,
}

_KINDS: Mapping[str, tuple[str, ...]] = {
    "google_sheets": ("blood_pressure",),
    "bp_csv": ("blood_pressure",),
    "mi_fitness": ("heart_rate", "sleep", "activity", "body"),
}
