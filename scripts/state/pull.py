"""The state as it is elsewhere, brought here: the manifest and the registry at once, files when they are needed."""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from config.errors import HeadMoved, PDPError, StateError, StateMissing, UsageError
from scripts.state import alerts, guards
from scripts.state.local import Base
from scripts.state.manifest import Generation, Lease, Manifest
from scripts.state.session import Session, open_session

if TYPE_CHECKING:
    from scripts.project import Project


class Pulled(NamedTuple):
    """What a pull did."""

    generation: int | None
    """What this machine has now; None: the remote is empty."""
    changed: bool
    merged: bool
    """This machine had runs of its own, and they were kept."""
    up: int
    down: int
    """Bytes moved."""


def pull(project: Project, *, accept_rollback: bool = False, generation: int | None = None, whole: bool = False) -> Pulled:
    """Make the remote's registry this machine's; runs only this machine has are merged in. Verifies all before it replaces anything.

    An empty machine gets the registry's core, and history when something looks at it; with `whole` all at once.
    `generation` sets this machine back to an earlier one the remote still keeps; a push then makes that the present.
    Raises StateError, SettingsError (no remote, no key, another key), BusyError (a run here, or a lease elsewhere).
    """
    session = open_session(project)
    with session.local.locked():
        found = session.head()
        base = base_of(session)
        guards.refuse_vanished(found[0] if found else None, base)
        if found is None:
            session.local.note_empty()
            return Pulled(None, False, False, session.up, session.down)
        head, tag = found
        guards.refuse_other(head, base)
        if guards.went_back(head, base):
            guards.refuse_rollback(head, None if accept_rollback else base)
            base = None  # what is missing there was not removed, but never arrived
        head = _leased(session, head, tag)
        if generation is not None:
            _set_back(session, project, head, base, generation)
            changed, merged = True, False
        else:
            changed, merged = _brought(session, project, head, base, whole=whole)
        told = alerts.merged(alerts.kept(project.data_dir), head.alerts, base.manifest.alerts if base else "")
        alerts.take_over(project.data_dir, told)
        look_afar(project)
        return Pulled(generation or head.generation, changed, merged, session.up, session.down)


def registry_of(session: Session, what: Manifest | Generation) -> str:
    """A generation's registry in a file of its own, verified and known to be one. Raises StateError."""
    from pipeline.upkeep.snapshot import live

    path = session.fetched(what.registry)
    try:
        live(path)
    except PDPError as error:
        raise StateError(f"The registry in the remote state cannot be used: {error.what}", error.mend) from None
    return path


def snapshot_of(session: Session, project: Project) -> str | None:
    """This machine's registry as it travels; None when nothing has run here. Raises BusyError beside a run."""
    with project.pipeline.reading() as registry:
        if registry is None:
            return None
    path = session.temporary()
    project.pipeline.snapshot(path)
    return path


def base_of(session: Session) -> Base | None:
    """What this machine has last pulled or pushed, its registry whole: fetched again if the file here is damaged."""
    base = session.local.base()
    if base is not None and not base.is_whole():
        try:
            session.fetch(base.content, base.registry)
        except StateMissing:
            raise StateError(
                "What this machine remembers of the remote state is damaged, and too old to be fetched again.",
                "Move the folder state/ of the data directory away, then: python main.py state pull",
            ) from None
    return base


def _brought(session: Session, project: Project, head: Manifest, base: Base | None, *, whole: bool) -> tuple[bool, bool]:
    """(whether this machine's registry changed, whether it was merged)"""
    from pipeline.upkeep.merge import merge
    from pipeline.upkeep.snapshot import same

    ours = snapshot_of(session, project)
    if ours is not None and base is not None and _is_here(head, base, whole=whole):
        session.local.keep(head, base.registry, partial=base.partial)
        return False, False
    if base is None and ours is not None and project.examples:
        raise StateError(
            "This data directory holds the shipped examples; they should not be mixed with the state elsewhere.",
            "Set DATA_DIR to an empty folder, or move this one away.",
        )
    if not whole and (ours is None or (base is not None and base.partial and same(ours, base.registry))):
        with suppress(StateError):  # damaged: the whole registry says the same, and more
            return _core_taken_over(session, project, head, ours), False
    theirs = registry_of(session, head)
    common = (base.set_back or base.registry) if base else None
    if ours is None or same(ours, theirs) or (common and same(ours, common)):
        merged, moves = theirs, []
    else:
        merged = session.temporary()
        moves = merge(ours, theirs, common, merged).moves
    changed = ours is None or not same(ours, merged)
    if changed:
        project.pipeline.adopt(merged, None, moves, ours)
    session.local.keep(head, theirs)
    return changed, merged != theirs


def _is_here(head: Manifest, base: Base, *, whole: bool) -> bool:
    return not base.set_back and head.registry == base.manifest.registry and not (whole and base.partial)


def _core_taken_over(session: Session, project: Project, head: Manifest, ours: str | None) -> bool:
    """Make the core of the head's registry this machine's. Raises StateError when there is none to be had."""
    if head.core is None:
        raise StateMissing("This state has no core.", "")
    core = session.fetched(head.core)
    project.pipeline.adopt(core, None, [], ours)
    session.local.keep(head, core, partial=True)
    return True


def _set_back(session: Session, project: Project, head: Manifest, base: Base | None, generation: int) -> None:
    import shutil

    from pipeline.upkeep.snapshot import same

    wanted = next((g for g in head.history if g.generation == generation), None)
    if wanted is None:
        kept = ", ".join(str(g.generation) for g in head.history)
        raise UsageError(f"The remote keeps no generation {generation}.", f"Generations that are kept: {kept}.")
    ours = snapshot_of(session, project)
    if ours is not None and not (base and (same(ours, base.registry) or (base.set_back and same(ours, base.set_back)))):
        raise StateError(
            "This machine has runs the remote state has not; going back would lose them.", "First: python main.py state push"
        )
    present, earlier = registry_of(session, head), registry_of(session, wanted)
    back = session.local.registry(wanted.registry.sha256)
    shutil.copyfile(earlier, back)
    project.pipeline.adopt(earlier, None, [], ours)
    session.local.keep(head, present, wanted.registry.sha256)


def _leased(session: Session, head: Manifest, tag: str) -> Manifest:
    """The head with our lease in it, if the settings ask for one. Raises BusyError while another job has it."""
    ours = session.local.lease()
    guards.refuse_leased(head, ours)
    if not session.lease_minutes or guards.is_swept(head):
        return head
    lease = Lease(session.writer, "job", uuid.uuid4().hex, time.time() + 60 * session.lease_minutes)
    leased = head._replace(lease=lease, run_id=uuid.uuid4().hex)
    with suppress(HeadMoved):  # somebody was quicker: a courtesy only, the push settles it
        session.commit(leased, tag)
        session.local.note_lease(lease.token)
        return leased
    return head


def look_afar(project: Project) -> None:
    """From now on this process finds files in the remote state, too."""
    if project.pipeline.afar is None:
        from scripts.state.afar import open_afar

        project.pipeline.afar = open_afar(project.data_dir, project.settings)
