"""The key of a node: data + code + settings + environment identity, and every leaf they are made of.

Expensive answers (a file's symbols, a function's closure, what is installed) are cached in the registry under the content they were
computed from; dropping the caches costs time, never correctness.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from config.errors import PipelineError, UndeclaredSetting
from pipeline.code.closure import Closure
from pipeline.code.names import Finder, Module
from pipeline.code.source_index import VERSION as INDEX_VERSION
from pipeline.code.source_index import SourceIndex, from_json, index_source
from pipeline.encoding import VERSION, digest
from pipeline.environment import Distributions, python_leaf, read_installed
from pipeline.files import Files
from pipeline.installed import installed_stamp
from pipeline.listing import matching, modules_in
from pipeline.node import Node
from pipeline.registry import Registry

if TYPE_CHECKING:
    from pipeline.code.source_text import SourceTexts


class Identity(NamedTuple):
    """One of a node's identities: its digest and what it is made of."""

    id: str
    kind: str
    leaves: list[list[str]]
    """[name, digest or value, location]; empty when it came from the cache, the registry has them then."""
    texts: Mapping[str, str] = {}
    """Digest → source of those of its symbols that no earlier identity has given."""


class NodeIdentity(NamedTuple):
    """All of a node's key that is not data."""

    code: Identity
    settings: Identity
    environment: Identity
    warnings: list[str]


def input_hash(node: Node, inputs: list[tuple[str, str, str]], identity: NodeIdentity) -> str:
    """The key: `inputs` are (role, logical name, sha256) in any order."""
    return digest(
        [
            VERSION,
            node.name,
            node.run,
            node.remote,
            [list(pair) for pair in (*node.inputs.items(), *node.files.items())],  # in order: `roles()` shows it
            sorted(inputs),
            sorted(node.outputs.items()),
            identity.code.id,
            identity.settings.id,
            identity.environment.id,
        ]
    )


def store_identity(db: Any, identity: Identity) -> None:
    """Keep an identity's leaves and the source of its symbols; once each. To be called in a transaction."""
    db.execute(
        "INSERT INTO identity VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET leaves = excluded.leaves WHERE leaves = '[]'",
        (identity.id, identity.kind, json.dumps(identity.leaves)),
    )  # a row that came from elsewhere had left its leaves there
    db.executemany("INSERT OR IGNORE INTO source_text VALUES (?, ?)", list(identity.texts.items()))


_Code = tuple[Identity, list[str], list[tuple[str, str]]]
"""Identity, third-party names it reaches, (kind, warning)."""
_OUTSIDE = frozenset(("environment", "network"))
"""Kinds of impurity that are the business of a node with a remote, a sink or secrets."""


class Identities:
    """Computes identities for one run."""

    def __init__(self, registry: Registry | None, files: Files, code_root: str, settings: Mapping[str, Any]) -> None:
        self._files = files
        self._root = code_root
        self._settings = settings
        self._registry = registry
        self._fresh: dict[str, str] = {}
        self._indexes: dict[str, SourceIndex] = {}
        self._codes: dict[tuple[str, ...], _Code] = {}
        self._installed: Distributions | None = None
        self._absent: set[str] = set()
        self._listed: dict[str, list[str]] = {}
        self._pending: dict[str, Identity] = {}
        self._texts: SourceTexts | None = None
        self.installed = installed_stamp()
        self._token = digest(self.installed)
        self._globbed: dict[str, list[str]] = {}

    def of(self, node: Node) -> NodeIdentity:
        """Code, settings and environment identity of a node. Raises PipelineError for source that cannot be parsed."""
        code, imports, told = self._code(node)
        reaches_out = bool(node.remote or node.sink or node.secrets)
        warnings = [text for kind, text in told if not (reaches_out and kind in _OUTSIDE)]
        leaves = [python_leaf(), *self._reached(imports)]
        environment = Identity(digest([leaf[:2] for leaf in leaves]), "environment", leaves)
        return NodeIdentity(code, self._settings_identity(node), environment, warnings)

    def proof(self, node: Node) -> dict[str, Any]:
        """What a process elsewhere must find on its own disk to have the code and libraries of this identity."""
        from pipeline.execution.proof import engine_digest

        _, imports, _ = self._code(node)
        refs = tuple(r for r in (node.run, node.remote) if r)
        code = self._get(_closure_key(refs, node.resources), self._token)
        return {"engine": engine_digest(), "code": code, "libraries": [python_leaf(), *self._reached(imports)]}

    def facts(self) -> list[tuple[str, str, str, str]] | None:
        """Every path, folder and pattern the identities rest on besides file contents; None while one was computed anew."""
        if self._fresh or self._pending:
            return None
        absent = [("absent", "", os.path.join(self._root, path), "") for path in self._absent]
        folders = [("modules", "", os.path.join(self._root, path), repr(names)) for path, names in self._listed.items()]
        return [*absent, *folders, *(("glob", self._root, pattern, repr(names)) for pattern, names in self._globbed.items())]

    def save(self, registry: Registry) -> None:
        """Write what was computed to the cache; nothing when nothing was."""
        if not self._fresh and not self._pending:
            return
        with registry.atomic() as db:
            db.executemany("INSERT OR REPLACE INTO cache_value VALUES (?, ?)", list(self._fresh.items()))
            for identity in self._pending.values():
                store_identity(db, identity)
        self._fresh.clear()
        self._pending.clear()

    def _settings_identity(self, node: Node) -> Identity:
        leaves = []
        for name in node.settings:
            if name not in self._settings:
                raise UndeclaredSetting(f"Node {node.name!r} declares a setting {name!r} that does not exist.", "Mend the node.")
            leaves.append([name, digest(self._settings[name]), ""])
        return Identity(digest(sorted(leaves)), "settings", sorted(leaves))

    # -- code ---------------------------------------------------------------------------------------------------------

    def _code(self, node: Node) -> _Code:
        refs = tuple(r for r in (node.run, node.remote) if r)
        known = self._codes.get((*refs, *node.resources))
        if known is None:
            known = self._codes[(*refs, *node.resources)] = self._cached_code(refs, node.resources) or self._fresh_code(
                refs, node.resources
            )
        return known

    def _cached_code(self, refs: tuple[str, ...], resources: tuple[str, ...]) -> _Code | None:
        found = self._get(_closure_key(refs, resources), self._token)
        if found is None or self._resources(resources) != found["resources"]:
            return None
        if not self._all_absent(found["absent"]) or any(self._list(p) != names for p, names in found["listed"].items()):
            return None
        try:
            if any(self._files.digest(os.path.join(self._root, p)).sha256 != sha for p, sha in found["files"].items()):
                return None
        except OSError:
            return None
        return Identity(found["id"], "code", []), found["imports"], found["warnings"]

    def _fresh_code(self, refs: tuple[str, ...], resources: tuple[str, ...]) -> _Code:
        finder = Finder([self._root, *self._editable_roots()], self._distributions().by_import)
        code = Closure(finder, self._index, lambda p: self._files.digest(p).sha256, self._root).walk(list(refs))
        told = [*(("", text) for text in code.warnings), *code.impure]
        data = self._resources(resources)
        leaves = sorted([*code.leaves, *([f"resource {name}", sha, name] for name, sha in data)])
        texts = self._source_texts().new(leaves)
        identity = Identity(digest([VERSION, INDEX_VERSION, [leaf[:2] for leaf in leaves]]), "code", leaves, texts)
        self._pending[identity.id] = identity
        self._put(
            _closure_key(refs, resources),
            self._token,
            {
                "id": identity.id,
                "files": {self._relative(f): self._files.digest(f).sha256 for f in code.files},
                "absent": [self._relative(p) for p in code.absent],
                "listed": {self._relative(p): names for p, names in code.listed.items()},
                "resources": data,
                "imports": code.imports,
                "warnings": told,
            },
        )
        return identity, code.imports, told

    def _source_texts(self) -> SourceTexts:
        """Asked only when a closure is walked anew."""
        if self._texts is None:
            from pipeline.code.source_text import SourceTexts

            known = self._registry.texts() if self._registry else []
            self._texts = SourceTexts(self._root, lambda p: self._files.digest(p).sha256, known)
        return self._texts

    def _all_absent(self, paths: list[str]) -> bool:
        """Asked once a run for each path: most nodes share them."""
        new = set(paths) - self._absent
        if any(os.path.exists(os.path.join(self._root, p)) for p in new):
            return False
        self._absent |= new
        return True

    def _list(self, folder: str) -> list[str]:
        if folder not in self._listed:
            self._listed[folder] = modules_in(os.path.join(self._root, folder))
        return self._listed[folder]

    def _index(self, module: Module) -> SourceIndex:
        path = module.path or ""
        sha = self._files.digest(path).sha256
        if module.name not in self._indexes:
            of = f"{INDEX_VERSION} {sha} {module.is_package}"
            data = self._get(f"index {module.name}", of)
            if data is None:
                with open(path, "rb") as file:
                    index = index_source(file.read(), module.name, module.is_package, self._relative(path))
                self._put(f"index {module.name}", of, list(index))
            else:
                index = from_json(data)
            self._indexes[module.name] = index
        return self._indexes[module.name]

    def _resources(self, patterns: tuple[str, ...]) -> list[list[str]]:
        names: set[str] = set()
        for pattern in patterns:
            matched = self._globbed.get(pattern)
            if matched is None:
                matched = self._globbed[pattern] = matching(self._root, pattern)
            if not matched:
                raise PipelineError(f"No file matches the resource {pattern!r}.", "Mend the node or restore the file.")
            names.update(matched)
        return [[n.replace(os.sep, "/"), self._files.digest(os.path.join(self._root, n)).sha256] for n in sorted(names)]

    # -- environment --------------------------------------------------------------------------------------------------

    def _reached(self, imports: list[str]) -> list[list[str]]:
        key = f"reached {' '.join(imports)}"
        found = self._get(key, self._token)
        if found is None:
            found = self._distributions().reached(imports)
            self._put(key, self._token, found)
        leaves: list[list[str]] = found
        return leaves

    def _editable_roots(self) -> list[str]:
        roots = [r for root in self._distributions().editable for r in (root, os.path.join(root, "src")) if os.path.isdir(r)]
        return [r for r in roots if os.path.realpath(r) != os.path.realpath(self._root)]

    def _distributions(self) -> Distributions:
        if self._installed is None:
            data = self._get("installed", self._token)
            self._installed = Distributions(*data) if data else read_installed()
            if data is None:
                self._put("installed", self._token, list(self._installed))
        return self._installed

    # -- cache --------------------------------------------------------------------------------------------------------

    def _get(self, key: str, of: str) -> Any:
        """A cached answer, if it was computed from this very content (`of`)."""
        if key in self._fresh:
            text = self._fresh[key]
        elif self._registry:
            row = self._registry.db.execute("SELECT value FROM cache_value WHERE key = ?", (key,)).fetchone()
            text = row[0] if row else ""
        else:
            return None
        found = json.loads(text[_SUM:]) if text[:_SUM] == _checksum(key, text[_SUM:]) else None
        return found[1] if found and found[0] == of else None

    def _put(self, key: str, of: str, data: Any) -> None:
        text = json.dumps([of, data])
        self._fresh[key] = _checksum(key, text) + text

    def _relative(self, path: str) -> str:
        """Below the code's root, as seen from there; else absolute: `..` would not find the way back through a link."""
        return path.removeprefix(self._root + os.sep)


_SUM = 8


def _checksum(key: str, text: str) -> str:
    """A cached answer decides what is looked at: one that rotted on the disk must not be believed."""
    return f"{crc32((key + text).encode()):08x}"


def _closure_key(refs: tuple[str, ...], resources: tuple[str, ...]) -> str:
    return "closure 2 " + json.dumps([refs, resources])
