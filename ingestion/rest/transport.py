"""The connections of a REST source: each goes to an address that was judged (`ingestion.origins.guard`), none through a proxy.

A name is resolved and judged anew for every connection, and the connection goes to the judged address itself, so a name that answers
differently the second time gains nothing. TLS still asks for the name.
"""

from __future__ import annotations

import ssl
from collections.abc import Collection, Iterable
from typing import Any

import httpcore2
import httpx2

from ingestion.origins import guard


class _Judged(httpcore2.NetworkBackend):
    """Opens connections to judged addresses only. `own`: hosts that may be in the own network."""

    def __init__(self, own: Collection[str]) -> None:
        self._own, self._sockets = own, httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        failure: Exception | None = None
        try:
            addresses = guard.judged(host, port, own=host in self._own)
        except OSError:
            raise httpcore2.ConnectError("the name is not known") from None
        for address in addresses:
            try:
                return self._sockets.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore2.ConnectError("no address")


class JudgedTransport(httpx2.HTTPTransport):
    """httpx2's own transport over judged connections."""

    def __init__(self, own: Collection[str]) -> None:
        context = ssl.create_default_context()  # impure: whom to trust, not what comes of it
        super().__init__(verify=context, trust_env=False)
        self._pool = httpcore2.ConnectionPool(
            ssl_context=context, max_connections=4, keepalive_expiry=30.0, network_backend=_Judged(own)
        )


def opened(own: Collection[str], timeout: float) -> httpx2.Client:
    """A client that follows nothing by itself, keeps no cookies for others and reads no proxy or password from its surroundings.

    `timeout`: seconds without a byte.
    """
    return httpx2.Client(
        transport=JudgedTransport(own),
        timeout=httpx2.Timeout(timeout, connect=min(timeout, 15.0)),
        follow_redirects=False,
        trust_env=False,
        headers={"User-Agent": "personal-data-platform", "Accept": "application/json"},
    )
