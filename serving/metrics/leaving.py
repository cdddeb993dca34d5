"""What a run that did something leaves for Prometheus: all metrics, as a file and at a Pushgateway, where the settings say so."""

from __future__ import annotations

import sys
from collections.abc import Callable

from config.errors import DeliveryError, PDPError
from scripts.project import Project
from serving.metrics.exposition import render
from serving.metrics.textfile import push, textfile, write


def leave(project: Project) -> None:
    """Leave them. Trouble is one line on stderr and changes nothing else."""
    settings = project.settings
    try:
        text = render(project)
    except ImportError:
        sys.stderr.write("  ! Metrics were not left: they need the extra `api` (pip install '.[api]').\n")
        return
    except PDPError as error:
        sys.stderr.write(f"  ! Metrics were not left: {error}\n")
        return
    if settings["metrics_textfile"]:
        _try(lambda: write(textfile(project), text, project.data_dir))
    if settings["metrics_push_url"]:
        _try(lambda: push(str(settings["metrics_push_url"]), str(settings["environment"]), text, anew=True))


def _try(act: Callable[[], None]) -> None:
    """One place that fails does not keep the metrics from the other."""
    try:
        act()
    except DeliveryError as error:
        sys.stderr.write(f"  ! Metrics were not left: {error}\n")
