"""Fan-out: a node mapped over the members of one of its inputs. Each member becomes a node of its own, decided, cached and run by itself.

`validation` with `each="readings"` over the collection `months/**` becomes `validation[2024-01.parquet]`, `validation[2024-02.parquet]`, …
Its function sees one member and makes one member of every output; the node's own outputs are all of these together, and change together,
when the last part has succeeded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pipeline.encoding import VERSION, digest
from pipeline.node import Node, member_name
from pipeline.registry import Artifact, Committed


def part(node: Node, member: str, read: str) -> Node:
    """The node for one member: `read` is the artifact or file it reads in place of the whole collection."""
    role = node.each
    outputs = {r: member_name(name, member) for r, name in node.outputs.items()}
    made = node._replace(name=f"{node.name}[{member}]", outputs=outputs)
    if role in node.inputs:
        return made._replace(inputs={**node.inputs, role: read})
    return made._replace(files={**node.files, role: read})


def whole(name: str) -> str:
    """The node a part belongs to; the name itself for any other."""
    return name.partition("[")[0]


def is_part(name: str) -> bool:
    """Whether a node's name is that of a part."""
    return "[" in name


def joint_key(node: Node, parts: Iterable[Committed]) -> str:
    """The input hash of the node as a whole: that of its parts."""
    return digest([VERSION, node.name, "each", [[p.node, p.input_hash] for p in parts]])


def joint_outputs(parts: Iterable[Committed]) -> list[tuple[str, Artifact]]:
    """What all parts made."""
    return [output for p in parts for output in p.outputs]


def is_joint(before: Committed, node: Node, parts: list[Committed]) -> bool:
    """Whether what the node has as a whole is just what its parts have made."""
    return before.input_hash == joint_key(node, parts) and {a.id for _, a in before.outputs} == {
        a.id for _, a in joint_outputs(parts)
    }


def in_view(state: Mapping[str, Committed]) -> list[Artifact]:
    """The artifacts plain names stand for. A part's are shown when the node as a whole has them."""
    return [artifact for attempt in state.values() if not is_part(attempt.node) for _, artifact in attempt.outputs]
