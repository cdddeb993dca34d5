"""Where the shipped sources that speak to an API find it, as node settings: from the settings a person knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from config.settings import Settings


def remotes(settings: Settings) -> dict[str, Any]:
    """`rest_<name>` (fields of a REST source that are said anew), and what else tells where its API is."""
    demo = their_api(settings)
    return {
        "demo_api_url": demo,
        "missing_tokens_demo_api": [],  # its key is optional
        "rest_demo_api": _demo(settings, demo) if demo else {},
        "rest_toggl": _emulated(settings.toggl_api),
        "rest_withings": _emulated(settings.withings_api),
    }


def _emulated(base: str | None) -> dict[str, Any]:
    """An emulator has no quota to spare, and nobody waits for it."""
    return {"base_url": base, "rate": "", "longest_wait": "5s"} if base else {}


def _demo(settings: Settings, base: str) -> dict[str, Any]:
    keyed = bool(settings.api_key and settings.api_key.get_secret_value())
    return {"base_url": base} if keyed else {"base_url": base, "auth": None}


def their_api(settings: Settings) -> str:
    """API_HOST where it is a web address: what source demo_api reads, and API_KEY its key. Empty: both are our own API's.

    docs/decisions/0017-two-apis.md
    """
    host = settings.api_host or ""
    return host if "://" in host else ""
