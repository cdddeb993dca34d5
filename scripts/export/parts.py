"""The parts of an export, one function per format: each adds its files to the target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain, groupby
from typing import Any

from config.errors import StoreError
from config.metrics import METRICS
from scripts.export import fhir, omh, writing
from scripts.export.asked import Asked
from scripts.export.holdings import Holdings
from scripts.export.notes import Notes
from scripts.export.person import Names
from scripts.export.readings import Measurement, count, measurements
from scripts.export.tables import tables
from scripts.export.target import Target
from scripts.words import counted

_CHOICES = "processed/merged/choices.parquet"
_WRITERS = {"csv": writing.as_csv, "parquet": writing.as_parquet}
_Devices = dict[tuple[str, str], None]


def raw(target: Target, holdings: Holdings, asked: Asked) -> Iterator[dict[str, str]]:
    """Every kept version of every raw artifact, as received; superseded ones below raw_superseded/. Gives what is left out, and why."""
    others = {source: set() if asked.others else holdings.mixed(source) for source in holdings.sources}
    for artifact in holdings.raws:
        source = artifact.name.split("/")[1].removesuffix(".calls")
        if not asked.of(source):
            continue
        if artifact.name in others.get(source, ()):
            yield {"file": artifact.name, "why": "It holds rows of other people. Your own rows of it are in the records."}
            continue
        place, what = artifact.name, f"As received, version {artifact.version}."
        if not holdings.is_in_force(artifact):
            place = f"raw_superseded/v{artifact.version}/{artifact.name.removeprefix('raw/')}"
            what = f"As received, version {artifact.version}; a newer one counts."
        target.add(place, what, writing.copied, holdings.local(artifact))
        if target.files[-1].sha256 != artifact.sha256:
            raise StoreError(f"{artifact.name}@v{artifact.version} is not as it was received.", "See: python main.py verify")


def table_files(target: Target, holdings: Holdings, asked: Asked, settings: Mapping[str, Any], form: str) -> None:
    """Every table as CSV or Parquet."""
    for table in tables(holdings, asked, settings):
        target.add(f"{form}/{table.name}.{form}", table.what, _WRITERS[form], table.batches)


def fhir_files(target: Target, holdings: Holdings, asked: Asked) -> None:
    """NDJSON by resource type for bulk import, and a transaction Bundle for every month."""
    choices = holdings.path(_CHOICES)
    names, notes = Names(holdings.installation), Notes(holdings)
    devices: _Devices = {}

    def observations(found: Iterator[Measurement], refer: fhir.Refer, met: _Devices) -> Iterator[fhir.Resource]:
        for measured in found:
            if measured.reading.device is not None:
                met[measured.reading.source, measured.reading.device] = None
            yield fhir.observation(names, refer, measured, notes.of(measured))

    def whole(found: Iterator[Measurement]) -> Iterator[fhir.Resource]:
        met: _Devices = {}
        yield fhir.entry(fhir.patient(names))
        yield from map(fhir.entry, observations(found, fhir.in_bundle, met))
        yield from (fhir.entry(fhir.device(names, fhir.in_bundle, *known)) for known in sorted(met))

    bulk = observations(measurements(choices, asked), fhir.in_bulk, devices)
    first = next(bulk, None)
    if first is None:
        return
    target.add("fhir/Observation.ndjson", "FHIR R4: the measurements.", writing.as_lines, chain([first], bulk))
    known = [fhir.device(names, fhir.in_bulk, *device) for device in sorted(devices)]
    if known:
        target.add("fhir/Device.ndjson", "FHIR R4: the devices.", writing.as_lines, known)
    target.add("fhir/Patient.ndjson", "FHIR R4: the person, without a name.", writing.as_lines, [fhir.patient(names)])
    for month, found in groupby(measurements(choices, asked), key=_month):
        what = f"FHIR R4: all of {month} as one transaction."
        target.add(f"fhir/bundles/{month}.json", what, writing.as_transaction, whole(found))


def omh_files(target: Target, holdings: Holdings, asked: Asked) -> Iterator[dict[str, str]]:
    """Open mHealth data points, one file per schema. Gives what no schema can hold."""
    choices, names = holdings.artifact(_CHOICES), Names(holdings.installation)
    if choices is None:
        return
    path, unfit, homeless = holdings.local(choices), Counter[str](), set(METRICS)
    for name, metrics in omh.by_schema().items():
        homeless -= metrics
        wanted = metrics if asked.metrics is None else metrics & asked.metrics
        found = measurements(path, asked._replace(metrics=frozenset(wanted))) if wanted else iter(())
        points = _points(found, names, choices.created_at, unfit)
        first = next(points, None)
        if first is not None:
            target.add(f"omh/{name}.ndjson", f"Open mHealth: omh:{name}.", writing.as_lines, chain([first], points))
        if unfit[name]:
            why = f"The schema cannot hold {counted(unfit[name], 'measurement')}: a pressure without the other, or a sum without a span."
            yield {"file": f"omh/{name}.ndjson", "why": why}
    told = count(path, asked)
    left = [f"{metric} ({counted(told[metric], 'reading')})" for metric in METRICS if metric in homeless and told[metric]]
    if left:
        yield {"file": "omh/", "why": f"No schema of Open mHealth says what these say: {', '.join(left)}."}


def _points(found: Iterator[Measurement], names: Names, stored_at: float, unfit: Counter[str]) -> Iterator[omh.Body]:
    """Those a schema can hold; the others are counted by schema."""
    for each in found:
        point = omh.data_point(names, each, stored_at)
        if point is None:
            unfit[omh.SCHEMAS[each.metric].name] += 1
        else:
            yield point


def _month(measured: Measurement) -> str:
    return f"{measured.reading.day:%Y-%m}"
