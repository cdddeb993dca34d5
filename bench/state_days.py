"""A life of exports, cut at any day: what a person's inbox holds that evening. The same days always give the same bytes."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

ZONE = "Europe/Warsaw"
END = date(2026, 10, 31)
_SHEETS_ZERO = date(1899, 12, 30)
"""Day 0 of a date in a sheet."""
_CUFF = "blood_press_export.csv"


def write_life(folder: Path, days: int) -> None:
    """Exports of so many days, the last one END, below `folder`."""
    from scripts.generate_mock_data import generate

    generate(folder, days=days, end=END, seed=7, timezone=ZONE, hr_minutes=30)


def write_evening(life: Path, inbox: Path, day: date) -> None:
    """The exports of a life as they were on that evening: the sheet, the cuff's file, and the band's export of that day."""
    midnight = datetime.combine(day + timedelta(days=1), datetime.min.time(), ZoneInfo(ZONE)).timestamp()
    sheet = json.loads((life / "google_sheets/blood_pressure_log.json").read_text())
    last = (day - _SHEETS_ZERO).days
    later = (n for n, row in enumerate(sheet["values"]) if row and isinstance(row[0], int) and row[0] > last)
    sheet["values"] = sheet["values"][: next(later, None)]  # its rows are in order, and a record knows its row
    _write(inbox / "google_sheets/blood_pressure_log.json", json.dumps(sheet).encode())
    cuff = (life / "bp_csv" / _CUFF).read_text()
    _write(inbox / "bp_csv" / _CUFF, _cut(cuff, "timestampUnixMs", lambda ms: int(ms) / 1000 < midnight).encode())
    export = max((life / "mi_fitness").iterdir())
    with zipfile.ZipFile(export) as whole, io.BytesIO() as made:
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as part:
            for entry in whole.infolist():
                kept = _cut(whole.read(entry).decode(), "Time", lambda seconds: int(seconds) < midnight)
                part.writestr(zipfile.ZipInfo(entry.filename, (2026, 11, 1, 0, 0, 0)), kept, zipfile.ZIP_DEFLATED)
        _write(inbox / "mi_fitness" / f"{day:%Y%m%d}{export.name[8:]}", made.getvalue())


def _cut(text: str, column: str, keep: Callable[[str], bool]) -> str:
    """The rows of a CSV whose `column` is to be kept; all of them where there is no such column."""
    rows = list(csv.reader(io.StringIO(text)))
    if column not in rows[0]:
        return text
    place = rows[0].index(column)
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([rows[0], *(row for row in rows[1:] if keep(row[place]))])
    return out.getvalue()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
