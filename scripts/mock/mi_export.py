"""A Mi Fitness account export: the zip Xiaomi mails, streamed day by day so that ten years cost no more memory than one.

Two are written: the whole life, and an older one of 45 days that ends at noon of its last day and overlaps the first completely.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, NamedTuple
from zipfile import ZipFile

from scripts.mock.files import csv_line, member
from scripts.mock.mi_rows import BAND, BY_HAND, PHONE, UID, Cut, Day, day_rows
from scripts.mock.person import Person
from scripts.mock.plan import DAY, Window

FITNESS_HEADER = ("Uid", "Sid", "Key", "Time", "Value", "UpdateTime")
AGGREGATED_HEADER = ("Uid", "Sid", "Tag", "Key", "Time", "Value", "UpdateTime")
SPORT_HEADER = ("Uid", "Sid", "Key", "Time", "Category", "Value", "UpdateTime")
DEVICE_HEADER = ("Uid", "Sid", "Identifier", "Model", "Name", "Alias", "Status", "CreateTime", "UpdateTime")
PROFILE_HEADER = ("Uid", "DailyStepGoal", "DailyCalGoal", "DailySleepGoal", "MaxHrm", "MinHrm", "Vo2Max", "InitialWeight")

_RESYNC = 259_200  # rows the older export already had were synced anew three days later
_ROW_BYTES, _FAR = 110, 2**62


def write_exports(folder: Path, person: Person, hr_minutes: int) -> dict[str, int]:
    """Writes both archives and gives file name → rows in all their tables."""
    plan, every = person.plan, hr_minutes * 60
    old_noon = plan.begins(plan.old_export.last) + 43_200

    def whole_life(day: date) -> Cut:
        return Cut(_FAR, _RESYNC if day <= plan.old_export.last else 1)

    def until_then(_: date) -> Cut:
        return Cut(old_noon, 1)

    exports = (_Export(plan.old_export, plan.old_export.last, until_then), _Export(plan.whole, plan.whole.last + DAY, whole_life))
    return dict(_write_export(folder, person, export, every) for export in exports)


class _Export(NamedTuple):
    window: Window
    made_on: date
    cut: Callable[[date], Cut]


def _write_export(folder: Path, person: Person, export: _Export, every: int) -> tuple[str, int]:
    made_on = export.made_on
    stem = f"{made_on:%Y%m%d}_{UID}_MiFitness_"
    name = f"{stem}fr1_data_copy.zip"
    huge = (export.window.last - export.window.first).days * 86400 // every * _ROW_BYTES > 2**30
    with ZipFile(folder / name, "w") as archive, TemporaryFile() as reports, TemporaryFile() as sports:
        with member(archive, f"{stem}hlth_center_fitness_data.csv", made_on, huge=huge) as samples:
            rows = _stream_days(person, export, every, (samples, reports, sports))
        for table, header, spool in (
            ("hlth_center_aggregated_fitness_data", AGGREGATED_HEADER, reports),
            ("hlth_center_sport_record", SPORT_HEADER, sports),
        ):
            with member(archive, f"{stem}{table}.csv", made_on) as target:
                target.write(csv_line(header).encode())
                spool.seek(0)
                shutil.copyfileobj(spool, target)
        for table, text in (("hlth_center_data_source", _devices(export.window.first)), ("user_fitness_profile", _profile())):
            with member(archive, f"{stem}{table}.csv", made_on) as target:
                target.write(text.encode())
    return name, rows + 4


def _stream_days(person: Person, export: _Export, every: int, tables: tuple[IO[bytes], IO[bytes], IO[bytes]]) -> int:
    """Samples go straight into the zip; reports and sports wait in unnamed files, for a zip takes one member at a time."""
    tables[0].write(csv_line(FITNESS_HEADER).encode())
    rows = 0
    for day in export.window.days():
        made: Day = day_rows(person, day, every, export.cut(day))
        for table, lines in zip(tables, made, strict=True):
            table.write("".join(lines).encode())
            rows += len(lines)
    return rows


def _devices(since: date) -> str:
    """The senders. `CreateTime` is in nanoseconds, unlike every other time in the export."""
    created = (since - date(1970, 1, 1)).days * 86400
    known = (
        (BAND, "A1B2C3D4E5F6", "hmpace.motion.v6", "Mi Smart Band 6", ""),
        (PHONE, "gen_5496087616", "phone", "Phone", ""),
        (BY_HAND, "manually", "app", "Entered by hand", ""),
    )
    rows = ([UID, *device, 1, created * 10**9, created + 60] for device in known)
    return "".join(csv_line(row) for row in (DEVICE_HEADER, *rows))


def _profile() -> str:
    return csv_line(PROFILE_HEADER) + csv_line([UID, 8000, 400, 480, 168, 44, 38, 86.0])
