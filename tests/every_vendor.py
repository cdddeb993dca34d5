"""A small export of every vendor, dropped as a person would drop it."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.cli_bench import REPO
from tests.gadgetbridge_exports import database, minute
from tests.health_connect_exports import backup, instant, zipped

SAMPLES = REPO / "tests/samples"
NOON = 1_740_826_800  # 2025-03-01
SAMSUNG = (
    "\ufeffcom.samsung.shealth.blood_pressure,6230004,3\n"
    "com.samsung.health.blood_pressure.start_time,com.samsung.health.blood_pressure.time_offset,"
    "com.samsung.health.blood_pressure.systolic,com.samsung.health.blood_pressure.diastolic,com.samsung.health.blood_pressure.datauuid,\n"
    "2025-03-01 06:00:00.000,UTC+0100,121.0,79.0,11111111-2222-3333-4444-555555555555,\n"
)


def drop(inbox: Path) -> None:
    """One export below `inbox/<source>/` for each source that reads a vendor's own."""
    for source in sorted(p.name for p in SAMPLES.iterdir()):
        shutil.copytree(SAMPLES / source, inbox / source, ignore=shutil.ignore_patterns("LICENCE.txt"), dirs_exist_ok=True)
    for source in ("gadgetbridge", "health_connect", "samsung_health"):
        (inbox / source).mkdir(parents=True)
    database(inbox / "gadgetbridge/Gadgetbridge.db", {"MI_BAND_ACTIVITY_SAMPLE": [minute(NOON, heart_rate=61, steps=20)]})
    made = backup(inbox.parent / "made.db", {"weight_record_table": [instant(NOON, weight=80_000.0)]})
    zipped(inbox / "health_connect/Health Connect.zip", made)
    made.unlink()
    (inbox / "samsung_health/com.samsung.shealth.blood_pressure.20250302101500.csv").write_text(SAMSUNG)
