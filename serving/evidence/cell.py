"""What made a number of the daily table, told from the gold tables alone, in the shape of `trace --json` (`docs/trace.md`).

It knows the newest revision of a record, its file and its place in it. Runs, fetches and bronze rows stand in the registry and in
Postgres, which a shipped or sealed copy has not: a note says how to find them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from config.daily import COLUMNS, EXPECTED, FATES, REASONS, why_not
from config.errors import UsageError
from config.metrics import METRICS
from serving.evidence.rules import decides, made

if TYPE_CHECKING:
    from serving.gold import Gold

Row = dict[str, Any]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OF_ALL = ("date", "sources")
"""Columns that every reading of the day has a part in."""
_STAGES = {"record": "ingestion"}
_MEDICATION = "medication start"
"""The label of the day of the setting `med_start_date`."""

_READINGS = """
SELECT metric, value, unit, epoch_us(start) AS start, epoch_us("end") AS "end", epoch_us(local_start) - epoch_us(start) AS shift,
       scope, device, source, raw_id, fate, part
FROM readings WHERE date = $day AND list_contains($metrics, metric)
ORDER BY metric, start, "end", source, raw_id, device, scope, value
"""
_REJECTED = """
WITH of_day AS (
    SELECT rejected.*, coalesce(json_extract_string(raw, '$.Key'), json_extract_string(raw, '$.key')) AS subject
    FROM rejected LEFT JOIN records USING (source, raw_id) WHERE date = $day
)
SELECT stage, reason, metric, kind, value, unit, epoch_us(start) AS start, source, raw_id, raw_artifact, position FROM of_day
WHERE CASE
    WHEN metric IS NOT NULL THEN list_contains($metrics, metric)
    WHEN kind IS NOT NULL THEN list_contains($kinds, kind)
    WHEN list_contains($catalogue, subject) THEN list_contains($metrics, subject)
    ELSE true
END
ORDER BY stage, source, start, metric
"""
"""A record that gave no reading has no metric: its kind tells, else what it says itself to be about; else it stands everywhere."""
_RECORDS = """
SELECT source, raw_id, raw_artifact, artifact_version, raw_sha256, position, epoch_us(arrived) AS arrived, status, raw
FROM records WHERE list_contains($names, source || chr(10) || raw_id)
"""


def evidence(gold: Gold, day: date, metric: str) -> dict[str, Any]:
    """What made the cell `metric` of `day`. UsageError for what is no column, or a day without a row."""
    told = COLUMNS.get(metric)
    if told is None:
        raise UsageError(f"The daily table has no column {metric!r}.", f"Columns are: {', '.join(COLUMNS)}.")
    row = _day(gold, day)
    metrics = tuple(METRICS) if metric in _OF_ALL else told.metrics
    rows = _rows(gold, _READINGS, {"day": day, "metrics": list(metrics)}) if metrics else []
    refused = _refused(gold, day, told.metrics) if told.metrics else []
    records = _records(gold, [*rows, *refused])
    used, number = (rows_of(rows), None) if metric in _OF_ALL else made(metric, rows)
    value = row[metric]
    data: dict[str, Any] = {
        "date": day.isoformat(),
        "metric": metric,
        "value": value,
        "meaning": told.meaning,
        "rule": told.rule,
        "reproduced": math.isclose(number, value, abs_tol=0.005 + 1e-9) if number is not None and value is not None else None,
        "made_of": _made_of(gold, metric, day, row),
        "readings": _readings(metric, value, rows, used, records),
        "rejected": [_refusal(r, records) for r in refused],
        "artifacts": [],
        "notes": _notes([*rows, *refused], records),
    }
    if value is None:
        data["near"] = _near(gold, metric, day)
    return data


def rows_of(rows: Sequence[Row]) -> list[Row]:
    """Those that count."""
    return [r for r in rows if r["fate"] == "accepted"]


def _rows(gold: Gold, query: str, parameters: Mapping[str, object]) -> list[Row]:
    """Rows as plain values, None where nothing is."""
    table = gold.table(query, parameters)
    return [{str(name): _plain(cell) for name, cell in row.items()} for row in table.to_dict("records")]


def _plain(cell: Any) -> Any:
    if isinstance(cell, datetime):
        return None if type(cell).__name__ == "NaTType" else cell.date().isoformat()
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return None
    if type(cell).__module__ == "numpy":
        return cell.item()
    return cell


def row_of(gold: Gold, day: date) -> Row | None:
    """The day's row of the daily table: column → cell, None for an empty one; None for a day without a row."""
    columns = ", ".join(f'"{name}"' for name in COLUMNS)
    rows = _rows(gold, f"SELECT {columns} FROM daily WHERE date = $day", {"day": day})
    return {name: _whole(name, cell) for name, cell in rows[0].items()} if rows else None


def _day(gold: Gold, day: date) -> Row:
    row = row_of(gold, day)
    if row is not None:
        return row
    near = _near(gold, "date", day)
    raise UsageError(f"{day} has no row.", f"Nearest days with data: {' and '.join(near)}." if near else "There is no day yet.")


_WHOLE = ("bp_readings", "hr_samples", "steps")


def _whole(name: str, cell: Any) -> Any:
    return int(cell) if name in _WHOLE and cell is not None else cell


def _near(gold: Gold, metric: str, day: date) -> list[str]:
    """The last day before and the first after that have a value; the name is one of the table's own columns."""
    query = (
        f'SELECT max(date) FILTER (date < $day) AS before, min(date) FILTER (date > $day) AS "after" '
        f'FROM daily WHERE "{metric}" IS NOT NULL'
    )
    (found,) = _rows(gold, query, {"day": day})
    return [at for at in found.values() if at]


def _made_of(gold: Gold, metric: str, day: date, row: Row) -> list[Row]:
    """Other cells and settings the cell rests on."""
    if metric == "missing_data_flag":
        return [{"column": name, "value": row[name], "missing": row[name] is None} for name in EXPECTED]
    if metric in ("bp_category", "bp_scheme") and row["bp_scheme"] is not None:
        cells = [{"column": name, "value": row[name]} for name in ("systolic", "diastolic")]
        return [{"setting": "bp_scheme", "value": row["bp_scheme"]}, *(cells if metric == "bp_category" else [])]
    if metric == "event":
        rows = _rows(gold, "SELECT label FROM events WHERE date = $day ORDER BY label", {"day": day})
        own = [{"setting": "events", "value": r["label"]} for r in rows if r["label"] != _MEDICATION]
        starts = str(row["event"]).split("; ")[0] == _MEDICATION
        return [*([{"setting": "med_start_date", "value": _MEDICATION}] if starts else []), *own]
    return []


def _readings(
    metric: str, value: Any, rows: list[Row], used: Sequence[Mapping[str, Any]], records: Mapping[Any, Row]
) -> list[Row]:
    """Those that made the cell first, then the others with the reason; each with its record."""
    chosen = {id(r) for r in used}
    counted = rows_of(rows)
    told = []
    for r in sorted(rows, key=lambda r: (id(r) not in chosen, r["start"], r["metric"])):
        answer = _reading(r) | {"records": _of(r, records), "used": id(r) in chosen, "fate": r["fate"], "part": r["part"]}
        if not answer["used"]:
            answer["why"] = FATES[r["fate"]] if metric in _OF_ALL else why_not(metric, r["metric"], r["fate"], r["part"])
        if r["fate"] == "duplicate" and (instead := _nearest(r, counted)):
            answer["counted_instead"] = {name: instead[name] for name in ("source", "raw_id", "value")}
        if answer["used"] and (decisive := decides(metric, value, r)) is not None:
            answer["decides"] = decisive
        told.append(answer)
    return told


def _nearest(reading: Row, counted: Iterable[Row]) -> Row | None:
    """The reading that tells the same: of the same metric and scope, nearest in time."""
    same = (r for r in counted if (r["metric"], r["scope"]) == (reading["metric"], reading["scope"]))
    return min(same, key=lambda r: (abs(r["start"] - reading["start"]), r["start"]), default=None)


def _reading(r: Row) -> Row:
    offset = round(r["shift"] / 1_000_000)
    told = {name: r[name] for name in ("metric", "value", "unit")}
    times = {"start": _moment(r["start"], offset), "end": _moment(r["end"], offset), "utc_offset": offset}
    return told | times | {name: r[name] for name in ("scope", "device", "source", "raw_id")}


def _moment(micros: int | None, offset: int = 0) -> str | None:
    if micros is None:
        return None
    return (_EPOCH + timedelta(microseconds=micros)).astimezone(timezone(timedelta(seconds=offset))).isoformat()


def _refused(gold: Gold, day: date, metrics: Sequence[str]) -> list[Row]:
    kinds = sorted({METRICS[m].kind for m in metrics})
    return _rows(gold, _REJECTED, {"day": day, "metrics": list(metrics), "kinds": kinds, "catalogue": list(METRICS)})


def _refusal(r: Row, records: Mapping[Any, Row]) -> Row:
    told: Row = {"stage": _STAGES.get(r["stage"], r["stage"]), "reason": r["reason"], "why": _in_words(r)}
    told |= {name: r[name] for name in ("metric", "source", "raw_id")}
    if r["value"] is not None:
        told |= {"value": r["value"], "unit": r["unit"], "start": _moment(r["start"])}
    place = {"raw_artifact": r["raw_artifact"], "position": r["position"], "version": None, "sha256": None}
    of = _of(r, records) or [_record(place)] * (r["raw_artifact"] is not None)
    return told | {"records": of}


def _in_words(r: Row) -> str:
    if r["reason"] in REASONS:
        return REASONS[r["reason"]]
    if r["reason"] == "duplicate":
        return "The same reading of this source and device was there already; of several one stays."
    from serving.charts.reasons import said

    return f"The record gave no reading: {said(r['reason'])}."


def _records(gold: Gold, rows: Iterable[Row]) -> dict[Any, Row]:
    """(source, raw id) → the record, as the answer tells it."""
    names = sorted({f"{r['source']}\n{r['raw_id']}" for r in rows if r["raw_id"] is not None})
    found = _rows(gold, _RECORDS, {"names": names}) if names else []
    return {
        (r["source"], r["raw_id"]): _record(
            r | {"version": r["artifact_version"], "sha256": r["raw_sha256"], "raw": _parsed(r["raw"])}
        )
        for r in found
    }


def _record(r: Row) -> Row:
    arrived = _moment(r["arrived"] // 1_000_000 * 1_000_000) if r.get("arrived") else None
    return {
        "raw_artifact": r["raw_artifact"],
        "version": r["version"],
        "sha256": r["sha256"],
        "position": r["position"],
        "raw": r.get("raw"),
        "bronze": None,
        "used": True,
        "raw_id": r.get("raw_id"),
        "status": r.get("status"),
        "errors": [],
        "fetched": arrived and {"at": arrived},
    }


def _parsed(text: str | None) -> Any:
    try:
        return json.loads(text) if text is not None else None
    except ValueError:
        return text


def _of(r: Row, records: Mapping[Any, Row]) -> list[Row]:
    record = records.get((r["source"], r["raw_id"]))
    return [record] if record else []


def _notes(rows: Sequence[Row], records: Mapping[Any, Row]) -> list[str]:
    notes = ["Told from the gold tables. Runs, fetches and bronze rows: `python main.py trace` where the data was made."]
    missing = {(r["source"], r["raw_id"]) for r in rows} - set(records)
    if missing and any(r.get("metric") == "heart_rate" for r in rows):
        notes.append("Records that only carry heart-rate samples are not copied into gold; each sample names its record by id.")
    return notes
