"""What a node that runs may take from its own past: the outputs of an attempt from which only the data differ.

Handing them over changes no hash and leaves no edge of lineage: a stage that takes rows from them must make the very bytes it would
have made without. So they must be what this very code would have made of the data of then, and nobody's word stands in for that.
"""

from __future__ import annotations

from config.stage import File
from pipeline.identity import NodeIdentity, input_hash
from pipeline.node import Node, is_collection
from pipeline.registry import Committed, Registry
from pipeline.store import Store


def outputs_before(
    registry: Registry | None, store: Store, node: Node, identity: NodeIdentity, in_force: Committed | None
) -> dict[str, File]:
    """The single outputs, by role, of the attempt in force, or else of the newest there is, that ran with today's code, settings, libraries
    and declaration; nothing if there is none. Whether their bytes are still those is for the reader to look."""
    if registry is None:
        return {}
    attempt = registry.alike(node.name, identity.code.id, identity.settings.id, identity.environment.id, in_force)
    if attempt is None:
        return {}
    reads = [(role, name, sha256) for (role, name), sha256 in registry.inputs(attempt.id).items()]
    if attempt.input_hash != input_hash(node, reads, identity):  # another function, other roles or outputs
        return {}
    return {
        role: File(a.name, store.path(a.path), a.sha256, a.size, a.version, a.created_at)
        for role, a in attempt.outputs
        if not is_collection(node.outputs.get(role, "/**"))
    }
