"""Run, restore or skip: one node's decision, with every reason named. Looks, never changes anything."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from config.errors import InputMoved, StageError, StoreError
from config.stage import File
from pipeline import pages
from pipeline.afar import bring
from pipeline.execution.calls import ask
from pipeline.files import Files, Token, token
from pipeline.identity import Identities, NodeIdentity, input_hash
from pipeline.listing import below
from pipeline.node import Node, is_collection
from pipeline.partitions import in_view, is_part, part
from pipeline.registry import Artifact, Committed, Registry, telling
from pipeline.standing import Facts
from pipeline.store import Store


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
    """What it looked like when it was hashed."""

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
        self._asks: list[tuple[str, str, str]] = []
        self._rests_afar = False
        self._patterns: dict[tuple[str, str], list[str]] = {}

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

    @telling()
    def decide(self, node: Node, forced: bool = False) -> Decision:
        """Decide for one node whose upstream is settled. Raises PDPError when an input or the remote cannot be read."""
        remote = self._remote(node)
        reads = self._reads(node, remote)
        if is_part(node.name) and not any(r.role == node.each for r in reads):
            raise InputMoved("A member of the collection went away while it was being looked at.", "Run again.")
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
            damaged = self.lost(node, before, reads)
            if damaged:
                return Decision("run", [Reason("output", damaged, _LOST.get(damaged, _DAMAGED))], key, reads, identity)
            if self.unfinished(node, before):
                return Decision("run", [Reason("data", "remote", "pages of a run that died wait")], key, reads, identity)
            return Decision("skip", [], key, reads, identity, before)
        for earlier in self.registry.committed(node.name, key) if self.registry and not node.pages else []:
            if not self.lost(node, earlier, reads):
                return Decision("restore", self._changes(node, before, reads, identity), key, reads, identity, earlier)
        return Decision("run", self._changes(node, before, reads, identity), key, reads, identity)

    def new(self, node: Node) -> Reason:
        """Why a node runs of which nothing is in force."""
        query = "SELECT 1 FROM attempt WHERE node = ? LIMIT 1"
        tried = self.registry and self.registry.db.execute(query, (node.name,)).fetchone()
        return Reason("new", node.name, "nothing of it is in force" if tried else "never ran before")

    def unfinished(self, node: Node, before: Committed) -> bool:
        """Whether a node has more to do though nothing has changed: its last round stopped short, or pages of an attempt that died wait."""
        if not (node.pages and self.registry):
            return False
        return before.input_hash == pages.UNFINISHED or pages.waiting(self.registry, node.name, before.id)

    def lost_pages(self, node: Node) -> list[pages.Held]:
        """Pages that are held by the registry only: their bytes are gone or damaged."""
        if not (node.pages and self.registry):
            return []
        return [page for page in pages.held(self.registry.db, node.name) if not self._whole(page.artifact)]

    def lost(self, node: Node, attempt: Committed, reads: list[Read]) -> str:
        """What of an attempt's outputs is not as it was committed: an artifact, the database; "" when all is well."""
        return _misfiled(node, attempt) or self._damaged(attempt) or self._sink_lost(node, reads)

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

    def facts(self) -> Facts | None:
        """All that this run's decisions rest on, for `pipeline.standing`; None when some of it cannot be told by looking."""
        if self._rests_afar:
            return None
        files, code = self.files.facts(), self.identities.facts()
        shown = in_view(self.state)
        if files is None or code is None or not all(map(self.store.is_linked, shown)):
            return None
        links = []
        for a in shown:  # seen through its plain name, a version and the link to it are one look
            if a.path in files:
                files[a.name] = files.pop(a.path)
            else:
                links.append(("link", "", a.name, self.store.target(a)))
        # a single file that is there is told by its own looks
        listed = [(at, names) for at, names in self._patterns.items() if not names or at[1] == "**" or is_collection(at[1])]
        patterns = [("files", base, pattern, repr(names)) for (base, pattern), names in listed]
        asks = [(kind, "", name, found) for kind, name, found in self._asks]
        return Facts(files, [*patterns, *links, *code, *asks], repr(self.identities.installed))

    def previous(self, node: Node) -> dict[str, dict[str, File]]:
        """Members of the node's collections as last committed and still whole."""
        attempt = self.state.get(node.name)
        found: dict[str, dict[str, File]] = {role: {} for role, name in node.outputs.items() if is_collection(name)}
        for role, a in attempt.outputs if attempt else []:
            if role in found and self._whole(a):
                member = a.name.removeprefix(node.outputs[role][:-2])
                found[role][member] = File(a.name, self.store.path(a.path), a.sha256, a.size, a.version, a.created_at)
        return found

    def bring(self, node: Node, reads: list[Read]) -> list[Read]:
        """Have here what a node that runs is given: its inputs and its previous members. Raises PDPError when bytes cannot be had."""
        attempt = self.state.get(node.name)
        members = [a for role, a in attempt.outputs if is_collection(node.outputs.get(role, ""))] if attempt else []
        members += [page.artifact for page in pages.held(self.registry.db, node.name)] if node.pages and self.registry else []
        wanted = [*(r.artifact for r in reads if r.artifact), *(a for a in members if self._whole(a))]
        away = {a.path for a in wanted if not os.path.lexists(self.store.path(a.path))}
        if not away:
            return reads
        bring(self.store, self.store.afar, wanted)
        return [self._seen(r) if r.artifact and r.artifact.path in away else r for r in reads]

    def _seen(self, read: Read) -> Read:
        """A read whose bytes have just come, hashed here."""
        path = read.path or ""
        if self.files.digest(path).sha256 != read.sha256:
            raise StoreError(
                f"{read.name} came back with other bytes than were committed.", "`python main.py state verify` tells more."
            )
        return read._replace(seen=self.files.seen(path))

    def parts(self, node: Node) -> list[Node]:
        """The nodes a mapped node stands for now, one per member of the collection it is mapped over."""
        role = node.each
        if role in node.files:
            whole, prefix = node.files[role], node.files[role][:-2]
            found = [(name.removeprefix(prefix), name) for name, _ in self._listed(whole)]
        else:
            members = self.current.get(node.inputs[role], [])
            self.current.update({a.name: [a] for a in members})
            found = [(a.name.removeprefix(node.inputs[role][:-2]), a.name) for a in members]
        return [part(node, member, read) for member, read in found]

    def needs(self, node: Node) -> dict[str, Any]:
        """The settings and secrets a node declares, and nothing else."""
        missing = [name for name in (*node.settings, *node.secrets) if name not in self.settings]
        if missing:
            raise StageError(f"Node {node.name!r} declares a setting {missing[0]!r} that does not exist.", "Mend the node.")
        return {name: self.settings[name] for name in (*node.settings, *node.secrets)}

    def _reads(self, node: Node, remote: str | None) -> list[Read]:
        found: list[Read] = []
        for role, name in node.inputs.items():
            for a in self.current.get(name, []):
                path = self.store.path(a.path)
                found.append(Read(role, a.name, a.sha256, a.size, path, a, self.files.seen(path)))
        for role, pattern in node.files.items():
            for name, path in self._listed(pattern):
                content = self.files.digest(path)
                found.append(Read(role, name, content.sha256, content.size, path, None, self.files.seen(path)))
        if remote:
            found.append(Read("remote", node.remote or "", remote))
        return found

    def _listed(self, pattern: str) -> list[tuple[str, str]]:
        """(logical name, path) of the files a pattern means, below the data root or the named root it starts with."""
        root, _, rest = pattern.partition("/")
        base = self.roots.get(root, "")
        listed = below(base, rest) if base else below(self.store.root, pattern)
        self._patterns[base, rest if base else pattern] = [name for name, _ in listed]
        return [(f"{root}/{name}", path) for name, path in listed] if base else listed

    def _remote(self, node: Node) -> str | None:
        """The remote's fingerprint; "" when it has none to give, None when the node reads no remote."""
        if node.remote is None:
            return None
        found = ask(node.remote, self.needs(node))
        self._asks.append(("remote", node.name, str(found)))
        return str(found) if found else ""

    def _sink_lost(self, node: Node, reads: list[Read]) -> str:
        if node.sink is None:
            return ""
        inputs: dict[str, list[tuple[str, str, int | None]]] = {role: [] for role in node.inputs}
        for r in reads:
            inputs.setdefault(r.role, []).append((r.name, r.sha256, r.artifact.version if r.artifact else None))
        self._asks.append(("sink", node.name, json.dumps(inputs)))
        return "" if ask(node.sink, inputs, self.needs(node)) else SINK

    def _damaged(self, attempt: Committed) -> str:
        return next((a.name for _, a in attempt.outputs if not self._whole(a)), "")

    def _whole(self, artifact: Artifact) -> bool:
        try:
            found = self.files.digest(self.store.path(artifact.path))
        except FileNotFoundError:
            return self._kept_afar(artifact)
        except OSError:
            return False
        return found.sha256 == artifact.sha256 and found.size == artifact.size

    def _kept_afar(self, artifact: Artifact) -> bool:
        """Whether a remote state has it and goes on having it: what was deliberately removed it may drop."""
        if not (self.registry and self.store.is_afar(artifact)):
            return False
        query = "SELECT 1 FROM artifact WHERE id = ? AND removed_at IS NULL"
        kept = self.registry.db.execute(query, (artifact.id,)).fetchone() is not None
        self._rests_afar |= kept
        return kept

    def _changes(self, node: Node, before: Committed | None, reads: list[Read], identity: NodeIdentity) -> list[Reason]:
        """Every difference to the attempt in force, named."""
        if before is None or self.registry is None:
            return [self.new(node)]
        reasons = _data_changes(self.registry.inputs(before.id), reads)
        for kind, old, new in (
            ("code", before.code_id, identity.code),
            ("settings", before.settings_id, identity.settings),
            ("environment", before.environment_id, identity.environment),
        ):
            if old != new.id:
                leaves = new.leaves or self.registry.leaves(new.id)
                reasons += _leaf_changes(kind, self.registry.leaves(old), leaves)
        if not reasons and before.input_hash == pages.UNFINISHED:
            return [Reason("data", "remote", "its last round was not brought to its end, or begins anew")]
        return reasons or [Reason("output", node.name, "declares other outputs")]


SINK = "the database"
"""What `lost` calls the place a node without artifacts writes to."""
_DAMAGED = "missing or changed since it was made"
_LOST = {SINK: "does not hold it any more, or cannot be asked"}


def _misfiled(node: Node, attempt: Committed) -> str:
    """An output that is not where the node declares it, or is not there: what a damaged registry would give."""
    for role, a in attempt.outputs:
        name = node.outputs.get(role, "")
        if a.name != name and not (is_collection(name) and a.name.startswith(name[:-2])):
            return a.name
    made = {role for role, _ in attempt.outputs}
    return next((name for role, name in node.outputs.items() if role not in made and not is_collection(name)), "")


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
