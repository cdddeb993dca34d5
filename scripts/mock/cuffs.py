"""Blood pressure CSVs in five layouts: OMRON connect, omblepy, Withings, the blood-pressure-monitor app, a clinic's kPa table.

Each covers a few weeks. OMRON's first fortnight repeats what also stands in the sheet; every file carries one trap of its kind.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

from config.timezones import to_utc
from scripts.mock.chance import between, stream
from scripts.mock.files import write_csv
from scripts.mock.person import Person, Reading
from scripts.mock.plan import Window

OMRON_HEADER = (
    *("Date", "Time", "Systolic (mmHg)", "Diastolic (mmHg)", "Pulse (bpm)"),
    *("Symptoms", "Consumed", "TruRead", "Notes"),
)
OMBLEPY_HEADER = ("datetime", "dia", "sys", "bpm", "mov", "ihb")
APP_HEADER = ("timestampUnixMs", "systolic", "diastolic", "pulse", "notes", "needlePin")
KPA_HEADER = ("Date", "Time", "Blood pressure (kPa)", "Pulse (bpm)", "Note")

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")  # never the locale's own
_MMHG_PER_KPA = 7.50062


def write_cuffs(folder: Path, person: Person) -> dict[str, int]:
    """Writes the five files and gives file name → rows."""
    plan = person.plan
    omron = f"Your Requested OMRON Report from {_day(plan.omron.first, 2)} to {_day(plan.omron.last, 2)}.csv"
    return {
        omron: write_csv(folder / omron, OMRON_HEADER, _omron(person)),
        "user1.csv": write_csv(folder / "user1.csv", OMBLEPY_HEADER, _omblepy(person), eol="\r\n"),
        "bp.csv": _write_withings(folder / "bp.csv", person),
        "blood_press_export.csv": write_csv(folder / "blood_press_export.csv", APP_HEADER, _app(person), eol="\r\n"),
        "clinic_kpa.csv": write_csv(folder / "clinic_kpa.csv", KPA_HEADER, _kilopascal(person), delimiter=";"),
    }


def _omron(person: Person) -> list[tuple[object, ...]]:
    """Newest first, as the mailed report has it; an inflation that failed as 0/0, one row twice."""
    rows: list[tuple[object, ...]] = [
        (
            *(_day(r.local), f"{r.local:%H:%M}", r.systolic, r.diastolic, r.pulse),
            *("-", "-", "-", "moved" if r.moved else "-"),
        )
        for r in _readings(person, person.plan.omron)
    ]
    if rows:
        rows.insert(len(rows) // 3, rows[len(rows) // 3])
        rows.insert(len(rows) // 2, (*rows[len(rows) // 2][:2], 0, 0, 0, "-", "-", "-", "-"))
    return rows[::-1]


def _omblepy(person: Person) -> Iterator[tuple[object, ...]]:
    """Oldest first, diastolic before systolic; the first row from before the cuff's clock was set."""
    for n, r in enumerate(_readings(person, person.plan.omblepy)):
        if n == 0:
            yield ("2010-01-01 00:03:17", r.diastolic + 2, r.systolic + 4, r.pulse, 0, 0)
        second = between(stream(person.plan.seed, "second", r.local), 0, 59)
        yield (f"{r.local:%Y-%m-%d %H:%M}:{second:02d}", r.diastolic, r.systolic, r.pulse, int(r.moved), int(r.irregular))


def _write_withings(path: Path, person: Person) -> int:
    """`bp.csv` of the Withings archive: the scale's pulse every day, a cuff reading only at weekends, newest first."""
    lines = []
    for day in person.plan.withings.days():
        rng = stream(person.plan.seed, "withings", day)
        beats = person.resting_heart_rate(day) + between(rng, 1, 7)
        lines.append(f'"{day} 06:{between(rng, 30, 59):02d}:{between(rng, 0, 59):02d}",{beats},,,')
        for r in person.readings(day)[:1] if day.weekday() >= 5 else ():
            later = r.local + timedelta(minutes=25, seconds=between(rng, 0, 59))
            lines.append(f'"{later}",{r.pulse},{r.systolic - 1},{r.diastolic},')
    heading = 'Date,"Heart rate",Systolic,Diastolic,Comments'
    path.write_text("\n".join([heading, *reversed(lines), ""]), encoding="utf-8", newline="")
    return len(lines)


def _app(person: Person) -> Iterator[tuple[object, ...]]:
    """Milliseconds since 1970, JSON in the last column; one mistyped row with diastolic above systolic."""
    for n, r in enumerate(_readings(person, person.plan.app)):
        millis = int(to_utc(r.local, person.plan.zones.on(r.local.date())).utc.timestamp()) * 1000
        pin = json.dumps({"color": 4285132974}, separators=(",", ":")) if n % 9 == 4 else ""
        high, low = (r.diastolic, r.systolic) if n == 5 else (r.systolic, r.diastolic)
        yield (millis, high, low, r.pulse, "after stairs, not rested" if n % 13 == 6 else "", pin)


def _kilopascal(person: Person) -> Iterator[tuple[object, ...]]:
    """A clinic's table in kPa, both values in one cell, unit in the header."""
    for r in _readings(person, person.plan.kilopascal):
        pair = f"{r.systolic / _MMHG_PER_KPA:.1f}/{r.diastolic / _MMHG_PER_KPA:.1f}"
        yield (f"{r.local:%Y-%m-%d}", f"{r.local:%H:%M}", pair, r.pulse, "")


def _readings(person: Person, window: Window) -> Iterator[Reading]:
    for day in window.days():
        yield from person.readings(day)


def _day(value: date, digits: int = 1) -> str:
    """`Jan 6 2025`, as OMRON writes it; `Jan 06 2025` with two digits, as in its file names."""
    return f"{_MONTHS[value.month - 1]} {value.day:0{digits}d} {value.year}"
