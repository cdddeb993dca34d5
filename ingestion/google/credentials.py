"""The service account: read-only, from the JSON text of its key."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from google.oauth2 import service_account

from config.errors import SettingsError

SCOPES = (
    "https://www.googleapis.com/auth/spreadsheets.readonly",
    "https://www.googleapis.com/auth/drive.readonly",
)

_MEND = "Set GOOGLE_APPLICATION_CREDENTIALS to the service account's JSON file, or GOOGLE_CREDENTIALS_BASE64 to its content."
_ID = re.compile(r"[A-Za-z0-9_-]{10,200}", re.ASCII)
_IN_URL = re.compile(r"/(?:d|folders)/([A-Za-z0-9_-]+)", re.ASCII)


def load_credentials(settings: Mapping[str, Any]) -> Any:
    """Credentials from the secret `google_credentials`. SettingsError when there are none or they are no service account's."""
    text = settings["google_credentials"]
    if not text:
        raise SettingsError("There are no Google credentials.", _MEND)
    try:
        key = json.loads(text)
        return service_account.Credentials.from_service_account_info(key, scopes=SCOPES)  # type: ignore[no-untyped-call]
    except (ValueError, TypeError, AttributeError, KeyError):  # their messages may quote the key
        raise SettingsError("The Google credentials are no service account's JSON key.", _MEND) from None


def google_id(value: str, name: str) -> str:
    """The id of a file or folder, given as such or as the link people copy from the browser."""
    found = _IN_URL.search(value)
    bare = found.group(1) if found else value.strip()
    if not _ID.fullmatch(bare):
        raise SettingsError(f"{name} is no Google id.", "Copy the part after /d/ or /folders/ of the link.")
    return bare
