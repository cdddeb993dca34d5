"""The API calls that brought a source's raw artifacts, as its extraction wrote them down."""

from __future__ import annotations

import json
from typing import NamedTuple

from config.stage import Inputs

_ROLE = "calls"
_BESIDE = ".calls/"
_ENDING = ".json"


class Call(NamedTuple):
    """What a row says of the call that fetched its raw artifact. None: the server did not say."""

    api_version: str | None
    endpoint: str | None
    """URL template: host and path, placeholders for ids."""
    request_id: str | None
    response_code: int | None
    """HTTP status."""
    rate_limit_json: str | None
    """The rate limit headers as a JSON object."""


def read(inputs: Inputs) -> dict[str, Call]:
    """Raw artifact → its call. One that no call brought is not in it; nothing is when the node has no role `calls`."""
    if _ROLE not in inputs.roles():
        return {}
    return {_raw_artifact(file.name): _call(file.path) for file in inputs.many(_ROLE)}


def _raw_artifact(name: str) -> str:
    """`raw/mi_fitness.calls/drive/a.zip.json` → `raw/mi_fitness/drive/a.zip`."""
    return name.replace(_BESIDE, "/", 1).removesuffix(_ENDING)


def _call(path: str) -> Call:
    with open(path, "rb") as file:
        said = json.load(file)
    limits = said.get("rate_limit")
    return Call(
        said.get("api_version"),
        said.get("endpoint"),
        said.get("request_id"),
        said.get("response_code"),
        json.dumps(limits, sort_keys=True) if limits else None,
    )
