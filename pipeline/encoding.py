"""One value, one digest: a typed, length-prefixed encoding, so that no two different values ever share their bytes.

Joined strings do not: `("ab", "c")` and `("a", "bc")`, `1` and `"1"`, `{1: 2}` and `{"1": 2}` must differ.
"""

from __future__ import annotations

import hashlib
from typing import Any

VERSION = "pdp-key-1"
"""Part of every key. Raising it re-runs everything once."""


def encode(value: Any) -> bytes:
    """Canonical bytes of None, bool, int, float, str, bytes and of lists, tuples and dicts of them; dicts in key order."""
    if value is None or isinstance(value, bool):
        return b"N" if value is None else b"T" if value else b"F"
    if isinstance(value, str):
        data = value.encode("utf-8", "surrogatepass")
        return b"s%d:%b" % (len(data), data)
    if isinstance(value, int):
        return b"i%d;" % value
    if isinstance(value, float):
        return b"f" + value.hex().encode() + b";"
    if isinstance(value, bytes):
        return b"b%d:%b" % (len(value), value)
    if isinstance(value, (list, tuple)):
        return b"l%d:%b" % (len(value), b"".join(map(encode, value)))
    if isinstance(value, dict):
        pairs = sorted((encode(k), encode(v)) for k, v in value.items())
        return b"d%d:%b" % (len(pairs), b"".join(k + v for k, v in pairs))
    raise TypeError(f"cannot hash a {type(value).__name__}")


def digest(value: Any) -> str:
    """SHA-256 of the canonical encoding, hexadecimal."""
    return hashlib.sha256(encode(value)).hexdigest()
