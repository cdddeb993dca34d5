"""Environments of the peers: each in a folder of its own, its version pinned; what is not there is named as missing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from bench.harness import REPO

CACHE = REPO / "bench" / ".peers"
PINS = {
    "doit": ("doit==0.37.0",),
    "dvc": ("dvc==3.67.1",),
    "snakemake": ("snakemake==9.27.1",),
    "luigi": ("luigi==3.8.1",),
    "hamilton": ("apache-hamilton==1.90.0",),
    "redun": ("redun==0.44.1",),
    "pytask": ("pytask==0.6.0",),
    "joblib": ("joblib==1.6.0",),
    "prefect": ("prefect==3.8.8", "fastapi==0.129.2"),
    "dagster": ("dagster==1.13.28",),
    "ninja": ("ninja==1.13.2",),
    "dlt": ("dlt[postgres]==1.31.0",),
    "healthkit-to-sqlite": ("healthkit-to-sqlite==1.0.1", "sqlite-utils==3.39.1"),
    "pandas": ("pandas==3.1.1", "sqlalchemy==2.1.9", "psycopg[binary]==3.3.9"),
}
"""Distributions and versions, by peer. GNU make is the system's. Prefect 3.8.8 does not import with later releases of fastapi."""


def environment(peer: str) -> Path:
    """Where the peer's environment is, or would be."""
    return CACHE / "environments" / peer


def program(peer: str, name: str) -> str:
    """Path of a program in the peer's environment; the system's for make."""
    if peer == "make":
        return shutil.which("make") or "make"
    return str(environment(peer) / "bin" / name)


def installed(peer: str) -> bool:
    """Whether the pinned version is there."""
    if peer == "make":
        return shutil.which("make") is not None
    stamp = environment(peer) / "pin.txt"
    return stamp.exists() and stamp.read_text() == " ".join(PINS[peer])


def set_up(peers: list[str]) -> list[str]:
    """Install what is missing; gives one line per peer that could not be installed."""
    return [failed for peer in peers if peer in PINS and not installed(peer) and (failed := _install(peer))]


def _install(peer: str) -> str:
    folder = environment(peer)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    python = str(folder / "bin" / "python")
    if uv:
        commands = [
            [uv, "venv", "-q", "--python", sys.executable, str(folder)],
            [uv, "pip", "install", "-q", "--compile-bytecode", "--python", python, *PINS[peer]],
        ]
    else:
        commands = [
            [sys.executable, "-m", "venv", str(folder)],
            [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *PINS[peer]],
        ]
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"{peer}: {(done.stderr.strip() or 'could not be installed').splitlines()[-1]}"
    (folder / "pin.txt").write_text(" ".join(PINS[peer]))
    return ""
