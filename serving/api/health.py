"""`/health`: whether the platform can be asked, how the last run went and how fresh each source is. Looked up at most every two seconds."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from config.errors import PDPError
from config.sources import SOURCES
from scripts.project import Project
from serving.api import registry as told
from serving.api.bronze import Bronze
from serving.api.errors import Refused
from serving.api.gold import Shelf, freshness, synthetic

_KEPT = 2.0
_LITTLE = 100 * 2**20
"""Bytes free on the disk below which a run may not finish."""


class Health:
    """What is known now; any thread may ask, one of them looks."""

    def __init__(self, project: Project, bronze: Bronze, shelf: Shelf) -> None:
        self._project, self._bronze, self._shelf = project, bronze, shelf
        self._door = threading.Lock()
        self._kept: tuple[float, dict[str, Any]] | None = None

    def now(self) -> dict[str, Any]:
        """`status` is `down` when the registry or the database cannot be asked, `degraded` when what they tell is not as wished."""
        with self._door:
            if self._kept is None or time.monotonic() - self._kept[0] >= _KEPT:
                self._kept = (time.monotonic(), self._looked())
            return self._kept[1]

    def _looked(self) -> dict[str, Any]:
        reasons, down = [], False
        connected = self._connected()
        stored, runs = 0, told.runs(None)
        try:
            with self._project.pipeline.reading() as registry:
                runs = told.runs(registry)
                stored = registry.db.execute(told.STORED).fetchone()[0] if registry else 0
        except PDPError:
            down = True
            reasons.append("The registry cannot be read.")
        if not connected:
            down = down or bool(runs["count"])
            reasons.append("The bronze database cannot be asked." if runs["count"] else "Nothing has run yet.")
        sources = freshness_of(freshness(self._shelf), self._project.settings["quality_sla"], judged=not synthetic(self._shelf))
        last, free = runs["last"], _free(self._project.data_dir)
        if last and last["status"] in ("failed", "interrupted"):
            reasons.append(f"The last run {'failed' if last['status'] == 'failed' else 'was interrupted'}.")
        if free is not None and free < _LITTLE:
            reasons.append("The disk is nearly full.")
        reasons += [
            f"{source['source']} has brought nothing new for longer than wished." for source in sources if source["stale"]
        ]
        return {
            "status": "down" if down else "degraded" if reasons else "ok",
            "reasons": reasons,
            "db_connected": connected,
            "last_etl_run": last and last["started_at"],
            "etl_status": last and last["status"],
            "storage": {"bytes": stored, "free": free},
            "sources": sources,
        }

    def _connected(self) -> bool:
        try:
            with self._bronze.session() as session:
                session.execute("SELECT 1")
        except (PDPError, Refused):
            return False
        return True


def freshness_of(rows: list[dict[str, Any]], sla: Mapping[str, Any], judged: bool = True) -> list[dict[str, Any]]:
    """Of each source its newest reading, its age in hours, and whether that is older than the settings wish (`quality_sla`)."""
    newest: dict[str, str] = {}
    for row in rows:
        if row["last_start"]:
            newest[row["source"]] = max(newest.get(row["source"], ""), row["last_start"])
    return [
        _fresh(source, newest.get(source), _wished(sla, source) if judged else None) for source in SOURCES if source in newest
    ]


def _fresh(source: str, newest: str | None, wished: float | None) -> dict[str, Any]:
    age = (datetime.now(UTC) - datetime.fromisoformat(newest)).total_seconds() / 3600 if newest else None
    stale = age is not None and wished is not None and age > wished
    return {"source": source, "newest": newest, "age_hours": None if age is None else round(age, 1), "stale": stale}


def _wished(sla: Mapping[str, Any], source: str) -> float | None:
    hours = sla["sources"].get(source, {}).get("freshness_hours", sla["freshness_hours"])
    return None if hours is None else float(hours)


def _free(folder: str) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None
