"""Who was told of which alert travels with the state: else every job on an empty machine would tell it anew."""

from __future__ import annotations

import os

from scripts.state.local import write

_NAME, _LIMIT = "alerts.json", 256 << 10


def kept(data_dir: str) -> str:
    """What this machine has noted; empty when it has nothing, or nothing that can be read."""
    try:
        with open(os.path.join(data_dir, _NAME), encoding="utf-8") as file:
            return file.read(_LIMIT)
    except (OSError, UnicodeDecodeError):
        return ""


def merged(ours: str, theirs: str, base: str) -> str:
    """What holds of both: ours where we have changed it since `base`, which both last had."""
    return theirs if ours in {"", base} else ours


def take_over(data_dir: str, alerts: str) -> None:
    """Make it this machine's."""
    if alerts and alerts != kept(data_dir):
        write(os.path.join(data_dir, _NAME), alerts.encode())
