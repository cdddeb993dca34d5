"""`trace DATE METRIC`: from a cell of the daily table to the readings that made it and those that did not, down to the raw record,
the file it stood in, the fetch that brought it and its bronze row.

It follows the edges of the attempts that made the table in force, so it tells the truth about that table even while a later run has
failed half way. It shows measured values: that is what a person asks for at their own terminal. It writes and logs nothing.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from config.daily import EXPECTED
from config.errors import PDPError, StoreError, UsageError
from config.metrics import METRICS
from pipeline.encoding import digest
from pipeline.registry import Registry
from processing.aggregators.columns import Column, named
from processing.aggregators.events import marks
from processing.aggregators.fates import ACCEPTED, CLOCK_RESET, DUPLICATE
from processing.aggregators.remaking import RULES, Choice, Made, agrees, remake, why
from scripts.answer import Answer
from scripts.project import Project
from scripts.tracing import versions
from scripts.tracing.evidence import Asked, Evidence
from scripts.tracing.refusals import refusals
from scripts.tracing.tables import AT, rows_where
from scripts.tracing.text import tree

_OF_ALL = ("date", "sources")
"""Columns that every reading of the day has a part in."""
_BOUNDS = {"systolic_min", "systolic_max", "diastolic_min", "diastolic_max", "min_hr", "max_hr"}


def trace(project: Project, options: Namespace) -> Answer:
    """`trace DATE METRIC`. UsageError for what is no date, no column, or a day without a row."""
    column, day = named(options.metric), _day(options.date)
    with project.pipeline.reading() as registry:
        table = versions.daily_table(registry)
        assert registry is not None
        evidence = Evidence(registry, project.pipeline.local, table)
        row = _row(evidence, day)
        data = _cell(evidence, registry, project, column, day, row)
    _ask_bronze(project, evidence)
    data["notes"] = evidence.notes
    return Answer(data, tree(data))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no date.", "Write a day of the daily table as 2025-03-01.") from None


def _row(evidence: Evidence, day: date) -> dict[str, Any]:
    """The day's row of the table."""
    try:
        rows = rows_where(evidence.path(evidence.table.version), {"date": {day}})
    except OSError:
        raise StoreError("The daily table is gone from the store.", "Run the pipeline again.") from None
    if rows:
        return {name: cell for name, cell in rows[0].items() if name != AT}
    days = [at for at, _ in _column(evidence, "date")]
    if not days:
        raise UsageError("The daily table has no day yet.", "Drop an export into the inbox and run: python main.py")
    lost = sum(c.fate == CLOCK_RESET for c in evidence.choices(day, METRICS))
    reset = f" {lost} readings carry this date because their device had lost the clock." if lost else ""
    near = " and ".join(at.isoformat() for at in _nearest(days, day))
    raise UsageError(f"{day} has no row.{reset}", f"There are {len(days)} days from {days[0]} to {days[-1]}; nearest: {near}.")


def _column(evidence: Evidence, name: str) -> list[tuple[date, Any]]:
    """(day, cell) of a whole column."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(evidence.path(evidence.table.version)) as file:
        read = file.read(columns=list(dict.fromkeys(("date", name))), use_threads=False)
    return list(zip(read["date"].to_pylist(), read[name].to_pylist(), strict=True))


def _nearest(days: Iterable[date], day: date) -> list[date]:
    """The last before and the first after."""
    known = list(days)
    before, after = [d for d in known if d < day], [d for d in known if d > day]
    return [*([max(before)] if before else []), *([min(after)] if after else [])]


def _cell(
    evidence: Evidence, registry: Registry, project: Project, column: Column, day: date, row: dict[str, Any]
) -> dict[str, Any]:
    metrics = tuple(METRICS) if column.name in _OF_ALL else column.metrics
    choices = evidence.choices(day, metrics) if metrics else []
    value = row[column.name]
    made = remake(column.name, choices, row)
    facts, known = _made_of(evidence, registry, project, column, day, row)
    if column.name == "event":
        made = Made("; ".join(dict.fromkeys(f["value"] for f in facts)) or None)
    elif column.name == "bp_scheme":
        made = Made(project.settings["bp_scheme"] if row["bp_category"] is not None else None)
    data = {
        "date": day.isoformat(),
        "metric": column.name,
        "value": value.isoformat() if isinstance(value, date) else value,
        "meaning": column.meaning,
        "rule": RULES[column.name].says,
        "reproduced": agrees(value, made.value) if known else None,
        "made_of": facts,
        "readings": _readings(evidence, column, choices, made),
        "rejected": refusals(evidence, day, column.metrics, choices, project.settings) if column.metrics else [],
        "artifacts": [evidence.table.told("daily table"), *evidence.rested_on()],
    }
    if value is None:
        filled = (at for at, cell in _column(evidence, column.name) if cell is not None)
        data["near"] = [at.isoformat() for at in _nearest(filled, day)]
    return data


def _readings(evidence: Evidence, column: Column, choices: Sequence[Choice], made: Made) -> list[dict[str, Any]]:
    """Every reading of the column's metrics: those that made the cell first, then those that lost, with the reason."""
    used = {id(choice) for choice in made.used}
    ordered = sorted(choices, key=lambda c: (id(c) not in used, c.start, c.metric))
    counted = [c for c in choices if c.fate == ACCEPTED]
    told = evidence.readings(ordered)
    for choice, answer in zip(ordered, told, strict=True):
        answer |= {"used": id(choice) in used, "fate": choice.fate, "part": choice.part}
        if not answer["used"]:
            answer["why"] = why(choice, column)
        if choice.fate == DUPLICATE and (instead := _counted_instead(choice, counted)):
            answer["counted_instead"] = {"source": instead.source, "raw_id": instead.raw_id, "value": instead.value}
        if answer["used"] and column.name in _BOUNDS:
            answer["decides"] = agrees(choice.value, made.value)
    return told


def _counted_instead(choice: Choice, counted: Iterable[Choice]) -> Choice | None:
    """The reading that tells the same: of the same metric, nearest in time."""
    same = (c for c in counted if c.metric == choice.metric and c.scope == choice.scope)
    return min(same, key=lambda c: (abs(c.start - choice.start), c.start), default=None)


def _made_of(
    evidence: Evidence, registry: Registry, project: Project, column: Column, day: date, row: dict[str, Any]
) -> tuple[list[dict[str, Any]], bool]:
    """What else a cell rests on (other cells, settings), and whether that is known: a setting may have changed since."""
    if column.name == "missing_data_flag":
        return [{"column": name, "value": row[name], "missing": row[name] is None} for name in EXPECTED], True
    if column.name in ("bp_category", "bp_scheme") and row["bp_scheme"] is not None:
        from processing.aggregators.categories import scheme

        cells = [{"column": name, "value": row[name]} for name in ("systolic", "diastolic")]
        grades = [grade._asdict() for grade in scheme(row["bp_scheme"])]
        chosen = [{"setting": "bp_scheme", "value": row["bp_scheme"], "categories": grades}]
        if column.name == "bp_category":
            return chosen + cells, True
        return chosen, _stand(registry, evidence, project, "bp_scheme")
    if column.name == "event":
        known = _stand(registry, evidence, project, "events", "med_start_date")
        return [{"setting": m.setting, "value": m.label} for m in marks(project.settings) if m.day == day.isoformat()], known
    return [], True


def _stand(registry: Registry, evidence: Evidence, project: Project, *names: str) -> bool:
    """Whether these settings are what they were when the table was made; a note when they are not."""
    leaves = {name: leaf for name, leaf, *_ in registry.leaves(evidence.table.by.settings_id)}
    changed = [name for name in names if leaves.get(name) != digest(project.settings[name])]
    evidence.notes += [f"The setting `{name}` has changed since; the next run will follow it." for name in changed]
    return not changed


def _ask_bronze(project: Project, evidence: Evidence) -> None:
    """Fill in the bronze rows; a database that cannot be asked is worth a note."""
    if not evidence.asked:
        return
    from warehouse.bronze.lookup import find

    by_source: dict[str, list[Asked]] = {}
    for asked in evidence.asked:
        by_source.setdefault(asked.source, []).append(asked)
    settings = {name: project.settings[name] for name in ("database", "data_dir")}
    try:
        found = find(settings, {source: [a.wanted for a in mine] for source, mine in by_source.items()})
    except PDPError as error:
        evidence.notes.append(f"Bronze could not be asked. {error}")
        return
    for source, rows in found.items():
        for asked, row in zip(by_source[source], rows, strict=True):
            asked.told["bronze"] = row and row._asdict()
    if any(row is None for rows in found.values() for row in rows):
        evidence.notes.append("Some records are not in bronze: it has not loaded them yet.")
