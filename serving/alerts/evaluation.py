"""After a run: judge, tell each channel what it does not know yet, keep what was told. A failing channel is tried again next time."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence

from config.errors import DeliveryError, PDPError
from scripts.project import Project
from serving.alerts import state
from serving.alerts.channels import Channel, configured
from serving.alerts.rules import Verdict, Watched, ended_early, judge
from serving.alerts.state import Alert
from serving.metrics.facts import gather


def after_run(project: Project, error: BaseException | None = None, now: float | None = None) -> None:
    """Evaluate once a run has ended, with `error` when it raised. Trouble is one line on stderr and changes nothing else."""
    if not os.path.isdir(project.data_dir):
        return
    try:
        found = verdict(project, now) if error is None else ended_early(type(error).__name__)
        tell(project, found, configured(project.settings), time.time() if now is None else now)
    except PDPError as trouble:
        sys.stderr.write(f"  ! Alerts were not judged: {trouble}\n")
    except OSError as trouble:
        sys.stderr.write(f"  ! Alerts could not be kept: {trouble.strerror}.\n")


def verdict(project: Project, now: float | None = None) -> Verdict:
    """What the rules say of the project as it stands. Raises PDPError when the registry cannot be read."""
    watched = Watched(gather(project, now=now, bronze=False), frozenset(project.frozen), project.examples)
    return judge(watched, project.settings["alerts"])


def tell(project: Project, found: Verdict, channels: Sequence[Channel], now: float) -> None:
    """Bring `alerts.json` and the channels up to date. Raises OSError when what was told cannot be kept."""
    hours = float(project.settings["alerts"]["repeat_hours"])
    with state.alone(project.data_dir):
        before = state.load(project.data_dir)
        alerts = state.judged(before, found, now)
        for channel in channels:
            alerts = _told(alerts, channel, now, hours)
        alerts = state.settled(alerts, [channel.name for channel in channels])
        if alerts != before:
            state.save(project.data_dir, alerts)


def _told(alerts: list[Alert], channel: Channel, now: float, hours: float) -> list[Alert]:
    due = state.due(alerts, channel.name, now, hours)
    if not due:
        return alerts
    try:
        channel.send(due)
    except DeliveryError as error:
        sys.stderr.write(f"  ! Alerts did not reach the {channel.name}: {error}\n")
        return alerts
    return state.told(alerts, due, channel.name, now)
