"""Run, restore or skip: one node's decision, with every reason named. Looks, never changes anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from config.errors import StageError
from config.stage import File
from pipeline.files import Files, Token, below, token
from pipeline.identity import Identities, NodeIdentity, input_hash
from pipeline.node import Node, is_collection
from pipeline.registry import Artifact, Committed, Registry
from pipeline.store import Store
from pipeline.worker import ask


class Reason(NamedTuple):
    """Why a node runs."""

    kind: str
    """code | data | settings | environment | output | upstream | new | forced"""
    name: str
    detail: str = ""


class Read(NamedTuple):
    """One leaf of a node's data identity."""

    role: str
    name: str
    sha256: str
    size: int | None = None
    path: str | None = None
    artifact: Artifact | None = None
    seen: Token | None = None
    """Of a file nobody makes: what it looked like when it was hashed."""

    def moved(self) -> bool:
        """Whether the file has changed since it was hashed."""
        if self.seen is None or self.path is None:
            return False
        try:
            return token(self.path) != self.seen
        except OSError:
            return True


class Decision(NamedTuple):
    """What to do with a node."""

    action: str
    """run | restore | skip"""
    reasons: list[Reason]
    key: str
    reads: list[Read]
    identity: NodeIdentity
    attempt: Committed | None = None
    """The attempt whose outputs stand (skip) or come back (restore)."""


class Planner:
    """Decides for one run. `current` maps an artifact or collection name to what it means now."""

    def __init__(
        self,
        registry: Registry | None,
        files: Files,
        identities: Identities,
        store: Store,
        settings: Mapping[str, Any],
        roots: Mapping[str, str],
        code_root: str,
    ) -> None:
        self.registry = registry
        self.files = files
        self.identities = identities
        self.store = store
        self.settings = settings
        self.roots = roots
        self.code_root = code_root
        self.state: dict[str, Committed] = registry.state() if registry else {}
        self.current: dict[str, list[Artifact]] = {}

    def settle(self, node: Node, outputs: Iterable[tuple[str, Artifact]]) -> None:
        """What the node's output names mean from now on."""
        by_role: dict[str, list[Artifact]] = {role: [] for role in node.outputs}
        for role, artifact in outputs:
            by_role.setdefault(role, []).append(artifact)
        for role, name in node.outputs.items():
            self.current[name] = sorted(by_role[role], key=lambda a: a.name)

    def hold(self, node: Node) -> Committed | None:
        """The attempt in force of a node that is not looked at, if its outputs are whole."""
        attempt = self.state.get(node.name)
        return attempt if attempt and not self._damaged(attempt) else None

    def decide(self, node: Node, forced: bool = False) -> Decision:
        """Decide for one node whose upstream is settled. Raises PDPError when an input or the remote cannot be read."""
        remote = self._remote(node)
        reads = self._reads(node, remote)
        identity = self.identities.of(node)
        key = input_hash(node, [(r.role, r.name, r.sha256) for r in reads], identity)
        before = self.state.get(node.name)
        if forced:
            return Decision("run", [Reason("forced", node.name)], key, reads, identity)
        if remote == "":
            return Decision(
                "run", [Reason("data", "remote", "the source cannot say whether it has changed")], key, reads, identity
            )
        if before and before.input_hash == key:
            damaged = self._damaged(before) or self._sink_lost(node, reads)
            if not damaged:
                return Decision("skip", [], key, reads, identity, before)
            return Decision("run", [Reason("output", damaged, "missing or changed since it was made")], key, reads, identity)
        for earlier in self.registry.committed(node.name, key) if self.registry else []:
            if not self._damaged(earlier) and not self._sink_lost(node, reads):
                return Decision("restore", self._changes(node, before, reads, identity), key, reads, identity, earlier)
        return Decision("run", self._changes(node, before, reads, identity), key, reads, identity)

    def as_file(self, read: Read) -> File:
        """A read as the stage sees it."""
        artifact = read.artifact
        return File(
            read.name,
            read.path or "",
            read.sha256,
            read.size or 0,
            artifact.version if artifact else None,
            artifact.created_at if artifact else None,
        )

    def previous(self, node: Node) -> dict[str, dict[str, File]]:
        """Members of the node's collections as last committed and still whole."""
        attempt = self.state.get(node.name)
        found: dict[str, dict[str, File]] = {role: {} for role, name in node.outputs.items() if is_collection(name)}
        for role, a in attempt.outputs if attempt else []:
            if role in found and self._whole(a):
                member = a.name.removeprefix(node.outputs[role][:-2])
                found[role][member] = File(a.name, self.store.path(a.path), a.sha256, a.size, a.version, a.created_at)
        return found

    def needs(self, node: Node) -> dict[str, Any]:
        """The settings and secrets a node declares, and nothing else."""
        missing = [name for name in (*node.settings, *node.secrets) if name not in self.settings]
        if missing:
            raise StageError(f"Node {node.name!r} declares a setting {missing[0]!r} that does not exist.", "Mend the node.")
        return {name: self.settings[name] for name in (*node.settings, *node.secrets)}

    def _reads(self, node: Node, remote: str | None) -> list[Read]:
        found: list[Read] = []
        for role, name in node.inputs.items():
            found += [Read(role, a.name, a.sha256, a.size, self.store.path(a.path), a) for a in self.current.get(name, [])]
        for role, pattern in node.files.items():
            root, _, rest = pattern.partition("/")
            base = self.roots.get(root)
            listed = below(base, rest) if base else below(self.store.root, pattern)
            for name, path in listed:
                content = self.files.digest(path)
                found.append(
                    Read(
                        role, f"{root}/{name}" if base else name, content.sha256, content.size, path, None, self.files.seen(path)
                    )
                )
        if remote:
            found.append(Read("remote", node.remote or "", remote))
        return found

    def _remote(self, node: Node) -> str | None:
        """The remote's fingerprint; "" when it has none to give, None when the node reads no remote."""
        if node.remote is None:
            return None
        found = ask(node.remote, self.needs(node))
        return str(found) if found else ""

    def _sink_lost(self, node: Node, reads: list[Read]) -> str:
        if node.sink is None:
            return ""
        inputs: dict[str, list[tuple[str, str, int | None]]] = {role: [] for role in node.inputs}
        for r in reads:
            inputs.setdefault(r.role, []).append((r.name, r.sha256, r.artifact.version if r.artifact else None))
        return "" if ask(node.sink, inputs, self.needs(node)) else "the database"

    def _damaged(self, attempt: Committed) -> str:
        return next((a.name for _, a in attempt.outputs if not self._whole(a)), "")

    def _whole(self, artifact: Artifact) -> bool:
        try:
            found = self.files.digest(self.store.path(artifact.path))
        except OSError:
            return False
        return found.sha256 == artifact.sha256 and found.size == artifact.size

    def _changes(self, node: Node, before: Committed | None, reads: list[Read], identity: NodeIdentity) -> list[Reason]:
        """Every difference to the attempt in force, named."""
        if before is None or self.registry is None:
            return [Reason("new", node.name, "never ran before")]
        reasons = _data_changes(self.registry.inputs(before.id), reads)
        for kind, old, new in (
            ("code", before.code_id, identity.code),
            ("settings", before.settings_id, identity.settings),
            ("environment", before.environment_id, identity.environment),
        ):
            if old != new.id:
                leaves = new.leaves or self.registry.leaves(new.id)
                reasons += _leaf_changes(kind, self.registry.leaves(old), leaves)
        return reasons or [Reason("output", node.name, "declares other outputs")]


def _data_changes(old: dict[tuple[str, str], str], reads: list[Read]) -> list[Reason]:
    new = {(r.role, r.name): r for r in reads}
    reasons = []
    for key, read in new.items():
        if old.get(key) != read.sha256:
            reasons.append(Reason("upstream" if read.artifact else "data", read.name, "changed" if key in old else "new"))
    return reasons + [Reason("data", name, "gone") for role, name in old if (role, name) not in new]


def _leaf_changes(kind: str, old: list[list[str]], new: list[list[str]]) -> list[Reason]:
    before, after = {leaf[0]: leaf for leaf in old}, {leaf[0]: leaf for leaf in new}
    reasons = []
    for name in sorted(before.keys() | after.keys()):
        a, b = before.get(name), after.get(name)
        if a is None or b is None or a[1] != b[1]:
            what = "new" if a is None else "gone" if b is None else "changed"
            place = (b or a or ["", "", ""])[2]
            versions = f"{a[1]} → {b[1]}" if kind == "environment" and a and b else what
            reasons.append(Reason(kind, name, f"{what} ({place})" if place else versions))
    return reasons or [Reason(kind, "", "changed")]
