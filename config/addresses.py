"""Addresses of servers we speak to: http or https, a host, nothing secret in them."""

from __future__ import annotations

from urllib.parse import urlsplit


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
