"""Which third-party distributions a closure reaches, in which version. Asked of the metadata on disk; nothing is imported."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable
from typing import Any, NamedTuple

from pipeline.encoding import digest


class Distributions(NamedTuple):
    """What is installed."""

    by_import: dict[str, list[str]]
    """Top-level import name → distributions that provide it."""
    versions: dict[str, str]
    requires: dict[str, list[str]]
    editable: list[str]
    """Source folders of editable installs: first-party, their files are hashed instead of their version."""

    def reached(self, imports: Iterable[str]) -> list[list[str]]:
        """[name, version, ``] of the distributions behind these import names and of all they require; `missing` if not installed."""
        todo: list[str] = []
        leaves: dict[str, str] = {}
        for name in imports:
            if name in self.by_import:
                todo += self.by_import[name]
            else:
                leaves[f"import {name}"] = "missing"
        while todo:
            name = todo.pop()
            if name not in leaves:
                leaves[name] = self.versions.get(name, "missing")
                todo += [r for r in self.requires.get(name, []) if r in self.versions]
        return [[name, version, ""] for name, version in sorted(leaves.items())]


def python_leaf() -> list[str]:
    """The interpreter as far as results can depend on it."""
    return ["python", f"{sys.implementation.name} {sys.version_info[0]}.{sys.version_info[1]}", ""]


def installed_token() -> str:
    """Changes whenever something is installed, removed or upgraded: names and times of the metadata folders on sys.path, and sys.path."""
    seen: list[Any] = [sys.version_info[:3], sys.path]
    for folder in sys.path:
        if not os.path.basename(folder).endswith("-packages"):
            continue
        try:
            with os.scandir(folder) as entries:
                names = sorted(e.name for e in entries if e.name.endswith((".dist-info", ".egg-info", ".pth")))
        except OSError:
            continue
        seen += [(n, *_times(os.path.join(folder, n))) for n in names]
    return digest(seen)


def read_installed() -> Distributions:
    """Ask the metadata of everything installed. Slow (about 2 ms a distribution): cached under `installed_token`."""
    from importlib import metadata

    found = Distributions({}, {}, {}, [])
    for name, owners in metadata.packages_distributions().items():
        found.by_import[name] = sorted({_canonical(o) for o in owners})
    for dist in metadata.distributions():
        name = _canonical(dist.metadata["Name"] or "")
        if not name or name in found.versions:
            continue
        found.versions[name] = dist.version
        found.requires[name] = [
            _canonical(m.group()) for r in dist.requires or [] if "extra ==" not in r and (m := _NAME.match(r))
        ]
        if root := _editable_root(dist.read_text("direct_url.json")):
            found.editable.append(root)
    return found


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _times(path: str) -> tuple[int, int]:
    try:
        inner = os.path.join(path, "METADATA")
        seen = os.stat(inner if os.path.isdir(path) else path)
        return seen.st_mtime_ns, seen.st_size
    except OSError:
        return 0, 0


def _editable_root(direct_url: str | None) -> str | None:
    info = json.loads(direct_url) if direct_url else {}
    if info.get("dir_info", {}).get("editable") and info.get("url", "").startswith("file://"):
        from urllib.parse import unquote, urlparse

        return unquote(urlparse(info["url"]).path)
    return None
