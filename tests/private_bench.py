"""A private person nobody could mistake for the invented one: every text, name and value of hers is a canary."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from zipfile import ZipFile

from scripts.generate_mock_data import generate

REPO = Path(__file__).resolve().parent.parent
PASSWORD = "correct horse battery staple"
LAST = date(2024, 6, 30)
"""Her last day; the shipped example lies in 2025."""
NOTE, DEVICE, FILE, EVENT, ACCOUNT = "CANARYNOTE", "CANARYBAND", "CANARYFILE", "CANARYEVENT", "7776665550"
CANARIES = tuple(text.encode() for text in (NOTE, DEVICE, FILE, EVENT, ACCOUNT, "177/77", "2024-06-30"))
"""What must never be seen elsewhere: a note, a device, a file, an event, a raw id (her account is in it), a value, a day."""


def private_root(folder: Path, days: int = 40) -> dict[str, str]:
    """Her data root, run through the real pipeline up to gold (no database); gives the environment the dashboard needs."""
    inbox = folder / "data" / "inbox"
    generate(inbox, days=days, end=LAST, seed=99, timezone="Europe/Lisbon")
    for path in list((inbox / "mi_fitness").iterdir()):
        _marked(path)
    for path in (inbox / "bp_csv").iterdir():
        path.unlink()
    (inbox / "bp_csv" / f"{FILE}.csv").write_text(_cuff(days))
    (folder / "settings.yaml").write_text(
        "timezone: Europe/Lisbon\nsource_priority: {blood_pressure: [bp_csv]}\n"
        f"events: [{{date: '{LAST - timedelta(days=days // 2)}', label: '{EVENT}', kind: medication}}]\n"
    )
    env = {
        **{name: os.environ[name] for name in ("PATH", "VIRTUAL_ENV") if name in os.environ},
        "DATA_DIR": str(folder / "data"),
        "PDP_SETTINGS": str(folder / "settings.yaml"),
        "PYTHONPATH": str(REPO),
    }
    subprocess.run([sys.executable, "-c", _RUN], cwd=REPO, env=env, check=True, capture_output=True, timeout=300)
    return {**env, "DASHBOARD_PASSWORD_HASH": _hash()}


_RUN = """
import os
os.umask(0o077)
from pipeline import Pipeline
from scripts.project import open_project
project = open_project()
kept = [node for node in project.pipeline.dag.nodes.values() if node.stage != "bronze"]
stages = [stage for stage in project.pipeline.dag.stages if stage != "bronze"]
run = Pipeline(kept, project.data_dir, project.settings, stages, code_root=os.getcwd()).run(project.selection())
assert run.status == "succeeded", [outcome for outcome in run.outcomes if outcome.error]
"""


def _cuff(days: int) -> str:
    """Three readings each morning, 177/77 among them, each with a note."""
    lines = ["Date,Time,Systolic (mmHg),Diastolic (mmHg),Pulse (bpm),Symptoms,Consumed,TruRead,Notes"]
    for n in range(days):
        day = (LAST - timedelta(days=n)).strftime("%b %d %Y")
        lines += [f"{day},07:{m:02d},177,77,{70 + m},-,-,-,{NOTE} {n}-{m}" for m in (1, 3, 5)]
    return "\n".join(lines) + "\n"


def _marked(path: Path) -> None:
    """The same export under her account and with her band's own number."""
    with ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    path.unlink()
    with ZipFile(path.with_name(path.name.replace("1234567890", ACCOUNT)), "w") as archive:
        for name, content in members.items():
            content = content.replace(b"6485020865", DEVICE.encode()).replace(b"1234567890", ACCOUNT.encode())
            archive.writestr(name.replace("1234567890", ACCOUNT), content)


def _hash() -> str:
    from serving.dashboard.passwords import hashed

    return hashed(PASSWORD)


def found_in(blob: bytes, canaries: tuple[bytes, ...] = CANARIES) -> list[str]:
    """Which canaries the blob holds."""
    return [canary.decode() for canary in canaries if canary in blob]
