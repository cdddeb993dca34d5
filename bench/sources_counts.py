"""What becomes of exports: for each source how many records, readings and days, and what was refused, by reason. As a Markdown table.

Counted are the samples in `tests/samples/<source>/` (or below `--folder`) and generated exports: a week of a phone and a watch in four
vendors' layouts, a month of an invented person (`mock`), a day of Samsung Health. Codes of the records step and of normalization together.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.harness import REPO
from bench.sources_data import ZONE
from bench.sources_lab import EXPORTS
from config.settings import for_nodes, load, secrets
from config.sources import SOURCES
from pipeline.dag import Dag
from pipeline.execution import calls
from pipeline.nodes import nodes
from scripts.stages import Given, Made, as_file

SAMPLES = REPO / "tests" / "samples"
_WEEK, _MONTH, _LAST = 7, 30, date(2025, 6, 30)
_CUFFS = {"omron": ("Your Requested OMRON Report*.csv", "user1.csv"), "withings": ("bp.csv",)}
"""Vendors whose own sources read files of the invented person's, too."""


class Count(NamedTuple):
    """What became of one folder of files."""

    source: str
    export: str
    files: int
    records: int
    readings: int
    days: int
    rejected: dict[str, int]
    """Rows, records and fields, by reason."""
    repeated: int
    """Told once more, by the same export or by a better teller."""


def count(source: str, export: str, folder: Path) -> Count:
    """Both steps over all files below the folder."""
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != "LICENCE.txt"]
    raw = [as_file(str(path), f"raw/{source}/{path.relative_to(folder)}") for path in files]
    with tempfile.TemporaryDirectory() as work:
        reports = _steps(source, raw, work)
        readings = pq.read_table(Path(work, f"processed/normalized/{source}.parquet"), columns=["local_date"])
    rejected: Counter[str] = Counter()
    repeated = 0
    for report in reports:
        fates = report["balance"]["fates"]
        rejected.update({fate.removeprefix("rejected:"): n for fate, n in fates.items() if fate.startswith("rejected:")})
        rejected.update(report.get("refused", {}))
        repeated += fates.get("duplicate", 0) + fates.get("superseded", 0)
    days = len(pc.unique(readings["local_date"]))
    return Count(
        source,
        export,
        len(files),
        reports[0]["rows"]["records"],
        readings.num_rows,
        days,
        dict(sorted(rejected.items())),
        repeated,
    )


def _steps(source: str, raw: list[Any], work: str) -> list[Any]:
    settings = load([], Path("no.env"))
    given = {**for_nodes(settings), **secrets(settings), "timezone": ZONE}
    dag = Dag(nodes([source]))
    reports = []
    for name in (f"ingestion.{source}.records", f"normalization.{source}"):
        node, made = dag.nodes[name], Made(work, dag.nodes[name].outputs)
        files = {
            role: raw if artifact.startswith("raw/") else [as_file(str(Path(work, artifact)), artifact)]
            for role, artifact in node.inputs.items()
        }
        declared = {setting: given.get(setting) for setting in (*node.settings, *node.secrets)}
        reports.append(calls.load(node.run)(Given(files), made, declared))
    return reports


def of_samples(folder: Path) -> Iterator[Count]:
    """One count for each source that has a folder of samples here."""
    for source in SOURCES:
        if (folder / source).is_dir():
            yield count(source, "samples", folder / source)


def of_generated(work: Path) -> Iterator[Count]:
    """One count for each source whose exports can be generated; a source may have several."""
    from scripts.generate_mock_data import generate
    from tests.every_vendor import SAMSUNG

    generate(work / "mock", days=_MONTH, end=_LAST)
    for source, patterns in _CUFFS.items():
        (work / "mock" / source).mkdir()
        for path in (found for pattern in patterns for found in (work / "mock/bp_csv").glob(pattern)):
            shutil.copy(path, work / "mock" / source)
    samsung = work / "samsung/samsunghealth_person_20250302101500"
    samsung.mkdir(parents=True)
    (samsung / "com.samsung.shealth.blood_pressure.20250302101500.csv").write_text(SAMSUNG)
    for source in SOURCES:
        if (work / "mock" / source).is_dir():
            yield count(source, "a month of an invented person", work / "mock" / source)
        if source in EXPORTS:
            export = EXPORTS[source]
            (work / source).mkdir()
            export.write(work / source / export.name(_WEEK), _WEEK)
            yield count(source, "a week, generated", work / source)
        if source == "samsung_health":
            yield count(source, "a day, generated", work / "samsung")


def table(counts: list[Count]) -> str:
    """The counts as Markdown."""
    head = ("source", "export", "files", "records", "readings", "days", "repeated", "refused, by reason")
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for c in counts:
        refused = ", ".join(f"`{reason}` {n:,}" for reason, n in c.rejected.items()) or "none"
        cells = (c.source, c.export, *(f"{n:,}" for n in (c.files, c.records, c.readings, c.days, c.repeated)), refused)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--folder", type=Path, default=SAMPLES, help="samples, a folder for each source")
    parser.add_argument("--only", choices=["samples", "generated"], help="one of the two")
    asked = parser.parse_args()
    counts: list[Count] = []
    if asked.only != "generated":
        counts += of_samples(asked.folder)
    if asked.only != "samples":
        with tempfile.TemporaryDirectory() as work:
            counts += of_generated(Path(work))
    counts.sort(key=lambda c: list(SOURCES).index(c.source))
    print(table(counts))
    if asked.json:
        print(json.dumps({"bench": "sources_counts", "results": [c._asdict() for c in counts]}))


if __name__ == "__main__":
    main()
