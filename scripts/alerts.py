"""`alerts`: what is not as it should be now, since when and who was told; `alerts test` tries every channel."""

from __future__ import annotations

import time
from argparse import Namespace

from config.errors import DeliveryError
from scripts.answer import NOTHING_YET, Answer
from scripts.project import Project
from scripts.words import ago, counted, listed
from serving.alerts import state
from serving.alerts.channels import as_json, configured
from serving.alerts.evaluation import verdict
from serving.alerts.rules import RULES
from serving.alerts.state import Alert

_EMPTY = "No alert."


def answer(project: Project, options: Namespace) -> Answer:
    """What `alerts [test]` says."""
    return _test(project) if options.action == "test" else _active(project)


def _active(project: Project) -> Answer:
    """Judged anew; nobody is told of it and nothing is kept."""
    settings = project.settings["alerts"]
    channels = [channel.name for channel in configured(project.settings)]
    with project.pipeline.reading() as registry:
        nothing = registry is None
    now = time.time()
    alerts = [] if nothing else state.judged(state.load(project.data_dir), verdict(project, now), now)
    rules = {name: bool(settings[name]["enabled"]) for name in RULES}
    data = {
        "alerts": [{**as_json(alert), "told": dict(sorted(alert.told.items()))} for alert in alerts],
        "channels": channels,
        "rules": rules,
    }
    if nothing:
        return Answer(data, NOTHING_YET)
    lines = [text for alert in alerts for text in _lines(alert)] or [_EMPTY]
    off = [name for name, on in rules.items() if not on]
    lines += ["", f"Told by: {listed(channels, 3) or 'nobody'}; again after {settings['repeat_hours']:g} h."]
    lines += [f"Rules switched off: {listed(off, len(off))}."] if off else []
    return Answer(data, "\n".join(lines))


def _lines(alert: Alert) -> list[str]:
    mark, word = ("!", "") if alert.resolved_at is None else ("✓", "resolved, to be told: ")
    heard = [f"{name} {ago(at)}" for name, at in sorted(alert.told.items())]
    return [
        f"  {mark} {word}{alert.text}",
        f"      {alert.rule}, since {ago(alert.since)}; told: {', '.join(heard) or 'nobody yet'}",
    ]


def _test(project: Project) -> Answer:
    """A notice through each channel; exit code 1 when one fails."""
    notice = Alert("test", "", "This is a test: alerts of this installation reach you here.", time.time(), {})
    results: dict[str, str] = {}
    for channel in configured(project.settings):
        try:
            channel.send([notice])
            results[channel.name] = ""
        except DeliveryError as error:
            results[channel.name] = str(error)
    lines = [f"  {'✗' if trouble else '✓'} {name}{f': {trouble}' if trouble else ''}" for name, trouble in results.items()]
    failed = sum(bool(trouble) for trouble in results.values())
    head = f"A test notice went through {counted(len(results) - failed, 'channel')}; {failed} failed."
    if not results:
        head = "There is no channel: switch one on under `alerts` in config/settings.yaml (docs/monitoring.md)."
    data = {"channels": {name: {"ok": not trouble, "error": trouble or None} for name, trouble in results.items()}}
    return Answer(data, "\n".join([head, *lines]), 1 if failed else 0)
