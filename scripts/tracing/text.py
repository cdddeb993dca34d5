"""The trace as a person reads it: a tree from the cell down to the raw record, many readings shortened to the first and the last."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from processing.aggregators.columns import named
from processing.aggregators.fates import ACCEPTED
from scripts.looks import printable
from scripts.words import counted

_FIRST, _LAST = 4, 2
_EXCERPT = 300
_Told = Mapping[str, Any]


def tree(data: _Told) -> str:
    """All of it. What a terminal would obey instead of showing is replaced."""
    lines = [*_head(data), *_made_of(data["made_of"]), *_readings(data), *_rejected(data["rejected"]), *_rest(data)]
    return "\n".join(printable(line) for line in lines)


def _head(data: _Told) -> Iterator[str]:
    value, made = data["value"], data["artifacts"][0]
    yield f"{data['metric']} on {data['date']}: {'empty' if value is None else _plain(value)}"
    yield f"  {data['meaning']}"
    same = {True: " Made again: the same.", False: " Made again it is NOT the same: run `verify`.", None: ""}
    yield f"  Rule: {data['rule']}{same[data['reproduced']]}"
    yield f"  {_version(made)}, made {_short_time(made['made_at'])} by {made['node']} in run {made['run_id'][:8]}"
    if value is None:
        near = data["near"]
        days = f"Nearest day{'s' * (len(near) != 1)} with a value: {' and '.join(near)}." if near else "No day has a value."
        yield f"  {days}"


def _made_of(facts: Sequence[_Told]) -> Iterator[str]:
    for fact in facts:
        branch, stem = ("└", " ") if fact is facts[-1] else ("├", "│")
        if "column" in fact:
            yield f"  {branch} column {fact['column']}: {'empty' if fact['value'] is None else _plain(fact['value'])}"
            continue
        yield f"  {branch} setting {fact['setting']}: {fact['value']}"
        for grade in fact.get("categories", ()):
            word = ">" if grade["above"] else "≥"
            bounds = [f"{name} {word} {grade[name]:g}" for name in ("systolic", "diastolic") if grade[name] is not None]
            yield f"  {stem}   {grade['name']}: {' or '.join(bounds)}"


def _readings(data: _Told) -> Iterator[str]:
    """Those that made the cell, then by reason those that did not: of these many are alike."""
    used = [r for r in data["readings"] if r["used"]]
    lost = sorted((r for r in data["readings"] if not r["used"]), key=lambda r: r["why"])
    if not data["readings"] and named(data["metric"]).metrics:
        yield from ("", "  No reading of this day came to the merge.")
    if used:
        yield from ("", f"  {counted(len(used), 'reading')} made it")
        yield from _shortened(used, "✓")
    if lost:
        yield from ("", f"  {counted(len(lost), 'reading')} {'did not' if used else 'of this day did not make it'}")
    for why, group in groupby(lost, key=lambda r: r["why"]):
        mine = list(group)
        yield f"  {why} ({'' if mine[0]['fate'] == ACCEPTED else mine[0]['fate'] + ', '}{len(mine)})"
        yield from _shortened(mine, "✗", first=2, last=0)


def _rejected(refused: list[_Told]) -> Iterator[str]:
    if refused:
        yield from (
            "",
            f"  {counted(len(refused), 'reading or record', 'readings or records')} of this day never came to the merge",
        )
    for told in refused[: 2 * _FIRST]:
        yield f"  ✗ {told['stage']}: {told['reason']}. {told['why']}"
        if "value" in told:
            yield f"    {_reading(told)}"
        yield from _records(told["records"])
    if len(refused) > 2 * _FIRST:
        yield f"    … {len(refused) - 2 * _FIRST} more: --json"


def _rest(data: _Told) -> Iterator[str]:
    yield from ("", "  This rests on")
    for made in data["artifacts"]:
        yield f"    {made['role']:<20} {_version(made)}  run {made['run_id'][:8]}"
    yield from (f"  ! {note}" for note in data["notes"])


def _shortened(readings: list[_Told], mark: str, first: int = _FIRST, last: int = _LAST) -> Iterator[str]:
    left = len(readings) - first - last
    shown = readings if left <= 1 else readings[:first]
    for told in shown:
        yield from _whole(told, mark)
    if left > 1:
        yield f"    … {left} more: --json …"
        for told in readings[len(readings) - last :]:
            yield from _whole(told, mark)


def _whole(told: _Told, mark: str) -> Iterator[str]:
    decides = "  ← this one" if told.get("decides") else ""
    yield f"  {mark} {_reading(told)}{decides}"
    if instead := told.get("counted_instead"):
        yield f"    │ counted instead: {instead['source']} {instead['raw_id']}, {_plain(instead['value'])}"
    yield from _records(told["records"])


def _reading(told: _Told) -> str:
    start, end = datetime.fromisoformat(told["start"]), datetime.fromisoformat(told["end"])
    until = "" if start == end else f" – {end:%H:%M}" if start.date() == end.date() else f" – {end:%Y-%m-%d %H:%M}"
    words = (told["metric"], told["source"], told["device"], told["scope"], told.get("part"))
    offset = told["start"][-6:]
    return f"{_plain(told['value'])} {told['unit']}  {start:%Y-%m-%d %H:%M}{until} {offset}  {' · '.join(filter(None, words))}"


def _records(records: Sequence[_Told]) -> Iterator[str]:
    for record in records:
        branch, stem = ("└", " ") if record is records[-1] else ("├", "│")
        of = (
            ""
            if record["used"]
            else " · not the newest"
            if record["status"] in ("valid", "warning")
            else f" · {record['status']}"
        )
        codes = f" · {', '.join(record['errors'])}" if record["errors"] else ""
        yield f"    {branch} record  {record.get('raw_id') or '–'} · {record['position']}{of}{codes}"
        yield f"    {stem} raw     {_excerpt(record['raw'])}"
        yield f"    {stem} file    {_version({**record, 'name': record['raw_artifact']})}"
        yield f"    {stem} fetched {_fetch(record['fetched'])}"
        row = record["bronze"]
        version = f" version {row['version']}" if row and row["version"] is not None else ""
        yield f"    {stem} bronze  {row['table']} id {row['id']}{version}" if row else f"    {stem} bronze  –"


def _fetch(fetched: _Told | None) -> str:
    if fetched is None:
        return "–"
    origin = fetched["from"]
    seen = f", fingerprint {origin['fingerprint']}" if origin.get("fingerprint") else ""
    whence = origin["file"] if origin["kind"] == "inbox" else f"{origin['remote']}, live{seen}"
    return f"{_short_time(fetched['at'])} from {whence} by {fetched['node']} in run {fetched['run_id'][:8]}"


def _version(made: _Told) -> str:
    number = "" if made["version"] is None else f"@v{made['version']}"
    return f"{made['name']}{number} {made['sha256'][:12]}"


def _excerpt(raw: Any) -> str:
    text = raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False, separators=(",", ":"))
    return text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]} … ({len(text):,} characters)"


def _short_time(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M} UTC"


def _plain(value: Any) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)
