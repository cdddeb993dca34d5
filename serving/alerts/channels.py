"""The ways an alert reaches a person: a line on stderr, a webhook, a mail. Each takes all that is due at once."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from serving.alerts.mail import send_mail
from serving.alerts.state import Alert
from serving.delivery import deliver

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class Channel(NamedTuple):
    """`send` raises DeliveryError when nobody took the alerts."""

    name: str
    """log | webhook | email"""
    send: Callable[[Sequence[Alert]], None]


def configured(settings: Mapping[str, Any]) -> list[Channel]:
    """The channels of the settings; secrets are looked up only when they are set."""
    alerts, found = settings["alerts"], []
    if alerts["log"]:
        level = str(settings["log_level"])
        found.append(Channel("log", lambda due: _log(due, level)))
    if settings["alert_webhook_url"]:
        found.append(Channel("webhook", lambda due: _webhook(settings, due)))
    if alerts["email"]:
        found.append(Channel("email", lambda due: _email(settings, due)))
    return found


def headline(due: Sequence[Alert]) -> str:
    """`2 alerts, 1 resolved`."""
    firing = sum(alert.resolved_at is None for alert in due)
    parts = [f"{firing} alert{'s' * (firing != 1)}"] * bool(firing) + [f"{len(due) - firing} resolved"] * (firing < len(due))
    return ", ".join(parts)


def line(alert: Alert) -> str:
    """An alert as a person reads it."""
    return alert.text if alert.resolved_at is None else f"Resolved: {alert.text}"


def as_json(alert: Alert) -> dict[str, Any]:
    """An alert as a program reads it."""
    return {
        "state": alert.state,
        "rule": alert.rule,
        "subject": alert.subject,
        "text": alert.text,
        "since": _utc(alert.since),
        "resolved_at": None if alert.resolved_at is None else _utc(alert.resolved_at),
    }


def _log(due: Sequence[Alert], level: str) -> None:
    """As the run's other events: JSON lines from `level` on, a sentence on a terminal."""
    for alert in due:
        grade = "WARNING" if alert.resolved_at is None else "INFO"
        if sys.stderr.isatty():
            sys.stderr.write(f"  ! {line(alert)}\n")
        elif _LEVELS.index(grade) >= _LEVELS.index(level):
            event = {"at": _utc(time.time()), "level": grade, "event": "alert", **as_json(alert)}
            sys.stderr.write(json.dumps(event) + "\n")


def _webhook(settings: Mapping[str, Any], due: Sequence[Alert]) -> None:
    """`text` is what chats show."""
    body = {
        "text": "\n".join([f"Personal Data Platform: {headline(due)}", *(f"- {line(alert)}" for alert in due)]),
        "environment": settings["environment"],
        "alerts": [as_json(alert) for alert in due],
    }
    headers = {"Content-Type": "application/json"}
    if own := str(settings["alert_webhook_header"]):
        name, _, value = own.partition(":")
        headers[name] = value.strip()
    deliver(str(settings["alert_webhook_url"]), json.dumps(body).encode(), headers)


def _email(settings: Mapping[str, Any], due: Sequence[Alert]) -> None:
    lines = [f"- {line(alert)}" for alert in due]
    text = "\n".join([*lines, "", "More: python main.py alerts; python main.py status"])
    send_mail(
        settings["alerts"]["email"], str(settings["alert_email_password"]), f"Personal Data Platform: {headline(due)}", text
    )


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
