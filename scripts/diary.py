"""What unattended work says on stderr: a sentence on a terminal, a JSON line anywhere else. Never a value, never a secret."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any


def tell(event: str, **facts: Any) -> None:
    """Say what has happened: `job_finished`, exit_code=0. An `exit_code` other than 0 or an `error` makes it an error."""
    now = datetime.now(UTC)
    if sys.stderr.isatty():
        words = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in facts.items())
        text = f"  {now.astimezone():%H:%M:%S} {event.replace('_', ' ')}{': ' if words else ''}{words}"
    else:
        level = "ERROR" if facts.get("exit_code") or facts.get("error") else "INFO"
        text = json.dumps({"at": f"{now:%Y-%m-%dT%H:%M:%SZ}", "level": level, "event": event, **facts})
    print(text, file=sys.stderr, flush=True)
