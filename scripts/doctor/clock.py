"""Does the clock agree with what was written before, and with others' clocks?"""

from __future__ import annotations

import contextlib
import time
from email.utils import parsedate_to_datetime

from config.errors import PDPError
from scripts.doctor.finding import Finding, Findings, Patient, note, ok, problem, warning
from scripts.words import lasted

_STRAYS, _REFUSED = 5.0, 120.0
"""Seconds: worth a word; sign-ins and stores begin to refuse some minutes away."""
_PATIENCE = 5.0
_MEND = "Let the system keep the time: switch on NTP (timedatectl set-ntp true)."


def examine(patient: Patient) -> Findings:
    """The newest run, the database's clock, the Date of a server that is used anyway."""
    newest = _newest_run(patient)
    if newest > time.time() + _STRAYS:
        yield problem("The last run was in the future: the clock was set back.", _MEND)
    if patient.offline or patient.settings is None or patient.project is None:
        yield note(f"it is {time.strftime('%Y-%m-%d %H:%M:%S %z')}; no other clock was asked")
        return
    asked = False
    for who, seconds in _others(patient):
        asked = True
        yield _judged(who, seconds)
    if not asked:
        yield note(f"it is {time.strftime('%Y-%m-%d %H:%M:%S %z')}; there is no other clock to ask")


def _judged(who: str, off: float) -> Finding:
    if abs(off) < _STRAYS:
        return ok(f"agrees with {who}")
    text = f"This clock is {lasted(abs(off))} {'ahead of' if off > 0 else 'behind'} {who}."
    return problem(text, _MEND) if abs(off) >= _REFUSED else warning(text, _MEND)


def _newest_run(patient: Patient) -> float:
    if patient.project is None:
        return 0.0
    with patient.project.pipeline.reading() as registry:
        row = registry.db.execute("SELECT max(started_at) FROM run").fetchone() if registry else None
    return float(row[0] or 0.0) if row else 0.0


def _others(patient: Patient) -> list[tuple[str, float]]:
    """(who, seconds we are ahead) of each that answers; those that do not are told by their own areas."""
    found: list[tuple[str, float]] = []
    settings, project = patient.settings, patient.project
    if settings is None or project is None:
        return found
    if project.settings["database"]:
        with contextlib.suppress(PDPError):
            found.append(("the database", _database(project)))
    urls = {"the object store": settings.aws_endpoint_url or ("https://s3.amazonaws.com" if _on_s3(settings.state_url) else "")}
    if project.settings["google_credentials"]:
        urls["Google"] = settings.google_api_endpoint or "https://www.googleapis.com"
    for who, url in urls.items():
        if url and (off := _ahead_of(url)) is not None:
            found.append((who, off))
    return found


def _on_s3(url: str | None) -> bool:
    return (url or "").startswith("s3:")


def _database(project: object) -> float:
    from scripts.bronze.status import for_bronze
    from warehouse.bronze.connection import connect

    with connect(for_bronze(project), create=False, role="doctor") as session:  # type: ignore[arg-type]
        before = time.time()
        row = session.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
        return (before + time.time()) / 2 - float(row[0]) if row else 0.0


def _ahead_of(url: str) -> float | None:
    """By the server's Date header, which has whole seconds; None without an answer."""
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    before = time.time()
    try:
        with urlopen(Request(url, method="HEAD"), timeout=_PATIENCE) as answer:  # noqa: S310 - https, or what the settings name
            stamp = answer.headers.get("Date")
    except HTTPError as error:  # a refusal has a date, too
        stamp = error.headers.get("Date")
    except (OSError, ValueError):
        return None
    try:
        return (before + time.time()) / 2 - parsedate_to_datetime(stamp).timestamp() - 0.5 if stamp else None
    except ValueError:
        return None
