"""Taking over another registry's rows: in one transaction, so that killed anywhere the old rows stand or the new ones.

Readers beside it see the one or the other. Stored versions that get another number have both names until the rows have changed; what the
rows do not own is swept then, or by the next start.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Sequence

from config.errors import BusyError
from pipeline.afar import INCOMING, make_private
from pipeline.commit import begin_run
from pipeline.recovery import ADOPTING, tidy
from pipeline.registry import Registry, as_uri, sync_folder
from pipeline.store import Store
from pipeline.upkeep.snapshot import TABLES, current, opened, same, snapshot, unpacked


def adopt(
    registry: Registry, store: Store, snapshot_file: str, texts: bytes, moves: Sequence[tuple[str, str]], ours: str | None
) -> None:
    """Make a snapshot's rows ours, to be called under the run lock after recovery. `texts` are explanations that come with them; `moves`
    are (old path, new path) of stored versions that got another number; `ours` is what must still be here, None for nothing.

    Raises BusyError when something else is here by now, RegistryError for a file that cannot be trusted; both change nothing.
    """
    work = os.path.join(store.root, INCOMING, uuid.uuid4().hex)
    make_private(os.path.dirname(work), store.root)
    identities, sources = unpacked(texts)
    try:
        _refuse_moved(registry, ours, work + ".here")
        source = current(snapshot_file, work + ".there")
        with opened(source) as db:
            Registry(db).refuse_damaged()
        run_id = uuid.uuid4().hex
        begin_run(registry, run_id, json.dumps({ADOPTING: len(moves)}))  # from here on a crash is known to have left something
        for old, new in moves:
            _give_name(store, old, new)
        _replace_rows(registry, source, run_id, identities, sources)
    finally:
        for left in (work + ".here", work + ".there"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(left)
    tidy(registry, store)
    with registry.atomic() as db:
        db.execute("DELETE FROM run WHERE id = ?", (run_id,))


def _refuse_moved(registry: Registry, ours: str | None, work: str) -> None:
    if ours is None:
        still = registry.db.execute("SELECT 1 FROM run LIMIT 1").fetchone() is None
    else:
        snapshot(registry, work)
        still = same(work, ours)
    if not still:
        raise BusyError("Something has run here since the registry was read.", "Try again.")


def _give_name(store: Store, old: str, new: str) -> None:
    """Give a stored version its new name beside the old one; nothing when its bytes are not here."""
    source, target = store.path(old), store.path(new)
    if not os.path.lexists(source):
        return
    make_private(os.path.dirname(target), store.root)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(target)  # of one that was killed: perhaps half copied
    try:
        os.link(source, target)
    except OSError:  # no hard links here
        shutil.copy2(source, target)
        fd = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    sync_folder(os.path.dirname(target))


def _replace_rows(
    registry: Registry, source: str, run_id: str, identities: dict[str, list[object]], sources: dict[str, str]
) -> None:
    """All rows at once; caches stay, and explanations of identities that are still known."""
    registry.db.execute("ATTACH ? AS adopted", (as_uri(source, "mode=ro"),))
    try:
        with registry.atomic() as db:
            own = db.execute("SELECT * FROM run WHERE id = ?", (run_id,)).fetchone()
            for table in reversed(TABLES):
                if table != "identity":
                    db.execute(f"DELETE FROM main.{table}")
            db.execute("DELETE FROM main.identity WHERE id NOT IN (SELECT id FROM adopted.identity)")
            for table in TABLES:
                unless_there = " WHERE true ON CONFLICT DO NOTHING" if table == "identity" else ""
                db.execute(f"INSERT INTO main.{table} SELECT * FROM adopted.{table}{unless_there}")
            db.execute(f"INSERT INTO main.run VALUES ({', '.join('?' * len(own))})", own)
            told = [(json.dumps(leaves), ident) for ident, (_, leaves) in identities.items()]
            db.executemany("UPDATE main.identity SET leaves = ? WHERE id = ?", told)
            db.executemany("INSERT OR IGNORE INTO main.source_text VALUES (?, ?)", list(sources.items()))
    finally:
        registry.db.execute("DETACH adopted")
