"""Runs in an environment that has OpenLineage's Python client: rebuilds every event on stdin out of its classes and compares.

Prints `{"events": n, "facets": [class, …]}`; an exception when a field is missing, unknown or not what the class allows.
"""

from __future__ import annotations

import json
import pkgutil
import sys
from importlib import import_module
from typing import Any

import attr
from openlineage.client import event_v2, generated
from openlineage.client.serde import Serde

CLASSES = {
    name: found
    for module in pkgutil.iter_modules(generated.__path__)
    for name, found in vars(import_module(f"{generated.__name__}.{module.name}")).items()
    if name.endswith("Facet")
}
SEEN: set[str] = set()


def rebuilt(event: dict[str, Any]) -> event_v2.RunEvent:
    """The event as an object of the client's."""
    run, job = event["run"], event["job"]
    built = event_v2.RunEvent(
        eventType=event_v2.RunState[event["eventType"]],
        eventTime=event["eventTime"],
        producer=event["producer"],
        run=event_v2.Run(run["runId"], facets(run["facets"])),
        job=event_v2.Job(job["namespace"], job["name"], facets(job["facets"])),
        inputs=[event_v2.InputDataset(**dataset(d, "inputFacets")) for d in event["inputs"]],
        outputs=[event_v2.OutputDataset(**dataset(d, "outputFacets")) for d in event["outputs"]],
    )
    assert built.schemaURL == event["schemaURL"]
    return built


def dataset(data: dict[str, Any], own: str) -> dict[str, Any]:
    """A dataset's fields with its facets rebuilt."""
    assert set(data) <= {"namespace", "name", "facets", own}
    return {**data, "facets": facets(data.get("facets", {})), own: facets(data.get(own, {}))}


def facets(found: dict[str, Any]) -> dict[str, Any]:
    """The facets of the specification as objects of their classes; ours have none."""
    return {key: facet(value) for key, value in found.items() if not key.startswith("pdp_")}


def facet(data: dict[str, Any]) -> Any:
    """One facet. Raises TypeError for a field that is missing or that its class does not know."""
    url = data["_schemaURL"]
    name = url.rpartition("/")[2]
    fields = {key: value for key, value in data.items() if key != "_schemaURL"}
    built = CLASSES[name](producer=fields.pop("_producer"), **fields)
    if built._schemaURL != url:
        raise ValueError(f"{name} is of another version: {built._schemaURL}")
    for field in attr.fields(CLASSES[name]):
        value = fields.get(field.name)
        if value is not None and str(field.type) in {"str", "str | None"} and not isinstance(value, str):
            raise TypeError(f"{name}.{field.name}")
    SEEN.add(name)
    return built


def main() -> None:
    """Rebuild, write out again, compare."""
    events = [json.loads(line) for line in sys.stdin]
    for event in events:
        again = json.loads(Serde.to_json(rebuilt(event)))
        for part in ("eventType", "eventTime", "producer", "schemaURL"):
            assert again[part] == event[part], part
        assert again["run"]["runId"] == event["run"]["runId"]
        assert [d["name"] for d in again.get("outputs", [])] == [d["name"] for d in event["outputs"]]
    print(json.dumps({"events": len(events), "facets": sorted(SEEN)}))


if __name__ == "__main__":
    main()
