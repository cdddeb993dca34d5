"""The history that stayed in the remote state when only the core was pulled: brought for commands that look at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from config.errors import StateError, StateMissing
from scripts.state.local import Local
from scripts.state.pull import base_of, registry_of, snapshot_of
from scripts.state.session import open_session

if TYPE_CHECKING:
    from scripts.project import Project


def complete(project: Project) -> bool:
    """Make this machine's registry whole, as of the generation it has; gives whether anything was missing.

    Raises StateError when the remote cannot be had, or keeps that generation no more; BusyError beside a run.
    """
    from pipeline.upkeep.merge import merge

    local = Local(project.data_dir)
    known = local.base()
    if known is None or not known.partial:
        return False
    session = open_session(project)
    with local.locked():
        base = base_of(session)
        ours = snapshot_of(session, project)
        if base is None or not base.partial or ours is None:
            return False
        try:
            whole = registry_of(session, base.manifest)
        except StateMissing:
            raise StateError(
                "The history of what is here is in the remote state no more.", "First: python main.py state pull"
            ) from None
        merged = session.temporary()
        project.pipeline.adopt(merged, None, merge(ours, whole, base.registry, merged).moves, ours)
        local.keep(base.manifest, whole)
    return True
