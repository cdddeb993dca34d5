"""Named parts sealed into one blob with one key (AES-256-GCM), and opened again in memory; wrong key and damage are told apart.

Layout: `PDPSEAL` and a zero byte, format (1 byte), key id (8 bytes), nonce (12 bytes), ciphertext with its tag. The header is
authenticated, the key id says which key is needed and nothing about it. Inside: a JSON list of [name, size], then the parts.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

from config.errors import SettingsError, StoreError

_MAGIC = b"PDPSEAL\0"
_FORMAT = 1
_KEY_BYTES, _ID_BYTES, _NONCE_BYTES = 32, 8, 12
_HEADER_BYTES = len(_MAGIC) + 1 + _ID_BYTES + _NONCE_BYTES
_LARGEST = 2**31 - 1
"""What one AES-GCM message of the library may hold, in bytes."""


def key_of(text: str) -> bytes:
    """The 32 bytes of a `STATE_KEY`, given in base64 or hex. Raises SettingsError, never with its value."""
    text = text.strip()
    for decode in (bytes.fromhex, _base64):
        try:
            key = decode(text)
        except (ValueError, binascii.Error):
            continue
        if len(key) == _KEY_BYTES:
            return key
    raise SettingsError(
        "STATE_KEY is no key: it should be 32 bytes in base64 or hex.",
        "Make one with: openssl rand -base64 32 (and keep it safe).",
    )


def key_id(key: bytes) -> str:
    """Sixteen hex digits that name a key without giving it away."""
    return hashlib.sha256(b"pdp sealing key\0" + key).hexdigest()[: 2 * _ID_BYTES]


def seal(parts: Mapping[str, bytes], key: bytes) -> bytes:
    """The parts as one blob that only the key opens. Raises SettingsError without the package that encrypts, StoreError above 2 GiB."""
    nonce = os.urandom(_NONCE_BYTES)  # impure: no two messages of a key may share a nonce
    header = _MAGIC + bytes([_FORMAT]) + bytes.fromhex(key_id(key)) + nonce
    index = json.dumps([[name, len(part)] for name, part in parts.items()]).encode()
    plain = b"".join([len(index).to_bytes(8, "big"), index, *parts.values()])
    if len(plain) >= _LARGEST:
        raise StoreError(
            "These tables are too large to be sealed: more than 2 GiB.", "Leave STATE_KEY empty, or keep fewer years."
        )
    return header + bytes(_cipher(key).encrypt(nonce, plain, header))


def unseal(blob: bytes, key: bytes) -> dict[str, bytes]:
    """The parts of a sealed blob. Raises SettingsError for another key, StoreError for what is damaged or was never sealed."""
    header = blob[:_HEADER_BYTES]
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        raise StoreError("This is no sealed file of ours.", "Make it again with: python main.py")
    if header[len(_MAGIC)] != _FORMAT:
        raise StoreError("This sealed file is of a newer format than this program knows.", "Update the program.")
    if header[len(_MAGIC) + 1 : -_NONCE_BYTES].hex() != key_id(key):
        raise SettingsError(
            "STATE_KEY is not the key this file was sealed with.", "Set the key it was made with, or run again to seal anew."
        )
    from cryptography.exceptions import InvalidTag

    try:
        plain: bytes = _cipher(key).decrypt(header[-_NONCE_BYTES:], blob[_HEADER_BYTES:], header)
    except InvalidTag:
        raise StoreError(
            "The sealed file is damaged or has been changed.", "Fetch it again, or make it again with: python main.py"
        ) from None
    start = 8 + int.from_bytes(plain[:8], "big")
    parts = {}
    for name, size in json.loads(plain[8:start]):
        parts[name] = plain[start : start + size]
        start += size
    return parts


def _cipher(key: bytes) -> Any:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ModuleNotFoundError:
        raise SettingsError(
            "STATE_KEY is set, but the package that encrypts is not installed.",
            "Install it with: pip install cryptography (`make dashboard` brings it), or leave STATE_KEY empty.",
        ) from None
    return AESGCM(key)


def _base64(text: str) -> bytes:
    return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
