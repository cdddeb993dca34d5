"""What a page leaves out that may be handed on: names of dropped files, because people's names may be in them.

A name is told when the DAG itself declares it. A collection's member is told by its folder alone, a part of a step by a number.
"""

from __future__ import annotations

import re
from typing import Any

from pipeline.dag import Dag
from pipeline.node import is_collection
from pipeline.partitions import is_part, whole

_DROPPED = ("inbox/", "raw/", "examples/")
_OF_FILES = ("data", "upstream", "output")
"""Kinds of reasons that name a file or a step."""


class Discretion:
    """How names are told in one page."""

    def __init__(self, dag: Dag) -> None:
        declared = [p for n in dag.nodes.values() for p in (*n.files.values(), *n.inputs.values(), *n.outputs.values())]
        self._known = {p for p in declared if not is_collection(p)}
        self._steps = set(dag.nodes)
        self._folders = sorted({p[:-2] for p in declared if is_collection(p)}, key=len, reverse=True)
        folders = "|".join([*map(re.escape, self._folders), *(rf"{re.escape(top)}[^/\s]+/" for top in _DROPPED)])
        self._member = re.compile(rf"({folders})(?!\*)(?:[^\n]*\.\w+|[^\n]+)")
        self._parts: dict[str, str] = {}

    def step(self, text: str) -> str:
        """A step's name as the page tells it."""
        if not is_part(text):
            return text
        count = sum(whole(part) == whole(text) for part in self._parts)
        return self._parts.setdefault(text, f"{whole(text)}[#{count + 1}]")

    def name(self, text: str) -> str:
        """The name of an artifact, of a file, or of a step, likewise."""
        if whole(text) in self._steps:
            return self.step(text)
        if text in self._known:
            return text
        folder = next((f for f in self._folders if text.startswith(f)), "/".join(text.split("/")[:-1][:2]) + "/")
        return f"{folder}…" if "/" in text else text

    def prose(self, text: str) -> str:
        """A sentence in which a member may be named, with everything from its folder to its ending left out."""
        return self._member.sub(r"\1…", text)

    def run(self, found: dict[str, Any]) -> dict[str, Any]:
        """A run's facts (`pipeline.answers.report`) as the page tells them."""
        return found | {
            "nodes": [self._attempt(n) for n in found["nodes"]],
            "restored_nodes": [self._reasoned(n) for n in found["restored_nodes"]],
        }

    def _attempt(self, n: dict[str, Any]) -> dict[str, Any]:
        return self._reasoned(n) | {
            "error": n["error"] and self.prose(n["error"].replace(n["node"], self.step(n["node"]))),
            "findings": [self._finding(f) for f in n["findings"]],
            "anomalies": [a | {"node": self.step(a["node"])} for a in n["anomalies"]],
            "outputs": [o | {"name": self.name(o["name"])} for o in n["outputs"]],
        }

    def _reasoned(self, n: dict[str, Any]) -> dict[str, Any]:
        return n | {
            "node": self.step(n["node"]),
            "reasons": [
                r | {"name": self.name(r["name"]), "detail": self.prose(r["detail"])} if r["kind"] in _OF_FILES else r
                for r in n["reasons"]
            ],
        }

    def _finding(self, f: dict[str, Any]) -> dict[str, Any]:
        told = {key: self.prose(value) if isinstance(value, str) else value for key, value in f.items()}
        return told | ({"where": self.name(f["where"])} if f.get("where") else {})
