"""Writes exports of an invented person in the vendors' own layouts: same arguments, same bytes, on any machine.

    python scripts/generate_mock_data.py --out examples/inbox --days 365 --end 2025-12-31 --seed 7 --timezone Europe/Warsaw

Standard library only. No row is taken or derived from real data. Text is byte-identical everywhere, and so are the members
of a zip, while the compressed bytes around them depend on the zlib Python was built with.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

if not __package__:  # run as a file: the project's folder is not on the path yet
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from config.errors import SettingsError
from scripts.mock.cuffs import write_cuffs
from scripts.mock.demo_settings import MARK, write_settings
from scripts.mock.mi_export import write_exports
from scripts.mock.person import Person
from scripts.mock.plan import Plan, make_plan
from scripts.mock.sheet import write_sheet

_OURS = re.compile(
    r"google_sheets/blood_pressure_log\.json"
    r"|mi_fitness/\d{8}_1234567890_MiFitness_fr1_data_copy\.zip"
    r"|bp_csv/(Your Requested OMRON Report from .* to .*|user1|bp|blood_press_export|clinic_kpa)\.csv"
)
"""What this script writes below the inbox: replaced on the next run. Anything else makes it refuse."""


class Written(NamedTuple):
    """One file that was written."""

    path: Path
    source: str
    rows: int
    """Rows of data; all tables of an archive together."""
    size: int
    """Bytes."""


class Summary(NamedTuple):
    """What `generate` made, and of whom."""

    plan: Plan
    files: tuple[Written, ...]

    @property
    def rows(self) -> int:
        """Rows in all files."""
        return sum(f.rows for f in self.files)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(f.size for f in self.files)


def generate(
    out: Path, *, days: int = 365, end: date, seed: int = 7, timezone: str = "Europe/Warsaw", hr_minutes: int = 30
) -> Summary:
    """Writes an inbox of three sources below `out`: `days` local days up to `end`, a heart rate sample every `hr_minutes`.

    Files of an earlier call are replaced. Raises FileExistsError if the folder holds anything else (invented data must not be
    mixed with real exports), ValueError for fewer than 7 days or a step that does not divide half an hour, SettingsError for an
    unknown zone. Memory does not grow with the number of days.
    """
    if hr_minutes not in (1, 2, 3, 5, 6, 10, 15, 30):
        raise ValueError("hr_minutes must divide half an hour")
    plan = make_plan(days, end, seed, timezone)
    person = Person(plan)
    _clear(out)
    sheets, band, cuffs = (out / name for name in ("google_sheets", "mi_fitness", "bp_csv"))
    for folder in (sheets, band, cuffs):
        folder.mkdir(parents=True, exist_ok=True)
    log = sheets / "blood_pressure_log.json"
    rows = {log: write_sheet(log, person)}
    rows |= {band / name: count for name, count in write_exports(band, person, hr_minutes).items()}
    rows |= {cuffs / name: count for name, count in write_cuffs(cuffs, person).items()}
    return Summary(plan, tuple(Written(p, p.parent.name, n, p.stat().st_size) for p, n in rows.items()))


def _clear(out: Path) -> None:
    """Removes what an earlier call wrote; refuses before removing if there is anything else."""
    present = [p for p in out.rglob("*") if not p.is_dir()] if out.exists() else []
    foreign = [p for p in present if not _OURS.fullmatch(p.relative_to(out).as_posix())]
    if foreign:
        raise FileExistsError(f"{out} already holds other files; choose an empty folder for invented data.")
    for path in present:
        path.unlink()


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Gives 0 when written, 2 for arguments or a folder that cannot be used."""
    args = _parser().parse_args(argv)
    settings = args.settings or args.out.parent / "settings.yaml"
    try:
        if settings.exists() and not settings.read_text(encoding="utf-8").startswith(MARK):
            raise FileExistsError(f"{settings} was not written by this script; name another file with --settings.")
        summary = generate(
            args.out, days=args.days, end=args.end, seed=args.seed, timezone=args.timezone, hr_minutes=args.hr_minutes
        )
        write_settings(settings, summary.plan)
    except (SettingsError, ValueError, OSError) as error:
        print(f"mock data: {error}", file=sys.stderr)
        return 2
    for file in summary.files:
        print(f"{file.source:14} {file.rows:>8,} rows {file.size / 1000:>9,.1f} kB  {file.path.name}")
    first, last = summary.plan.whole
    print(f"{summary.rows:,} rows, {summary.size / 1e6:.2f} MB, {first} to {last}; medication from {summary.plan.medication}")
    print(f"settings for it: {settings}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Write exports of an invented person in the vendors' own layouts.")
    parser.add_argument("--out", type=Path, default=Path("examples/inbox"), help="the inbox to write (default: %(default)s)")
    parser.add_argument("--days", type=int, default=365, help="local days, at least 7 (default: %(default)s)")
    parser.add_argument("--end", type=date.fromisoformat, default=date(2025, 12, 31), help="the last day (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="another seed, another person (default: %(default)s)")
    parser.add_argument("--timezone", default="Europe/Warsaw", help="the person's IANA zone (default: %(default)s)")
    parser.add_argument("--hr-minutes", type=int, default=30, help="minutes between heart rate samples (default: %(default)s)")
    parser.add_argument("--settings", type=Path, help="where the matching settings go (default: settings.yaml beside the inbox)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
