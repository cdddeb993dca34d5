"""What a DAG's declaration must hold to, node by node and name by name; each mistake is one sentence, before anything runs."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator

from config.errors import PipelineError
from pipeline.node import Node, is_collection


def check_node(node: Node) -> None:
    """Raise PipelineError for a node that cannot mean what it says."""
    for ref in (node.run, node.remote, node.sink):
        if ref is not None and (ref.count(":") != 1 or not all(p.isidentifier() for p in ref.replace(":", ".").split("."))):
            raise PipelineError(f"Node {node.name!r} names a function as {ref!r}.", 'Write it as "package.module:function".')
    if node.touches and not node.sink:
        raise PipelineError(
            f"Node {node.name!r} touches {node.touches[0]!r}, but has no sink that answers for it.",
            "Name it in the node's files, inputs or outputs, or give the node a sink.",
        )
    if node.pages and not is_collection(node.outputs.get(node.pages, "")):
        raise PipelineError(
            f"Node {node.name!r} reads pages into {node.pages!r}, which is no collection it makes.",
            "Name an output that ends in /**.",
        )
    if both := sorted(node.inputs.keys() & node.files.keys()):
        raise PipelineError(f"Node {node.name!r} has {both[0]!r} among its inputs and its files.", "Name each role once.")
    _check_mapping(node)


def _check_mapping(node: Node) -> None:
    """A node's name has no bracket: that marks a part. One that is mapped reads a collection and makes only collections."""
    if "[" in node.name:
        mend = "Name it without: brackets mark the parts of a node."
        raise PipelineError(f"Node {node.name!r} has a bracket in its name.", mend)
    over = {**node.inputs, **node.files}.get(node.each, "")
    if node.each and not (is_collection(over) and all(map(is_collection, node.outputs.values()))):
        raise PipelineError(
            f"Node {node.name!r} is mapped over {node.each!r}, but not every side of it is a collection.",
            "Let the role and all outputs end in /**.",
        )
    if node.each and (node.remote or node.sink or node.pages):
        raise PipelineError(
            f"Node {node.name!r} is mapped and has a remote, a sink or pages.", "Give these to a node of their own."
        )


def check_names(nodes: Collection[Node], roots: Iterable[str]) -> None:
    """Raise PipelineError when an artifact lies within another, or a file that nobody makes where an artifact is."""
    makers: dict[str, str] = {}
    for node in nodes:
        for name in node.outputs.values():
            if (base := _base(name)) in makers:
                raise PipelineError(
                    f"Nodes {makers[base]!r} and {node.name!r} both make {name!r}.", "Let one node make each artifact."
                )
            makers[base] = node.name
    holders = {folder for base in makers for folder in _above(base)}
    for base, maker in makers.items():
        if within := next((folder for folder in _above(base) if folder in makers), None):
            raise PipelineError(
                f"Nodes {makers[within]!r} and {maker!r} make {within!r} and {base!r}, one within the other.",
                "Give each artifact a place of its own.",
            )
    own = set(roots)
    for node in nodes:
        for pattern in node.files.values():
            base = _base(pattern)
            if os.path.isabs(pattern) or pattern.partition("/")[0] in own:
                continue
            if base in makers or base in holders or (not base and makers) or any(folder in makers for folder in _above(base)):
                raise PipelineError(
                    f"Node {node.name!r} reads {pattern!r} as a file nobody makes, but a node makes artifacts there.",
                    "Name the artifact in the node's inputs, or read from another folder.",
                )


def _base(name: str) -> str:
    """The folder of a collection; the name itself of anything else."""
    return name[:-2].rstrip("/") if is_collection(name) or name == "**" else name


def _above(name: str) -> Iterator[str]:
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name
