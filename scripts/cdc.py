"""`cdc create|drop|status`: what change data capture needs in the database it reads, made, removed and looked at."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from config.errors import SettingsError
from scripts.answer import Answer
from scripts.project import Project

_DECLARED = ("tokens_cdc", "cdc_tables", "cdc_slot")


def answer(project: Project, options: Namespace) -> Answer:
    """What `cdc ACTION` says. Raises SettingsError, SourceDenied, SourceUnavailable."""
    from ingestion.cdc import slot as slots
    from ingestion.cdc.session import connected

    settings = {name: project.settings[name] for name in _DECLARED}
    if options.action != "drop" and not settings["cdc_tables"]:
        raise SettingsError("CDC_TABLES names no table.", 'Example: CDC_TABLES=["public.readings"]')
    name = settings["cdc_slot"]
    with connected(settings) as session:
        if options.action == "status":
            return _status(session, settings)
        done = (
            slots.create(session, name, slots.wanted_tables(settings))
            if options.action == "create"
            else slots.drop(session, name)
        )
    text = f"{name}: {'; '.join(done)}." if done else f"{name}: nothing to do."
    return Answer({"slot": name, "done": done}, text)


def _status(session: Any, settings: dict[str, Any]) -> Answer:
    from ingestion.cdc import slot as slots
    from ingestion.cdc.pgoutput import lsn_text

    name, problem = settings["cdc_slot"], slots.trouble(session)
    if problem:
        return Answer({"slot": name, "ok": False, "problem": problem}, problem, 1)
    found, tables = slots.slot_of(session, name), slots.published(session, name)
    data: dict[str, Any] = {"slot": name, "ok": False, "tables": [table.full for table in tables]}
    if found is None:
        return Answer(data, f"There is no slot {name}. Make it with: python main.py cdc create.", 1)
    data |= {
        "ok": not found.lost,
        "wal_status": found.wal_status,
        "active": found.active,
        "confirmed": lsn_text(found.confirmed),
        "retained_bytes": found.retained,
    }
    lines = [
        f"slot      {name}, {found.wal_status}{', in use' if found.active else ''}",
        f"read up   to {lsn_text(found.confirmed)}",
        f"log kept  {found.retained / (1 << 20):,.1f} MB",
        f"tables    {', '.join(data['tables'])}",
    ]
    if found.lost:
        lines.append("The server has given it up. Make it anew with: python main.py cdc create.")
    return Answer(data, "\n".join(lines), 0 if data["ok"] else 1)
