"""A run in OpenLineage's words (spec 2-0-2): START, then COMPLETE, FAIL or ABORT, of the run and of every attempt in it.

Pure data out of the registry: names, versions, counts, digests and our own sentences. No value that was measured, no path on this
machine, no host, no person. The same run gives the same events at any time, so sending them twice does no harm.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from config import VERSION
from pipeline.registry import Registry

Event = dict[str, Any]

PRODUCER = f"urn:pdp:{VERSION}"
FACETS = "urn:pdp:openlineage:facets:1-0-0"
"""What our own facets hold: docs/openlineage_facets.json."""
RUN = "pipeline"
"""The job whose runs are the runs of the whole pipeline; a node's job has the node's name."""
_SPEC = "https://openlineage.io/spec"
_CORE = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/"
_VERSIONS = {
    "ParentRunFacet": "1-2-0",
    "ErrorMessageRunFacet": "1-0-1",
    "ProcessingEngineRunFacet": "1-1-1",
    "JobTypeJobFacet": "2-0-4",
    "TagsJobFacet": "1-0-0",
    "DatasetVersionDatasetFacet": "1-0-1",
    "InputStatisticsInputDatasetFacet": "1-0-0",
    "OutputStatisticsOutputDatasetFacet": "1-0-2",
}
_ENDS = {
    "committed": "COMPLETE",
    "accepted": "COMPLETE",
    "restored": "COMPLETE",
    "failed": "FAIL",
    "aborted": "ABORT",
    "succeeded": "COMPLETE",  # from here on: runs
    "interrupted": "ABORT",
}
_MINE = "SELECT id FROM attempt WHERE run_id = :run UNION SELECT attempt_id FROM event WHERE run_id = :run AND kind = 'restored'"
_COLUMNS = "a.input_hash, a.code_id, a.settings_id, a.environment_id, a.report"
_ATTEMPTS = f"""
SELECT a.id, a.node, a.stage, a.state, a.started_at, a.seconds, a.error, a.reasons, {_COLUMNS} FROM attempt a WHERE a.run_id = :run
UNION ALL
SELECT a.id, a.node, a.stage, 'restored', e.at, 0.0, NULL, e.data, {_COLUMNS}
FROM event e JOIN attempt a ON a.id = e.attempt_id WHERE e.run_id = :run AND e.kind = 'restored'
"""
_INPUTS = f"""
SELECT i.attempt_id, i.name, f.version, i.sha256, f.rows, i.size FROM attempt_input i LEFT JOIN artifact f ON f.id = i.artifact_id
WHERE i.attempt_id IN ({_MINE}) ORDER BY i.role, i.name
"""
_OUTPUTS = f"""
SELECT o.attempt_id, f.name, f.version, f.sha256, f.rows, f.size FROM attempt_output o JOIN artifact f ON f.id = o.artifact_id
WHERE o.attempt_id IN ({_MINE}) ORDER BY o.role, f.name
"""


class _Attempt(NamedTuple):
    id: str
    node: str
    stage: str
    state: str
    started_at: float
    seconds: float | None
    error: str | None
    reasons: str
    input_hash: str
    code_id: str
    settings_id: str
    environment_id: str
    report: str | None


class _Data(NamedTuple):
    """What an attempt read or made: an artifact's version, a file nobody makes, or a remote as its fingerprint told it."""

    attempt: str
    name: str
    version: int | None
    sha256: str
    rows: int | None
    size: int | None


def events(registry: Registry, run_id: str, namespace: str = "pdp", sink: str = "sink") -> list[Event]:
    """The events of one run, in the order of time; none for a run in which nothing ran. One that still runs has no end yet.

    `namespace` names this installation: alone it is the jobs' namespace, with the scheme `file` that of the artifacts, with the scheme
    `sink` that of the tables that nodes without artifacts loaded.
    """
    row = registry.db.execute("SELECT started_at, ended_at, status FROM run WHERE id = ?", (run_id,)).fetchone()
    mine = {"run": run_id}
    attempts = [_Attempt(*found) for found in registry.db.execute(_ATTEMPTS, mine)]
    if row is None or not attempts:
        return []
    data = _Datasets(namespace, sink, registry.db.execute(_INPUTS, mine), registry.db.execute(_OUTPUTS, mine))
    told: list[tuple[float, Event]] = []
    for attempt in sorted(attempts, key=lambda a: a.started_at):
        told += _attempt_events(attempt, run_id, row[1], namespace, data)
    began, ended, status = row
    told.sort(key=lambda pair: pair[0])
    job = _job(namespace, RUN, "PIPELINE")
    whole = [_event("START", began, _run(run_id), job), *(event for _, event in told)]
    if status != "running":
        last = max(ended or began, told[-1][0])
        failed = sorted({a.node for a in attempts if a.state == "failed"})
        error = f"Not all nodes succeeded; failed: {', '.join(failed)}." if status == "failed" else None
        whole.append(_event(_ENDS[status], last, _run(run_id, error), job))
    return whole


class _Datasets:
    """Inputs and outputs of attempts, as OpenLineage names them."""

    def __init__(self, namespace: str, sink: str, inputs: Iterable[Any], outputs: Iterable[Any]) -> None:
        self._namespace = f"file://{namespace}"
        self._remotes = f"remote://{namespace}"
        self._sink = f"{sink}://{namespace}"
        self._inputs = _by_attempt(inputs)
        self._outputs = _by_attempt(outputs)

    def inputs(self, attempt: _Attempt) -> list[Event]:
        found = {d.name: d for d in self._inputs.get(attempt.id, [])}  # an artifact in two roles is one dataset
        return [self._dataset(d, "inputFacets", "inputStatistics", "InputStatisticsInputDatasetFacet") for d in found.values()]

    def outputs(self, attempt: _Attempt) -> list[Event]:
        """Artifacts; for a node that makes none, the tables it says it loaded."""
        statistics = ("outputFacets", "outputStatistics", "OutputStatisticsOutputDatasetFacet")
        made = self._outputs.get(attempt.id)
        if made:
            return [self._dataset(d, *statistics) for d in made]
        loaded = json.loads(attempt.report or "{}").get("rows", {})
        return [
            {"namespace": self._sink, "name": table, **_statistics(*statistics, rows, None)} for table, rows in loaded.items()
        ]

    def _dataset(self, data: _Data, where: str, name: str, facet: str) -> Event:
        if data.size is None:  # a remote: named by the function that asks it, its fingerprint shown as a digest only
            named = {"namespace": self._remotes, "name": data.name.partition(":")[0]}
            version = sha256(data.sha256.encode()).hexdigest()[:16]
        else:
            named = {"namespace": self._namespace, "name": data.name}
            version = ("" if data.version is None else f"v{data.version}-") + data.sha256[:16]
        facets = {"version": _facet("DatasetVersionDatasetFacet", datasetVersion=version)}
        return {**named, "facets": facets, **_statistics(where, name, facet, data.rows, data.size)}


def _by_attempt(rows: Iterable[Any]) -> dict[str, list[_Data]]:
    found: dict[str, list[_Data]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(_Data(*row))
    return found


def _statistics(where: str, name: str, facet: str, rows: int | None, size: int | None) -> Event:
    known = {key: value for key, value in (("rowCount", rows), ("size", size)) if value is not None}
    return {where: {name: _facet(facet, **known)}} if known else {}


def _attempt_events(
    attempt: _Attempt, run_id: str, run_ended: float | None, namespace: str, data: _Datasets
) -> list[tuple[float, Event]]:
    whole = {"run": {"runId": str(UUID(run_id))}, "job": {"namespace": namespace, "name": RUN}}
    facets = {"parent": _facet("ParentRunFacet", **whole, root=whole), "pdp_identity": _identity(attempt)}
    own = str(uuid5(UUID(run_id), attempt.id)) if attempt.state == "restored" else attempt.id
    job = _job(namespace, attempt.node, "NODE", attempt.stage)
    inputs = data.inputs(attempt)
    told = [(attempt.started_at, _event("START", attempt.started_at, _run(own, None, facets), job, inputs))]
    if attempt.state in _ENDS:
        ended = (run_ended or attempt.started_at) if attempt.seconds is None else attempt.started_at + attempt.seconds
        ended = max(ended, attempt.started_at)  # the clock may have been set back
        report = json.loads(attempt.report or "{}")
        if balance := report.get("balance"):
            facets = {**facets, "pdp_balance": _own_facet("PdpBalanceRunFacet", **balance, refused=report.get("refused", {}))}
        run = _run(own, attempt.error, facets)
        told.append((ended, _event(_ENDS[attempt.state], ended, run, job, inputs, data.outputs(attempt))))
    return told


def _identity(attempt: _Attempt) -> Event:
    """Why it ran and what its input hash is made of: whoever has these four need not run it again."""
    return _own_facet(
        "PdpIdentityRunFacet",
        inputHash=attempt.input_hash,
        codeId=attempt.code_id,
        settingsId=attempt.settings_id,
        environmentId=attempt.environment_id,
        how={"accepted": "accepted", "restored": "restored"}.get(attempt.state, "computed"),
        reasons=sorted({reason["kind"] for reason in json.loads(attempt.reasons)}),
    )


def _event(kind: str, at: float, run: Event, job: Event, inputs: Sequence[Event] = (), outputs: Sequence[Event] = ()) -> Event:
    return {
        "eventType": kind,
        "eventTime": datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "producer": PRODUCER,
        "schemaURL": f"{_CORE}RunEvent",
        "run": run,
        "job": job,
        "inputs": list(inputs),
        "outputs": list(outputs),
    }


def _run(run_id: str, error: str | None = None, facets: Event | None = None) -> Event:
    engine = _facet("ProcessingEngineRunFacet", name="PDP", version=VERSION, openlineageAdapterVersion=VERSION)
    known = {"processing_engine": engine, **(facets or {})}
    if error:
        known["errorMessage"] = _facet("ErrorMessageRunFacet", message=error, programmingLanguage="PYTHON")
    return {"runId": str(UUID(run_id)), "facets": known}


def _job(namespace: str, name: str, kind: str, stage: str = "") -> Event:
    facets = {"jobType": _facet("JobTypeJobFacet", processingType="BATCH", integration="PDP", jobType=kind)}
    if stage:
        facets["tags"] = _facet("TagsJobFacet", tags=[{"key": "stage", "value": stage, "source": "PDP"}])
    return {"namespace": namespace, "name": name, "facets": facets}


def _facet(name: str, /, **fields: Any) -> Event:
    return {"_producer": PRODUCER, "_schemaURL": f"{_SPEC}/facets/{_VERSIONS[name]}/{name}.json#/$defs/{name}", **fields}


def _own_facet(name: str, /, **fields: Any) -> Event:
    return {"_producer": PRODUCER, "_schemaURL": f"{FACETS}#/$defs/{name}", **fields}
