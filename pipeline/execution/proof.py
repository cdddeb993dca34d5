"""Proof that a process elsewhere has the very code, libraries and data the coordinator decided with; without it no node runs there.

The coordinator sends what its identities rest on; the worker looks on its own disk. Asked before the node's code is loaded and again
when it has run, so a file changed in between cannot slip in, whatever the clocks of two machines say.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterable, Mapping
from typing import Any

from config.errors import StageError
from config.stage import File
from pipeline.encoding import digest
from pipeline.environment import python_leaf
from pipeline.listing import matching, modules_in
from pipeline.node import Node


@functools.cache
def engine_digest() -> str:
    """Of the engine's own source: two versions of it need not mean the same by a task."""
    folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    found = [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names if name.endswith(".py")]
    return digest(sorted([os.path.relpath(path, folder), _sha256(path)] for path in found))


def refuse_other_code(proof: Mapping[str, Any], node: Node, code_root: str) -> None:
    """Raise StageError unless this machine has what `Identities.proof` tells of."""
    if proof["engine"] != engine_digest() or not _same_code(proof["code"], node, code_root):
        raise StageError(
            "The worker has other code than the coordinator.",
            "Give every machine the same version of the project, then run again.",
        )
    other = next((leaf[0] for leaf in proof["libraries"] if _library(leaf[0]) != leaf[1]), None)
    if other is not None:
        raise StageError(
            f"The worker has another version of {other} than the coordinator.", "Install from the same lock on both."
        )


def refuse_other_data(node: Node, inputs: Mapping[str, list[File]], data_dir: str) -> None:
    """Raise StageError unless the data root and the node's inputs are here. A file nobody makes is hashed, for its name says nothing."""
    whole = os.path.isdir(data_dir) and all(
        _is_here(file, role in node.files) for role, files in inputs.items() for file in files
    )
    if not whole:
        raise StageError(
            "The worker does not see the data the coordinator sees.",
            "Mount the same data directory at the same path on every machine.",
        )


def _same_code(code: Mapping[str, Any], node: Node, root: str) -> bool:
    resources = sorted({name.replace(os.sep, "/") for pattern in node.resources for name in matching(root, pattern)})
    return (
        resources == [name for name, _ in code["resources"]]
        and not any(os.path.exists(os.path.join(root, path)) for path in code["absent"])
        and all(modules_in(os.path.join(root, folder)) == names for folder, names in code["listed"].items())
        and _all_are(root, [*code["files"].items(), *code["resources"]])
    )


def _all_are(root: str, contents: Iterable[Iterable[str]]) -> bool:
    try:
        return all(_sha256(os.path.join(root, path)) == sha256 for path, sha256 in contents)
    except OSError:
        return False


def _library(name: str) -> str:
    """What `Distributions.reached` would say of it here."""
    from importlib import metadata, util

    if name == python_leaf()[0]:
        return python_leaf()[1]
    kind, _, module = name.rpartition(" ")
    if kind == "import":
        return "missing" if util.find_spec(module) is None else "installed"
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"


def _is_here(file: File, content: bool) -> bool:
    try:
        return os.stat(file.path).st_size == file.size and (not content or _sha256(file.path) == file.sha256)
    except OSError:
        return False


def _sha256(path: str) -> str:
    with open(path, "rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
