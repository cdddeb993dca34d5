"""What the setting `retention` says should be gone by now."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from scripts.erase import holdings
from scripts.erase.scope import moment
from scripts.project import Project
from scripts.words import counted


def tell_expired(project: Project) -> None:
    """Say on stderr how much is older than a source may keep, if anything is."""
    found = {source: count for source, days in project.settings["retention"].items() if (count := expired(project, source, days))}
    for source, count in found.items():
        print(f"  ! {counted(count, 'record')} of {source} outlived `retention`: python main.py erase --expired", file=sys.stderr)


def erase_expired(project: Project) -> int:
    """`erase --expired --yes`, as jobs that nobody watches do it; gives its exit code."""
    from scripts.diary import tell
    from scripts.erase.command import erase
    from scripts.options import parse
    from scripts.state.complete import complete

    if not any(expired(project, source, days) for source, days in project.settings["retention"].items()):
        return 0
    complete(project)
    answer = erase(project, parse(["erase", "--expired", "--yes"]))
    if answer.data["applied"] or answer.exit_code:
        tell("retention_applied", sources=[s["source"] for s in answer.data["sources"]], exit_code=answer.exit_code)
    return answer.exit_code


def expired(project: Project, source: str, days: int) -> int:
    """Records in force that are older than `days` local days."""
    today = datetime.now(ZoneInfo(project.settings["timezone"])).date()
    begins = moment(today - timedelta(days=days), project.settings)
    return sum(age.older for age in holdings.ages(project, source, begins).values())
