"""The command `state`: the state kept elsewhere, pulled, pushed, shown and looked after."""

from __future__ import annotations

import fnmatch
import os
import uuid
from argparse import Namespace
from typing import TYPE_CHECKING, Any

from config.errors import BusyError, HeadMoved, StateConflict, UsageError
from scripts.answer import Answer
from scripts.project import Project
from scripts.state import guards
from scripts.words import ago, counted, listed, sized

if TYPE_CHECKING:
    from scripts.state.manifest import Manifest

_HOURS = 24.0
"""Younger objects are never removed by `gc`: a push may be about to speak of them."""
_TRIES = 6


def answer(project: Project, options: Namespace) -> Answer:
    """One action of `state`."""
    actions = {
        "pull": _pull,
        "push": _push,
        "show": _show,
        "verify": _verify,
        "gc": _gc,
        "rotate": _rotate,
        "unlock": _unlock,
    }
    return actions[options.action](project, options)


def _pull(project: Project, options: Namespace) -> Answer:
    from scripts.state.pull import pull

    done = pull(project, accept_rollback=options.accept_rollback, generation=options.generation, whole=options.all)
    brought, size = _brought(project, ["*"] if options.all else options.patterns)
    elsewhere = project.pipeline.elsewhere()
    data = {
        "generation": done.generation,
        "changed": done.changed,
        "merged": done.merged,
        "brought": brought,
        "elsewhere": elsewhere,
        "bytes": {"up": done.up, "down": done.down + size},
    }
    if done.generation is None:
        return Answer(data, "The remote holds no state yet; the first push begins it.")
    if done.merged:
        what = "merged with what only this machine had"
    elif options.generation:
        what = "set back to; push to make it the present"
    else:
        what = "brought" if done.changed else "here already"
    lines = [f"Generation {done.generation} of the state is {what}; {_moved(data)}."]
    if brought:
        lines.append(f"{counted(brought, 'stored version')} brought.")
    if elsewhere:
        lines.append(f"{counted(elsewhere, 'stored version')} lie in the remote state and come when they are needed.")
    return Answer(data, "\n".join(lines))


def _brought(project: Project, patterns: list[str]) -> tuple[int, int]:
    """Have the files of artifacts that fit a pattern here; gives how many came, and the bytes that moved."""
    from scripts.state.afar import RemoteAfar

    if not patterns:
        return 0, 0
    with project.pipeline.reading() as registry:
        rows = [] if registry is None else _versions(registry, everything=patterns == ["*"])
    unmet = [p for p in patterns if p != "*" and not any(fnmatch.fnmatchcase(a.name, p) for a in rows)]
    if unmet:
        raise UsageError(f"No artifact in force fits {unmet[0]!r}.", "Their names: python main.py status")
    wanted = [a for a in rows if any(fnmatch.fnmatchcase(a.name, p) for p in patterns)]
    missing = [a for a in wanted if not os.path.exists(os.path.join(project.data_dir, a.path))]
    project.pipeline.bring(missing)
    return len(missing), project.pipeline.afar.moved if isinstance(project.pipeline.afar, RemoteAfar) else 0


def _versions(registry: Any, *, everything: bool) -> list[Any]:
    from pipeline.registry import Artifact

    columns = "f.id, f.name, f.version, f.sha256, f.size, f.rows, f.path, f.created_at"
    force = "JOIN attempt_output o ON o.artifact_id = f.id JOIN node_state s ON s.attempt_id = o.attempt_id "
    query = f"SELECT DISTINCT {columns} FROM artifact f {'' if everything else force}WHERE f.removed_at IS NULL ORDER BY f.id"
    return [Artifact(*row) for row in registry.db.execute(query)]


def _push(project: Project, options: Namespace) -> Answer:
    from scripts.state.push import push

    done = push(project, anew=options.anew)
    data = {
        "generation": done.generation,
        "changed": done.changed,
        "merged": done.merged,
        "objects": done.objects,
        "bytes": {"up": done.up, "down": done.down},
    }
    if done.generation is None:
        return Answer(data, "Nothing has run here yet; there is nothing to push.")
    if not done.changed and not done.merged:
        return Answer(data, f"The remote has all of it: generation {done.generation}; {_moved(data)}.")
    lines = [f"Generation {done.generation} is committed: {counted(done.objects, 'object')} stored; {_moved(data)}."]
    if done.merged:
        lines.append("Others had pushed meanwhile; this machine has their runs now, too: python main.py, and push again.")
    return Answer(data, "\n".join(lines))


def _show(project: Project, options: Namespace) -> Answer:
    from scripts.state.session import open_session

    session = open_session(project)
    found, base = session.head(), session.local.base()
    data: dict[str, Any] = {"place": session.remote.place, "sealed": bool(session.sealer.key_id), "generation": None}
    data["local"] = base.manifest.generation if base else None
    if found is None:
        return Answer(data, f"{session.remote.place} holds no state yet.")
    head = found[0]
    data |= _facts(head)
    here = f"This machine has generation {base.manifest.generation}." if base else "This machine has never pulled it."
    if base and guards.went_back(head, base):
        here = f"It went back: this machine has seen another generation {base.manifest.generation}."
    lines = [
        f"{session.remote.place} ({'sealed' if session.sealer.key_id else 'not sealed'})",
        f"  Generation {head.generation}, pushed {ago(head.created)} by {head.writer}; registry {sized(head.registry.size)}.",
        f"  It can be set back to: {listed([str(g.generation) for g in head.history[1:]], 10) or 'nothing earlier'}.",
        f"  {here}",
    ]
    if head.lease:
        kind = "A sweep" if head.lease.kind == "sweep" else "A job"
        lines.append(f"  {kind} on {head.lease.owner} has asked others to wait, for {guards.minutes(head.lease)} more minutes.")
    return Answer(data, "\n".join(lines))


def _facts(head: Manifest) -> dict[str, Any]:
    return {
        "generation": head.generation,
        "created": head.created,
        "writer": head.writer,
        "run_id": head.run_id,
        "registry": head.registry._asdict(),
        "history": [{"generation": g.generation, "created": g.created} for g in head.history],
        "lease": head.lease and {"owner": head.lease.owner, "kind": head.lease.kind, "expires": head.lease.expires},
    }


def _verify(project: Project, options: Namespace) -> Answer:
    from scripts.state.session import open_session
    from scripts.state.verify import verify

    session = open_session(project)
    with session.local.locked():
        found = verify(session, project.data_dir, quick=options.quick, repair=options.repair)
    data = {**found._asdict(), "bytes": {"up": found.up, "down": found.down}}
    del data["up"], data["down"]
    checked = f"{counted(found.objects, 'object')} of {counted(len(found.generations), 'generation')}"
    mended = [f"{counted(found.repaired, 'object')} stored again."] if found.repaired else []
    if not found.problems:
        how = "there" if options.quick else "there and whole"
        return Answer(data, "\n".join([*mended, f"The remote state is sound: {checked} {how}."]))
    mend = "What a machine still has is stored again by: python main.py state verify --repair"
    return Answer(data, "\n".join([*mended, *found.problems, *([] if options.repair else [mend])]), 1)


def _gc(project: Project, options: Namespace) -> Answer:
    from scripts.state.collect import collect
    from scripts.state.session import open_session

    session = open_session(project)
    with session.local.locked():
        gone = collect(session, options.keep or session.keep_generations, _HOURS, dry_run=not options.apply)
    data = {
        "objects": gone.objects,
        "kept": gone.kept,
        "generations": gone.generations,
        "dry_run": not options.apply,
        "bytes": {"up": session.up, "down": session.down, "freed": gone.size},
    }
    verb = "are gone" if options.apply else "would go"
    lines = [f"{counted(gone.objects, 'object')} {verb}, {sized(gone.size)}; {counted(gone.kept, 'object')} stay."]
    lines.append(f"Kept: generations {', '.join(map(str, gone.generations))}, and what is younger than a day.")
    return Answer(data, "\n".join(lines))


def _rotate(project: Project, options: Namespace) -> Answer:
    from scripts.state.rotate import new_key, rotate
    from scripts.state.session import open_session

    session = open_session(project)
    with session.local.locked():
        done = rotate(session, new_key(options))
    data = {**done._asdict(), "bytes": {"up": done.up, "down": done.down}}
    del data["up"], data["down"]
    where = f"the content of {options.to_file}" if options.to_file else f"the value of {options.new_key_env}"
    did = f"{counted(done.objects, 'object')} sealed anew, {counted(done.removed, 'object')} of the old key removed"
    lines = [
        f"Generation {done.generation} is sealed with the new key: {did}.",
        f"Now set STATE_KEY to {where}, wherever jobs run; the old key opens nothing here any more.",
    ]
    return Answer(data, "\n".join(lines))


def _unlock(project: Project, options: Namespace) -> Answer:
    from scripts.state.session import open_session

    session = open_session(project)
    for _ in range(_TRIES):
        found = session.head()
        if found is None or found[0].lease is None:
            return Answer({"ended": None}, "Nobody has asked others to wait.")
        head, tag = found
        lease = found[0].lease
        if guards.is_swept(head) and not options.force:
            raise BusyError(
                f"A sweep on {lease.owner} removes objects just now; it ends within {guards.minutes(lease)} minutes.",
                "Wait for it; only if it is surely dead: python main.py state unlock --force",
            )
        try:
            session.commit(head._replace(lease=None, run_id=uuid.uuid4().hex), tag)
        except HeadMoved:
            continue
        kind = "sweep" if lease.kind == "sweep" else "lease"
        return Answer({"ended": {"owner": lease.owner, "kind": lease.kind}}, f"The {kind} of {lease.owner} has ended.")
    raise StateConflict("Others keep changing the remote state.", "Try again.")


def _moved(data: dict[str, Any]) -> str:
    return f"{sized(data['bytes']['up'])} up, {sized(data['bytes']['down'])} down"
