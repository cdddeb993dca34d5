"""Runs stage functions without the engine: files in a folder of one's own, no registry, no skipping. Each is handed what it declares."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping
from typing import Any, BinaryIO

from config.stage import File, Report
from pipeline.dag import Dag
from pipeline.execution.calls import load


class Given:
    """`config.stage.Inputs`."""

    def __init__(self, files: Mapping[str, list[File]]) -> None:
        self._files = files

    def one(self, role: str) -> File:
        (file,) = self._files[role]
        return file

    def many(self, role: str) -> list[File]:
        return sorted(self._files[role])

    def roles(self) -> list[str]:
        return list(self._files)


class Made:
    """`config.stage.Outputs`; collections are not made here."""

    run_id = attempt_id = ""

    def __init__(self, folder: str, names: Mapping[str, str]) -> None:
        self._folder = folder
        self._names = names

    def open(self, role: str, member: str = "") -> BinaryIO:
        return open(self.path(role, member), "xb")

    def path(self, role: str, member: str = "") -> str:  # noqa: ARG002 - one shape for every runner
        path = os.path.join(self._folder, *self._names[role].split("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def previous(self, role: str) -> dict[str, File]:  # noqa: ARG002
        return {}

    def before(self, role: str) -> File | None:  # noqa: ARG002
        return None

    def keep(self, role: str, member: str) -> None:
        raise KeyError(f"{role}/{member}")


def run_stages(
    dag: Dag, stages: Collection[str], files: dict[str, list[File]], folder: str, settings: Mapping[str, Any]
) -> dict[str, Report]:
    """Run every node of these stages in order. `files`: artifact (or collection) → files, those made are added. Gives the reports."""
    reports = {}
    for node in (dag.nodes[name] for name in dag.order):
        if node.stage in stages:
            given = Given({role: files[name] for role, name in node.inputs.items()})
            declared = {name: settings[name] for name in (*node.settings, *node.secrets)}
            made = Made(folder, node.outputs)
            reports[node.name] = load(node.run)(given, made, declared)
            files |= {name: [as_file(made.path(role), name)] for role, name in node.outputs.items()}
    return reports


def as_file(path: str, name: str) -> File:
    """A file on disk as a stage sees it."""
    with open(path, "rb") as data:
        sha256 = hashlib.file_digest(data, "sha256").hexdigest()
    return File(name, path, sha256, os.path.getsize(path))
