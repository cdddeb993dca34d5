"""`source preview NAME` of an API or a stream: pages of it through the very steps a run takes, in a folder that is gone afterwards.

Of an API the first page of each list, asked for now; of another stream, whose messages are there once, the last pages that it has
brought. Tells what a run makes of them: records, what is refused, readings by metric. Never a value; nothing is taken in.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from config.errors import PDPError, UsageError
from config.sources import SOURCES, hint, is_live
from config.stage import File
from pipeline.execution.calls import load
from pipeline.nodes import nodes
from scripts.answer import Answer
from scripts.project import Project
from scripts.sources import needs, title
from scripts.stages import Given, Made, as_file
from scripts.words import counted

if TYPE_CHECKING:
    from ingestion.rest import RestSource

_LAST = 20
"""Pages of a stream that are looked at."""


def answer(project: Project, source: str) -> Answer:
    """Ask for the first page of every stream. Raises UsageError, SourceDenied, SourceUnavailable."""
    if not is_live(source, project.settings):
        raise UsageError(f"{source} cannot be asked yet.", f"To switch it on, {hint(source, project.settings)}.")
    with tempfile.TemporaryDirectory(prefix="pdp-preview-") as folder:
        streams = _made(project, source, folder, _first_pages(project, source, folder))
    return _told(project, source, streams, f"the first page of {counted(len(streams), 'stream')}")


def of_held(project: Project, source: str) -> Answer:
    """Look at the last pages that are held of every stream. Raises UsageError when none is."""
    from scripts.erase.holdings import pages

    held: dict[str, list[File]] = {}
    for a in sorted(pages(project, source), key=lambda artifact: artifact.name):
        file = File(a.name, project.pipeline.local(a), a.sha256, a.size, a.version, a.created_at)
        held.setdefault(a.name.split("/")[2], []).append(file)
    if not held:
        raise UsageError(f"{source} has brought nothing yet.", f"To switch it on, {hint(source, project.settings)}; then run it.")
    with tempfile.TemporaryDirectory(prefix="pdp-preview-") as folder:
        streams = _made(project, source, folder, {stream: files[-_LAST:] for stream, files in held.items()})
    return _told(project, source, streams, f"the last pages of {counted(len(streams), 'stream')}")


def _told(project: Project, source: str, streams: dict[str, dict[str, Any]], what: str) -> Answer:
    text = "\n".join(_lines(f"{title(project, source)}: {what}", streams))
    return Answer({"source": source, "streams": streams}, text)


def _first_pages(project: Project, source: str, folder: str) -> dict[str, list[File]]:
    """Stream → its first page, as it would be kept."""
    from ingestion.rest.looking import looks

    found = {}
    for stream, look in looks(cast("type[RestSource]", load(_class(source))), needs(project, source)):
        if isinstance(look, PDPError):
            raise look
        if look is not None:
            name = f"raw/{source}/{stream.name}/000000-000000000000.json"
            path = os.path.join(folder, *name.split("/"))
            os.makedirs(os.path.dirname(path))
            with open(path, "wb") as sink:
                sink.write(look.answer.body)
            found[stream.name] = [as_file(path, name)]
    return found


def _class(source: str) -> str:
    """`"module:Class"` of a source behind an API."""
    rest = SOURCES[source].rest
    return "ingestion.rest.declared:Declared" if rest == "yaml" else rest


def _made(project: Project, source: str, folder: str, pages: Mapping[str, list[File]]) -> dict[str, dict[str, Any]]:
    """Stream → what its pages become."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    steps = {node.name: node for node in nodes([source])}
    told = {}
    for stream, files in pages.items():
        place = os.path.join(folder, "made", stream)
        given: dict[str, list[File]] = {"raw": files}
        reports: dict[str, Any] = {}
        tables: dict[str, str] = {}
        for name in (f"ingestion.{source}.records", f"normalization.{source}"):
            node = steps[name]
            made = Made(place, node.outputs)
            settings = {setting: project.settings[setting] for setting in (*node.settings, *node.secrets)}
            reports[node.stage] = load(node.run)(Given({role: given[role] for role in node.inputs}), made, settings)
            tables |= {role: made.path(role) for role in node.outputs}
            given |= {role: [as_file(made.path(role), role)] for role in node.outputs}
        times = pq.read_table(tables["records"], columns=["source_timestamp"])["source_timestamp"]
        span = [_day(pc.min(times).as_py()), _day(pc.max(times).as_py())]
        metrics = pc.value_counts(pq.read_table(tables["readings"], columns=["metric"])["metric"].combine_chunks()).to_pylist()
        told[stream] = {
            "records": reports["ingestion"]["rows"]["records"],
            "dead_letters": reports["ingestion"]["rows"]["dead_letters"],
            "first": span[0],
            "last": span[1],
            "readings": {row["values"]: row["counts"] for row in sorted(metrics, key=lambda row: str(row["values"]))},
            "fates": reports["normalization"]["balance"]["fates"],
        }
    return told


def _day(moment: Any) -> str | None:
    return None if moment is None else str(moment.date())


def _lines(name: str, streams: Mapping[str, dict[str, Any]]) -> Iterator[str]:
    yield name
    for stream, said in streams.items():
        span = f", {said['first']} to {said['last']}" if said["first"] else ", no times"
        yield f"\n{stream}: {counted(said['records'], 'record')}{span}"
        if said["dead_letters"]:
            yield f"  {counted(said['dead_letters'], 'dead letter')}"
        yield from (f"  {metric:<20}{n:>8,} readings" for metric, n in said["readings"].items())
        yield from (f"  {fate:<20}{n:>8,} records" for fate, n in said["fates"].items() if fate != "accepted")
