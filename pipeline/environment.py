"""Which third-party distributions a closure reaches, in which version. Asked of the metadata on disk; nothing is imported."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from typing import NamedTuple


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


def read_installed() -> Distributions:
    """Ask the metadata of everything installed. Slow (about 2 ms a distribution): cached under the digest of `installed_stamp`."""
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


def _editable_root(direct_url: str | None) -> str | None:
    info = json.loads(direct_url) if direct_url else {}
    if info.get("dir_info", {}).get("editable") and info.get("url", "").startswith("file://"):
        from urllib.parse import unquote, urlparse

        return unquote(urlparse(info["url"]).path)
    return None
