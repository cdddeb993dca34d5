"""Options of the commands around the program itself."""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path

SHELLS = ("bash", "zsh", "fish")


def doctor(parser: argparse.ArgumentParser) -> None:
    """Which areas, and whether permissions are mended."""
    areas = "only these: settings, credentials, permissions, versions, clock, disk, registry, database, remote, inbox, exposure"
    parser.add_argument("areas", nargs="*", metavar="AREA", help=areas)
    parser.add_argument(
        "--fix", action="store_true", help="take away permissions of others on what is yours; changes nothing else"
    )
    parser.add_argument("--offline", action="store_true", help="ask nobody on the network")


def mock(parser: argparse.ArgumentParser) -> None:
    """Whose life, how long, and where it goes."""
    out = "the data directory to make, with an inbox and matching settings (mock)"
    parser.add_argument("--out", type=Path, default=Path("mock"), metavar="DIR", help=out)
    parser.add_argument("--days", type=int, default=365, metavar="N", help="local days, at least 7 (365)")
    parser.add_argument("--end", type=_day, default=date(2025, 12, 31), metavar="DATE", help="the last day (2025-12-31)")
    parser.add_argument("--seed", type=int, default=7, metavar="N", help="another seed, another person (7)")
    parser.add_argument("--timezone", default="Europe/Warsaw", metavar="ZONE", help="the person's IANA zone (Europe/Warsaw)")
    step = "minutes between heart rate samples: 1, 2, 3, 5, 6, 10, 15 or 30 (30)"
    parser.add_argument("--hr-minutes", type=int, default=30, metavar="N", help=step)


def completion(parser: argparse.ArgumentParser) -> None:
    """Which shell."""
    parser.add_argument("shell", choices=SHELLS)


def manual(parser: argparse.ArgumentParser) -> None:
    """Which command, and in which form."""
    parser.add_argument("topic", nargs="*", metavar="COMMAND", help="a command and, if it has actions, one of them")
    parser.add_argument(
        "--roff", action="store_true", help="the whole manual as a page for man: python main.py help --roff > pdp.1"
    )


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("give a day, such as 2025-12-31") from None
