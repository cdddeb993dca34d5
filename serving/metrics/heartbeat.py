"""What a run that found nothing to do says to Prometheus: that it was there. Gathers nothing, needs no library, costs a moment.

Of the metrics that were left before, only these are replaced; all others still hold.
"""

from __future__ import annotations

import os
import sys

from config.errors import DeliveryError
from scripts.project import Project
from serving.alerts.state import active
from serving.metrics.textfile import push, textfile, write

_BEAT = "pdp_last_start_timestamp_seconds"
_ACTIVE = "pdp_alerts_active"


def beat(project: Project) -> None:
    """Tell it where the settings say. Trouble is one line on stderr and changes nothing else."""
    settings = project.settings
    samples = _samples(project.data_dir)
    try:
        if settings["metrics_textfile"] and (before := _read(textfile(project))):
            write(textfile(project), replaced(before, samples).encode(), project.data_dir)
        if settings["metrics_push_url"]:
            push(str(settings["metrics_push_url"]), str(settings["environment"]), _text(samples).encode(), anew=False)
    except DeliveryError as error:
        sys.stderr.write(f"  ! Metrics were not left: {error}\n")


def replaced(text: str, samples: dict[str, list[str]]) -> str:
    """The text with these metrics' samples in place of its own. `samples`: metric → lines."""
    found = []
    for line in text.splitlines():
        if line.partition(" ")[0].partition("{")[0] not in samples:
            found.append(line)
        if line.startswith("# TYPE "):
            found += samples.get(line.split(" ")[2], [])
    return "\n".join(found) + "\n"


def _samples(data_dir: str) -> dict[str, list[str]]:
    began = os.stat(os.path.join(data_dir, ".lock")).st_mtime
    return {
        _BEAT: [f"{_BEAT} {began!r}"],
        _ACTIVE: [f'{_ACTIVE}{{rule="{rule}"}} {count}' for rule, count in active(data_dir).items()],
    }


def _text(samples: dict[str, list[str]]) -> str:
    return "\n".join(line for name, lines in samples.items() for line in (f"# TYPE {name} gauge", *lines)) + "\n"


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError):
        return ""
