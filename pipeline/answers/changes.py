"""What differs between what an attempt was made from and what the node would be made from now: digests, versions and source."""

from __future__ import annotations

import difflib
import json
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pipeline.identity import NodeIdentity
from pipeline.planner import Decision, Read
from pipeline.registry import Registry

KINDS = ("code", "settings", "environment")


class Change(NamedTuple):
    """One difference, or one reason that has no two sides."""

    kind: str
    """As `Reason.kind`."""
    name: str
    """As `Reason.name`: module:symbol, setting, distribution, file or artifact."""
    detail: str = ""
    """As `Reason.detail`."""
    old: str | None = None
    """Digest, or of a distribution its version; None when there was none."""
    new: str | None = None
    old_version: int | None = None
    """Of an artifact."""
    new_version: int | None = None
    location: str = ""
    """path:line of code, where it is now; where it was when it is gone."""
    diff: str = ""
    """Of code whose source is known before and after: a unified diff."""

    @property
    def title(self) -> str:
        """The name as a person reads it: `path: symbol` for code."""
        if self.kind != "code" or not self.location:
            return self.name
        path, _, line = self.location.rpartition(":")
        symbol = self.name.partition(":")[2].rstrip("'")  # a name that is bound twice
        return f"{path}: {symbol}" if line.isdecimal() else self.location


class Input(NamedTuple):
    """What was read in one role under one name."""

    sha256: str
    version: int | None
    """None for a file nobody makes and for a remote."""


class Basis(NamedTuple):
    """All that a node's outputs rest on."""

    inputs: dict[tuple[str, str], Input]
    leaves: dict[str, list[list[str]]]
    """code | settings | environment → [[name, digest or version, location], …]"""


def recorded(registry: Registry, attempt: str) -> Basis:
    """What an attempt was made from."""
    rows = registry.db.execute(
        "SELECT i.role, i.name, i.sha256, f.version FROM attempt_input i LEFT JOIN artifact f ON f.id = i.artifact_id "
        "WHERE i.attempt_id = ? ORDER BY i.role, i.name",
        (attempt,),
    )
    inputs = {(role, name): Input(sha, version) for role, name, sha, version in rows}
    ids = registry.db.execute("SELECT code_id, settings_id, environment_id FROM attempt WHERE id = ?", (attempt,)).fetchone()
    return Basis(inputs, {kind: registry.leaves(ident) for kind, ident in zip(KINDS, ids, strict=True)})


def planned(registry: Registry, reads: Iterable[Read], identity: NodeIdentity) -> Basis:
    """What a node would be made from."""
    inputs = {(r.role, r.name): Input(r.sha256, r.artifact.version if r.artifact else None) for r in reads}
    return Basis(inputs, {part.kind: part.leaves or registry.leaves(part.id) for part in identity[:3]})


def compare(old: Basis, new: Basis) -> list[Change]:
    """Every difference, data first."""
    found = [*_inputs(old.inputs, new.inputs)]
    for kind in KINDS:
        found += _leaves(kind, old.leaves[kind], new.leaves[kind])
    return found


def changes_of(registry: Registry | None, before: str | None, decision: Decision) -> list[Change]:
    """Why a decision is not to skip: every difference to the attempt in force, `before`, and what else was found."""
    found = []
    if registry and before:
        found = compare(recorded(registry, before), planned(registry, decision.reads, decision.identity))
    known = {(c.kind, c.name) for c in found}
    return [Change(*reason) for reason in decision.reasons if reason[:2] not in known] + found


def with_diff(registry: Registry, change: Change, texts: Mapping[str, str]) -> Change:
    """The change with its diff, when both texts are known; `texts` are those that are in no registry yet."""
    if change.kind != "code" or change.old is None or change.new is None:
        return change
    old, new = (texts.get(d) or _text(registry, d) for d in (change.old, change.new))
    if old is None or new is None:
        return change
    then, now = (f"{change.title} {digest[:12]}" for digest in (change.old, change.new))
    return change._replace(diff="\n".join(difflib.unified_diff(old.split("\n"), new.split("\n"), then, now, lineterm="")))


def stated(reasons: str, found: Iterable[Change]) -> list[Change]:
    """The reasons a registry row states, as JSON, each with its two sides if `found` has them."""
    known = {(c.kind, c.name): c for c in found}
    told: list[dict[str, Any]] = json.loads(reasons)
    return [known.get((r["kind"], r["name"])) or Change(r["kind"], r["name"], r["detail"]) for r in told]


def _inputs(old: dict[tuple[str, str], Input], new: dict[tuple[str, str], Input]) -> Iterable[Change]:
    for key, b in new.items():
        a = old.get(key)
        if a is None or a.sha256 != b.sha256:
            kind = "data" if b.version is None else "upstream"
            yield _side_by_side(kind, key, a, b, "changed" if a else "new")
    for key, a in old.items():
        if key not in new:
            yield _side_by_side("data", key, a, None, "gone")


def _side_by_side(kind: str, key: tuple[str, str], a: Input | None, b: Input | None, detail: str) -> Change:
    """A remote's fingerprint is whatever that remote says: it is compared, not told."""
    remote = key[0] == "remote"
    old, new = (None if side is None or remote else side.sha256 for side in (a, b))
    return Change(kind, key[1], detail, old, new, a.version if a else None, b.version if b else None)


def _leaves(kind: str, old: list[list[str]], new: list[list[str]]) -> Iterable[Change]:
    before, after = {leaf[0]: leaf for leaf in old}, {leaf[0]: leaf for leaf in new}
    for name in sorted(before.keys() | after.keys()):
        a, b = before.get(name), after.get(name)
        if a is None or b is None or a[1] != b[1]:
            what = "new" if a is None else "gone" if b is None else "changed"
            yield Change(kind, name, what, a[1] if a else None, b[1] if b else None, location=(b or a or ["", "", ""])[2])


def _text(registry: Registry, digest: str) -> str | None:
    try:
        row = registry.db.execute("SELECT text FROM source_text WHERE digest = ?", (digest,)).fetchone()
    except sqlite3.OperationalError:  # a registry that an older program has made: the next run brings it up to date
        return None
    return row[0] if row else None
