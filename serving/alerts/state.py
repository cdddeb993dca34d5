"""What was told to whom: `alerts.json` in the data root. Deleting it costs one repeated notice, nothing else."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from serving.alerts.rules import RULES, Verdict

NAME = "alerts.json"
_LOCK = ".alerts.lock"
_VERSION = 1


class Alert(NamedTuple):
    """One thing that is wrong, or was and not everybody knows yet that it is not any more."""

    rule: str
    subject: str
    """The step, source or place it is about; "" for the run."""
    text: str
    since: float
    """When it was first found, seconds since 1970."""
    told: dict[str, float]
    """Channel → when it was last told that it holds."""
    resolved_at: float | None = None

    @property
    def state(self) -> str:
        """firing | resolved"""
        return "firing" if self.resolved_at is None else "resolved"


def judged(before: Sequence[Alert], verdict: Verdict, now: float) -> list[Alert]:
    """The alerts after a verdict: those that hold, and those whose end somebody has still to be told."""
    known = {(alert.rule, alert.subject): alert for alert in before}
    found = []
    for key, text in verdict.firing.items():
        old = known.get(key)
        if old is None:
            found.append(Alert(*key, text, now, {}))
        elif old.resolved_at is None:
            found.append(old._replace(text=text))
        else:  # it is back before everybody knew that it had gone
            found.append(old._replace(text=text, resolved_at=None))
    for key, alert in known.items():
        if key not in verdict.firing:
            over = alert.rule in verdict.judged and alert.resolved_at is None
            found.append(alert._replace(resolved_at=now) if over else alert)
    return [alert for alert in found if alert.resolved_at is None or alert.told]


def due(alerts: Sequence[Alert], channel: str, now: float, repeat_hours: float) -> list[Alert]:
    """What this channel has to be told now: what it does not know, what it was told too long ago, and what is over."""
    return [
        alert
        for alert in alerts
        if (channel in alert.told if alert.resolved_at is not None else _again(alert.told.get(channel), now, repeat_hours))
    ]


def told(alerts: Sequence[Alert], due_alerts: Collection[Alert], channel: str, now: float) -> list[Alert]:
    """The alerts once the channel has taken what was due."""
    keys = {(alert.rule, alert.subject) for alert in due_alerts}
    found = []
    for alert in alerts:
        if (alert.rule, alert.subject) not in keys:
            found.append(alert)
        elif alert.resolved_at is None:
            found.append(alert._replace(told={**alert.told, channel: now}))
        else:
            found.append(alert._replace(told={name: at for name, at in alert.told.items() if name != channel}))
    return found


def settled(alerts: Sequence[Alert], channels: Collection[str]) -> list[Alert]:
    """Without what is over and known to every channel there is; a channel that is no more needs not be told."""
    kept = [alert._replace(told={name: at for name, at in alert.told.items() if name in channels}) for alert in alerts]
    return [alert for alert in kept if alert.resolved_at is None or alert.told]


def load(data_dir: str) -> list[Alert]:
    """The alerts as they were left; none when there are none, or when the file is damaged."""
    try:
        with open(os.path.join(data_dir, NAME), encoding="utf-8") as file:
            kept = json.load(file)
        return [_alert(row) for row in kept["alerts"]] if kept["version"] == _VERSION else []
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def save(data_dir: str, alerts: Sequence[Alert]) -> None:
    """Replace the file at once, for its owner alone. Raises OSError."""
    path = os.path.join(data_dir, NAME)
    building = f"{path}.{uuid.uuid4().hex}.tmp"
    text = json.dumps({"version": _VERSION, "alerts": [alert._asdict() for alert in alerts]}, indent=1)
    try:
        with open(os.open(building, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w", encoding="utf-8") as file:
            file.write(text + "\n")
        os.replace(building, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(building)
        raise


@contextmanager
def alone(data_dir: str) -> Iterator[None]:
    """One evaluation at a time: two at once would tell everything twice. Raises OSError."""
    lock = os.open(os.path.join(data_dir, _LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def active(data_dir: str) -> dict[str, int]:
    """Rule → alerts that hold, as last evaluated."""
    found = [alert.rule for alert in load(data_dir) if alert.resolved_at is None]
    return {rule: found.count(rule) for rule in RULES}


def _again(last: float | None, now: float, repeat_hours: float) -> bool:
    return last is None or not 0 <= now - last < repeat_hours * 3600  # a clock that was set back tells once more


def _alert(row: dict[str, Any]) -> Alert:
    alert = Alert(**row)
    times = [alert.since, *alert.told.values(), alert.resolved_at or 0.0]
    if not all(isinstance(text, str) for text in alert[:3]) or not all(isinstance(at, int | float) for at in times):
        raise TypeError
    return alert
