"""Puts the rooms together: which sources there are to read, their DAG, the settings, the engine over them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from config.errors import SettingsError, UsageError
from config.snapshot import NodeSettings, node_settings
from config.sources import SOURCES, Source, hint, is_live
from pipeline import Pipeline, Selection
from pipeline.listing import below
from pipeline.node import Node
from pipeline.nodes import STAGES, nodes
from pipeline.registry import Registry

if TYPE_CHECKING:
    from pipeline.afar import Afar

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
EXAMPLE = "example"
"""The `environment` of rows that come from the shipped examples."""


class Project(NamedTuple):
    """A pipeline ready to run, and what a person should know of how it was put together."""

    pipeline: Pipeline
    settings: NodeSettings
    sources: list[str]
    """Sources in the DAG."""
    frozen: list[str]
    """Sources with nothing to look at now; what they brought earlier stays."""
    left_out: list[Source]
    examples: bool
    """Running on the shipped examples, because there is nothing else to read."""
    strays: list[str]
    """Folders of the inbox that hold files and are no source's; '' for files in the inbox itself."""
    undeclared: Sequence[str] = ()
    """Sources that have brought something once and whose declaration is gone."""

    @property
    def data_dir(self) -> str:
        return self.pipeline.data_dir

    def selection(self, names: Sequence[str] = (), **asked: object) -> Selection:
        """What to ask of the engine; only the sources in `names` are looked at, if any are given. UsageError for one that is not there."""
        for name in names:
            if name not in SOURCES:
                raise UsageError(f"There is no source named {name!r}.", f"Sources are: {', '.join(SOURCES)}.")
            if name not in self.sources:
                raise UsageError(f"{name} has nothing to read.", f"To switch it on, {hint(name, self.settings)}.")
        held = [f"ingestion.{s}.extract" for s in self.frozen]
        for node in self.pipeline.dag.nodes.values() if names else []:
            owner = next((s for s in self.sources if s in node.name.split(".")), None)
            if owner is not None and owner not in names and node.name not in held:
                held.append(node.name)
        return Selection(hold_nodes=tuple(held), **asked)  # type: ignore[arg-type]


def open_project(root: str = ROOT) -> Project:
    """The project at `root` as its inbox, settings and registry stand now. Raises SettingsError for a wrong setting."""
    own = os.path.join(root, "config", "settings.yaml")
    override = os.environ.get("PDP_SETTINGS")
    if override and not os.path.isfile(override):
        raise SettingsError("PDP_SETTINGS names a file that is not there.", "Example: PDP_SETTINGS=config/settings.yaml")
    files = [os.path.abspath(override)] if override else [own]
    settings = node_settings(root, files)
    data_dir = str(settings["data_dir"])
    dropped = [s for s in SOURCES if below(data_dir, f"inbox/{s}/**")]
    live = [name for name in SOURCES if is_live(name, settings)]
    strays = _strays(data_dir)
    brought, example = _brought(data_dir)
    sources = [s for s in SOURCES if s in dropped or s in live or (s in brought and s not in example)]
    undeclared = sorted(brought - example - SOURCES.keys())
    if sources:
        frozen = [s for s in sources if s not in dropped and s not in live]
        left_out = [s for s in SOURCES.values() if s.name not in sources]
        pipeline = Pipeline(
            nodes(
                sources,
                live,
                sealed=bool(settings["state_key_id"]),
                unified=[s for s in sources if settings[f"unify_{s}"]],
            ),
            data_dir,
            settings,
            STAGES,
            code_root=root,
            afar=_afar(data_dir, settings),
        )
        if example:
            pipeline.forget(lambda _: True)
        return Project(pipeline, settings, sources, frozen, left_out, False, strays, undeclared)
    settings = node_settings(root, [os.path.join(root, "examples", "settings.yaml"), *files])
    return example_project(settings, data_dir, root, strays)._replace(undeclared=undeclared)


def example_project(settings: NodeSettings, data_dir: str, root: str, strays: list[str]) -> Project:
    """The pipeline over the shipped examples, working in `data_dir`."""
    settings.plain["environment"] = EXAMPLE
    shipped = [s for s in SOURCES if below(root, f"examples/inbox/{s}/**")]
    inbox = {"examples": os.path.join(root, "examples", "inbox")}
    pipeline = Pipeline(
        _as_examples(shipped, bool(settings["state_key_id"])), data_dir, settings, STAGES, inbox, root, _afar(data_dir, settings)
    )
    return Project(pipeline, settings, shipped, [], [], examples=True, strays=strays)


def _afar(data_dir: str, settings: NodeSettings) -> Afar | None:
    """The remote state, if this data root was pulled from one or pushed to it."""
    if not os.path.exists(os.path.join(data_dir, "state", "manifest.json")):
        return None
    from scripts.state.afar import open_afar

    return open_afar(data_dir, settings)


def _as_examples(sources: list[str], sealed: bool) -> list[Node]:
    """The DAG reading `examples/inbox`: the logical names say so, in every lineage."""
    return [
        node._replace(files={role: pattern.replace("inbox/", "examples/", 1) for role, pattern in node.files.items()})
        for node in nodes(sources, sealed=sealed)
    ]


def _strays(data_dir: str) -> list[str]:
    """See `Project.strays`; hidden files and folders are nobody's business."""
    found = set()
    try:
        entries = [e for e in os.scandir(os.path.join(data_dir, "inbox")) if not e.name.startswith(".")]
    except OSError:
        return []
    for entry in entries:
        if not entry.is_dir():
            found.add("")
        elif entry.name not in SOURCES and _holds_files(entry.path):
            found.add(entry.name)
    return sorted(found)


def _holds_files(folder: str) -> bool:
    return any(not name.startswith(".") for _, _, files in os.walk(folder) for name in files)


def _brought(data_dir: str) -> tuple[set[str], set[str]]:
    """(sources with raw artifacts in force, those of them that came from the examples)."""
    if not os.path.exists(os.path.join(data_dir, "registry.db")):
        return set(), set()
    registry = Registry.read(data_dir)
    if registry is None:
        return set(), set()
    try:
        rows = registry.db.execute(
            "SELECT s.node, EXISTS (SELECT 1 FROM attempt_input i WHERE i.attempt_id = s.attempt_id AND i.name LIKE 'examples/%') "
            "FROM node_state s WHERE s.node LIKE 'ingestion.%.extract' "
            "AND EXISTS (SELECT 1 FROM attempt_output o WHERE o.attempt_id = s.attempt_id)"
        ).fetchall()
    finally:
        registry.close()
    names = {node.split(".")[1]: bool(example) for node, example in rows}
    return set(names), {name for name, example in names.items() if example}
