"""The embedded server as its users see it: there while anybody needs it, gone when the last one leaves.

One kernel lock (`postgres/lock`) serialises creating, starting and stopping. Every client process holds a shared kernel lock
(`postgres/clients`) that the kernel drops even on kill -9; whoever leaves and then gets it exclusively was the last and stops the
server. What a clean stop leaves behind, the ledger in a file, is described in `ledger.py`.
"""

from __future__ import annotations

import atexit
import fcntl
import logging
import multiprocessing.util
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from config.errors import BusyError, WarehouseError
from warehouse.bronze import ledger
from warehouse.bronze.embedded.cluster import Cluster, Notify, locate
from warehouse.bronze.embedded.lifecycle import conninfo, foreign_server, initialise, ready, running, start, stop, wait_ready

DATABASE = "pdp"
"""The database the loader uses in the embedded server."""

_LOCK_LIMIT = 1800.0
_PATIENCE = 3.0
_log = logging.getLogger(__name__)


@dataclass
class _Held:
    """This process's stake in one server."""

    cluster: Cluster
    clients: int
    users: int = 0
    kept: bool = False


@dataclass
class _Holder:
    """All stakes of one process. A forked child starts with none: the parent's locks are the parent's."""

    pid: int
    guard: threading.RLock = field(default_factory=threading.RLock)
    held: dict[str, _Held] = field(default_factory=dict)


_HOLDERS: list[_Holder] = []
"""At most one: this process's. The one piece of state, since the kernel's locks belong to the process too."""


@contextmanager
def embedded(data_dir: str, notify: Notify | None = None) -> Iterator[str]:
    """The embedded server of `data_dir` is up inside the block; gives its connection string. Re-entrant, any thread."""
    holder, key = _holder(), os.path.realpath(data_dir)
    with holder.guard:
        dsn = _enter(holder, key, notify or _log.info)
        holder.held[key].users += 1
    try:
        yield dsn
    finally:
        with holder.guard:
            held = holder.held.get(key)
            if held:
                held.users -= 1
                if not held.users and not held.kept:
                    _leave(holder, key)


def lease(data_dir: str, notify: Notify | None = None) -> str:
    """Like `embedded`, but kept until this process exits: no start and stop per node. Gives the connection string."""
    holder, key = _holder(), os.path.realpath(data_dir)
    with holder.guard:
        dsn = _enter(holder, key, notify or _log.info)
        if not holder.held[key].kept:
            holder.held[key].kept = True
            atexit.register(release, data_dir)
            # a worker of multiprocessing leaves by os._exit and runs these instead
            multiprocessing.util.Finalize(None, release, (data_dir,), exitpriority=-100)
        return dsn


def release(data_dir: str) -> None:
    """Give a lease back before the process exits. Harmless when there is none."""
    holder, key = _holder(), os.path.realpath(data_dir)
    with holder.guard:
        held = holder.held.get(key)
        if held:
            held.kept = False
            if not held.users:
                _leave(holder, key)


@contextmanager
def alone(data_dir: str, notify: Notify) -> Iterator[int]:
    """Nobody else makes, starts, stops or uses the embedded server of `data_dir` inside the block.

    Gives the lock, for a child that must not outlive it. BusyError when somebody uses the server.
    """
    folder = _folder(os.path.realpath(data_dir))
    with _exclusive(folder, notify) as lock:
        clients = _open(os.path.join(folder, "clients"))
        try:
            try:
                fcntl.flock(clients, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BusyError("Another command uses the embedded database.", "Run again when it has ended.") from None
            yield lock
        finally:
            os.close(clients)


def exists(data_dir: str) -> bool:
    """Has an embedded database been made here? Starts nothing."""
    return ledger.cluster_folder(data_dir) is not None


def stop_if_unused(data_dir: str) -> None:
    """Stop a server whose clients were all killed. Costs a look at two files when there is nothing to do."""
    path = ledger.cluster_folder(data_dir)
    if not path or not os.path.exists(os.path.join(path, "postmaster.pid")) or os.path.realpath(data_dir) in _holder().held:
        return
    cluster = locate(data_dir)
    with _exclusive(cluster.folder, _log.info):
        _stop_if_last(cluster)


def _holder() -> _Holder:
    if not _HOLDERS or _HOLDERS[0].pid != os.getpid():
        _HOLDERS[:] = [_Holder(os.getpid())]
    return _HOLDERS[0]


def _enter(holder: _Holder, key: str, notify: Notify) -> str:
    held = holder.held.get(key)
    if held and ready(held.cluster):
        return conninfo(held.cluster, DATABASE)
    folder = _folder(key)
    with _exclusive(folder, notify) as lock:
        clients = held.clients if held else _open(os.path.join(folder, "clients"))
        try:
            fcntl.flock(clients, fcntl.LOCK_SH)
            cluster = locate(key)
            _bring_up(cluster, lock, notify)
        except BaseException:
            if not held:
                os.close(clients)
            raise
        if not held:
            holder.held[key] = _Held(cluster, clients)
        return conninfo(cluster, DATABASE)


def _bring_up(cluster: Cluster, lock: int, notify: Notify) -> None:
    if not os.path.isdir(cluster.path):
        initialise(cluster, lock, notify)
    if running(cluster) and wait_ready(cluster, notify):
        return
    if foreign_server(cluster):
        return
    start(cluster, notify)


def _leave(holder: _Holder, key: str) -> None:
    held = holder.held.pop(key)
    folder = os.path.join(key, "postgres")
    if not os.path.isdir(folder):  # the data root was removed under us
        os.close(held.clients)
        return
    with _exclusive(folder, _log.info):
        fcntl.flock(held.clients, fcntl.LOCK_UN)  # unlocks it for a forked child's copy of the descriptor too
        os.close(held.clients)
        _stop_if_last(held.cluster)


def _stop_if_last(cluster: Cluster) -> None:
    clients = _open(os.path.join(cluster.folder, "clients"))
    try:
        fcntl.flock(clients, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if running(cluster):
            loads, clean = None, False
            try:
                loads = ledger.snapshot(conninfo(cluster, DATABASE)) if ready(cluster) else None
            finally:
                clean = stop(cluster)
            if clean and loads is not None:
                ledger.save(cluster.folder, os.path.basename(cluster.path), loads)
    except BlockingIOError:
        return  # somebody else needs it
    finally:
        os.close(clients)


def _folder(data_dir: str) -> str:
    folder = os.path.join(data_dir, "postgres")
    try:
        os.makedirs(data_dir, mode=0o700, exist_ok=True)
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError as error:
        raise WarehouseError(
            f"The folder of the embedded database cannot be made ({error.strerror}).",
            "Set DATA_DIR to a folder you may write to, or set DATABASE_URL.",
        ) from error
    return folder


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise WarehouseError(
            f"The lock of the embedded database cannot be opened ({error.strerror}).",
            "Run as the user the folder postgres/ belongs to, or set DATABASE_URL.",
        ) from error


@contextmanager
def _exclusive(folder: str, notify: Notify) -> Iterator[int]:
    """The lock that serialises create, start and stop."""
    lock = _open(os.path.join(folder, "lock"))
    try:
        began, told = time.monotonic(), 0.0
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waited = time.monotonic() - began
            if waited > _LOCK_LIMIT:
                raise WarehouseError("Another process has been starting or stopping the database for half an hour.", "End it.")
            if waited - told > _PATIENCE:
                told = waited
                notify(f"Another process starts or stops the embedded database; waiting, {waited:.0f} s so far.")
            time.sleep(0.02)
        yield lock
    finally:
        os.close(lock)
