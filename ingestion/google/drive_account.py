"""Who writes to Drive: a person, by the refresh token of their own OAuth client, or else the service account."""

from __future__ import annotations

from typing import Any

from google.oauth2 import credentials, service_account

from config.errors import SettingsError
from config.settings import Settings, secrets
from ingestion.google.credentials import load_credentials

_SCOPE = "https://www.googleapis.com/auth/drive"
"""A service account sees only what is shared with it; the narrower `drive.file` does not show it a folder a person has made."""
_TOKENS = "https://oauth2.googleapis.com/token"


def account(settings: Settings) -> Any:
    """Credentials that may write. SettingsError when there are none, or only a part of them."""
    parts = (
        settings.google_oauth_client_id,
        _said(settings.google_oauth_client_secret),
        _said(settings.google_oauth_refresh_token),
    )
    if all(parts):
        endpoint = settings.google_api_endpoint
        return credentials.Credentials(  # type: ignore[no-untyped-call]
            None,
            client_id=parts[0],
            client_secret=parts[1],
            refresh_token=parts[2],
            token_uri=f"{endpoint.rstrip('/')}/token" if endpoint else _TOKENS,
        )
    if any(parts):
        raise SettingsError(
            "One of the three OAuth settings of Google Drive is missing.",
            "Set GOOGLE_OAUTH_CLIENT_ID, GOOGLE_OAUTH_CLIENT_SECRET and GOOGLE_OAUTH_REFRESH_TOKEN, or none of them.",
        )
    key = load_credentials({"google_credentials": secrets(settings)["google_credentials"]})
    assert isinstance(key, service_account.Credentials)
    return key.with_scopes([_SCOPE])


def _said(secret: Any) -> str:
    return secret.get_secret_value().strip() if secret else ""
