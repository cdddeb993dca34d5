"""Calls to Google with patience where it helps: busy and broken answers are retried, refusals are not.

Retried: 408, 429, 5xx, 403 for a rate limit, timeouts, lost connections, answers that are no JSON; with exponential waits, or as
long as `Retry-After` asks, at most 6 times and 2 minutes. Never retried: 400, 401, 403, 404. No message carries an id or address.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import gspread.exceptions
import httplib2
import requests
import stamina
from google.auth.exceptions import GoogleAuthError, RefreshError
from googleapiclient.errors import HttpError

from config.errors import PDPError, SourceDenied, SourceUnavailable
from ingestion.retry_after import retry_after

T = TypeVar("T")

TIMEOUT = 60.0
"""Seconds to wait for an answer."""
ATTEMPTS = 6
_PATIENCE = 120.0
LONGEST_WAIT = 60.0
"""A server that asks for more than this is left alone until the next run."""

_SHARE = "Share it with the service account's address (`client_email` in the credentials file) as a viewer."
_LATER = "Run again later; what is there stays valid."
RATE_LIMITS = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "RESOURCE_EXHAUSTED", "RATE_LIMIT_EXCEEDED"})


class NotSharedError(SourceDenied):
    """404: it does not exist or is not shared, which Google does not tell apart."""


class BusyError(SourceUnavailable):
    """A failure that may pass; `wait` is what the server asked for, in seconds."""

    wait: float | None = None


def call(action: Callable[[], T], thing: str) -> T:
    """What `action` gives. Raises SourceDenied, NotSharedError or SourceUnavailable; `thing` is what it reads, for the message."""
    attempts = stamina.retry_context(_worth_waiting, ATTEMPTS, _PATIENCE, wait_initial=1.0, wait_max=30.0)
    for attempt in attempts:
        with attempt:
            try:
                return action()
            except PDPError:
                raise
            except Exception as error:
                meaning = _meaning(error, thing)
                if meaning is None:
                    raise
                raise meaning from None
    raise AssertionError  # the last attempt has returned or raised


def _worth_waiting(error: Exception) -> bool | float:
    if not isinstance(error, BusyError):
        return False
    if error.wait is None:
        return True
    return error.wait if error.wait <= LONGEST_WAIT else False


def _meaning(error: BaseException, thing: str) -> PDPError | None:
    """The error in our words; None for one that is not Google's."""
    cause = error.__cause__
    if isinstance(error, (PermissionError, gspread.exceptions.SpreadsheetNotFound)) and cause is not None:
        error = cause  # gspread hides the answer behind these
    if isinstance(error, gspread.exceptions.APIError):
        answer = error.response
        return _status(int(answer.status_code), answer.headers, answer.content, thing)
    if isinstance(error, HttpError):
        return _status(int(error.resp.status), error.resp, error.content, thing)
    if isinstance(error, RefreshError) and not error.retryable:
        return SourceDenied("Google does not accept the credentials.", "Create a new key for the service account.")
    if isinstance(error, (json.JSONDecodeError, KeyError)):
        return BusyError(f"Google answered for the {thing} with something else than its data.", _LATER)
    if isinstance(error, _CONNECTION):
        return BusyError(f"The connection to Google broke while reading the {thing}.", _LATER)
    return None


_CONNECTION = (
    GoogleAuthError,
    requests.RequestException,
    httplib2.HttpLib2Error,
    http.client.HTTPException,
    OSError,
    EOFError,
)


def _status(status: int, headers: Mapping[str, str], body: bytes, thing: str) -> PDPError:
    if status in (408, 429) or status >= 500 or (status == 403 and reasons(body) & RATE_LIMITS):
        busy = BusyError(f"Google is too busy to give the {thing} (HTTP {status}).", _LATER)
        busy.wait = retry_after(headers)
        return busy
    if status == 404:
        return NotSharedError(f"The {thing} is not there or not shared with the service account.", _SHARE)
    if status == 403 and reasons(body) & {"accessNotConfigured", "SERVICE_DISABLED"}:
        return SourceDenied(
            "The Google project of the service account has this API switched off.",
            "Enable the Google Drive API and the Google Sheets API in it.",
        )
    if status == 403:
        return SourceDenied(f"The {thing} is not shared with the service account.", _SHARE)
    if status == 401:
        return SourceDenied("Google does not accept the credentials.", "Create a new key for the service account.")
    return SourceDenied(f"Google refuses to give the {thing} (HTTP {status}).", "Check the id in the settings.")


def reasons(body: bytes) -> set[str]:
    """The machine-readable reasons of an error answer, old style and new."""
    try:
        error = json.loads(body)["error"]
        found = [error.get("status"), *(e.get("reason") for e in [*error.get("errors", []), *error.get("details", [])])]
    except (ValueError, KeyError, TypeError, AttributeError):
        return set()
    return {reason for reason in found if isinstance(reason, str)}


def require(answer: Any, key: str, thing: str) -> Any:
    """The answer, if it has the field every proper one has; 200 with something else is a failure that may pass."""
    if not isinstance(answer, dict) or key not in answer:
        raise BusyError(f"Google answered for the {thing} with something else than its data.", _LATER)
    return answer
