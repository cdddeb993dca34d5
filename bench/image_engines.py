"""How `bench/image.py` builds and runs the image: by Docker where there is an engine, else by buildah and podman on a base of its own.

The second way needs root and Debian's packages podman, buildah, crun and mmdebstrap; no daemon, no registry, no systemd.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.harness import REPO

_TOOLS = ("podman", "buildah", "crun", "unshare")
_BASE = "localhost/pdp-base:bookworm"
_PACKAGES = "python3,python3-venv,python3-pip,ca-certificates,tini"
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_HARDENED = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")


class Docker:
    """An engine that is there."""

    name = "docker"

    def build(self, tag: str) -> None:
        """Build without a cache. Raises CalledProcessError."""
        _quiet(["docker", "build", "--no-cache", "--tag", tag, "."])

    def prepare(self) -> None:
        """Fetch the base, so that it is not part of the build's time."""
        _quiet(["docker", "pull", _default_base()])

    def base_size(self) -> int:
        """Bytes of the base."""
        return self.size(_default_base())

    def size(self, tag: str) -> int:
        """Bytes of an image."""
        return int(_said(["docker", "image", "inspect", "--format", "{{.Size}}", tag]))

    def create(self, *arguments: str) -> list[str]:
        """The command that makes a container: no rights, a root it cannot write."""
        return ["docker", "create", *_HARDENED, *arguments]

    def control(self, *arguments: str) -> list[str]:
        """The command for start, exec, rm and volume."""
        return ["docker", *arguments]


class Podman:
    """No engine: buildah in a chroot, podman in a mount namespace of its own, images as plain folders."""

    name = "podman"
    _storage = ("--storage-driver", "vfs")

    def prepare(self) -> None:
        """Make the base out of Debian's packages, once."""
        if subprocess.run(["podman", *self._storage, "image", "exists", _BASE], check=False).returncode == 0:
            return
        with tempfile.TemporaryDirectory() as folder:
            archive = os.path.join(folder, "base.tar")
            _quiet(["mmdebstrap", "--variant=minbase", f"--include={_PACKAGES}", "bookworm", archive])
            _quiet(["podman", *self._storage, "import", archive, _BASE])

    def build(self, tag: str) -> None:
        """Build without a cache, with this machine's pip settings and certificates lent to it. Raises CalledProcessError."""
        with _lent() as mounts:
            lent = [word for mount in mounts for word in ("--volume", mount)]
            how = ["--isolation", "chroot", "--format", "docker", "--build-arg", f"BASE={_BASE}"]
            _quiet(["buildah", "bud", *self._storage, *how, *lent, "--tag", tag, "."])

    def base_size(self) -> int:
        """Bytes of the base."""
        return self.size(_BASE)

    def size(self, tag: str) -> int:
        """Bytes of an image."""
        return int(json.loads(_said(["podman", *self._storage, "image", "inspect", tag]))[0]["Size"])

    def create(self, *arguments: str) -> list[str]:
        """The command that makes a container: no rights, a root it cannot write. crun may not raise a limit here: low ones are given."""
        limits = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024")
        return self.control("create", *_HARDENED, "--read-only-tmpfs=false", *limits, *arguments)

    def control(self, *arguments: str) -> list[str]:
        """crun refuses a mixture of cgroups v1 and v2: the v2 part is not mounted where it looks."""
        podman = shlex.join(["podman", *self._storage, "--cgroup-manager", "cgroupfs", *arguments])
        before = "mount --make-rprivate /; umount /sys/fs/cgroup/unified 2>/dev/null; exec "
        return ["unshare", "--mount", "sh", "-c", before + podman]


def engine(wanted: str) -> Docker | Podman | None:
    """The engine of that name, or with `auto` the one that works here; None when none does."""
    if wanted in {"auto", "docker"} and _works(["docker", "info"]):
        return Docker()
    whole = all(shutil.which(tool) for tool in _TOOLS) and os.geteuid() == 0
    return Podman() if wanted in {"auto", "podman"} and whole else None


def _works(command: Sequence[str]) -> bool:
    return bool(shutil.which(command[0])) and subprocess.run(command, capture_output=True, check=False).returncode == 0


def _quiet(command: Sequence[str]) -> None:
    """Run it; what it says is shown only when it fails."""
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
    if done.returncode:
        print((done.stdout + done.stderr)[-4000:])
        raise subprocess.CalledProcessError(done.returncode, command)


def _said(command: Sequence[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _default_base() -> str:
    first = next(line for line in (REPO / "Dockerfile").read_text().splitlines() if line.startswith("ARG BASE="))
    return first.partition("=")[2]


@contextmanager
def _lent() -> Iterator[list[str]]:
    """Volumes for a build: pip's settings on this machine, the folders they name, and the certificates; none of it is in the image."""
    said = subprocess.run(["python3", "-m", "pip", "config", "list"], capture_output=True, text=True, check=False).stdout
    found = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    values = {key.rpartition(".")[2]: value.strip("'") for key, value in found.items()}
    values.pop("cert", None)
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder, "pip.conf")
        lines = [f"{key} = {value}" for key, value in values.items()]
        mounts = [f"{settings}:/etc/pip.conf:ro"]
        if os.path.isfile(_CERTIFICATES):
            lines.append("cert = /run/certificates.crt")
            mounts.append(f"{_CERTIFICATES}:/run/certificates.crt:ro")
        settings.write_text("\n".join(["[global]", *lines, ""]))
        named = {word.removeprefix("file://") for value in values.values() for word in value.replace("\\n", " ").split()}
        places = {os.path.dirname(place) if os.path.basename(place) == "simple" else place for place in named}
        mounts += [f"{place}:{place}:ro" for place in sorted(places) if os.path.isdir(place)]
        yield mounts
