"""Everything sealed anew with another key. The old key is the key until the head is committed; what is sealed already stays sealed."""

from __future__ import annotations

import base64
import os
import uuid
from argparse import Namespace
from typing import NamedTuple

from config.errors import HeadMoved, SettingsError, StateConflict, StateError, UsageError
from config.sealing import key_id, key_of
from scripts.state.collect import collect, contents_of
from scripts.state.local import write
from scripts.state.manifest import Manifest
from scripts.state.seal import Sealer
from scripts.state.session import Session

_TRIES = 6


class Rotated(NamedTuple):
    """What a rotation did."""

    generation: int
    objects: int
    """Sealed anew by this command; those an interrupted one had done are not counted."""
    removed: int
    """Objects sealed with the old key that are gone."""
    up: int
    down: int


def new_key(options: Namespace) -> str:
    """The key to rotate to. A file that is not there is made, with a new key, readable by nobody else."""
    if options.new_key_env:
        key = os.environ.get(options.new_key_env, "")
        if not key.strip():
            raise UsageError(f"{options.new_key_env} is not set.", "Make a key with: openssl rand -base64 32")
        return key
    path = os.path.abspath(os.path.expanduser(options.to_file))
    try:
        if not os.path.exists(path):
            write(path, base64.b64encode(os.urandom(32)) + b"\n")
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError):
        raise UsageError("The file for the new key cannot be read or written.", "Give another one.") from None


def rotate(session: Session, key: str) -> Rotated:
    """Seal all kept generations with `key`, commit the head sealed with it, then remove what the old key sealed.

    The caller holds the local lock. Raises StateConflict when others keep committing: what is sealed already stays for the next try.
    """
    if not session.sealer.key_id:
        raise SettingsError(
            "The remote state is not sealed: there is no key to replace.", "Set STATE_KEY and push to an empty place."
        )
    if key_id(key_of(key)) == session.sealer.key_id:
        raise UsageError("The new key is the present STATE_KEY.", "Give another one: openssl rand -base64 32")
    fresh = Session(session.remote, Sealer(key), session.local, session.keep_generations)
    objects = 0
    for _ in range(_TRIES):
        if (found := _head(session, fresh)) is None:  # an earlier command had come as far as the head
            break
        head, tag = found
        objects += _sealed_anew(session, fresh, head)
        try:
            fresh.commit(head._replace(run_id=uuid.uuid4().hex, lease=None), tag)
            break
        except HeadMoved:
            continue
    else:
        raise StateConflict("Others keep changing the remote state; the old key still is the key.", "Rotate again later.")
    gone = collect(fresh, session.keep_generations, 0, dry_run=False)
    return Rotated(gone.generations[0], objects, gone.objects, session.up + fresh.up, session.down + fresh.down)


def _head(session: Session, fresh: Session) -> tuple[Manifest, str] | None:
    """The head under the old key; None when it is sealed with the new one already. Raises StateError without a state."""
    try:
        found = session.head()
    except SettingsError:
        if fresh.head() is not None:
            return None
        raise
    if found is None:
        raise StateError("The remote holds no state yet.", "Set the new key and push.")
    return found


def _sealed_anew(session: Session, fresh: Session, head: Manifest) -> int:
    """Store under the new key whatever is not there yet; gives how many contents that were."""
    done = 0
    tight = {head.core, *(content for g in head.history for content in (g.registry, g.texts))}
    for content in contents_of(session, head):
        if fresh.remote.exists(fresh.sealer.name(content.sha256)):
            continue
        path = session.fetched(content)
        fresh.send(content, path, tight=content in tight)
        os.unlink(path)
        done += 1
    return done
