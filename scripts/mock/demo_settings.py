"""The settings that go with the invented life: its zone, its week abroad, the day the tablets began."""

from __future__ import annotations

import json
from pathlib import Path

from scripts.mock.plan import Plan

MARK = "# Settings of the demonstration, written by scripts/generate_mock_data.py"


def write_settings(path: Path, plan: Plan) -> None:
    """Writes YAML (text in JSON quotes, which YAML reads alike, so that a date stays text)."""
    lines = [
        f"{MARK} for an invented person.",
        f"timezone: {json.dumps(plan.timezone)}",
        f"med_start_date: {json.dumps(plan.medication.isoformat())}",
        "timezone_overrides:",
        *_items(plan.overrides()),
        "events:",
        *_items(plan.events()),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")


def _items(rows: list[dict[str, str]]) -> list[str]:
    lines = []
    for row in rows:
        for n, (key, value) in enumerate(row.items()):
            lines.append(f"{'  - ' if n == 0 else '    '}{key}: {json.dumps(value, ensure_ascii=False)}")
    return lines
