"""One embedded PostgreSQL cluster: make it, start it, stop it. Who may do so at the same time is decided in `server.py`.

The server belongs to no client: it is a session of its own, holds none of our descriptors and survives our Ctrl-C. A pid counts
as ours only if it lives, is no zombie and its command line carries this cluster's token (device and inode of its folder).
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress

from config.errors import WarehouseError
from warehouse.bronze.embedded.cluster import Cluster, Notify, remove, sync_folder
from warehouse.bronze.embedded.launch import launch
from warehouse.bronze.embedded.processes import any_named, command_of, undisturbed
from warehouse.bronze.embedded.sizing import server_settings
from warehouse.bronze.embedded.sockets import PORT, answers, forget_socket, socket_folder

SUPERUSER = "postgres"
_PATIENCE = 3.0  # seconds before a person is told why nothing happens
_START_LIMIT = 1800.0  # crash recovery of a large log may take minutes
_STOP_LIMIT = 120.0
_LOG_LIMIT = 1 << 20
_LINGERING = b"pre-existing shared memory block"
_MEND_LOG = "Its log is {log}; if the folder cannot be saved, move it away: bronze is loaded again from the records."


def running(cluster: Cluster) -> int | None:
    """Pid of this cluster's living server."""
    lines = _pid_file(cluster)
    pid = int(lines[0]) if lines and lines[0].strip().isdigit() else 0
    return pid if pid and cluster.token in command_of(pid) else None


def ready(cluster: Cluster) -> bool:
    """Does this cluster's server accept connections?"""
    lines = _pid_file(cluster)
    return len(lines) > 7 and lines[7].strip() == "ready" and running(cluster) is not None


def conninfo(cluster: Cluster, database: str) -> str:
    """How to reach the running server: the socket folder it says itself, whatever our own TMPDIR would be."""
    host = _pid_file(cluster)[4].replace("\\", "\\\\").replace("'", "\\'")
    return f"host='{host}' port={PORT} user={SUPERUSER} dbname={database}"


def initialise(cluster: Cluster, lock: int, notify: Notify) -> None:
    """initdb into `pg<major>.tmp`, then one rename: an interrupted initdb never looks like a cluster.

    initdb inherits `lock`, so if we are killed nobody starts over beside it.
    """
    building = cluster.path + ".tmp"
    remove(building)
    notify("Creating the embedded database; this happens once and takes a few seconds.")
    os.mkdir(building, 0o700)
    if cluster.user:
        os.chown(building, cluster.user.uid, cluster.user.gid)
    options = ["-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-instructions"]
    if cluster.major >= 17:
        options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    child = None
    try:
        with open(_log(cluster), "ab") as log, undisturbed():
            child = launch(cluster, building, "initdb", options, log, (lock,))
        code = child.wait()
    except BaseException:
        if child:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        raise
    if code:
        raise WarehouseError("The embedded database could not be created.", f"Look into {cluster.log}.")
    os.rename(building, cluster.path)
    sync_folder(cluster.folder)


def start(cluster: Cluster, notify: Notify) -> None:
    """Start the server and wait until it answers, crash recovery included."""
    _settle_pid_file(cluster)
    began, told = time.monotonic(), 0.0
    while True:
        child = None
        try:
            with undisturbed():
                child, log_start = _spawn(cluster)
            while child.poll() is None:
                if ready(cluster):
                    return
                waited = time.monotonic() - began
                if waited - told > _PATIENCE:
                    told = waited
                    notify(f"The embedded database is starting, {waited:.0f} s so far; after a crash it replays its log first.")
                if waited > _START_LIMIT:
                    raise WarehouseError("The embedded database does not come up.", _MEND_LOG.format(log=cluster.log))
                time.sleep(0.02)
        except BaseException:  # a server nobody has asked for any more, not yet known by its pid file
            if child:
                _end(child)
            raise
        if running(cluster) and wait_ready(cluster, notify):
            return  # a client that was killed had just started it
        # a postmaster that was killed leaves backends behind for a moment: they see it and go
        lingering = _LINGERING in _log_since(cluster, log_start)
        if not lingering or time.monotonic() - began > _STOP_LIMIT:
            forget_socket(cluster)
            raise WarehouseError("The embedded database does not start.", _MEND_LOG.format(log=cluster.log))
        time.sleep(0.25)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Stop a server that may not listen yet: where SIGQUIT is ignored (nohup, `&`), it hears nothing before it has come up."""
    until = time.monotonic() + _STOP_LIMIT
    while child.poll() is None:
        child.send_signal(signal.SIGQUIT if time.monotonic() < until else signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            child.wait(0.1)


def wait_ready(cluster: Cluster, notify: Notify) -> bool:
    """Wait for a server another process has started; False when it dies meanwhile."""
    began, told = time.monotonic(), 0.0
    while running(cluster):
        if ready(cluster):
            return True
        waited = time.monotonic() - began
        if waited > _START_LIMIT:
            raise WarehouseError("The embedded database does not come up.", _MEND_LOG.format(log=cluster.log))
        if waited - told > _PATIENCE:
            told = waited
            notify(f"Waiting for the embedded database, {waited:.0f} s so far.")
        time.sleep(0.02)
    return False


def stop(cluster: Cluster) -> bool:
    """Fast shutdown: checkpoint, then exit. False when it had to be cut short; the next start recovers."""
    for how, limit in ((signal.SIGINT, _STOP_LIMIT), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0)):
        pid = running(cluster)
        if pid is None:
            break
        with suppress(ProcessLookupError):
            os.kill(pid, how)
        deadline = time.monotonic() + limit
        while cluster.token in command_of(pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)  # if we started it, it is our zombie
        if how == signal.SIGINT and running(cluster) is None:
            forget_socket(cluster)
            return not os.path.exists(cluster.pid_file)
    return False


def _spawn(cluster: Cluster) -> tuple[subprocess.Popen[bytes], int]:
    settings = {**server_settings(cluster.major, cluster.folder), "cluster_name": cluster.token}
    options = ["-p", str(PORT), "-k", socket_folder(cluster)]
    for name, value in settings.items():
        options += ["-c", f"{name}={value}"]
    with open(_log(cluster), "ab") as log:
        return launch(cluster, cluster.path, "postgres", options, log), log.tell()


def _settle_pid_file(cluster: Cluster) -> None:
    """A pid file whose pid now is a zombie or some other program keeps PostgreSQL from starting; the rest it settles itself."""
    lines = _pid_file(cluster)
    pid = int(lines[0]) if lines and lines[0].strip().isdigit() else 0
    program = os.path.basename(command_of(pid).partition(" ")[0]) if pid else ""
    if not pid or program.rstrip(":") in {"postgres", "postmaster"}:
        return  # some server: PostgreSQL itself decides whether it may start beside it
    if not _still_counts(pid):
        return
    deadline = time.monotonic() + _STOP_LIMIT
    while any_named(cluster.token):  # backends of the killed server still hold the cluster
        if time.monotonic() > deadline:
            raise WarehouseError("Processes of a killed database server do not end.", _MEND_LOG.format(log=cluster.log))
        time.sleep(0.1)
    for path in (cluster.pid_file, *_stale_socket(lines, pid)):
        with suppress(FileNotFoundError):
            os.unlink(path)


def _still_counts(pid: int) -> bool:
    """Would PostgreSQL take this pid for a living process? A zombie of ours is reaped first."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _stale_socket(lines: list[str], pid: int) -> list[str]:
    """The socket and its lock file, if the lock names this very pid."""
    found = os.path.join(lines[4] if len(lines) > 4 else "", f".s.PGSQL.{PORT}")
    try:
        with open(found + ".lock", encoding="ascii", errors="replace") as text:
            named = text.readline().strip()
    except OSError:
        return []
    return [found, found + ".lock"] if named == str(pid) else []


def foreign_server(cluster: Cluster) -> bool:
    """Does a server we cannot see as a process (another container on the same folder) answer on our socket?"""
    lines = _pid_file(cluster)
    return len(lines) > 4 and running(cluster) is None and answers(lines[4])


def _pid_file(cluster: Cluster) -> list[str]:
    try:
        with open(cluster.pid_file, encoding="utf-8", errors="surrogateescape") as text:
            return text.read().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []


def _log(cluster: Cluster) -> str:
    fresh = not os.path.exists(cluster.log) or os.path.getsize(cluster.log) > _LOG_LIMIT
    os.close(os.open(cluster.log, os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if fresh else 0), 0o600))
    return cluster.log


def _log_since(cluster: Cluster, offset: int) -> bytes:
    with open(cluster.log, "rb") as log:
        log.seek(offset)
        return log.read()
