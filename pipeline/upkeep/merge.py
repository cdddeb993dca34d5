"""Two registries that grew apart, as one: a three-way merge against what both last had in common.

Runs, attempts and versions are facts: each side's stay. What one side has changed since holds; what one side has erased is gone, with all
that the other has made from it meanwhile. Where both have put another attempt of a node in force, the later one stands: the next run
decides again, and restores or runs what does not fit. Theirs is committed, so its version numbers and order stand and ours come after.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping
from typing import NamedTuple, TypeVar

from pipeline.pages import REPLACED
from pipeline.partitions import whole
from pipeline.store import Store
from pipeline.upkeep.merge_pages import merged_pages, merged_streams
from pipeline.upkeep.sides import EMPTY, Attempt, Kept, Key, Side, read_side, stripped, write_side
from pipeline.upkeep.snapshot import current, new_file, opened

_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")


class Merge(NamedTuple):
    """What a merge found."""

    moves: list[tuple[str, str]]
    """(old path, new path) of versions of ours whose number theirs had already given away."""
    added_runs: int
    """Runs that ours did not know."""
    added_versions: int
    """Versions that ours did not know."""
    renumbered: int
    """Versions of ours that get another number."""
    erased: int
    """Versions of ours that theirs has erased, with what was made from them."""


def merge(ours: str, theirs: str, base: str | None, into: str) -> Merge:
    """Write the merged snapshot to the new file `into`. `base` is the last snapshot both had; None when they never met, and nothing counts
    as erased. Raises RegistryError for a file that cannot be trusted."""
    mine, other = _read(ours, into), _read(theirs, into)
    merged = merged_sides(mine, other, _read(base, into) if base else EMPTY)
    path_of = Store("").version_path
    with new_file(into) as db:
        write_side(db, merged, path_of)
    moved = [k for k, v in mine.versions.items() if k in merged.versions and merged.versions[k].version != v.version]
    return Merge(
        [(path_of(k[0], mine.versions[k].version, k[1]), path_of(k[0], merged.versions[k].version, k[1])) for k in moved],
        len(merged.runs.keys() - mine.runs.keys()),
        len(merged.versions.keys() - mine.versions.keys()),
        len(moved),
        len(mine.versions.keys() - merged.versions.keys()),
    )


def merged_sides(ours: Side, theirs: Side, base: Side) -> Side:
    """The merge itself, on rows."""
    gone = _erased(ours, theirs, base)
    attempts = _three_way(base.attempts, ours.attempts, theirs.attempts, _barer)
    gone, attempts = _without(gone, attempts)
    old, mine = (_made_as(theirs.versions, side.versions) for side in (base, ours))
    versions = {k: v for k, v in _three_way(old, mine, theirs.versions, _later_kept).items() if k not in gone}
    versions = _numbered(_with_makers(versions, attempts), theirs.versions)
    state = _state(base.state, ours.state, theirs.state, attempts)
    streams = merged_streams(ours.streams, theirs.streams, base.streams)
    pages = merged_pages(ours.pages, theirs.pages, (ours.streams, theirs.streams), versions)
    held = {key for (_, key), page in pages.items() if page.fate != REPLACED}
    versions = _whole_in_force(versions, held, state, attempts, ours.versions, theirs.versions)
    needed = {a.run for a in attempts.values()}
    known = theirs.runs | ours.runs
    runs = _three_way(base.runs, ours.runs, theirs.runs, lambda one, other: max(one, other, key=repr))
    runs = {ident: runs.get(ident, row) for ident, row in known.items() if ident in runs or ident in needed}
    ids = {ident for a in attempts.values() for ident in a.identities}
    identities = {k: v for k, v in (theirs.identities | ours.identities).items() if k in ids}
    events = _three_way(base.events, ours.events, theirs.events, lambda one, _: one)
    seen = ours.attempts.keys() | theirs.attempts.keys()
    told = {e: None for e in events if e[2] in attempts or e[2] not in seen}
    return Side(runs, attempts, versions, state, identities, told, streams, pages)


def _read(path: str, beside: str) -> Side:
    copy = beside + ".older"
    try:
        with opened(current(path, copy)) as db:
            return read_side(db)
    finally:
        if os.path.exists(copy):
            os.unlink(copy)


def _three_way(
    base: Mapping[_K, _V], ours: Mapping[_K, _V], theirs: Mapping[_K, _V], both: Callable[[_V, _V], _V]
) -> dict[_K, _V]:
    """Theirs, then what only ours has; without what one of them has erased. `both` decides where both have changed it."""
    found: dict[_K, _V] = {}
    for key, their in theirs.items():
        our = ours.get(key, their)
        if key in base and key not in ours:
            continue
        found[key] = their if our == their or our == base.get(key) else our if their == base.get(key) else both(our, their)
    return found | {key: our for key, our in ours.items() if key not in theirs and key not in base}


def _erased(ours: Side, theirs: Side, base: Side) -> set[Key]:
    """Versions one side has erased: of a name it has nothing of any more, later ones of the other too."""
    gone = set()
    for here, there in ((ours, theirs), (theirs, ours)):
        lost = base.versions.keys() - here.versions.keys()
        names = {name for name, _ in lost} - {name for name, _ in here.versions}
        gone |= lost | {key for key in there.versions if key[0] in names}
    return gone


def _without(gone: set[Key], attempts: dict[str, Attempt]) -> tuple[set[Key], dict[str, Attempt]]:
    """(what is gone with all that was made from it, the attempts that are left)."""
    readers: dict[Key, list[str]] = defaultdict(list)
    for ident, attempt in attempts.items():
        for key in attempt.sources:
            readers[key].append(ident)
    dropped: set[str] = set()
    new = set(gone)
    while new:
        now = {ident for key in new for ident in readers[key]} - dropped
        dropped |= now
        new = {key for ident in now for key, _ in attempts[ident].made} - gone
        gone = gone | new
    left = {}
    for ident, attempt in attempts.items():
        made = [key for key, _ in attempt.made if key not in gone]
        if ident not in dropped and (made or not attempt.made):
            left[ident] = stripped(attempt, gone) if len(made) < len(attempt.made) else attempt
    return gone, left


def _barer(one: Attempt, other: Attempt) -> Attempt:
    """Of an attempt that both changed, the one that says less: it was erased from."""
    return min(one, other, key=lambda a: (len(a.made), len(a.read), repr(a.row)))


def _made_as(theirs: Mapping[Key, Kept], versions: Mapping[Key, Kept]) -> dict[Key, Kept]:
    """With theirs as the maker of what both have: which of several came first is no change of a version."""
    return {key: kept._replace(maker=theirs[key].maker) if key in theirs else kept for key, kept in versions.items()}


def _later_kept(one: Kept, other: Kept) -> Kept:
    """Of a version both made or both changed, bytes that are there outlive a removal; theirs' number stands."""
    live = None in (one.removed_at, other.removed_at)
    return other._replace(removed_at=None if live else max(one.removed_at or 0.0, other.removed_at or 0.0))


def _with_makers(versions: dict[Key, Kept], attempts: Mapping[str, Attempt]) -> dict[Key, Kept]:
    """Every version belongs to an attempt that made it; one that no attempt is left of is gone."""
    makers: dict[Key, str] = {}
    for ident, attempt in attempts.items():
        for key, _ in attempt.made:
            makers.setdefault(key, ident)
    return {
        key: kept if kept.maker in attempts else kept._replace(maker=makers[key])
        for key, kept in versions.items()
        if kept.maker in attempts or key in makers
    }


def _numbered(versions: dict[Key, Kept], theirs: Mapping[Key, Kept]) -> dict[Key, Kept]:
    """Theirs keep their numbers, unless something before them is erased; ours come after, in their order, without a gap."""
    highest: dict[str, int] = defaultdict(int)
    numbers: dict[Key, int] = {}
    for key, _ in sorted(versions.items(), key=lambda item: (item[0] not in theirs, item[1].version)):
        numbers[key] = highest[key[0]] = highest[key[0]] + 1
    return {key: kept._replace(version=numbers[key]) for key, kept in versions.items()}


def _state(
    base: Mapping[str, str], ours: Mapping[str, str], theirs: Mapping[str, str], attempts: Mapping[str, Attempt]
) -> dict[str, str]:
    """What is in force, a mapped node with its parts as one; never two nodes for one artifact: the later stands."""
    old, our, their = (_groups(state, attempts) for state in (base, ours, theirs))
    chosen = {}
    for name in their | our:
        b, o, t = old.get(name), our.get(name), their.get(name)
        if o == b or o is None:
            group = t
        elif t in (b, None):
            group = o
        else:
            group = max(o, t, key=lambda each: max(attempts[ident].began for ident in each.values()))
        if group is not None and not (o is None and t == b):
            chosen[name] = group
    holder: dict[str, str] = {}
    heads = [(attempts[group[name]], name) for name, group in chosen.items() if name in group]
    for attempt, name in sorted(heads, key=lambda pair: pair[0].began):
        for (artifact, _), _ in attempt.made:
            before = holder.get(artifact, name)
            if before != name:
                chosen.pop(before, None)
            holder[artifact] = name
    return {node: ident for group in chosen.values() for node, ident in group.items()}


def _groups(state: Mapping[str, str], attempts: Mapping[str, Attempt]) -> dict[str, dict[str, str]]:
    """What is left in force by node, its parts with it."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for node, ident in state.items():
        if ident in attempts:
            found[whole(node)][node] = ident
    return found


def _whole_in_force(
    versions: dict[Key, Kept],
    held: set[Key],
    state: Mapping[str, str],
    attempts: Mapping[str, Attempt],
    *sides: Mapping[Key, Kept],
) -> dict[Key, Kept]:
    """What is in force, what it was made from, and pages that are held stay whole if one side still has the bytes."""
    used = {key for ident in state.values() for key in attempts[ident].sources.union(k for k, _ in attempts[ident].made)}
    there = {key for side in sides for key, kept in side.items() if kept.removed_at is None}
    used = (used | held) & there
    return {key: kept._replace(removed_at=None) if key in used else kept for key, kept in versions.items()}
