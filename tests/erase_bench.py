"""A data root with two sources, an older and a younger half, marks that nobody could mistake, and what is looked for afterwards."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from tests.cli_bench import Cli
from tests.keeping_bench import servers
from tests.made_once import cluster
from warehouse.bronze.embedded import server

DAY = "2025-06-15"
"""The first day that stays."""
OLD, YOUNG, OTHER = "canaryold", "canaryyoung", "canaryother"
"""Marks in the notes of what is older, what is younger, and of the other source."""
NAME = "canaryname"
"""In the name of a dropped file."""
HEAD = "Date,Heart rate,Systolic,Diastolic,Comments\n"
OLD_ROWS = [f"2025-0{month}-{day:02} 06:27:47,5{day % 10},121,79,{OLD}\n" for month in (3, 5, 6) for day in range(5, 15)]
YOUNG_ROWS = [f"2025-0{month}-{day:02} 06:27:47,5{day % 10},122,78,{YOUNG}\n" for month in (6, 7) for day in range(16, 26)]
SHEET = "Date,Time,SYS,DIA,Pulse,Notes\n"
SHEET_OLD = [f"2025-05-{day:02},07:30,128,82,61,{OTHER}\n" for day in range(1, 9)]
SHEET_YOUNG = [f"2025-07-{day:02},07:30,126,81,60,{OTHER}\n" for day in range(1, 9)]


def person(data: Path, *, old: bool = True, young: bool = True, csv: bool = True, sheet: bool = True) -> Cli:
    """A person's data root, run; what is left out she never had."""
    cluster(data)
    rows = [*(OLD_ROWS if old else []), *(YOUNG_ROWS if young else [])]
    if csv:
        drop(data, f"bp_csv/{NAME}.csv", HEAD + "".join(rows))
    if sheet:
        drop(data, "google_sheets/log.csv", SHEET + "".join([*(SHEET_OLD if old else []), *(SHEET_YOUNG if young else [])]))
    cli = Cli(data)
    done = cli()
    assert done.returncode == 0, done.stdout + done.stderr
    return cli


def drop(data: Path, name: str, text: str) -> None:
    """A file into the inbox."""
    path = data / "inbox" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def where(data: Path, mark: str) -> list[str]:
    """Files below a folder that hold a mark, or are named with it; the database's own files and log, too."""
    server.release(str(data))
    if (data / "postgres").exists():
        assert servers(data) == []
    found = []
    for folder, _, names in os.walk(data):
        for name in names:
            path = Path(folder) / name
            if mark in name or (path.is_file() and mark.encode() in path.read_bytes()):
                found.append(str(path.relative_to(data)))
    return found


def tree(data: Path) -> dict[str, str]:
    """Every file with its digest, but for what any command leaves."""
    return {
        str(p.relative_to(data)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in data.rglob("*")
        if p.is_file() and "postgres" not in p.parts and not p.name.startswith((".settings-", "registry.db-", ".lock"))
    }


def daily(data: Path) -> bytes:
    """The daily table."""
    return (data / "processed/merged/merged_daily_metrics.csv").read_bytes()
