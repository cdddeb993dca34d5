"""Connections only to where a person could have meant: a public name that leads into the own network is refused (SSRF).

Every address a name resolves to is judged before any is used, and the connection goes to a judged one, so a name that answers
differently the second time gains nothing. Loopback and private addresses are reached only where the settings name them as such
(`http://localhost:…`, an address in digits), never by a redirect; link-local ones, where clouds keep credentials, never at all.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl

from config.addresses import on_this_machine
from config.errors import SourceDenied

TIMEOUT = 60.0
"""Seconds without a byte."""
_CONNECT = 15.0
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def connect(scheme: str, host: str, port: int | None, *, named: bool) -> http.client.HTTPConnection:
    """An open connection. `named`: the settings themselves name this host. Raises SourceDenied, OSError."""
    own = named and is_address(host)
    where = port or (443 if scheme == "https" else 80)
    stream = _open(judged(host, where, own=own), where)
    if scheme == "https":
        try:
            stream = ssl.create_default_context().wrap_socket(stream, server_hostname=host)
        except BaseException:
            stream.close()
            raise
    connection = http.client.HTTPConnection(host, where, timeout=TIMEOUT)
    connection.default_port = 443 if scheme == "https" else 80  # a `Host` with a port breaks signed addresses
    connection.sock = stream
    connection.auto_open = 0  # a second connection would not have been judged
    return connection


def judged(host: str, port: int, *, own: bool) -> list[str]:
    """The addresses of a host, none of which leads where nobody meant. `own`: the own network is meant. Raises SourceDenied, OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)  # impure: where a name leads, not what comes of it
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not all(_allowed(ipaddress.ip_address(address.partition("%")[0]), own) for address in addresses):
        raise SourceDenied(
            "The web address leads into a private network.", "Name the address in digits if that is meant; a redirect may never."
        )
    return addresses


def _open(addresses: list[str], port: int) -> socket.socket:
    failure: OSError | None = None
    for address in addresses:
        try:
            stream = socket.create_connection((address, port), timeout=_CONNECT)
            stream.settimeout(TIMEOUT)
            return stream
        except OSError as error:
            failure = error
    raise failure or OSError("no address")


def _allowed(address: _Address, own: bool) -> bool:
    address = _inner(address)
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    return own or address.is_global


def _inner(address: _Address) -> _Address:
    """The IPv4 address that an IPv6 one stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def is_address(host: str) -> bool:
    """Whether a host is named by an address in digits, or as this machine."""
    if on_this_machine(host):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
