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


def _zepp_life(raw: Mapping[str, Any], part: str | None) -> set[str]:
    from processing.normalizers import zepp_life

    return zepp_life.metrics_of(raw, part)


def _health_connect(raw: Mapping[str, Any], part: str | None) -> set[str]:
    from processing.normalizers import health_connect

    return health_connect.metrics_of(raw, part)


def _gadgetbridge(raw: Mapping[str, Any], part: str | None) -> set[str]:
    from processing.normalizers import gadgetbridge

    return gadgetbridge.metrics_of(raw, part)


def _apple_health(raw: Mapping[str, Any], part: str | None) -> set[str]:
    from processing.normalizers import apple_health

    return apple_health.metrics_of(raw, part)


def _samsung_health(raw: Mapping[str, Any], part: str | None) -> set[str]:
    from processing.normalizers import samsung_health

    return samsung_health.metrics_of(raw, part)


def _fitbit(raw: Mapping[str, Any], part: str | None) -> set[str]:
    from processing.normalizers import fitbit

    return fitbit.metrics_of(raw, part)


def _google_fit(raw: Mapping[str, Any], part: str | None) -> set[str]:
    from processing.normalizers import google_fit

    return google_fit.metrics_of(raw, part)


def _withings(raw: Mapping[str, Any], part: str | None) -> set[str]:
    from processing.normalizers import withings

    return withings.metrics_of(raw, part)


def _garmin(raw: Mapping[str, Any], part: str | None) -> set[str]:
    from processing.normalizers import garmin

    return garmin.metrics_of(raw, part)


_SUBJECTS: Mapping[str, Subjects] = {
    "google_sheets": _blood_pressure,
    "bp_csv": _blood_pressure,
    "omron": _blood_pressure,
    "zepp_life": _zepp_life,
    "mi_fitness": _mi_fitness,
    "gadgetbridge": _gadgetbridge,
    "health_connect": _health_connect,
    "apple_health": _apple_health,
    "samsung_health": _samsung_health,
    "fitbit": _fitbit,
    "google_fit": _google_fit,
    "withings": _withings,
    "garmin": _garmin,
}

_KINDS: Mapping[str, tuple[str, ...]] = {
    "google_sheets": ("blood_pressure",),
    "bp_csv": ("blood_pressure",),
    "omron": ("blood_pressure",),
    "zepp_life": ("heart_rate", "sleep", "activity", "body"),
    "mi_fitness": ("heart_rate", "sleep", "activity", "body"),
    "gadgetbridge": ("heart_rate", "sleep", "activity", "body"),
    "fitbit": ("heart_rate", "sleep", "activity", "body"),
    "demo_api": (),
    "toggl": (),
}
