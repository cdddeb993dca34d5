"""Addresses of servers we speak to: http or https, a host, nothing secret in them."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def safe_address(text: str) -> str:
    """The address as it was given, if what is sent there cannot be read on the way: https, or http on this machine. Raises ValueError."""
    parts = urlsplit(web_address(text))
    if parts.scheme != "https" and not on_this_machine(parts.hostname or ""):
        raise ValueError("it should begin with https://; http:// is for this machine alone")
    return text


def on_this_machine(host: str) -> bool:
    """Whether a host's name or address is this machine's loopback."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_local_database(host: str) -> bool:
    """Whether a host of a PostgreSQL connection is this machine: none, a socket's folder, or its loopback."""
    return not host or host[0] in "/@" or on_this_machine(host.lower())


def web_address(text: str) -> str:
    """The address as it was given; ValueError says what is wrong with it. A password or key in it would end up in logs."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("it is no address") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("it should begin with http:// or https:// and name a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("it holds a user or a password; a key belongs in a setting of its own")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("it holds a space or a letter that no address has")
    return text
