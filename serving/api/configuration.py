"""How the API is to be served, from the settings: where, for whom, how often. Refuses what would stand open to a network."""

from __future__ import annotations

import hashlib
import ipaddress
from typing import NamedTuple

from config.errors import SettingsError
from config.remotes import their_api
from config.settings import Settings

SHORTEST_KEY = 16
_MAKE = 'Make one with: python -c "import secrets; print(secrets.token_urlsafe(32))"'
_LOCAL = ("localhost", "127.0.0.1", "[::1]")


class Configuration(NamedTuple):
    """What `serve` needs to know; keys only as digests."""

    host: str
    port: int
    keys: tuple[bytes, ...]
    """SHA-256 of each key."""
    origins: tuple[str, ...]
    hosts: frozenset[str]
    """Names in the Host header that are ours, lower case, without a port; "*" for any."""
    rate: int
    """Requests a minute for each key and address."""
    metrics_open: bool
    key_name: str = "API_KEY"
    """The setting that holds the keys, or would."""


def configuration(settings: Settings, host: str | None = None, port: int | None = None) -> Configuration:
    """`host` and `port` before the settings' own. SettingsError for a key that can be guessed, and for a network without a key.

    Where API_HOST is a web address, it and API_KEY are the source demo_api's: neither the place nor the key is ours
    (docs/decisions/0017-two-apis.md).
    """
    theirs = bool(their_api(settings))
    where = host or ("" if theirs else settings.api_host) or "127.0.0.1"
    name = "SERVE_API_KEY" if settings.serve_api_key or theirs else "API_KEY"
    given = settings.serve_api_key or (None if theirs else settings.api_key)
    keys = _keys(name, given.get_secret_value() if given else "")
    if not keys and not is_loopback(where):
        raise SettingsError(f"Without {name} the API is served on this machine only.", f"{_MAKE}, or serve it on 127.0.0.1.")
    names = {*_LOCAL, f"[{where}]" if ":" in where else where, *settings.api_allowed_hosts}
    return Configuration(
        where,
        settings.api_port if port is None else port,
        keys,
        tuple(settings.api_cors_origins),
        frozenset(name.lower() for name in names),
        settings.api_rate_limit,
        settings.metrics_open,
        name,
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it there."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def digest(key: str) -> bytes:
    """What is kept and compared instead of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _keys(name: str, text: str) -> tuple[bytes, ...]:
    keys = [key.strip() for key in text.split(",") if key.strip()]
    if any(len(key) < SHORTEST_KEY or not key.isascii() or not key.isprintable() or " " in key for key in keys):
        raise SettingsError(
            f"{name} holds a key of fewer than {SHORTEST_KEY} characters, or one with a space or a letter no header carries.",
            _MAKE,
        )
    return tuple(digest(key) for key in keys)
