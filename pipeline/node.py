"""A node as data: what it reads, what it makes, what it depends on. Declaring one imports none of its code."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.tuples import NamedTuple

_NONE: Mapping[str, str] = {}


class Node(NamedTuple):
    """One step of the DAG. All names are logical: the registry knows where the bytes are."""

    name: str
    stage: str
    run: str
    """`"package.module:function"` (or `"…:Class.method"`), called as `function(inputs, outputs, settings)`; see `config.stage`."""
    inputs: Mapping[str, str] = _NONE
    """Role → artifact another node makes; `name/**` takes a whole collection."""
    files: Mapping[str, str] = _NONE
    """Role → files nobody makes: a path, or `folder/**` for everything below; relative to the data root (or to a named root)."""
    outputs: Mapping[str, str] = _NONE
    """Role → artifact; `name/**` is a collection, whose members are known only when the node has run."""
    settings: tuple[str, ...] = ()
    """Settings it may read; their values are part of the input hash."""
    secrets: tuple[str, ...] = ()
    """Settings it may read that are no part of any hash: credentials, addresses, paths."""
    resources: tuple[str, ...] = ()
    """Project files its code reads (SQL, JSON Schema); `folder/*.sql` takes all that match. Part of the code identity."""
    remote: str | None = None
    """`"module:function"` giving the outside world's fingerprint, or None when it has none to give."""
    sink: str | None = None
    """`"module:function"` that tells whether a database still holds what this node loaded."""
    touches: tuple[str, ...] = ()
    """Folders below the data root (`postgres/**`) in which the sink keeps house; part of no hash, the sink answers for them."""
    each: str = ""
    """Role of a collection to map the node over: every member becomes a node of its own; see `pipeline.partitions`."""
    pages: str = ""
    """Role of a collection whose members are committed page by page, as they are fetched; see `pipeline.pages`."""


def is_collection(name: str) -> bool:
    """Whether an artifact name stands for a set of members."""
    return name.endswith("/**")


def member_name(collection: str, member: str) -> str:
    """Artifact name of a collection's member."""
    return collection[:-2] + member
