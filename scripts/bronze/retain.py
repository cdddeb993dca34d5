"""`bronze retain`: which months would go, or come back; with `--apply` they do."""

from __future__ import annotations

import re
from argparse import Namespace
from datetime import date
from typing import TYPE_CHECKING, Any

from config.errors import UsageError
from scripts.answer import Answer
from scripts.project import Project
from scripts.words import counted, sized

if TYPE_CHECKING:
    from warehouse.bronze.checking.retention import Month


def answer(project: Project, options: Namespace) -> Answer:
    """Show the months that lie before `--before` entirely, or those of `--restore`; change something only with `--apply`."""
    from warehouse.bronze.checking import retention

    settings = {name: project.settings[name] for name in ("database", "data_dir")}
    if options.restore:
        if options.drop:
            raise UsageError("A month cannot be dropped and restored.", "Leave out --drop or --restore.")
        month = _day(f"{options.restore}-01" if re.fullmatch(r"\d{4}-\d\d", options.restore) else options.restore)
        find = retention.restore if options.apply else retention.kept
        return _answer(find(settings, month, options.sources), "restore", options)
    work = retention.retire if options.apply else retention.due
    return _answer(
        work(settings, _day(options.before), options.sources, drop=options.drop), "drop" if options.drop else "detach", options
    )


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no date.", "Example: --before 2020-01-01, or --restore 2019-12") from None


def _answer(months: list[Month], action: str, options: Namespace) -> Answer:
    data = {"action": action, "applied": options.apply, "months": [_told(month) for month in months]}
    data |= {"rows": sum(m.rows for m in months), "bytes": sum(m.size for m in months)}
    if not months:
        none = "No detached month of that name is kept." if action == "restore" else "No month lies entirely before that date."
        return Answer(data, none)
    lines = [f"{'source':<20}{'month':<10}{'partition':<44}{'rows':>12}{'size':>10}  loaded"]
    lines += [f"{m.source:<20}{m.month:%Y-%m}   {m.table:<44}{m.rows:>12,}{sized(m.size):>10}  {_span(m)}" for m in months]
    total = f"{counted(len(months), 'month')}, {counted(data['rows'], 'row')}, {sized(data['bytes'])}"
    done = {
        "restore": "attached again",
        "drop": "dropped",
        "detach": "detached; each lives on as a table of its own, its name with _kept",
    }
    verb = {"restore": "be attached again", "drop": "be dropped, for good", "detach": "be detached"}
    lines.append(f"{total}: {done[action]}." if options.apply else f"{total} would {verb[action]}: add --apply.")
    return Answer(data, "\n".join(lines))


def _told(month: Month) -> dict[str, Any]:
    return {
        "source": month.source,
        "month": f"{month.month:%Y-%m}",
        "partition": month.table,
        "detached": month.detached,
        "rows": month.rows,
        "bytes": month.size,
        "first_loaded_at": month.first_loaded_at and month.first_loaded_at.isoformat(timespec="seconds"),
        "last_loaded_at": month.last_loaded_at and month.last_loaded_at.isoformat(timespec="seconds"),
    }


def _span(month: Month) -> str:
    """The days it was loaded on."""
    days = [f"{at:%Y-%m-%d}" for at in (month.first_loaded_at, month.last_loaded_at) if at]
    return " to ".join(dict.fromkeys(days))
