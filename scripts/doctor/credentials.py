"""Do the Google credentials work, ask for no more than they need, and reach what they are to read?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from config.errors import PDPError, SettingsError
from config.origins import origin
from config.sources import SOURCES, Source, is_live
from scripts.doctor.finding import Findings, Patient, note, ok, problem, warning

if TYPE_CHECKING:
    from config.settings import Settings
    from scripts.project import Project

_WELL = ("ok", "off", "empty")
_SCOPES = "https://www.googleapis.com/auth/"
_DRIVE = {"drive", "drive.file"}
"""What the state on Drive may need; anything else a token has been given is too much."""


def examine(patient: Patient) -> Findings:
    """Each live source, as `source check` sees it, and the scopes its credentials ask for."""
    settings, project = patient.settings, patient.project
    if settings is None or project is None:
        yield note("not examined: the settings come first")
        return
    try:
        text = str(project.settings["google_credentials"])
    except SettingsError as error:
        yield problem(error.what, error.mend)
        return
    live = [s for s in SOURCES.values() if is_live(s.name, project.settings)]
    asking = [s for s in live if _asks_google(project, s)]
    if asking and not text:
        names = " and ".join(s.name for s in asking)
        yield problem(f"{names} is switched on, but there are no Google credentials.", "Set GOOGLE_APPLICATION_CREDENTIALS.")
    elif not text:
        yield ok("no source needs any")
    else:
        yield from _key(text)
        if not asking and not settings.google_drive_state_folder_id and not (settings.state_url or "").startswith("drive:"):
            yield warning("There are Google credentials that nothing uses.", "Remove them, or set GOOGLE_SHEETS_BP_ID.")
    if not patient.offline:
        if settings.google_oauth_refresh_token:
            yield from _person(settings)
        yield from _asked(project, [s for s in live if text or not _asks_google(project, s)])


def _asks_google(project: Project, source: Source) -> bool:
    """Whether a live source needs Google's credentials: for its own live path, or for an origin on Drive."""
    own = bool(source.live) and all(project.settings[name] for name in source.live) and "google_credentials" in source.secrets
    return own or any(origin(text).kind in ("drive", "gs") for text in project.settings[f"origins_{source.name}"])


def _asked(project: Project, live: list[Source]) -> Findings:
    from scripts.sources import check

    for source in live:
        for message in check(project, [source.name]).data["sources"][source.name]["messages"]:
            word, _, rest = message.partition(": ")
            if word in _WELL or " in the inbox" in message:
                yield ok(f"{source.name}: {rest or message}")
            else:
                yield problem(f"{source.name}: {message}", "See docs/sources.md, then: python main.py source check")


def _key(text: str) -> Findings:
    try:
        kind = json.loads(text).get("type")
    except (ValueError, AttributeError):
        kind = None
    if kind != "service_account":
        yield problem("The Google credentials are no service account's key.", "Give the JSON key of a service account.")
        return
    try:
        from ingestion.google.installed import google_libraries

        with google_libraries():
            from ingestion.google.credentials import SCOPES, load_credentials

            load_credentials({"google_credentials": text})
    except PDPError as error:
        yield problem(error.what, error.mend)
        return
    broad = [scope for scope in SCOPES if not scope.endswith(".readonly")]
    names = ", ".join(scope.rpartition("/")[2] for scope in SCOPES)
    if broad:
        yield warning(f"Sources ask Google for more than reading: {names}.", "Ask for scopes that end in .readonly only.")
    else:
        yield ok(f"a service account's key; sources ask for reading only ({names})")


def _person(settings: Settings) -> Findings:
    """The refresh token of the state on Drive: does it work, and what has it been given?"""
    from ingestion.google.installed import google_libraries

    with google_libraries():
        import google_auth_httplib2
        import httplib2
        from google.auth.exceptions import GoogleAuthError
        from google.oauth2.reauth import refresh_grant

        from ingestion.google.drive_account import account

    person = account(settings)
    request = google_auth_httplib2.Request(httplib2.Http(timeout=10))
    try:
        told = refresh_grant(  # type: ignore[no-untyped-call]
            request, person.token_uri, person.refresh_token, person.client_id, person.client_secret
        )[3]
    except GoogleAuthError:  # its message may quote the answer
        yield problem("Google refuses the OAuth refresh token.", "Make a new one: docs/state.md")
        return
    given = {scope.removeprefix(_SCOPES) for scope in str(told.get("scope", "")).split()}
    if more := sorted(given - _DRIVE - {"openid", "email", "profile"}):
        yield warning(
            f"The OAuth token may do more than the state on Drive needs: {', '.join(more)}.", "Make one for Drive only."
        )
    else:
        names = ", ".join(sorted(given))
        yield ok(f"the OAuth token works, for {names}" if names else "the OAuth token works")
