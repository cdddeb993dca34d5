"""The validation stages, one per kind: normalized readings of all sources in, readings that can be believed out.

Nothing disappears: each reading of the kind is accepted (perhaps flagged), refused with a reason and kept beside, or a duplicate.
The rules and their sources are listed in `docs/domain.md`. No rule looks at today's date: the same readings always get the same
verdict, so a time in the future is refused where records are made, not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.metrics import METRICS
from config.stage import Inputs, Outputs, Report
from config.tables import READINGS, REJECTED_READINGS
from processing.readings import load, write
from processing.validators.measurements import judge_measurements
from processing.validators.plausibility import judge_each
from processing.validators.records import find_repeated_readings
from processing.validators.sessions import judge_sessions
from processing.validators.verdicts import Verdicts
from processing.validators.weights import judge_weights


def validate_blood_pressure(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Systolic, diastolic and pulse of every source, judged reading by reading and measurement by measurement."""
    verdicts = _judged("blood_pressure", inputs, settings)
    judge_measurements(verdicts)
    return _write(verdicts, outputs)


def validate_heart_rate(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Heart-rate samples, daily figures and resting heart rate of every source."""
    verdicts = _judged("heart_rate", inputs, settings)
    find_repeated_readings(verdicts)
    return _write(verdicts, outputs)


def validate_sleep(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Sleep sessions and daily sleep figures of every source."""
    verdicts = _judged("sleep", inputs, settings)
    judge_sessions(verdicts, settings["plausibility"])
    return _write(verdicts, outputs)


def validate_activity(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Steps, distance and active energy of every source."""
    verdicts = _judged("activity", inputs, settings)
    find_repeated_readings(verdicts)
    return _write(verdicts, outputs)


def validate_body(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Weight and oxygen saturation of every source."""
    verdicts = _judged("body", inputs, settings)
    find_repeated_readings(verdicts)
    judge_weights(verdicts)
    return _write(verdicts, outputs)


def _judged(kind: str, inputs: Inputs, settings: Mapping[str, Any]) -> Verdicts:
    """All sources' readings of this kind with the verdicts every kind shares."""
    names = {name for name, metric in METRICS.items() if metric.kind == kind}
    verdicts = Verdicts(load((file for role in inputs.roles() for file in inputs.many(role)), names))
    judge_each(verdicts, settings["plausibility"])
    return verdicts


def _write(verdicts: Verdicts, outputs: Outputs) -> Report:
    with outputs.open("readings") as sink:
        accepted = write(sink, verdicts.readings(), READINGS)
    with outputs.open("rejected") as sink:
        rejected = write(sink, verdicts.rejected(), REJECTED_READINGS)
    return {
        "rows": {"readings": accepted, "rejected": rejected},
        "balance": verdicts.balance(),
        "findings": verdicts.findings(),
    }
