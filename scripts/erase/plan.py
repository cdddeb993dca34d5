"""What an erase would take away, counted everywhere before anything is touched. Reads only."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from config.sources import SOURCES, is_live
from scripts.erase import cutting, holdings, rest
from scripts.erase.cutting import Cutting
from scripts.erase.scope import Scope, moment
from scripts.project import Project

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.upkeep.erase import Erased
    from warehouse.bronze.erasing.erase import Cut, Share
    from warehouse.silver.erasing import Share as SilverShare


class Plan(NamedTuple):
    """What goes."""

    scope: Scope
    cuttings: list[Cutting]
    """Of the sources that have something to erase."""
    engine: Erased | None
    """Versions and rows of the registry; None when none go."""
    bronze: list[Share]
    silver: list[SilverShare]
    """Rows of the unified table: those of a source go whole, the run afterwards brings back what its other data gives."""
    files: list[rest.File]
    """Of the data root beside store, registry and inbox; with `--all` everything."""
    remote: dict[str, Any] | None
    notes: list[str]
    unfinished: bool
    """An erase was killed: this one finishes it."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        held = (
            self.unfinished
            or self.cuttings
            or self.bronze
            or self.silver
            or (self.scope.everything and (self._held_files() or (self.remote or {}).get("blobs")))
        )
        return not held

    def _held_files(self) -> bool:
        """Whether there is more than the settings as they were last read, which every command leaves."""
        return any(not file.name.startswith(".settings-") for file in self.files)


def plan(project: Project, scope: Scope) -> Plan:
    """Count it. UsageError when it cannot be told what is older than the day; WarehouseError when bronze cannot be asked."""
    days = dict.fromkeys(SOURCES) if scope.everything else scope.days
    looked = [_cutting(project, source, day) for source, day in days.items()]
    bronze, silver = _bronze(project, looked), _silver(project, looked)
    shared = {share.source for share in bronze} | ({share.source for share in silver} if scope.everything else set())
    found = [c for c in looked if c.source in shared or c.records or (c.day is None and (c.inbox or _rows(project, c.source)))]
    begun = rest.unfinished(project)
    if scope.everything:
        engine = project.pipeline.erase(lambda _: True, dry_run=True)
        return Plan(
            scope, found, engine, bronze, silver, rest.everything(project), remote(project), _notes(project, scope, found), begun
        )
    named = {c.source for c in found}
    silver = [share for share in silver if share.source in named]
    chosen = project.pipeline.erase(wanted(found), dry_run=True) if found else None
    files = rest.made_from_data(project) if found else []
    elsewhere = remote(project) if found or begun else None
    return Plan(scope, found, chosen, bronze, silver, files, elsewhere, _notes(project, scope, found), begun)


def wanted(cuttings: list[Cutting]) -> Callable[[str], bool]:
    """Which artifacts go; what is made from them goes with them."""
    spared = {artifact.name for c in cuttings for artifact in c.staying}

    def goes(name: str) -> bool:
        return name not in spared and any(
            holdings.belongs(name, c.source) and not (c.day is not None and name.startswith(f"raw/{c.source}.calls/"))
            for c in cuttings
        )

    return goes


def cuts(cuttings: list[Cutting]) -> dict[str, Cut]:
    """The same for bronze."""
    from warehouse.bronze.erasing.erase import Cut

    return {
        c.source: Cut(c.begins.replace(tzinfo=None) if c.begins else None, [artifact.sha256 for artifact in c.going])
        for c in cuttings
    }


def remote(project: Project) -> dict[str, Any] | None:
    """What the remote state holds; None without one."""
    settings = project.settings.whole()
    if not (settings.state_url or settings.google_drive_state_folder_id):
        return None
    from scripts.state import erase

    return dict(erase.plan(project))


def _cutting(project: Project, source: str, day: Any) -> Cutting:
    live = is_live(source, project.settings)
    if day is None:
        return cutting.whole(project, source, live)
    return cutting.at(project, source, day, moment(day, project.settings), live)


def _rows(project: Project, source: str) -> bool:
    """Whether the registry speaks of any artifact of the source."""
    with project.pipeline.reading() as registry:
        names = registry.db.execute("SELECT DISTINCT name FROM artifact").fetchall() if registry else []
    return any(holdings.belongs(name, source) for (name,) in names)


def _bronze(project: Project, cuttings: list[Cutting]) -> list[Share]:
    from warehouse.bronze.erasing import erase

    return erase.plan({name: project.settings[name] for name in ("database", "data_dir")}, cuts(cuttings))


def _silver(project: Project, cuttings: list[Cutting]) -> list[SilverShare]:
    from warehouse.silver import erasing

    return erasing.plan({name: project.settings[name] for name in ("database", "data_dir")}, [c.source for c in cuttings])


def _set(project: Project, source: str) -> list[str]:
    """The settings that bring a source's data in again."""
    entry = SOURCES[source]
    own = [name.upper() for name in entry.live] if all(project.settings[name] for name in entry.live) else []
    return [*own, *entry.tokens, *(["ORIGINS"] if project.settings[f"origins_{source}"] else [])]


def _notes(project: Project, scope: Scope, found: list[Cutting]) -> list[str]:
    """What a person should know: what stays, and what would come back."""
    notes = ["An erase was interrupted; this one finishes it."] if rest.unfinished(project) else []
    for c in found:
        names = " and ".join(_set(project, c.source))
        if c.live and c.day is None and SOURCES[c.source].rest == "yaml":
            notes.append(f"{c.source}: the next run fetches it again. Write `paused: true` into {c.source}.yaml first.")
        elif c.live and c.day is None:
            notes.append(f"{c.source}: {names} is set, so the next run fetches it again. Take it out of the settings first.")
        elif c.live:
            notes.append(f"{c.source}: the original at the provider stays as it is. What is older of it is not taken in again.")
        elif c.day is not None and (c.kept or c.going):
            notes.append(f"{c.source}: {c.kept:,} younger records of {len(c.going)} files that go are kept, as records.")
    if project.examples and found:
        notes.append("These are the shipped examples of an invented person: the next run makes them again.")
    if scope.everything:
        notes.append(f"Stays: {os.path.join(os.path.basename(project.data_dir), 'audit.jsonl')}, with one line more.")
        notes += [f"Stays, because it is not ours: {name}" for name in rest.strangers(project)]
        notes.append("Settings (config/settings.yaml, .env) are yours and stay; so does what you have exported or backed up.")
    return notes
