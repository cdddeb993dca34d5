"""Will what was dropped be read?"""

from __future__ import annotations

import os

from config.sources import SOURCES
from pipeline.listing import below
from scripts.doctor.finding import Findings, Patient, note, ok, problem, warning
from scripts.words import counted


def examine(patient: Patient) -> Findings:
    """Folders that are no source's, files that cannot be read or are empty, sources with nothing to read."""
    project = patient.project
    if project is None:
        yield note("not examined: the settings come first")
        return
    for name in project.strays:
        what = f"A folder of the inbox, {name!r}, is no source's" if name else "Files lie in the inbox itself"
        yield warning(f"{what}: nothing there is read.", f"Move them below inbox/<source>; sources are {', '.join(SOURCES)}.")
    for source in SOURCES:
        files = [path for _, path in below(project.data_dir, f"inbox/{source}/**")]
        if locked := sum(not os.access(path, os.R_OK) for path in files):
            yield problem(f"{counted(locked, 'file')} for {source} cannot be read.", "Give yourself the right to read them.")
        if empty := sum(os.path.getsize(path) == 0 for path in files):
            yield warning(f"{counted(empty, 'file')} for {source} {'is' if empty == 1 else 'are'} empty.", "Export again.")
    if project.examples:
        yield note("there is nothing of yours to read: runs use the shipped examples", "docs/sources.md says what to drop where.")
    else:
        yield ok(f"{counted(len(project.sources), 'source')} with something to read: {', '.join(project.sources)}")
