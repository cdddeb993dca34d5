"""Whose attempt it is: the client's address as far as it can be believed, and the cookie that tells browsers apart."""

from __future__ import annotations

import hashlib
import ipaddress
import os
from collections.abc import Mapping

BROWSER_COOKIE = "pdp_browser"
"""Random, HttpOnly: given to every browser, worth nothing by itself."""


def lane(peer: str | None, headers: Mapping[str, str], environment: Mapping[str, str] = os.environ) -> str:
    """The address that attempts are counted for: an IPv4 address, an IPv6 /64 (what one customer is given).

    Behind Fly's proxy it is the one the proxy tells; elsewhere that header could be anybody's invention.
    """
    told = headers.get("Fly-Client-IP", "") if environment.get("FLY_APP_NAME") else ""
    try:
        address = ipaddress.ip_address(told or peer or "127.0.0.1")
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def browser(cookies: Mapping[str, str]) -> str:
    """What tells this browser from others, not the cookie itself; empty without one."""
    value = cookies.get(BROWSER_COOKIE, "")
    return "browser " + hashlib.sha256(value.encode()).hexdigest() if value else ""
