"""What stands behind the readings of one day: their records with every revision, the raw artifact of each, the fetch that brought it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, NamedTuple

from config.errors import StoreError
from config.metrics import METRICS
from pipeline.registry import Artifact, Registry
from processing.aggregators.remaking import Choice
from processing.normalizers.revisions import newest
from scripts.tracing.tables import AT, Row, rows_where
from scripts.tracing.versions import Made, Version, fetched, raw_artifact
from warehouse.bronze.lookup import Wanted

_MICROS = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Asked(NamedTuple):
    """A place in the answer that waits for its bronze row."""

    source: str
    wanted: Wanted
    told: dict[str, Any]


class Evidence:
    """Reads the versions behind one daily table. What is no longer kept leaves a note, not an error."""

    def __init__(self, registry: Registry, local: Callable[[Artifact], str], table: Made) -> None:
        """`local` gives the path of a version's bytes."""
        self.table = table
        self.notes: list[str] = []
        self.asked: list[Asked] = []
        self._registry, self._local = registry, local
        self._rested: dict[int, dict[str, Any]] = {}
        self._raws: dict[tuple[str, str], dict[str, Any]] = {}

    def rows(
        self,
        role: str,
        made: Made | None,
        wanted: Mapping[str, Collection[Any]],
        columns: Sequence[str] | None = None,
        beside: str = "",
    ) -> list[Row]:
        """Rows of what was made, or of what the same attempt wrote beside it in that role; the answer then rests on it."""
        version = self.rest_on(role, made, beside)
        try:
            return rows_where(self.path(version), wanted, columns) if version else []
        except OSError:
            assert version is not None
            self.lost(version)
            return []

    def rest_on(self, role: str, made: Made | None, beside: str = "") -> Version | None:
        """The version of what was made, or written beside it; from now on among those the answer names."""
        if made is None:
            return None
        version = made.beside.get(beside) if beside else made.version
        if version is not None:
            self._rested.setdefault(version.id, version.told(role, made.by))
        return version

    def path(self, version: Version) -> str:
        """Where its bytes are."""
        return self._local(version.artifact)

    def rested_on(self) -> list[dict[str, Any]]:
        """The versions this answer rests on, in the order they were read."""
        return list(self._rested.values())

    def choices(self, day: date, metrics: Collection[str]) -> list[Choice]:
        """The validated readings of a day, each with its fate. StoreError when the table's bytes are gone."""
        version = self.rest_on("choices", self.table, beside="choices")
        try:
            rows = rows_where(self.path(version), {"local_date": {day}, "metric": metrics}) if version else []
        except OSError:
            raise StoreError("The choices behind the daily table are gone from the store.", "Run the pipeline again.") from None
        return [Choice(**{name: row[name] for name in Choice._fields}) for row in rows]

    def chain(self, kind: str, source: str) -> tuple[Made | None, Made | None]:
        """(normalized readings, records) of a source that the validated readings of this kind were made from."""
        validated = self.table.inputs.get(kind)
        normalized = validated and validated.inputs.get(source)
        return normalized, normalized.inputs.get("records") if normalized else None

    def records(self, kind: str, source: str, raw_ids: Collection[str]) -> dict[str, list[dict[str, Any]]]:
        """raw id → all its records, as the answer tells them; the one that counts is marked."""
        _, records = self.chain(kind, source)
        found: dict[str, list[Row]] = {}
        for row in self.rows("records", records, {"raw_id": set(raw_ids)}):
            found.setdefault(row["raw_id"], []).append(row)
        return {raw_id: self._told(source, rows) for raw_id, rows in found.items()}

    def readings(self, choices: Iterable[Choice]) -> list[dict[str, Any]]:
        """The readings as the answer tells them, with their records; `used` and `why` are the caller's."""
        told = [(c, reading(c)) for c in choices]
        places = {(METRICS[c.metric].kind, c.source) for c, _ in told}
        for kind, source in sorted(places):
            mine = [(c, t) for c, t in told if (METRICS[c.metric].kind, c.source) == (kind, source)]
            records = self.records(kind, source, {c.raw_id for c, _ in mine})
            for choice, answer in mine:
                answer["records"] = records.get(choice.raw_id, [])
        return [t for _, t in told]

    def artifact(self, name: str, sha256: str) -> dict[str, Any]:
        """A raw artifact as a record names it."""
        known = self._raws.get((name, sha256))
        if known is None:
            version = raw_artifact(self._registry, name, sha256)
            known = self._raws[name, sha256] = {
                "raw_artifact": name,
                "version": version.version if version else None,
                "sha256": sha256,
                "fetched": fetched(self._registry, version) if version else None,
            }
        return dict(known)

    def _told(self, source: str, rows: list[Row]) -> list[dict[str, Any]]:
        counts = newest((row["revision"], row["status"], row["raw"]) for row in rows)
        return [self._record(source, row, used=at == counts) for at, row in enumerate(rows)]

    def _record(self, source: str, row: Row, used: bool) -> dict[str, Any]:
        artifact = self.artifact(row["raw_artifact"], row["raw_sha256"])
        told = {
            "raw_artifact": artifact["raw_artifact"],
            "version": artifact["version"],
            "sha256": artifact["sha256"],
            "position": row["position"],
            "raw": json.loads(row["raw"]),
            "bronze": None,
            "used": used,
            "raw_id": row["raw_id"],
            "source_timestamp": moment(row["source_timestamp"]),
            "record_index": row["record_index"],
            "revision": row["revision"],
            "status": row["status"],
            "errors": row["errors"] or [],
            "place": row[AT],
            "fetched": artifact["fetched"],
        }
        stamp = row["source_timestamp"]
        day = None if stamp is None else (_EPOCH + stamp * _MICROS).date()
        self.asked.append(Asked(source, Wanted(row["raw_id"], row["raw"], day, row["raw_sha256"], row["record_index"]), told))
        return told

    def lost(self, version: Version) -> None:
        """Note that the bytes are gone."""
        note = f"{version.name}@v{version.version} is no longer kept, so what it held cannot be shown."
        if note not in self.notes:
            self.notes.append(note)


def reading(row: Choice | Row) -> dict[str, Any]:
    """A reading as the answer tells it; times on the clock it was taken by, with offset."""
    r = row._asdict() if isinstance(row, Choice) else row
    return {
        "metric": r["metric"],
        "value": r["value"],
        "unit": r["unit"],
        "start": moment(r["start"], r["utc_offset"]),
        "end": moment(r["end"], r["utc_offset"]),
        "utc_offset": r["utc_offset"],
        "scope": r["scope"],
        "device": r["device"],
        "source": r["source"],
        "raw_id": r["raw_id"],
        "records": [],
    }


def moment(micros: int | None, offset: int = 0) -> str | None:
    """Microseconds since 1970 as ISO text at this offset."""
    if micros is None:
        return None
    return (_EPOCH + micros * _MICROS).astimezone(timezone(timedelta(seconds=offset))).isoformat()
