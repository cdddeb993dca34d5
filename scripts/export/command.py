"""`export`: everything of a person in one folder or zip: raw files as received, tables, FHIR R4, Open mHealth, and a manifest.

Rows of other people that a source holds stay out unless `--with-others` says so. The same data gives the same bytes.
"""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from config import VERSION
from config.audit import record
from config.errors import UsageError
from pipeline.signals import interruptible
from scripts.answer import NOTHING_YET, Answer
from scripts.export import parts, writing
from scripts.export.asked import Asked, asked
from scripts.export.holdings import Holdings
from scripts.export.target import Target, target
from scripts.project import Project
from scripts.words import counted, listed, sized

FORMAT = "personal-data-platform export 1"
_SAID = (
    *("timezone", "timezone_overrides", "own_users", "events", "med_start_date", "source_priority", "plausibility", "bp_scheme"),
    *("home_bp_protocol", "morning_hours", "evening_hours", "steps_goal", "sleep_target_minutes", "bp_csv_presets"),
)
"""Settings that say something of the person or of how their data is read; none is a secret."""
_WHERE = {
    "raw": "raw files as received",
    "csv": "tables for a spreadsheet",
    "parquet": "tables for programs",
    "fhir": "HL7 FHIR R4",
    "omh": "Open mHealth",
}


def export(project: Project, options: Namespace) -> Answer:
    """`export --out DIR|FILE.zip [--format …] [--source …] [--metric …] [--from DATE] [--to DATE] [--with-others]`."""
    with project.pipeline.reading() as registry:
        if registry is None:
            raise UsageError("There is nothing to export yet.", NOTHING_YET)
        holdings = Holdings(project, registry)
        wanted = asked(options, holdings.sources)
        with interruptible(), target(options.out, project.data_dir) as out:
            left_out = _write(out, holdings, wanted, project.settings)
            if not out.files:
                raise UsageError("Nothing matches what was asked for.", "Ask for other sources, metrics or days.")
            out.add("settings.json", "What you have told the platform.", writing.as_document, _said(project.settings))
            manifest = _manifest(out, wanted, left_out, project)
            out.add("README.txt", "What is here.", _readme, manifest)
            out.add("manifest.json", "", writing.as_document, manifest)
    data = {
        "out": os.path.abspath(options.out),
        "manifest_sha256": out.files[-1].sha256,
        **_summed(out, wanted),
        "left_out": left_out,
    }
    facts = {name: data[name] for name in ("files", "bytes", "formats", "manifest_sha256")}
    record(project.data_dir, "export", **facts, cut=wanted.cut or wanted.sources is not None, other_people=wanted.others)
    return Answer(data, _told(data, project.examples))


def _write(out: Target, holdings: Holdings, wanted: Asked, settings: Mapping[str, Any]) -> list[dict[str, str]]:
    """All formats; gives what is left out, and why."""
    left_out: list[dict[str, str]] = []
    for form in wanted.formats:
        if form == "raw" and wanted.cut:
            left_out.append({"file": "raw/", "why": "Raw files are handed out whole, not by metric or day."})
        elif form == "raw":
            left_out += parts.raw(out, holdings, wanted)
        elif form == "fhir":
            parts.fhir_files(out, holdings, wanted)
        elif form == "omh":
            left_out += parts.omh_files(out, holdings, wanted)
        else:
            parts.table_files(out, holdings, wanted, settings, form)
    return left_out


def _said(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: settings[name] for name in _SAID}


def _manifest(out: Target, wanted: Asked, left_out: list[dict[str, str]], project: Project) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "examples": project.examples,
        "asked": wanted.told(),
        "files": [file._asdict() for file in out.files],
        "left_out": left_out,
    }


def _readme(file: Any, manifest: Mapping[str, Any]) -> None:
    asked_for = manifest["asked"]["formats"]
    lines = ["Personal health data, exported by the Personal Data Platform.", ""]
    lines += [f"  {form + '/':<10} {_WHERE[form]}" for form in asked_for]
    lines += ["", "manifest.json lists every file with its size and SHA-256, and what was left out and why."]
    lines += ["Nothing here is encrypted: keep it where only you can read it."]
    file.write(("\n".join(lines) + "\n").encode())


def _summed(out: Target, wanted: Asked) -> dict[str, Any]:
    """Files and bytes in all; rows by format's telling files."""
    rows = {f.path: f.rows for f in out.files if f.rows is not None}
    return {
        "formats": list(wanted.formats),
        "files": len(out.files),
        "bytes": sum(f.size for f in out.files),
        "readings": rows.get("csv/readings.csv", rows.get("parquet/readings.parquet")),
        "observations": rows.get("fhir/Observation.ndjson"),
        "data_points": sum(count for path, count in rows.items() if path.startswith("omh/")) if "omh" in wanted.formats else None,
    }


def _told(data: Mapping[str, Any], examples: bool) -> str:
    lines = [f"{counted(data['files'], 'file')}, {sized(data['bytes'])}: {data['out']}"]
    said = (("readings", "reading"), ("observations", "FHIR observation"), ("data_points", "Open mHealth data point"))
    counts = [counted(data[name], word) for name, word in said if data[name] is not None]
    lines += [f"  {', '.join(counts)}"] if counts else []
    lines += (
        [f"  Left out: {listed([o['file'] for o in data['left_out']], 3)} (manifest.json says why)"] if data["left_out"] else []
    )
    lines += ["  These are the shipped examples, not your data."] if examples else []
    return "\n".join([*lines, "  Nothing in it is encrypted: keep it where only you can read it."])
