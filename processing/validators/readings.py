"""The validation stages, one per kind: normalized readings of all sources in, readings that can be believed out.

Nothing disappears: each reading of the kind is accepted (perhaps flagged), refused with a reason and kept beside, or a duplicate.
The rules and their sources are listed in `docs/domain.md`. No rule looks at today's date: the same readings always get the same
verdict, so a time in the future is refused where records are made, not here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any

from config.metrics import METRICS
from config.stage import File, Inputs, Outputs, Report
from config.tables import READINGS, REJECTED_READINGS, TableWriter
from processing.readings import WINDOW, append, load, stream, write
from processing.validators.measurements import judge_measurements
from processing.validators.plausibility import judge_each
from processing.validators.records import find_repeated_readings
from processing.validators.sessions import judge_sessions
from processing.validators.verdicts import DUPLICATE, FLAGS, Verdicts
from processing.validators.weights import judge_weights


def validate_blood_pressure(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Systolic, diastolic and pulse of every source, judged reading by reading and measurement by measurement."""
    verdicts = _judged("blood_pressure", inputs, settings)
    judge_measurements(verdicts)
    return _write(verdicts, outputs)


def validate_heart_rate(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Heart-rate samples, daily figures and resting heart rate of every source."""
    return _judge_by_table("heart_rate", inputs, outputs, settings)


def validate_sleep(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Sleep sessions and daily sleep figures of every source."""
    verdicts = _judged("sleep", inputs, settings)
    judge_sessions(verdicts, settings["plausibility"])
    return _write(verdicts, outputs)


def validate_activity(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Steps, distance and active energy of every source."""
    return _judge_by_table("activity", inputs, outputs, settings)


def validate_body(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Weight and oxygen saturation of every source."""
    return _judge_by_table("body", inputs, outputs, settings, judge_weights, whole={"weight"})


def _judged(kind: str, inputs: Inputs, settings: Mapping[str, Any]) -> Verdicts:
    """All sources' readings of this kind with the verdicts every kind shares."""
    verdicts = Verdicts(load(_files(inputs), _metrics(kind)))
    judge_each(verdicts, settings["plausibility"])
    return verdicts


def _judge_by_table(
    kind: str,
    inputs: Inputs,
    outputs: Outputs,
    settings: Mapping[str, Any],
    more: Callable[[Verdicts], None] | None = None,
    whole: Collection[str] = (),
) -> Report:
    """A kind of which there may be millions, a stretch of readings at a time.

    No rule but `more` looks further than the readings of one metric and time; `more` needs those of the metrics in `whole`.
    """
    came, fates, flagged = 0, Counter({"accepted": 0, DUPLICATE: 0}), Counter[str]()
    with (
        outputs.open("readings") as good,
        outputs.open("rejected") as bad,
        TableWriter(good, READINGS) as accepted,
        TableWriter(bad, REJECTED_READINGS) as rejected,
    ):
        for table in stream(_files(inputs), _metrics(kind), whole, WINDOW):
            verdicts = Verdicts(table)
            judge_each(verdicts, settings["plausibility"])
            find_repeated_readings(verdicts)
            if more:
                more(verdicts)
            append(accepted, verdicts.readings())
            append(rejected, verdicts.rejected())
            came += table.num_rows
            fates.update(verdicts.balance()["fates"])
            flagged.update({finding["code"]: finding["count"] for finding in verdicts.findings()})
            del table, verdicts
    refused = sorted(set(fates) - {"accepted", DUPLICATE})
    return {
        "rows": {"readings": accepted.rows, "rejected": rejected.rows},
        "balance": {"unit": "reading", "came": came, "fates": {fate: fates[fate] for fate in ("accepted", DUPLICATE, *refused)}},
        "findings": [{"code": flag, "message": FLAGS[flag], "count": count} for flag, count in sorted(flagged.items())],
    }


def _files(inputs: Inputs) -> list[File]:
    return [file for role in inputs.roles() for file in inputs.many(role)]


def _metrics(kind: str) -> set[str]:
    return {name for name, metric in METRICS.items() if metric.kind == kind}


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
