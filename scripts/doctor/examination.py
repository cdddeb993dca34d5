"""`doctor`: looks at every area, whatever state the settings are in, and tells each problem with its mend."""

from __future__ import annotations

import importlib
import os
import traceback
from argparse import Namespace

from config.errors import PDPError, UsageError
from scripts.answer import Answer
from scripts.doctor.finding import AREAS, Finding, Findings, Patient, problem
from scripts.project import ROOT, open_project
from scripts.words import counted

_MARKS = {"ok": "✓", "note": "·", "warning": "!", "problem": "✗"}


def doctor(options: Namespace) -> Answer:
    """Examine the areas of `options` (all without any). Exit code 1 when there is a problem."""
    for name in options.areas:
        if name not in AREAS:
            raise UsageError(f"The doctor knows no area {name!r}.", f"Areas are: {', '.join(AREAS)}.")
    patient = _patient(options.offline)
    mended = 0
    if options.fix:
        from scripts.doctor.permissions import mend

        mended = mend(patient)
    found = {area: _examined(area, patient, options.debug) for area in AREAS if not options.areas or area in options.areas}
    everything = [finding for findings in found.values() for finding in findings]
    problems, warnings = (sum(f.state == state for f in everything) for state in ("problem", "warning"))
    data = {
        "ok": not problems,
        "problems": problems,
        "warnings": warnings,
        "mended": mended,
        "findings": [{"area": area, **finding._asdict()} for area, findings in found.items() for finding in findings],
    }
    lines = [line for area, findings in found.items() for line in _lines(area, findings)]
    lines += [f"  {counted(mended, 'permission')} mended."] if options.fix else []
    told = f"{counted(problems, 'problem')}, {counted(warnings, 'warning')}."
    return Answer(data, "\n".join([*lines, "", told if everything else "Nothing was examined."]), 1 if problems else 0)


def _patient(offline: bool) -> Patient:
    data_dir = os.path.abspath(os.path.join(ROOT, os.environ.get("DATA_DIR") or "data"))
    try:
        project = open_project()
    except PDPError as error:
        return Patient(ROOT, data_dir, None, None, problem(error.what, error.mend), offline)
    return Patient(ROOT, project.data_dir, project.settings.whole(), project, None, offline)


def _examined(area: str, patient: Patient, debug: bool) -> list[Finding]:
    """What one area has to say; an area that cannot be examined says so and keeps no other from it."""
    examine = importlib.import_module(f"scripts.doctor.{area}").examine
    found: list[Finding] = []
    try:
        findings: Findings = examine(patient)
        found.extend(findings)
    except PDPError as error:
        found.append(problem(error.what, error.mend))
    except Exception as error:  # noqa: BLE001 - whatever it is, the other areas are examined
        if debug:
            traceback.print_exc()
        from pipeline.execution.calls import sentence

        found.append(problem(f"This could not be examined: {sentence(error)}", "Please report it."))
    return found


def _lines(area: str, findings: list[Finding]) -> list[str]:
    lines = []
    for at, finding in enumerate(findings):
        lines.append(f"{area if at == 0 else '':<13}{_MARKS[finding.state]} {finding.what}")
        if finding.mend:
            lines.append(f"{'':<15}{finding.mend}")
    return lines
