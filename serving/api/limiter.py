"""How often somebody may ask: a bucket of tokens for each key and each address, filled a little every moment."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable

MOST = 10_000
"""Buckets kept; the one used longest ago goes first, which only gives its owner a full one again."""


class Limiter:
    """`rate` requests a minute for each name, all at once or spread. Not for threads: the event loop asks."""

    def __init__(self, rate: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, name: str) -> int:
        """Take a token from this name's bucket: 0, or the seconds until there is one."""
        now = self._clock()
        tokens, since = self._buckets.pop(name, (float(self._rate), now))
        tokens = min(float(self._rate), tokens + (now - since) * self._rate / 60)
        allowed = tokens >= 1
        self._buckets[name] = (tokens - allowed, now)
        if len(self._buckets) > MOST:
            self._buckets.popitem(last=False)
        return 0 if allowed else max(1, math.ceil((1 - tokens) * 60 / self._rate))


def network(address: str) -> str:
    """An address as it counts: one of IPv6 by its /64, which is what one customer has."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))
